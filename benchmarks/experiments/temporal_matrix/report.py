# SPDX-License-Identifier: Apache-2.0
"""The tables of what is finished: mean and spread over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.experiments.adaptation_matrix.store import ResultStore
from benchmarks.experiments.temporal_matrix.arms import ARMS, STARTS

SIMULATED = 'simulated'
RECORDED = {
    'recorded': 'classes of the project',
    'recorded_19': 'the 19 classes of the single-scan benchmark',
}

_HEAD = """# Time in semantic segmentation

Written by `python -m benchmarks.experiments.temporal_context`; do not edit. IoU (%) over cells of the last
frames of clips, which are the same frames whatever is seen before them; after the last epoch; mean
± sample standard deviation over seeds. All arms of a table take the same number of steps over the
same clips. Time is processor time of one core, preparation of the clips excluded.
"""


def write_tables(store: ResultStore, path: Path) -> Path:
    """Write the page beside the results."""
    lines = [_HEAD, *_simulated(store)]
    for data, what in RECORDED.items():
        lines += _recorded(store, data, what)
    page = path.with_suffix('.md')
    page.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return page


def _simulated(store: ResultStore) -> Iterator[str]:
    yield '## Simulated streets with traffic\n'
    yield (
        'Means over all classes, those of things that can move (car, bicycle, person) and the '
        'others, moving and standing things taken together; then, from the same answers, cars and '
        'persons apart: those that move, and those that stand.\n'
    )
    yield (
        '| sees | seeds | all | movable | static | moving car | standing car | moving person '
        '| standing person | all, apart | trained | time |'
    )
    yield '|' + '---|' * 12
    for name, arm in ARMS.items():
        runs = _runs(store, SIMULATED, name)
        if not runs:
            continue
        means = [_spread(runs, 'miou', group) for group in ('all', 'movable', 'static')]
        apart = [
            _spread(runs, 'iou_apart', name)
            for name in ('moving-car', 'car', 'moving-person', 'person')
        ]
        apart.append(_spread(runs, 'miou_apart', 'all'))
        yield _row(f'`{name}`: {arm.summary}', runs, [*means, *apart])
    yield ''


def _recorded(store: ResultStore, data: str, what: str) -> Iterator[str]:
    rows = [(arm, start, _runs(store, data, f'{arm}/{start}')) for arm in ARMS for start in STARTS]
    rows = [row for row in rows if row[2]]
    if not rows:
        return
    yield f'## A recorded street: {what}\n'
    yield (
        'SemanticKITTI, sequence 00: frames 0 to 13 teach, 16 to 20 are scored, less than four '
        'metres of driving, so the spread over seeds says how sure the training is, not how sure '
        'the figure is for other streets. A stream has seen frames 9 to 15 before frame 16; the '
        'labels of frames 14 and 15 are not used.\n'
    )
    yield '| sees | begins with | seeds | all | movable | static | trained | time |'
    yield '|' + '---|' * 8
    for arm, start, runs in rows:
        means = [_spread(runs, 'miou', group) for group in ('all', 'movable', 'static')]
        yield _row(f'`{arm}` | {STARTS[start]}', runs, means)
    yield ''


def _runs(store: ResultStore, data: str, method: str) -> list[dict[str, Any]]:
    return [entry for run, entry in store if (run.data, run.method) == (data, method)]


def _spread(runs: list[dict[str, Any]], table: str, name: str) -> str:
    values = [100 * run[table][name] for run in runs if name in run.get(table, {})]
    if not values:
        return ''
    spread = f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else ''
    return f'{statistics.fmean(values):.1f}{spread}'


def _row(name: str, runs: list[dict[str, Any]], figures: list[str]) -> str:
    seconds = statistics.median(run['processor_s'] for run in runs)
    cells = [name, str(len(runs)), *figures, f'{runs[0]["trainable"]:,}', f'{seconds:.0f} s']
    return f'| {" | ".join(cells)} |'
