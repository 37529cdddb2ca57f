# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of scene labels on recorded streets."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks.tables.markdown import table
from benchmarks.tables.results import Results


def ten_drives(results: Results) -> str:
    """Ten recorded drives, all of them together."""
    bundles = results('ten_drives')['bundles'].values()
    figures: dict[str, Callable[[dict], float | None]] = {
        'mean IoU, mean of the drives': lambda one: one['mean'],
        'mean IoU, worst drive': lambda one: one['worst'],
        'points right': lambda one: one['pooled']['accuracy'],
        'points of cars found, 0–10 m': lambda one: one['pooled']['car_recall']['0-10 m'],
        'the same, 10–20 m': lambda one: one['pooled']['car_recall']['10-20 m'],
        'the same, 20–40 m': lambda one: one['pooled']['car_recall']['20-40 m'],
        'ground as obstacle': lambda one: one['pooled']['ghost_ground'],
        'flicker': lambda one: one['pooled']['flicker'],
        'flicker without poses': lambda one: one['pooled']['flicker_without_poses'],
    }
    rows = [(name, *(_figure(of(one)) for one in bundles)) for name, of in figures.items()]
    return table(('%', *(f'`{name}`' for name in results('ten_drives')['bundles'])), rows)


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


def learned_drives(results: Results) -> str:
    """Mean IoU of recorded drives, before and after training on others or on themselves."""
    found: dict[str, dict[str, dict]] = {}
    for run in results('learned_drives')['runs']:
        if run['seed'] == 0:
            found.setdefault(run['method'], {})[run['task']] = run
    methods = [m for m in ('start', 'street', 'adapted') if any(m in one for one in found.values())]
    rows = [
        (drive, *(_figure(found[drive].get(m, {}).get('miou')) for m in methods))
        for drive in sorted(found)
    ]
    for name, over, figure in (
        ('mean', statistics.fmean, 'miou'),
        ('worst', min, 'miou'),
        ('points right, mean', statistics.fmean, 'accuracy'),
        ('ground as obstacle, mean', statistics.fmean, 'ghost_ground'),
        ('flicker, mean', statistics.fmean, 'flicker'),
    ):
        values = {m: [one[m][figure] for one in found.values() if m in one] for m in methods}
        complete = (_figure(over(v) if len(v) == len(found) else None) for v in values.values())
        rows.append((name, *complete))
    return table(('mean IoU of a drive (%)', *(f'`{m}`' for m in methods)), rows)


def _figure(value: float | None) -> str:
    return '–' if value is None else f'{value:.1f}'


TABLES = {
    'ten-drives': ten_drives,
    'ten-drives-each': ten_drives_each,
    'ten-drives-classes': ten_drives_classes,
    'learned-drives': learned_drives,
}
