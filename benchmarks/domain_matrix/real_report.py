# SPDX-License-Identifier: Apache-2.0
"""The tables of finished runs from simulation to recordings."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from domain_matrix.arms import TESTS, WAYS
from domain_matrix.report import spread
from pointata_core.data.datasets.camera.class_maps import task_named

_HEAD = """\
# From simulated to recorded streets

Written by `python benchmarks/simulation_to_real.py`; do not edit. mIoU (%) of the LiDAR's head,
which needs no picture, over the six classes of the task after the last step, mean ± sample standard
deviation over seeds. *street*: frames 16 to 20 of SemanticKITTI's sequence 00, whole turns.
*view*: the part of them that a KITTI camera would see, alone. *simulated*: streets of the simulator
that were not trained on. The five frames show some ten metres of one street, so the spread over
seeds says how sure the training is, not how sure the figure is for other streets. Time is processor
time on one core; that of ways with pseudo-labels is without the first stage, which they share.
"""
_ARMS = {
    'lidar': 'LiDAR alone: target is the same street, frames 0 to 13',
    'camera': 'Camera and LiDAR: target is another drive, KITTI raw, 10 frames with pictures',
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
        runs = [run for key, run in content['runs'].items() if key.startswith(f'{name}/{way}/')]
        if not runs:
            continue
        cells = [spread([100 * run['scores'][t]['miou'] for run in runs]) for t in TESTS]
        seconds = statistics.mean(run['processor_s'] for run in runs)
        row = (f'`{way}`: {about.summary}', *cells, str(len(runs)), f'{seconds:.0f} s')
        means.append(f'| {" | ".join(row)} |')
        found = [run['scores']['street']['iou'] for run in runs]
        each = [spread([100 * (iou[c] or 0) for iou in found]) for c in names]
        classes.append(f'| `{way}` | {" | ".join(each)} |')
    if not means:
        return []
    return [
        f'## {_ARMS[name]}', '', f'{shown}.', '',
        f'| way | {" | ".join(TESTS)} | seeds | time |', '|---|' + '---|' * (len(TESTS) + 2),
        *means, '', 'IoU by class on *street*:', '',
        f'| way | {" | ".join(names)} |', '|---|' + '---|' * len(names), *classes, '',
    ]  # fmt: skip
