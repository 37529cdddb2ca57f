# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What recorded drives teach: labels of other drives, or a drive's own scans without labels.

    python -m benchmarks learned-drives --data datasets/semantickitti_10drives
    python -m benchmarks learned-drives --methods street --drives 00 05

For every drive:

* ``start``: the bundle that both begin with, as it is;
* ``street``: trained on with the labels of *other* drives (``config/training/street.yaml``). With
  ``--together 2`` one training leaves out two drives, and each is scored: half the time, and a
  little less to learn from than with one left out;
* ``adapted``: trained on with the drive's own scans, without labels (``domain-adapt``). If the
  bundle's own checks refuse the outcome, the start is what the user keeps, and what is scored.

Scores are counted as ``ten-drives`` counts them, through streams with the poses of the drive.
Nothing is chosen on them: the last step of each training counts. A finished run is on disk at once;
stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.command_line import CommandLine, log, run_main
from benchmarks.experiments.skill_runs import shared_facts
from benchmarks.experiments.ten_drives import count_drive, with_still
from benchmarks.run_store import Run, RunStore, run_missing
from pointata_core.bundles.bundle import SkillBundle, load_bundle
from pointata_core.errors import ConfigError
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.domain.bundle_adaptation import adapt_bundle
from pointata_core.training.domain.recorded_scans import scans_of_sequence
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

METHODS = {'start': '', 'street': 'street', 'adapted': 'self_training'}
"""Recipe of each."""


def read_recipe(options: argparse.Namespace, method: str) -> TrainingSettings:
    """The recipe of a method, its data in place.

    Args:
        options: Of the command line.
        method: One with a recipe.
    """
    path = Path('config/training') / f'{METHODS[method]}.yaml'
    places = [f'data.cache={options.work / "cache"}', f'network.start={options.start}']
    if method == 'street':
        places.append(f'data.root={options.data}')
    return read_settings(TrainingSettings, path, [*places, *options.settings])


def without_drives(settings: TrainingSettings, drives: Sequence[str]) -> TrainingSettings:
    """The same training, some recorded drives left out.

    Raises:
        ConfigError: The recipe takes no recorded drives.
    """
    mixes: dict[str, list[dict[str, Any]]] = {}
    found = False
    for split, parts in settings.data.options['mixes'].items():
        mixes[split] = []
        for part in parts:
            if 'recorded' in part:
                found = True
                part = {**part, 'without': [*part.get('without', ()), *drives]}
            mixes[split].append(part)
    if not found:
        raise ConfigError(f'recipe {settings.name} takes no recorded drives', 'Give another recipe')
    data = replace(settings.data, options={**settings.data.options, 'mixes': mixes})
    return replace(settings, data=data)


def left_out(drives: Sequence[str], drive: str, together: int) -> list[str]:
    """The drives that the training leaves out which one of them is scored with.

    Args:
        drives: All, in order.
        drive: The one that is scored.
        together: How many a training leaves out.
    """
    first = drives.index(drive) // together * together
    return list(drives[first : first + together])


def figures(bundle: SkillBundle, folder: Path) -> dict[str, Any]:
    """What ``ten-drives`` reports of one drive."""
    return with_still(*(count_drive(folder, bundle, poses) for poses in (True, False)))


def run_all(options: argparse.Namespace) -> int:
    """Carry out what is missing."""
    every = sorted(p.name for p in (options.data / 'sequences').glob('*'))
    if not every:
        raise ConfigError(f'{options.data} holds no sequences', 'Give the folder above sequences')
    drives = options.drives or every
    for name in set(drives) - set(every):
        raise ConfigError(f'{options.data} has no drive {name}', f'Choose among {", ".join(every)}')
    store, start = RunStore(options.output), load_bundle(options.start)
    for method in options.methods:
        facts = {'start': start.hash}
        if METHODS[method]:
            recipe = read_recipe(options, method)
            facts |= {
                name: one for name, one in shared_facts(recipe).items() if 'start' not in name
            }
        if method == 'street':
            facts['together'] = options.together
        store.require_settings(method, facts)
    work = functools.partial(_measure, options, every, start)
    runs = [
        Run(method, drive, seed)
        for seed in options.seeds
        for drive in drives
        for method in options.methods
        if METHODS[method] or seed == options.seeds[0]
    ]
    return min(1, run_missing(store, runs, work, _score, only_list=options.list))


def _score(measured: dict[str, Any]) -> str:
    return f'mean IoU {measured["miou"]} %'


def _measure(
    options: argparse.Namespace, every: Sequence[str], start: SkillBundle, run: Run
) -> dict[str, Any]:
    method, drive = run.task, run.method
    folder, output = options.data / 'sequences' / drive, options.work / run.folder
    watch, bundle = Stopwatch(), start
    refused: Sequence[str] = ()
    if method == 'street':
        others = left_out(every, drive, options.together)
        output = options.work / f'street_without_{"_".join(others)}_seed_{run.seed}'
        if not (output / 'bundle').is_dir():  # else of a drive that was left out with this one
            recipe = without_drives(read_recipe(options, method), others)
            run_train(replace(recipe, output=str(output), seed=run.seed))
        bundle = load_bundle(output / 'bundle')
    elif method == 'adapted':
        recipe = replace(read_recipe(options, method), output=str(output), seed=run.seed)
        adapted = adapt_bundle(options.start, scans_of_sequence(folder), recipe)
        refused = adapted.worse
        if adapted.bundle is not None:
            bundle = load_bundle(adapted.bundle)
    learning = watch.lap('learn')
    for reason in refused:
        log(f'{drive}: the start is kept: {reason}')
    return {
        **figures(bundle, folder),
        'refused': list(refused),
        'processor_s': round(learning.processor_s, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('learned-drives', __doc__, drives=['00'])
    line.add_run_options(seeds=[0], overrides=True)
    line.add_argument('--data', type=Path, default=Path('datasets/semantickitti_10drives'))
    line.add_argument('--start', type=Path, default=Path('models/default'), metavar='BUNDLE')
    line.add_argument('--methods', nargs='+', choices=METHODS, default=list(METHODS))
    line.add_argument('--drives', nargs='+', help='some of them; all by default')
    line.add_argument('--together', type=int, default=1, metavar='N',
                      help='drives that one training of street leaves out')  # fmt: skip
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
