# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Does time pay in semantic segmentation? One recipe with one frame and with eight.

    python -m benchmarks temporal-context --root datasets/semantickitti00   # everything missing
    python -m benchmarks temporal-context --tasks simulated --variants single motion --seeds 0
    python -m benchmarks temporal-context --backbone my_backbone.safetensors --output other.json
    python -m benchmarks temporal-context --list                            # what is missing
    python -m benchmarks temporal-context --motion-statistics               # before any training

``simulated``: streets with traffic, some of which is held up, so that a single frame cannot tell
what moves. Networks take as input the last frame of a clip alone or all eight, with or without the
motion of the sensor; every variant takes the same steps over the same clips, and the same last
frames are scored. Cars and persons that move are classes of their own; figures are given with them
apart and together.

``recorded`` and ``recorded_19``: what these skills are worth on SemanticKITTI's sequence 00, as
they are, trained further on frames 0 to 13, and against the backbone alone; scored on frames 16
to 20. ``--root`` is a folder with ``velodyne``, ``labels`` and ``poses.txt``.

Streets are simulated and clips prepared below ``--work``. Last epoch, nothing is selected. A
finished run is on disk at once; stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.command_line import CommandLine, run_main
from benchmarks.experiments.motion_statistics import motion_statistics
from benchmarks.experiments.skill_runs import TASKS as FILES
from benchmarks.experiments.skill_runs import read_task, shared_facts
from benchmarks.experiments.temporal_runs import SKILL, STARTS, VARIANTS, Clips, train_and_score
from benchmarks.run_store import Run, RunStore, run_missing
from pointata_core.errors import ConfigError
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.simulation import ShardJob, write_shards
from pointata_core.training.skill.settings import TrainingSettings

SIMULATED = 'simulated'
SCHEMES = {'recorded': 'pointata', 'recorded_19': 'single'}
"""Label schemes of the recording by task."""
TASKS = (SIMULATED, *SCHEMES)
TEACH, JUDGE = (0, 14), (9, 21)
"""Scans of the recording: to learn from; and of whole clips of eight that end at 16 to 20."""

_FIRST_SEED = 70_000_000
STREETS = {'train': 96, 'validation': 16, 'test': 32}
_DIGITS = {'train': range(8), 'validation': (8,), 'test': (9,)}


def scene_jobs(streets: dict[str, int]) -> list[ShardJob]:
    """So many streets of every split, 1.6 s each; the last digit of a seed decides the split."""
    jobs = []
    for split, count in streets.items():
        tens, digits = range(_FIRST_SEED, _FIRST_SEED + 10 * count, 10), _DIGITS[split]
        seeds = [ten + digit for ten in tens for digit in digits][:count]
        jobs += [ShardJob('traffic', 'hdl64_lite', seed, 1.6) for seed in seeds]
    return jobs


