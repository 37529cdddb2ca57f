# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
r"""PointATA against its baselines on the same clips: methods x seeds x label fractions.

    python -m benchmarks adaptation --root datasets/UTD-MHAD              # everything
    python -m benchmarks adaptation --root datasets/RadHAR \
        --config benchmarks/experiments/tasks/adaptation/radhar.yaml
    python -m benchmarks adaptation --root DIR --methods pointata probe --seeds 0
    python -m benchmarks adaptation --root DIR --methods no-align design-wide --output other.json \
        --set data.options='{subjects: [1, 3, 5]}'                        # judged by the last
    python -m benchmarks adaptation --root DIR --list                     # what is missing
    python -m benchmarks adaptation --plots runs/plots                    # of finished runs

Runs follow one another, each in a process of its own, so that its peak memory is its own. A
finished run is on disk at once; stopped at any moment (Ctrl-C, SIGTERM), the same command goes on
with what is missing. All runs on a data set share the settings of one YAML file.

Scores are video accuracy on held-out training subjects, or mean IoU on held-out scenes, after the
last epoch. Nothing is selected: no epoch, no seed, no setting. Prepared clips are made once and are
in no run's time; frozen features belong to a run and are made anew by each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.command_line import CommandLine, run_main
from benchmarks.experiments.adaptation_methods import (
    CURVE_METHODS,
    DESIGNS,
    METHODS,
    method,
    methods_for,
)
from benchmarks.experiments.adaptation_plots import write_plots
from benchmarks.experiments.adaptation_runs import DataSet, measure
from benchmarks.experiments.skill_runs import TASKS, shared_facts
from benchmarks.run_store import Run, RunStore, run_missing

CONFIG = TASKS / 'adaptation' / 'utd_mhad.yaml'


def matrix(task: str, methods: list[str], seeds: list[int], fractions: list[float]) -> list[Run]:
    """Runs in the order in which they are made: all labels first, then seed by seed."""
    return [
        Run(task, name, seed, fraction)
        for fraction in sorted(fractions, reverse=True)
        for seed in seeds
        for name in methods
        if fraction == 1 or name in CURVE_METHODS
    ]


def run_apart(run: Run, data: DataSet) -> dict[str, Any] | None:
    """Carry a run out in a process of its own; ``None`` if it failed."""
    outcome = data.work / 'outcome.json'
    outcome.unlink(missing_ok=True)
    task = json.dumps({'run': asdict(run), 'data': asdict(data)}, default=str)
    command = [sys.executable, '-m', 'benchmarks', 'adaptation', '--one', task]
    child = subprocess.Popen([*command, '--output', str(outcome)])
    try:
        status = child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    return json.loads(outcome.read_text()) if status == 0 else None


def run_here(task: Mapping[str, Any], outcome: Path) -> None:
    """Carry out the run that ``--one`` describes."""
    folders = {name: Path(task['data'][name]) for name in ('config', 'root', 'work')}
    run, data = Run(**task['run']), DataSet(**{**task['data'], **folders})
    outcome.write_text(json.dumps(measure(run, data.of_run(run))))


def run_matrix(options: argparse.Namespace) -> int:
    """Carry out what is missing; return the exit status."""
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    data = DataSet(options.config, options.root, work, options.backbone, options.settings)
    settings = data.settings()
    task = settings.data.name
    store = RunStore(options.output)
    store.require_settings(task, shared_facts(settings))
    methods = methods_for(settings.tasks[0], options.methods)
    missing = run_missing(
        store,
        matrix(task, methods, options.seeds, options.fractions),
        lambda run: run_apart(run, data),
        score,
        lambda run: method(run.method).summary,
        options.list,
    )
    return 1 if missing and not options.list else 0


def score(measured: Mapping[str, Any]) -> str:
    """The score of a run in words."""
    if 'miou' in measured:
        return f'mean IoU {100 * measured["miou"]:.1f} %'
    return f'{measured["correct"]}/{measured["videos"]} right'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'adaptation', __doc__, seeds=[0], fractions=[1.0], methods=['probe'],
        settings=['data.limit=16', 'data.variants=1', 'optimiser.epochs=1'],
    )  # fmt: skip
    line.add_argument('--root', type=Path, help='folder of the data set')
    line.add_argument('--config', type=Path, default=CONFIG, help='settings of all runs')
    line.add_argument('--methods', nargs='+', choices=[*METHODS, *DESIGNS], metavar='NAME')
    line.add_run_options(overrides=True)
    line.add_argument('--fractions', nargs='+', type=float, default=[1.0, 0.5, 0.25, 0.1])
    line.add_argument('--backbone', help='bundle or converted checkpoint, in place of the file')
    line.add_argument('--plots', type=Path, metavar='DIR', help='draw finished runs and stop')
    line.add_argument('--one', type=json.loads, help=argparse.SUPPRESS)
    options = line.options(arguments)
    if options.one:
        return run_main(lambda: run_here(options.one, options.output), options.threads)
    if options.plots:
        print(*write_plots(RunStore(options.output), options.plots), sep='\n')
        return 0
    if options.root is None:
        line.error('--root is needed: the folder of the data set')
    return run_main(lambda: run_matrix(options), options.threads)
