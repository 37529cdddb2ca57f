#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does time pay in semantic segmentation? One recipe with one frame and with eight.

    python -m benchmarks.experiments.temporal_context --root datasets/semantickitti00   # everything missing
    python -m benchmarks.experiments.temporal_context --tasks simulated --arms single motion --seeds 0
    python -m benchmarks.experiments.temporal_context --backbone my_backbone.safetensors --output other.json
    python -m benchmarks.experiments.temporal_context --list                            # what is missing
    python -m benchmarks.experiments.temporal_context --report                          # the tables alone
    python -m benchmarks.experiments.temporal_context --evidence                        # before any training

``simulated``: streets with traffic, some of which is held up, so that a single frame cannot know
what moves. Networks see the last frame of a clip alone or all eight, with or without the sensor's
motion; every arm takes the same steps over the same clips, and the same last frames are scored.
Cars and persons that move are classes of their own; figures are given with them apart and together.

``recorded`` and ``recorded_19``: what these skills are worth on SemanticKITTI's sequence 00, as
they are, trained further on frames 0 to 13, and against the backbone alone; scored on frames 16
to 20. ``--root`` is a folder with ``velodyne``, ``labels`` and ``poses.txt``.

Streets are simulated and clips prepared below ``--work``. Last epoch, nothing is selected. A
finished run is on disk at once, with the tables beside it; stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

from benchmarks.command_line import obey, say  # noqa: E402
from benchmarks.experiments.adaptation_matrix.run_settings import shared_facts  # noqa: E402
from benchmarks.experiments.adaptation_matrix.store import ResultStore, Run  # noqa: E402
from benchmarks.experiments.temporal_matrix.arms import ARMS, STARTS  # noqa: E402
from benchmarks.experiments.temporal_matrix.report import RECORDED, SIMULATED, write_tables  # noqa: E402
from benchmarks.experiments.temporal_matrix.single_run import (  # noqa: E402
    SKILL,
    Clips,
    open_clips,
    train_and_score,
)
from pointata_core.errors import ConfigError  # noqa: E402
from pointata_core.models.checkpoints.files import sha256_of  # noqa: E402
from pointata_core.simulation import ShardJob, write_shards  # noqa: E402
from pointata_core.training.engine.settings import read_settings  # noqa: E402
from pointata_core.training.skill.settings import TrainingSettings  # noqa: E402

RESULTS = HERE.parent / 'results' / 'temporal_context.json'
TASKS = (SIMULATED, *RECORDED)
SCHEMES = {'recorded': 'pointata', 'recorded_19': 'single'}
TEACH, JUDGE = (0, 14), (9, 21)
"""Scans of the recording: to learn from; and of whole clips of eight that end at 16 to 20."""

_FIRST_SEED = 70_000_000
_STREETS = {'train': 96, 'validation': 16, 'test': 32}
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
        self.store = ResultStore(arguments.output)
        self._clips: dict[str, Clips] = {}

    def settings(self, task: str, *overrides: str) -> TrainingSettings:
        """Settings of a task, the data in place."""
        arguments = self.arguments
        words = [f'data.cache={arguments.work / "cache"}', f'network.backbone={arguments.backbone}']
        if not Path(arguments.backbone).is_file():
            # A bundle: its embedder knows LiDAR; frozen, it makes eight frames affordable.
            words.append(f'network.embedder={arguments.backbone}')
        if task == SIMULATED:
            name, root = 'simulated', arguments.work / 'scenes'
            words.append(f'data.validation={arguments.judge}')
        else:
            name, root = 'recorded', arguments.root
        words += [f'data.root={root}', *arguments.settings, *overrides]
        return read_settings(TrainingSettings, HERE / 'temporal_tasks' / f'{name}.yaml', words)

    def clips(self, task: str) -> Clips:
        """Prepare the clips of a task; runs share them."""
        if task not in self._clips:
            self._clips[task] = self._open(task)
        return self._clips[task]

    def _open(self, task: str) -> Clips:
        if task == SIMULATED:
            write_shards(self.arguments.work / 'scenes', scene_jobs(_STREETS), progress=False)
            settings = self.settings(task)
            return open_clips(settings, settings)
        if self.arguments.root is None:
            raise ConfigError('--root is missing', 'Name the folder of the recording')
        teach, judge = ({'labels': SCHEMES[task], 'scans': list(part)} for part in (TEACH, JUDGE))
        whole = self.settings(task, 'data.sampling.short=drop')
        return open_clips(with_options(self.settings(task), teach), with_options(whole, judge))

    def missing(self) -> list[Run]:
        """Runs to carry out, seed by seed; skills come before what begins with them."""
        arguments = self.arguments
        runs = []
        for seed in arguments.seeds:
            for task in arguments.tasks:
                for arm in arguments.arms:
                    starts = [None] if task == SIMULATED else starts_of(task)
                    methods = [arm if start is None else f'{arm}/{start}' for start in starts]
                    runs += [Run(task, 1.0, method, seed) for method in methods]
        return [run for run in runs if run not in self.store]

    def output(self, run: Run) -> Path:
        """Folder of a run."""
        name = f'{run.data}-{run.method.replace("/", "-")}-{run.seed}'
        return self.arguments.work / 'runs' / name

    def carry_out(self, run: Run) -> dict[str, Any]:
        """Train and score one run.

        Raises:
            ConfigError: It begins with a skill that is not there.
        """
        name, _, start = run.method.partition('/')
        arm = ARMS[name]
        settings = self.settings(
            run.data, f'output={self.output(run)}', f'seed={run.seed}', *arm.overrides
        )
        begin = self._skill(name, run.seed) if start in ('skill', 'tuned') else None
        clips = self.clips(run.data)
        return train_and_score(settings, arm, clips, begin, learn=start != 'skill')

    def _skill(self, arm: str, seed: int) -> Path:
        """The very skill whose figures are in the results."""
        run = Run(SIMULATED, 1.0, arm, seed)
        path = self.output(run) / SKILL
        known = [one['skill_sha256'] for finished, one in self.store if finished == run]
        if not known or not path.is_file() or sha256_of(path) != known[0]:
            raise ConfigError(
                f'{path} is not there, or not what {self.store.path} tells of',
                f'Run --tasks simulated --arms {arm} first, with another --output if need be',
            )
        return path


