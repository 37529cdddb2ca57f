# SPDX-License-Identifier: Apache-2.0
"""The tables of finished runs from simulation to recordings."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks.experiments.domain_matrix.arms import TESTS, WAYS
from benchmarks.experiments.domain_matrix.report import spread
from pointata_core.datasets.camera.class_maps import task_named

_HEAD = """\
# From simulated to recorded streets

Written by `python -m benchmarks.experiments.simulation_to_real`; do not edit. mIoU (%) of the LiDAR's head,
which needs no image, over the six classes of the task after the last step, mean ± sample standard
deviation over seeds. *street*: frames 16 to 20 of SemanticKITTI's sequence 00, whole turns; *gain*:
there, over `source_only` of the same seed.
*view*: the part of them that a KITTI camera would see, alone. *simulated*: streets of the simulator
that were not trained on. The five frames come from less than four metres of driving, so the spread
over seeds says how sure the training is, not how sure the figure is for other streets. Time is
processor time on one core of a busy machine; that of ways with pseudo-labels is without the first
stage, which they share.
"""
_ARMS = {
    'lidar': 'LiDAR alone: target is the same street, frames 0 to 13',
    'camera': 'Camera and LiDAR: target is another drive, KITTI raw, 10 frames with images',
}


def write_tables(content: dict[str, Any], path: Path) -> None:
    """Write the Markdown tables of all finished runs."""
    lines = [_HEAD]
    for name in _ARMS:
        if name in content['settings']:
            lines += _arm(name, content)
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def _arm(name: str, content: dict[str, Any]) -> list[str]:
    settings = content['settings'][name]
    training, names = settings['training'], task_named(settings['task']).classes
    shown = ', '.join(f'{k} {training[k]}' for k in ('setting', 'steps', 'batch', 'planes'))
    means, classes = [], []
    for way, about in WAYS[name].items():
        by_seed = _by_seed(content, name, way)
        runs = list(by_seed.values())
        if not runs:
            continue
        cells = [spread([100 * run['scores'][t]['miou'] for run in runs]) for t in TESTS]
        seconds = statistics.mean(run['processor_s'] for run in runs)
        gain = _gain(by_seed, _by_seed(content, name, 'source_only'))
        row = (f'`{way}`: {about.summary}', *cells, gain, str(len(runs)), f'{seconds:.0f} s')
        means.append(f'| {" | ".join(row)} |')
        found = [run['scores']['street']['iou'] for run in runs]
        each = [spread([100 * (iou[c] or 0) for iou in found]) for c in names]
        classes.append(f'| `{way}` | {" | ".join(each)} |')
    if not means:
        return []
    return [
        f'## {_ARMS[name]}', '', f'{shown}.', '',
        f'| way | {" | ".join(TESTS)} | gain | seeds | time |',
        '|---|' + '---|' * (len(TESTS) + 3),
        *means, '', 'IoU by class on *street*:', '',
        f'| way | {" | ".join(names)} |', '|---|' + '---|' * len(names), *classes, '',
    ]  # fmt: skip


def _by_seed(content: dict[str, Any], name: str, way: str) -> dict[str, dict[str, Any]]:
    start = f'{name}/{way}/'
    found = {key: run for key, run in content['runs'].items() if key.startswith(start)}
    return {key.removeprefix(start): found[key] for key in sorted(found)}


def _gain(runs: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]) -> str:
    both = [seed for seed in runs if seed in before]
    if not both or runs == before:
        return ''
    miou = [[100 * group[seed]['scores']['street']['miou'] for seed in both]
            for group in (runs, before)]  # fmt: skip
    return spread([new - old for new, old in zip(*miou)])
