# SPDX-License-Identifier: Apache-2.0
"""What a pre-trained backbone is worth to the default bundle: one short training, four starts.

    python -m benchmarks default-start --backbone runs/tiny/backbone.safetensors

The first stage of ``config/training/default.yaml``, shortened: single frames of simulated streets,
yards and rooms, the same in the same order for every start. ``random, trained`` trains all weights
from random ones; ``random, frozen`` and ``pre-trained, frozen`` train embedder, adapters, context
encoder and heads over a backbone that stays as it is; ``pre-trained, trained`` trains all weights
from the file's. Scored after the last step on the held-out scenes of the bundle, on every point,
through the streaming session; nothing is selected. Scenes are simulated when they are not there
(``--work``). A finished run is on disk at once; stopped, the same
command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.command_line import CommandLine, run_main
from benchmarks.run_store import Run, RunStore, run_missing
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.stages import open_clips
from pointata_core.training.skill.training import run_train

RECIPE = 'config/training/default.yaml'
TASK = 'simulated'


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
    watch = Stopwatch()
    result = run_train(settings)
    spent = watch.lap('run')
    assert result is not None, 'one process trains'
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
        'wall_s': round(spent.wall_s, 1),
        'processor_s': round(spent.processor_s, 1),
        'peak_rss_bytes': peak_rss_bytes(),
    }


def run_all(arguments: argparse.Namespace) -> None:
    """Carry out what is missing."""
    arguments.cache = arguments.cache or arguments.work / 'cache'
    store, shared = RunStore(arguments.output), recipe(arguments)
    batch = shared.plan[0].optimiser['batch']
    facts = {'steps': arguments.steps, 'batch': batch, 'scenes': scenes(shared)}
    store.require_settings(TASK, facts)
    runs = [Run(TASK, start, seed) for seed in arguments.seeds for start in arguments.starts]
    run_missing(
        store,
        runs,
        lambda run: carry_out(run, arguments),
        lambda found: ', '.join(f'{k} {100 * v["miou"]:.1f}' for k, v in found['scores'].items()),
        only_list=arguments.list,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'default-start', __doc__, starts=['random, frozen'], seeds=[0], steps=2, every=100,
        work=Path('runs/quick/default_start'),
    )  # fmt: skip
    line.add_argument('--backbone', type=Path, default=Path('runs/tiny/backbone.safetensors'))
    line.add_argument('--starts', nargs='+', choices=STARTS, default=list(STARTS))
    line.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    line.add_argument('--steps', type=int, default=300)
    line.add_argument('--every', type=int, default=4, help='take every n-th scene of the recipe')
    line.add_argument('--work', type=Path, default=Path('runs/default_start'))
    line.add_argument('--cache', type=Path, help='prepared scenes; below --work if left out')
    line.add_argument('--set', nargs='+', default=[], dest='settings', metavar='NAME=VALUE',
                      help='in place of values of the recipe')  # fmt: skip
    line.add_argument('--list', action='store_true', help='name the missing runs and stop')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
