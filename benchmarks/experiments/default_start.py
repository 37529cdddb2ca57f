#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a pre-trained backbone is worth to the default bundle: one short training, four starts.

    OMP_NUM_THREADS=1 python -m benchmarks.experiments.default_start --backbone runs/tiny/backbone.safetensors
    python -m benchmarks.experiments.default_start --report          # the table alone

The first stage of ``config/training/default.yaml``, shortened: single frames of simulated streets,
yards and rooms, the same in the same order for every start. ``random, trained`` trains all weights
from random ones; ``random, frozen`` and ``pre-trained, frozen`` train embedder, adapters, context
encoder and heads over a backbone that stays as it is; ``pre-trained, trained`` trains all weights
from the file's. Scored after the last step on the held-out scenes of the bundle, on every point,
through the streaming session; nothing is selected. Scenes are simulated when they are not there
(``--work``). Finished runs are kept in ``benchmarks/results/default_start.json``, with a table
beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

from benchmarks.command_line import obey, say  # noqa: E402
from benchmarks.experiments.adaptation_matrix.store import ResultStore, Run  # noqa: E402
from pointata_core.evaluation.environment import machine, peak_rss_bytes, versions  # noqa: E402
from pointata_core.models.checkpoints.files import sha256_of  # noqa: E402
from pointata_core.training.engine.settings import read_settings  # noqa: E402
from pointata_core.training.skill.settings import TrainingSettings  # noqa: E402
from pointata_core.training.skill.stages import open_clips  # noqa: E402
from pointata_core.training.skill.training import run_train  # noqa: E402

RESULTS = HERE.parent / 'results' / 'default_start.json'
RECIPE = 'config/training/default.yaml'
DATA = 'simulated'


@dataclass(frozen=True)
class Begin:
    """What a training begins with.

    Attributes:
        pretrained: From the file, else random.
        frozen: Whether the backbone stays so.
    """

    pretrained: bool
    frozen: bool


STARTS = {
    'random, trained': Begin(False, False),
    'random, frozen': Begin(False, True),
    'pre-trained, frozen': Begin(True, True),
    'pre-trained, trained': Begin(True, False),
}


def settings_of(run: Run, arguments: argparse.Namespace) -> TrainingSettings:
    """The first stage of the recipe, shortened, from one start."""
    begin = STARTS[run.method]
    name = f'{run.method.replace(", ", "-")}-{arguments.steps}-{run.seed}'
    backbone = arguments.backbone if begin.pretrained else 'random:tiny'
    settings = recipe(arguments, f'network.backbone={backbone}', f'seed={run.seed}',
                      f'output={arguments.work / name}')  # fmt: skip
    tuning = {'train_embedder': True} if begin.frozen else {'mode': 'full'}
    stage = settings.plan[0]
    stage = replace(stage, tuning=tuning, optimiser={**stage.optimiser, 'steps': arguments.steps})
    return replace(settings, stages=(stage,))


