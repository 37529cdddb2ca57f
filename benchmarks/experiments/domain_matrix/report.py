# SPDX-License-Identifier: Apache-2.0
"""The table of finished runs."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks.experiments.domain_matrix.variants import VARIANTS

_ANSWERS = {'image': '2D', 'cloud': '3D', 'ensemble': 'xM'}
_HEAD = """\
# Domain adaptation on simulated pairs

Written by `python -m benchmarks.experiments.domain_adaptation`; do not edit. mIoU (%) over the six classes of
the task on test scenes of the target after the last step, mean ± sample standard deviation over
seeds. 2D is the camera's main head, 3D the LiDAR's, xM the mean of both probabilities. Time is
processor time of one run on one core; that of variants with pseudo-labels is without the first
stage, which they share with the method without.
"""


def write_table(content: dict[str, Any], path: Path) -> None:
    """Write the Markdown table of all finished runs."""
    lines = [_HEAD]
    for name in sorted(content['settings'], reverse=True):
        lines += _pair(name, content)
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def _pair(name: str, content: dict[str, Any]) -> list[str]:
    settings = content['settings'][name]
    training = settings['training']
    shown = ', '.join(f'{k} {training[k]}' for k in ('steps', 'batch', 'depth', 'width', 'planes'))
    lines = [
        f'## {name}: {settings["source"]["split"]} to {settings["test"]["split"]}',
        '',
        f'Setting `{training["setting"]}`, {shown}, images '
        f'{settings["source"]["samples"]["resize"]}, at most '
        f'{settings["source"]["samples"]["points"]} points in training.',
        '',
        '| variant | 2D | 3D | xM | seeds | time |',
        '|---|---|---|---|---|---|',
    ]
    for variant, about in VARIANTS.items():
        runs = [run for key, run in content['runs'].items() if key.startswith(f'{name}/{variant}/')]
        if not runs:
            continue
        cells = [spread([100 * run['miou'][answer] for run in runs]) for answer in _ANSWERS]
        seconds = statistics.mean(run['processor_s'] for run in runs)
        row = (f'`{variant}`: {about.summary}', *cells, str(len(runs)), f'{seconds:.0f} s')
        lines.append(f'| {" | ".join(row)} |')
    return [*lines, '']


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation, to a decimal."""
    if len(values) == 1:
        return f'{values[0]:.1f}'
    return f'{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}'
