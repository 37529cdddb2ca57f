# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of the README and of the shipped bundles."""

from __future__ import annotations

import statistics

from benchmarks.tables.markdown import milliseconds, table
from benchmarks.tables.results import SCENES, Results


def headline(results: Results) -> str:
    """Five figures for the README; links are relative to the root of the repository."""
    live = results('node')['124k points, 10 Hz']['live']
    latency, streaming = live['latency_ms']['total'], results('streaming')
    iou = [100 * score['miou'] for score in _scores(results, 'points').values()]
    drives = results('ten_drives')['bundles']['default']
    street = [run['miou'] for run in results.runs('learned_drives', 'street')]
    ours, full = (results.runs('adaptation', 'utd_mhad', m) for m in ('pointata-longer', 'full'))
    ours, full = ([run for run in runs if run['fraction'] == 1] for runs in (ours, full))
    right = [statistics.fmean(run['correct'] for run in runs) for runs in (ours, full)]
    added = results('second_sensor')['second_sensor_mib']['pss_mib']
    rows = [
        (
            'HDL-64E scans of 124k points at 10 Hz, two CPU cores',
            f'p50 {milliseconds(latency["p50"])}, p99 {milliseconds(latency["p99"])}',
            '[node]',
        ),
        (
            f'a streaming step against recomputing {streaming["settings"]["window"]} frames',
            f'{streaming["times_cheaper_than"]["window"]["median_ms"]:.0f} times cheaper',
            '[streaming]',
        ),
        (
            'mean IoU on ten recorded drives, none trained on',
            f'{drives["mean"]:.0f} %, worst drive {drives["worst"]:.0f} %',
            '[ten_drives]',
        ),
        (
            f'the same, bundle `street`, {len(street)} drives new to it',
            f'{statistics.fmean(street):.0f} %, worst drive {min(street):.0f} %',
            '[learned_drives]',
        ),
        (
            'mean IoU on five kinds of held-out simulated scenes',
            f'{min(iou):.0f} to {max(iou):.0f} %',
            '[manifest]',
        ),
        (
            f'UTD-MHAD, PointATA / full fine-tuning, right of {ours[0]["videos"]}',
            f'{right[0]:.0f} / {right[1]:.0f}',
            '[adaptation]',
        ),
        (
            'memory of a second sensor in the same node',
            f'{added["as_a_second_input"]:.0f} MiB',
            '[second_sensor]',
        ),
    ]
    links = [
        f'[{name}]: benchmarks/results/{name}.json'
        for name in (
            *('node', 'streaming', 'ten_drives', 'learned_drives', 'adaptation', 'second_sensor'),
        )
    ]
    links.append('[manifest]: models/default/manifest.json')
    return '\n'.join([table(('what', 'figure', 'results'), rows), '', *links])


def _scores(results: Results, task: str) -> dict[str, dict]:
    """Held-out scores of the default bundle for a task, by kind of scene."""
    scores = results.manifest('default')['provenance']['validation']['scores']
    return {score['kind']: score for score in scores if score['task'] == task}


def default_bundle(results: Results) -> str:
    """The default bundle on held-out simulated scenes."""
    points, frames = (_scores(results, task) for task in ('points', 'frames'))
    rows = [
        (
            SCENES.get(kind, kind),
            f'{score["total"]:,}',
            f'{100 * score["miou"]:.1f}',
            f'{100 * score["accuracy"]:.1f}',
            f'{100 * frames[kind]["accuracy"]:.0f}',
        )
        for kind, score in points.items()
    ]
    return table(('scenes', 'points', 'mIoU (%)', 'points right (%)', 'actions right (%)'), rows)


def default_bundle_classes(results: Results) -> str:
    """The same by class: IoU (%)."""
    points = _scores(results, 'points')
    classes = dict.fromkeys(name for score in points.values() for name in score['per_class'])
    rows = [
        (name, *(f'{100 * score["per_class"][name]:.1f}' if name in score['per_class'] else ''
                 for score in points.values()))
        for name in classes
    ]  # fmt: skip
    return table(('class', *(SCENES.get(kind, kind) for kind in points)), rows)


def radhar_bundle(results: Results) -> str:
    """The radar bundle on the held-out recordings of its training."""
    score = results.manifest('radhar')['provenance']['validation']
    rows = [
        ('recordings right', f'{round(score["accuracy"] * score["total"])} of {score["total"]}'),
        ('windows right', f'{100 * score["clip_accuracy"]:.1f} %'),
    ]
    return table(('held-out recordings', 'value'), rows)


TABLES = {
    'headline': headline,
    'default-bundle': default_bundle,
    'default-bundle-classes': default_bundle_classes,
    'radhar-bundle': radhar_bundle,
}
"""By the name that documents use."""