def starts_of(task: str) -> Sequence[str]:
    """What runs of a recorded task begin with; a skill has no answer in classes of others."""
    return [start for start in STARTS if task == 'recorded' or start != 'skill']


def with_options(settings: TrainingSettings, options: dict[str, Any]) -> TrainingSettings:
    """The same with other options of the data set."""
    return replace(settings, data=replace(settings.data, options=options))


def run_all(arguments: argparse.Namespace) -> None:
    """Carry out what is missing."""
    bench = Bench(arguments)
    store = bench.store
    for task in arguments.tasks:
        store.require_settings(task, shared_facts(bench.settings(task)))
    missing = bench.missing()
    say(f'{len(missing)} runs are missing')
    if arguments.list:
        print(*missing, sep='\n')
        return
    for run in missing:
        bench.clips(run.data)  # shared, so in no run's time
        measured = bench.carry_out(run)
        store.add(run, measured)
        write_tables(store, arguments.output)
        groups = {**measured['miou'], **measured.get('iou_apart', {})}
        shown = ', '.join(f'{name} {100 * value:.1f}' for name, value in groups.items())
        say(f'{run}: IoU {shown}; {measured["processor_s"]:.0f} s of processor')


def show_evidence(arguments: argparse.Namespace) -> None:
    """Print what the training clips hold about motion before anything is trained."""
    from benchmarks.experiments.temporal_matrix.evidence import motion_evidence

    bench = Bench(arguments)
    scale_m = bench.settings(SIMULATED).preparation.scale_m
    found = motion_evidence(bench.clips(SIMULATED).train, (0.12, 0.2, 0.3), scale_m)
    print('of tokens on cars | moving larger than standing | means, moving against standing')
    for name, share, means in found:
        print(f'{name} | {share:.2f} | {means}')


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    found.add_argument('--root', type=Path, metavar='DIR', help='SemanticKITTI sequence 00')
    found.add_argument('--backbone', default='models/default', metavar='FILE|BUNDLE')
    found.add_argument('--tasks', nargs='+', choices=TASKS, default=list(TASKS))
    found.add_argument('--arms', nargs='+', choices=ARMS, default=list(ARMS))
    found.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    found.add_argument(
        '--judge',
        choices=('test', 'validation'),
        default='test',
        help='streets that are scored; settings are chosen on validation',
    )
    found.add_argument('--set', nargs='+', default=[], dest='settings', metavar='NAME=VALUE')
    found.add_argument('--work', type=Path, default=Path('runs/temporal_context'))
    found.add_argument('--output', type=Path, default=RESULTS)
    found.add_argument('--list', action='store_true', help='name the missing runs and stop')
    found.add_argument('--report', action='store_true', help='write the tables and stop')
    found.add_argument(
        '--evidence', action='store_true', help='what clips hold of motion, and stop'
    )
    return found


def main() -> int:
    """Parse the command line and do what it says."""
    arguments = parser().parse_args()
    if arguments.report:
        print(write_tables(ResultStore(arguments.output), arguments.output))
        return 0
    work = show_evidence if arguments.evidence else run_all
    return obey(lambda: work(arguments))


if __name__ == '__main__':
    sys.exit(main())
