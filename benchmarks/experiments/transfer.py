#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What pre-training is worth for a skill: stage 2 on frozen backbones, tasks x ways x seeds.

    python -m benchmarks.experiments.transfer --utd datasets/UTD-MHAD      # after benchmarks/experiments/pretraining.py
    python -m benchmarks.experiments.transfer --tasks simulated --ways head --seeds 0
    python -m benchmarks.experiments.transfer --masked a0.safetensors a1.safetensors --pic-point b0.safetensors
    python -m benchmarks.experiments.transfer --list                       # what is missing
    python -m benchmarks.experiments.transfer --report                     # the table alone

Backbones: random weights, masked reconstruction, point-image contrast (Pic@Point) of the same
length, and one that was trained to the end (``--full``, the same for every seed), all of one shape
and frozen byte for byte. Seed n takes file n of those given, in the order of their names; a run
whose file is not there yet is named and left out. Ways: ``head`` trains the temporal or
segmentation head alone, ``adapters`` also the adapters, context encoder and class token. Tasks:
27 actions of UTD-MHAD (subjects 1, 3, 5 train, subject 7 judges), coarse as in the small recipes
and as dense as the shapes of pre-training (``utd_mhad_dense``), and semantic segmentation of
simulated scenes, which are simulated if they are not there. Clips are prepared once, and frozen
features kept, below ``--work``. Last epoch, nothing is selected. A finished run is on disk at once
in ``benchmarks/results/transfer.json``, with a table (``transfer.md``) beside it; stopped, the same
command goes on with what is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

from benchmarks.command_line import obey, say  # noqa: E402
from benchmarks.experiments.adaptation_matrix.run_settings import shared_facts  # noqa: E402
from benchmarks.experiments.adaptation_matrix.store import ResultStore, Run  # noqa: E402
from pointata_core.evaluation.environment import machine, versions  # noqa: E402
from pointata_core.models.checkpoints.files import sha256_of  # noqa: E402
from pointata_core.simulation import ShardJob, write_shards  # noqa: E402
from pointata_core.training.engine.provenance import commit  # noqa: E402
from pointata_core.training.engine.settings import read_settings  # noqa: E402
from pointata_core.training.skill.settings import TrainingSettings  # noqa: E402
from pointata_core.training.skill.stages import open_clips  # noqa: E402
from pointata_core.training.skill.training import run_train  # noqa: E402

RESULTS = HERE.parent / 'results' / 'transfer.json'
ABLATION = Path('runs/ablation')
RANDOM = 'random:tiny'
TASKS = {'utd_mhad': 'accuracy', 'utd_mhad_dense': 'accuracy', 'simulated': 'miou'}
WAYS = {'head': 'head', 'adapters': 'pointata'}  # modes of tuning
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


def way_of(run: Run) -> list[str]:
    """Settings of what is trained, and how long."""
    way = run.method.split('/')[1]
    epochs = [f'optimiser.epochs={ADAPTER_EPOCHS[run.data]}'] if way == 'adapters' else []
    return [f'tuning.mode={WAYS[way]}', *epochs]


def settings_of(task: str, arguments: argparse.Namespace, *overrides: str) -> TrainingSettings:
    """Settings of a task, the data in place."""
    root = arguments.scenes if task == 'simulated' else arguments.utd
    return read_settings(
        TrainingSettings,
        HERE / 'transfer_tasks' / f'{task}.yaml',
        [f'data.root={root}', f'data.cache={arguments.work / "cache"}', *overrides],
    )


def scene_jobs(train: int, validation: int) -> list[ShardJob]:
    """Yards and rooms in turn; the last digit of a seed decides the split (8 validates)."""
    fit = [seed for seed in range(10 * train) if seed % 10 < 8][:train]
    seeds = [*fit, *(10 * number + 8 for number in range(validation))]
    kinds = (('yard', 'vlp16'), ('indoor', 'rs16'))
    return [ShardJob(*kinds[n % 2], seed, duration_s=2.0) for n, seed in enumerate(seeds)]


def matrix(arguments: argparse.Namespace) -> list[Run]:
    """Runs in order: seed by seed, the cheaper way first."""
    return [
        Run(task, 1.0, f'{kind}/{way}', seed)
        for seed in arguments.seeds
        for way in arguments.ways
        for task in arguments.tasks
        for kind in BACKBONES
    ]


