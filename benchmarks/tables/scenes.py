# SPDX-License-Identifier: Apache-2.0
"""Tables of scene labels on recorded streets."""

from __future__ import annotations

from benchmarks.tables.markdown import table
from benchmarks.tables.results import Results


def ten_drives(results: Results) -> str:
    """Ten recorded drives, all of them together."""
    rows = []
    for name, one in results('ten_drives')['bundles'].items():
        pooled = one['pooled']
        rows.append(
            (
                f'`{name}`',
                _figure(one['mean']),
                _figure(one['worst']),
                _figure(pooled['accuracy']),
                *(_figure(value) for value in pooled['car_recall'].values()),
                _figure(pooled['ghost_ground']),
                f'{_figure(pooled["flicker"])} / {_figure(pooled["flicker_without_poses"])}',
            )
        )
    names = (
        'bundle (%)', 'mean of drives', 'worst drive', 'points right', 'cars 0–10 m', '10–20 m',
        '20–40 m', 'ground as obstacle', 'flicker with / without poses',
    )  # fmt: skip
    return table(names, rows)


def ten_drives_each(results: Results) -> str:
    """Mean IoU of each recorded drive."""
    bundles = results('ten_drives')['bundles']
    drives = next(iter(bundles.values()))['drives']
    rows = [
        (drive, *(_figure(one['drives'][drive]['miou']) for one in bundles.values()))
        for drive in drives
    ]
    return table(('mean IoU (%)', *(f'`{name}`' for name in bundles)), rows)


def ten_drives_classes(results: Results) -> str:
    """IoU of each class over all recorded drives."""
    bundles = results('ten_drives')['bundles']
    classes = next(iter(bundles.values()))['pooled']['iou']
    rows = [
        (name, *(_figure(one['pooled']['iou'][name]) for one in bundles.values()))
        for name in classes
    ]
    return table(('IoU (%)', *(f'`{name}`' for name in bundles)), rows)


def _figure(value: float | None) -> str:
    return '–' if value is None else f'{value:.1f}'


TABLES = {
    'ten-drives': ten_drives,
    'ten-drives-each': ten_drives_each,
    'ten-drives-classes': ten_drives_classes,
}
