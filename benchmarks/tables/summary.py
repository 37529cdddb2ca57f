# SPDX-License-Identifier: Apache-2.0
"""Tables of the README and of the shipped bundles."""

from __future__ import annotations

import statistics

from benchmarks.tables.markdown import milliseconds, percent, table
from benchmarks.tables.results import SCENES, Results


def headline(results: Results) -> str:
    """Five figures for the README; links are relative to the root of the repository."""
    live = results('node')['124k points, 10 Hz']['live']
    latency, streaming = live['latency_ms']['total'], results('streaming')
    scores = results.manifest('default')['provenance']['held_out'].values()
    iou = percent(score['miou'] for score in scores)
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
        for name in ('node', 'streaming', 'adaptation', 'second_sensor')
    ]
    links.append('[manifest]: models/default/manifest.json')
    return '\n'.join([table(('what', 'figure', 'results'), rows), '', *links])


def default_bundle(results: Results) -> str:
    """The default bundle on held-out simulated scenes; majority: the most frequent action."""
    held_out = results.manifest('default')['provenance']['held_out']
    rows = [
        (
            SCENES.get(kind, kind),
            score['frames'],
            len(score['iou']),
            f'{100 * score["miou"]:.1f}',
            f'{100 * score["accuracy"]:.1f}',
            f'{100 * score["action_accuracy"]:.0f}',
            f'{100 * score["action_majority_share"]:.0f}',
        )
        for kind, score in held_out.items()
    ]
    header = (
        'scenes',
        'frames',
        'classes',
        'mIoU (%)',
        'points (%)',
        'actions (%)',
        'majority (%)',
    )
    return table(header, rows)


def default_bundle_classes(results: Results) -> str:
    """The same by class: IoU (%)."""
    held_out = results.manifest('default')['provenance']['held_out']
    classes = dict.fromkeys(name for score in held_out.values() for name in score['iou'])
    rows = [
        (name, *(f'{100 * score["iou"][name]:.1f}' if name in score['iou'] else ''
                 for score in held_out.values()))
        for name in classes
    ]  # fmt: skip
    return table(('class', *(SCENES.get(kind, kind) for kind in held_out)), rows)


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