def carry_out(run: Run, backbone: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and score one run, from nothing but prepared clips and frozen features."""
    output = arguments.work / 'runs' / f'{run.data}-{run.method.replace("/", "-")}-{run.seed}'
    shutil.rmtree(output, ignore_errors=True)  # a resumed run would not tell its time
    settings = settings_of(
        run.data, arguments, f'network.backbone={backbone}', f'output={output}',
        f'seed={run.seed}', *way_of(run),
    )  # fmt: skip
    started, processor = time.perf_counter(), time.process_time()
    result = run_train(settings)
    assert result is not None, 'one process trains'
    spent = (time.perf_counter() - started, time.process_time() - processor)
    shutil.rmtree(output)
    return {
        'metrics': result.score.metrics,
        'correct': result.score.right,
        'total': result.score.total,
        'trainable': result.training['parameters']['trainable'],
        'train_clips': result.training['train_clips'],
        'backbone': result.training['backbone'],
        'backbone_sha256': '' if backbone == RANDOM else sha256_of(Path(backbone)),
        'wall_s': round(spent[0], 1),
        'processor_s': round(spent[1], 1),
        'load_average': round(os.getloadavg()[0], 2),
        'commit': commit(),
        'machine': machine(),
        'versions': versions(),
    }


def run_matrix(arguments: argparse.Namespace) -> None:
    """Carry out what is missing and can be."""
    store = ResultStore(arguments.output)
    for task in arguments.tasks:
        settings = settings_of(task, arguments, f'network.backbone={RANDOM}')
        store.require_settings(task, shared_facts(settings))
    missing = [run for run in matrix(arguments) if run not in store]
    say(f'{len(missing)} runs are missing')
    if arguments.list:
        print('\n'.join(map(str, missing)))
        return
    if any(run.data == 'simulated' for run in missing):
        write_shards(arguments.scenes, scene_jobs(32, 12), progress=False)
    for task in dict.fromkeys(run.data for run in missing):
        settings = settings_of(task, arguments)  # shared, so in no run's time
        open_clips(settings, settings.data.train, True)
        open_clips(settings, settings.data.validation, False)
    for run in missing:
        backbone = backbone_of(run, arguments)
        if backbone is None:
            say(f'{run}: left out, there is no backbone for this seed yet')
            continue
        measured = carry_out(run, backbone, arguments)
        store.add(run, measured)
        write_table(store, arguments.output)
        score = measured['metrics'][TASKS[run.data]]
        say(f'{run}: {TASKS[run.data]} {score:.1%}, {measured["processor_s"]:.0f} s of processor')


def write_table(store: ResultStore, path: Path) -> Path:
    """Write the table beside the results."""
    lines = [
        '# Transfer: one recipe on frozen backbones',
        '',
        'Written by `python -m benchmarks.experiments.transfer`; do not edit. Per cent after the last epoch:',
        'mean (lowest to highest seed). UTD-MHAD: video accuracy on subject 7, chance 3.7.',
        'Simulated scenes: mean IoU over cells of held-out scenes.',
        '',
        '| task | trained | backbone | seeds | score | trained parameters | processor time |',
        '|---|---|---|---|---|---|---|',
        *rows(store),
    ]
    page = path.with_suffix('.md')
    page.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return page


def rows(store: ResultStore) -> Iterator[str]:
    """One row per task, way and backbone, over the seeds that are there."""
    for task, metric in TASKS.items():
        for way in WAYS:
            for kind in BACKBONES:
                name = f'{kind}/{way}'
                mine = [m for run, m in store if (run.data, run.method) == (task, name)]
                if not mine:
                    continue
                scores = [100 * one['metrics'][metric] for one in mine]
                spread = f'{statistics.fmean(scores):.1f} ({min(scores):.1f} to {max(scores):.1f})'
                seconds = statistics.median(one['processor_s'] for one in mine)
                yield (
                    f'| {task} | {way} | {kind} | {len(mine)} | {spread} '
                    f'| {mine[0]["trainable"]:,} | {seconds:.0f} s |'
                )


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--utd', type=Path, default=Path('datasets/UTD-MHAD'), metavar='DIR')
    parser.add_argument('--scenes', type=Path, metavar='DIR', help='simulated if left out')
    parser.add_argument('--masked', type=Path, nargs='*', metavar='FILE', help='a file per seed')
    parser.add_argument('--pic-point', type=Path, nargs='*', metavar='FILE', help='likewise')
    parser.add_argument(
        '--full',
        type=Path,
        default=Path('runs/pretrain/tiny/backbone.safetensors'),
        metavar='FILE',
        help='point-image contrast, trained to the end',
    )
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=list(TASKS))
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=list(WAYS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--work', type=Path, default=Path('runs/transfer'))
    parser.add_argument('--output', type=Path, default=RESULTS)
    parser.add_argument('--list', action='store_true', help='name the missing runs and stop')
    parser.add_argument('--report', action='store_true', help='write the table and stop')
    arguments = parser.parse_args()
    arguments.scenes = arguments.scenes or arguments.work / 'scenes'
    # Names of the ablation's runs end in the seed, so sorted they stand in the order of seeds.
    for name, arm in (('masked', 'masked'), ('pic_point', 'local_+_overall')):
        if getattr(arguments, name) is None:
            found = [ABLATION / f'{arm}-150-{seed}/backbone.safetensors' for seed in range(9)]
            setattr(arguments, name, found)
    if arguments.report:
        print(write_table(ResultStore(arguments.output), arguments.output))
        return 0
    return obey(lambda: run_matrix(arguments))


if __name__ == '__main__':
    sys.exit(main())