def recipe(arguments: argparse.Namespace, *overrides: str) -> TrainingSettings:
    """The recipe of the default bundle with every n-th scene to train on."""
    words = [f'data.cache={arguments.cache}', *arguments.settings, *overrides]
    settings = read_settings(TrainingSettings, RECIPE, words)
    data = settings.data
    mixes = dict(data.options['mixes'])
    mixes[data.train] = [
        {**mix, 'seeds': [first, first - (first - stop) // arguments.every]}
        for mix in mixes[data.train]
        for first, stop in (mix['seeds'],)
    ]
    return replace(settings, data=replace(data, options={'mixes': mixes}))


def scenes(settings: TrainingSettings) -> int:
    """Number of scenes to train on."""
    mixes = settings.data.options['mixes'][settings.data.train]
    return sum(stop - first for first, stop in (mix['seeds'] for mix in mixes))


def carry_out(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and score one start."""
    settings = settings_of(run, arguments)
    open_clips(settings, settings.data.train, True)  # shared, so in no run's time
    spent = -time.process_time()
    result = run_train(settings)
    assert result is not None, 'one process trains'
    spent += time.process_time()
    return {
        'scores': {
            score.kind: {
                'miou': round(score.metrics['miou'], 4),
                'accuracy': round(score.metrics['accuracy'], 4),
                'points': score.total,
            }
            for score in result.scores
            if score.task == 'points'
        },
        'trained_parameters': result.training['parameters']['trainable'],
        'backbone_sha256': sha256_of(arguments.backbone) if STARTS[run.method].pretrained else '',
        'processor_s': round(spent, 1),
        'peak_rss_bytes': peak_rss_bytes(),
        'load_average': round(os.getloadavg()[0], 2),
        'machine': machine(),
        'versions': versions(),
    }


def table(store: ResultStore) -> str:
    """Markdown: a row per start, a column per kind of held-out scene."""
    settings = store.settings(DATA)
    kinds = list(next(iter(store))[1]['scores'])
    lines = [
        '# What the default bundle begins with',
        '',
        'Written by `python -m benchmarks.experiments.default_start`; do not edit. Mean IoU in per cent on',
        f'held-out simulated scenes after {settings["steps"]} steps of {settings["batch"]} frames',
        f'each from {settings["scenes"]} scenes, last step: mean (lowest to highest seed).',
        '',
        f'| backbone | seeds | trained | {" | ".join(kinds)} | mean | processor time |',
        '|---' * (len(kinds) + 5) + '|',
        *rows(store, kinds),
    ]
    return '\n'.join(lines) + '\n'


def rows(store: ResultStore, kinds: list[str]) -> Iterator[str]:
    """One row per start."""
    for start in STARTS:
        runs = [measured for run, measured in store if run.method == start]
        if not runs:
            continue
        columns = [[100 * one['scores'][kind]['miou'] for one in runs] for kind in kinds]
        columns.append([statistics.fmean(seed) for seed in zip(*columns, strict=True)])
        seconds = statistics.median(one['processor_s'] for one in runs)
        trained = runs[0]['trained_parameters'] / 1e6
        yield (
            f'| {start} | {len(runs)} | {trained:.2f} M | {" | ".join(map(spread, columns))} '
            f'| {seconds:.0f} s |'
        )


def spread(values: list[float]) -> str:
    """Mean, and lowest to highest where there are several."""
    mean = f'{statistics.fmean(values):.1f}'
    return mean if len(values) < 2 else f'{mean} ({min(values):.1f} to {max(values):.1f})'


def run_all(arguments: argparse.Namespace) -> None:
    """Carry out what is missing; each run is on disk with the table before the next one begins."""
    store = ResultStore(arguments.output)
    shared = recipe(arguments)
    batch = shared.plan[0].optimiser['batch']
    facts = {'steps': arguments.steps, 'batch': batch, 'scenes': scenes(shared)}
    store.require_settings(DATA, facts)
    runs = [Run(DATA, 1.0, start, seed) for seed in arguments.seeds for start in arguments.starts]
    for run in (run for run in runs if run not in store):
        measured = carry_out(run, arguments)
        store.add(run, measured)
        write_table(store, arguments.output)
        say(f'{run}: {json.dumps(measured["scores"])}')


def write_table(store: ResultStore, path: Path) -> None:
    """Write the table beside the results."""
    path.with_suffix('.md').write_text(table(store), encoding='utf-8')


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--backbone', type=Path, default=Path('runs/tiny/backbone.safetensors'))
    parser.add_argument('--starts', nargs='+', choices=STARTS, default=list(STARTS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument('--every', type=int, default=4, help='take every n-th scene of the recipe')
    parser.add_argument('--work', type=Path, default=Path('runs/default_start'))
    parser.add_argument('--cache', type=Path, help='prepared scenes; below --work if left out')
    parser.add_argument('--set', nargs='+', default=[], dest='settings', metavar='NAME=VALUE',
                        help='in place of values of the recipe')  # fmt: skip
    parser.add_argument('--output', type=Path, default=RESULTS)
    parser.add_argument('--report', action='store_true', help='write the table and stop')
    arguments = parser.parse_args()
    arguments.cache = arguments.cache or arguments.work / 'cache'
    if arguments.report:
        write_table(ResultStore(arguments.output), arguments.output)
        return 0
    return obey(lambda: run_all(arguments))


if __name__ == '__main__':
    sys.exit(main())
