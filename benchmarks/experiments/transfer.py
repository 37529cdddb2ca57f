# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What pre-training is worth for a skill: stage 2 on frozen backbones, tasks x tuning x seeds.

    python -m benchmarks transfer --utd datasets/UTD-MHAD      # after `benchmarks pretraining`
    python -m benchmarks transfer --tasks simulated --tuning head --seeds 0
    python -m benchmarks transfer --masked a0.safetensors a1.safetensors --pic-point b0.safetensors
    python -m benchmarks transfer --list                       # what is missing

Backbones: random weights, masked reconstruction, point-image contrast (Pic@Point) of the same
length, and one that was trained to the end (``--full``, the same for every seed), all of one shape
and frozen byte for byte. Seed n takes file n of those given, in the order of their names; a run
whose file is not there yet is named and left out. Tuning: ``head`` trains the temporal or
segmentation head alone, ``adapters`` also the adapters, context encoder and class token. Tasks:
27 actions of UTD-MHAD (subjects 1, 3, 5 train, subject 7 judges), coarse as in the small recipes
and as dense as the shapes of pre-training (``utd_mhad_dense``), and semantic segmentation of
simulated scenes, which are simulated if they are not there. Clips are prepared once, and frozen
features kept, below ``--work``. Last epoch, nothing is selected. A finished run is on disk at once;
stopped, the same command goes on with what is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.command_line import CommandLine, log, run_main
from benchmarks.experiments.skill_runs import TASKS as FILES
from benchmarks.experiments.skill_runs import prepare_clips, read_task, shared_facts, train_fresh
from benchmarks.run_store import Run, RunStore, run_missing
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.simulation import ShardJob, write_shards
from pointata_core.training.skill.settings import TrainingSettings

ABLATION = Path('runs/ablation')
RANDOM = 'random:tiny'
TASKS = {'utd_mhad': 'accuracy', 'utd_mhad_dense': 'accuracy', 'simulated': 'miou'}
TUNING = {'head': 'head', 'adapters': 'pointata'}
"""Modes of tuning by name."""
# What is frozen is computed once, so that a head alone may pass over the clips more often.
ADAPTER_EPOCHS = {'utd_mhad': 24, 'utd_mhad_dense': 24, 'simulated': 8}
BACKBONES = ('random', 'masked', 'pic-point', 'pic-point-full')


def backbone_of(run: Run, arguments: argparse.Namespace) -> str | None:
    """Specification of the frozen backbone of a run; ``None`` if its file is not there."""
    kind = run.method.split('/')[0]
    if kind == 'random':
        return RANDOM
    files = {
        'masked': arguments.masked,
        'pic-point': arguments.pic_point,
        'pic-point-full': [arguments.full] * (run.seed + 1),
    }[kind]
    there = run.seed < len(files) and files[run.seed].is_file()
    return str(files[run.seed]) if there else None


def tuning_of(run: Run) -> list[str]:
    """Settings of what is trained, and how long."""
    tuning = run.method.split('/')[1]
    epochs = [f'optimiser.epochs={ADAPTER_EPOCHS[run.task]}'] if tuning == 'adapters' else []
    return [f'tuning.mode={TUNING[tuning]}', *epochs]


def settings_of(task: str, arguments: argparse.Namespace, *overrides: str) -> TrainingSettings:
    """Settings of a task, the data in place."""
    root = arguments.scenes if task == 'simulated' else arguments.utd
    file = FILES / 'transfer' / f'{task}.yaml'
    return read_task(file, root, arguments.work, [*arguments.settings, *overrides])


def scene_jobs(train: int, validation: int) -> list[ShardJob]:
    """Yards and rooms in turn; the last digit of a seed decides the split (8 validates)."""
    fit = [seed for seed in range(10 * train) if seed % 10 < 8][:train]
    seeds = [*fit, *(10 * number + 8 for number in range(validation))]
    kinds = (('yard', 'vlp16'), ('indoor', 'rs16'))
    return [ShardJob(*kinds[n % 2], seed, duration_s=2.0) for n, seed in enumerate(seeds)]


def matrix(arguments: argparse.Namespace) -> list[Run]:
    """Runs in order: seed by seed, heads alone first."""
    return [
        Run(task, f'{kind}/{tuning}', seed)
        for seed in arguments.seeds
        for tuning in arguments.tuning
        for task in arguments.tasks
        for kind in BACKBONES
    ]


def carry_out(run: Run, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Train and score one run, from nothing but prepared clips and frozen features."""
    backbone = backbone_of(run, arguments)
    if backbone is None:
        log(f'{run}: there is no backbone for this seed yet')
        return None
    prepare_clips(settings_of(run.task, arguments))
    settings = settings_of(
        run.task, arguments, f'network.backbone={backbone}',
        f'output={arguments.work / "runs" / run.folder}', f'seed={run.seed}', *tuning_of(run),
    )  # fmt: skip
    result, spent = train_fresh(settings)
    return {
        'metrics': result.score.metrics,
        'correct': result.score.right,
        'total': result.score.total,
        'trainable': result.training['parameters']['trainable'],
        'train_clips': result.training['train_clips'],
        'backbone': result.training['backbone'],
        'backbone_sha256': '' if backbone == RANDOM else sha256_of(Path(backbone)),
        **spent,
    }


def run_matrix(arguments: argparse.Namespace) -> None:
    """Carry out what is missing and can be."""
    store = RunStore(arguments.output)
    for task in arguments.tasks:
        settings = settings_of(task, arguments, f'network.backbone={RANDOM}')
        store.require_settings(task, shared_facts(settings))
    if 'simulated' in arguments.tasks and not arguments.list:
        write_shards(arguments.scenes, scene_jobs(*arguments.scene_count), progress=False)
    run_missing(
        store,
        matrix(arguments),
        lambda run: carry_out(run, arguments),
        lambda measured: f'{measured["correct"]} of {measured["total"]} right',
        only_list=arguments.list,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'transfer', __doc__, tasks=['simulated'], tuning=['head'], seeds=[0], scene_count=[2, 2],
        settings=['optimiser.epochs=1'],
    )  # fmt: skip
    line.add_argument('--utd', type=Path, default=Path('datasets/UTD-MHAD'), metavar='DIR')
    line.add_argument('--scenes', type=Path, metavar='DIR', help='simulated if left out')
    line.add_argument('--scene-count', type=int, nargs=2, default=[32, 12], metavar='N',
                      help='simulated scenes to train on and to score')  # fmt: skip
    line.add_argument('--masked', type=Path, nargs='*', metavar='FILE', help='a file per seed')
    line.add_argument('--pic-point', type=Path, nargs='*', metavar='FILE', help='likewise')
    line.add_argument(
        '--full', type=Path, default=Path('runs/pretrain/tiny/backbone.safetensors'),
        metavar='FILE', help='point-image contrast, trained to the end',
    )  # fmt: skip
    line.add_argument('--tasks', nargs='+', choices=TASKS, default=list(TASKS))
    line.add_argument('--tuning', nargs='+', choices=TUNING, default=list(TUNING))
    line.add_run_options(overrides=True)
    options = line.options(arguments)
    options.scenes = options.scenes or options.work / 'scenes'
    # A file for each seed, as the ablation names its runs.
    for name, variant in (('masked', 'masked'), ('pic_point', 'local_+_overall')):
        if getattr(options, name) is None:
            found = [ABLATION / f'{variant}-150-{seed}/backbone.safetensors' for seed in range(9)]
            setattr(options, name, found)
    return run_main(lambda: run_matrix(options), options.threads)