class Bench:
    """Settings, clips and runs of one command line."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.store = RunStore(arguments.output)
        self._clips: dict[str, Clips] = {}

    def settings(self, task: str, *overrides: str) -> TrainingSettings:
        """Settings of a task, the data in place."""
        arguments = self.arguments
        words = [f'network.backbone={arguments.backbone}']
        if not Path(arguments.backbone).is_file():
            # A bundle: its embedder knows LiDAR; frozen, it makes eight frames affordable.
            words.append(f'network.embedder={arguments.backbone}')
        name, root = 'recorded', arguments.root
        if task == SIMULATED:
            name, root = 'simulated', arguments.work / 'scenes'
            words.append(f'data.validation={arguments.judge}')
        file = FILES / 'temporal' / f'{name}.yaml'
        return read_task(file, root, arguments.work, [*words, *arguments.settings, *overrides])

    def clips(self, task: str) -> Clips:
        """Prepare the clips of a task; runs share them."""
        if task not in self._clips:
            self._clips[task] = self._open(task)
        return self._clips[task]

    def _open(self, task: str) -> Clips:
        if task == SIMULATED:
            write_shards(
                self.arguments.work / 'scenes', scene_jobs(self.arguments.streets), progress=False
            )
            settings = self.settings(task)
            return Clips.open(settings, settings)
        if self.arguments.root is None:
            raise ConfigError('--root is missing', 'Name the folder of the recording')
        teach, judge = ({'labels': SCHEMES[task], 'scans': list(part)} for part in (TEACH, JUDGE))
        whole = self.settings(task, 'data.sampling.short=drop')
        return Clips.open(with_options(self.settings(task), teach), with_options(whole, judge))

    def matrix(self) -> list[Run]:
        """All runs, seed by seed; skills come before what begins with them."""
        arguments = self.arguments
        runs = []
        for seed in arguments.seeds:
            for task in arguments.tasks:
                for variant in arguments.variants:
                    starts = [None] if task == SIMULATED else starts_of(task)
                    methods = [variant if one is None else f'{variant}/{one}' for one in starts]
                    runs += [Run(task, method, seed) for method in methods]
        return runs

    def output(self, run: Run) -> Path:
        """Folder of a run."""
        return self.arguments.work / 'runs' / run.folder

    def carry_out(self, run: Run) -> dict[str, Any]:
        """Train and score one run.

        Raises:
            ConfigError: It begins with a skill that is not there.
        """
        name, _, start = run.method.partition('/')
        variant = VARIANTS[name]
        settings = self.settings(
            run.task, f'output={self.output(run)}', f'seed={run.seed}', *variant.overrides
        )
        begin = self._skill(name, run.seed) if start in ('skill', 'tuned') else None
        clips = self.clips(run.task)  # shared, so in no run's time
        return train_and_score(settings, variant, clips, begin, learn=start != 'skill')

    def _skill(self, variant: str, seed: int) -> Path:
        """The very skill whose figures are in the results."""
        run = Run(SIMULATED, variant, seed)
        path = self.output(run) / SKILL
        known = self.store[run]['skill_sha256'] if run in self.store else ''
        if not path.is_file() or sha256_of(path) != known:
            raise ConfigError(
                f'{path} is not there, or is not the skill in {self.store.path}',
                f'Run --tasks simulated --variants {variant} first, perhaps with another --output',
            )
        return path


def starts_of(task: str) -> Sequence[str]:
    """What runs of a recorded task begin with; a skill has no answer in classes of others."""
    return [start for start in STARTS if task == 'recorded' or start != 'skill']


def with_options(settings: TrainingSettings, options: dict[str, Any]) -> TrainingSettings:
    """The same with other options of the data set."""
    return replace(settings, data=replace(settings.data, options=options))


def shown(measured: dict[str, Any]) -> str:
    """The scores of a run in words."""
    groups = {**measured['miou'], **measured.get('iou_apart', {})}
    return 'IoU ' + ', '.join(f'{name} {100 * value:.1f}' for name, value in groups.items())


def run_all(arguments: argparse.Namespace) -> None:
    """Carry out what is missing."""
    bench = Bench(arguments)
    for task in arguments.tasks:
        bench.store.require_settings(task, shared_facts(bench.settings(task), all_points=False))
    run_missing(bench.store, bench.matrix(), bench.carry_out, shown, only_list=arguments.list)


def show_motion_statistics(arguments: argparse.Namespace) -> None:
    """Print what the training clips hold of motion before anything is trained."""
    bench = Bench(arguments)
    scale_m = bench.settings(SIMULATED).preparation.scale_m
    found = motion_statistics(bench.clips(SIMULATED).train, (0.12, 0.2, 0.3), scale_m)
    print('of tokens on cars | moving larger than standing | means, moving against standing')
    for name, share, means in found:
        print(f'{name} | {share:.2f} | {means}')


def command_line() -> CommandLine:
    """The options."""
    line = CommandLine(
        'temporal-context', __doc__, tasks=[SIMULATED], variants=['single'], seeds=[0],
        streets={'train': 2, 'validation': 1, 'test': 1}, settings=['optimiser.epochs=1'],
    )  # fmt: skip
    line.add_argument('--root', type=Path, metavar='DIR', help='SemanticKITTI sequence 00')
    line.add_argument('--backbone', default='models/default', metavar='FILE|BUNDLE')
    line.add_argument('--tasks', nargs='+', choices=TASKS, default=list(TASKS))
    line.add_argument('--variants', nargs='+', choices=VARIANTS, default=list(VARIANTS))
    line.add_run_options(overrides=True)
    line.add_argument(
        '--judge', choices=('test', 'validation'), default='test',
        help='streets that are scored; settings are chosen on validation',
    )  # fmt: skip
    line.add_argument(
        '--motion-statistics', action='store_true', help='what clips hold of motion, and stop'
    )
    line.set_defaults(streets=STREETS)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    options = command_line().options(arguments)
    work = show_motion_statistics if options.motion_statistics else run_all
    return run_main(lambda: work(options), options.threads)
