#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
r"""PointATA against its baselines on the same clips: methods x seeds x label fractions.

    python -m benchmarks.experiments.adaptation --root datasets/UTD-MHAD                      # the whole matrix
    python -m benchmarks.experiments.adaptation --root DIR --config benchmarks/adaptation_matrix/radhar.yaml
    python -m benchmarks.experiments.adaptation --root DIR --methods pointata probe --seeds 0
    python -m benchmarks.experiments.adaptation --root DIR --methods no-align design-wide --output other.json \
        --set data.options='{subjects: [1, 3, 5]}'              # judged by the last of them
    python -m benchmarks.experiments.adaptation --list --root DIR                             # what is missing
    python -m benchmarks.experiments.adaptation --report                                      # table and plots

Runs follow one another, each in a process of its own, so that its peak memory is its own. A
finished run is written at once to ``benchmarks/results/adaptation.json``, with a table
(``adaptation.md``) and plots beside it; stopped at any moment (Ctrl-C, SIGTERM), the same command
goes on with what is missing. All runs on a data set share the settings of one YAML file.

Scores are video accuracy on held-out training subjects, or mean IoU on held-out scenes, after the
last epoch. Nothing is selected: no epoch, no seed, no setting. Prepared clips are made once and are
in no run's time; frozen features belong to a run and are made anew by each.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

from benchmarks.experiments.adaptation_matrix.methods import (  # noqa: E402
    CURVE_METHODS,
    DESIGNS,
    METHODS,
    method,
    methods_for,
)
from benchmarks.experiments.adaptation_matrix.report import write_report  # noqa: E402
from benchmarks.experiments.adaptation_matrix.store import ResultStore, Run  # noqa: E402
from pointata_core.errors import PointataError  # noqa: E402

RESULTS = HERE.parent / 'results' / 'adaptation.json'
CONFIG = HERE / 'adaptation_matrix' / 'utd_mhad.yaml'


def matrix(data: str, methods: list[str], seeds: list[int], fractions: list[float]) -> list[Run]:
    """Runs in the order in which they are made: all labels first, then seed by seed."""
    return [
        Run(data, fraction, name, seed)
        for fraction in sorted(fractions, reverse=True)
        for seed in seeds
        for name in methods
        if fraction == 1 or name in CURVE_METHODS
    ]


def run_apart(run: Run, arguments: argparse.Namespace) -> dict | None:
    """Carry a run out in a process of its own; ``None`` if it failed."""
    answer = arguments.work / 'answer.json'
    answer.unlink(missing_ok=True)
    command = [sys.executable, '-m', 'benchmarks.experiments.adaptation', '--one', json.dumps(vars(run)), '--answer', str(answer),
               '--config', str(arguments.config), '--root', str(arguments.root), '--work',
               str(arguments.work)]  # fmt: skip
    if arguments.backbone:
        command += ['--backbone', arguments.backbone]
    if arguments.settings:
        command += ['--set', *arguments.settings]
    child = subprocess.Popen(command)
    try:
        status = child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    return json.loads(answer.read_text()) if status == 0 else None


def run_here(arguments: argparse.Namespace) -> None:
    """Carry out the run named by ``--one``."""
    from benchmarks.experiments.adaptation_matrix.run_settings import (
        base_settings,
        plain,
        settings_of,
    )
    from benchmarks.experiments.adaptation_matrix.single_run import measure, prepare

    run = plain(json.loads(arguments.one))
    words = arguments.settings
    base = base_settings(
        arguments.config, arguments.root, arguments.work, arguments.backbone, words
    )
    settings = settings_of(run, arguments.config, base, arguments.work, words)
    prepare(settings)
    measured = measure(run, settings)
    arguments.answer.write_text(json.dumps(measured))


def run_matrix(arguments: argparse.Namespace) -> int:
    """Carry out what is missing; return the exit status."""
    from benchmarks.experiments.adaptation_matrix.run_settings import base_settings, shared_facts

    settings = base_settings(
        arguments.config, arguments.root, arguments.work, arguments.backbone, arguments.settings
    )
    data = settings.data.name
    methods = methods_for(settings.task, arguments.methods)
    runs = matrix(data, methods, arguments.seeds, arguments.fractions)
    store = ResultStore(arguments.output)
    store.require_settings(data, shared_facts(settings))
    missing = [run for run in runs if run not in store]
    say(f'{len(runs) - len(missing)} of {len(runs)} runs are there')
    if arguments.list:
        print('\n'.join(map(str, missing)))
        return 0
    failed = 0
    for number, run in enumerate(missing, 1):
        say(f'{number}/{len(missing)} {run}: {method(run.method).summary}')
        measured = run_apart(run, arguments)
        if measured is None:
            failed += 1
            say(f'{run} FAILED, see above')
            continue
        store.add(run, measured)
        write_report(store, arguments.output.parent)
        say(
            f'{run}: {said(measured)}, '
            f'{measured["processor_s"]:.0f} s of processor, {measured["wall_s"]:.0f} s in all'
        )
    return 1 if failed else 0


def said(measured: Mapping[str, Any]) -> str:
    """The score of a run in words."""
    if 'miou' in measured:
        return f'mean IoU {100 * measured["miou"]:.1f} %'
    return f'{measured["correct"]}/{measured["videos"]} right'


def say(text: str) -> None:
    """One line with the time of day."""
    print(f'{time.strftime("%H:%M:%S")} {text}', flush=True)


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--root', type=Path, help='folder of the data set')
    parser.add_argument('--config', type=Path, default=CONFIG, help='settings of all runs')
    parser.add_argument('--methods', nargs='+', choices=[*METHODS, *DESIGNS], metavar='NAME')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--fractions', nargs='+', type=float, default=[1.0, 0.5, 0.25, 0.1])
    parser.add_argument('--backbone', help='bundle or converted checkpoint, in place of the file')
    parser.add_argument('--set', nargs='+', default=[], dest='settings', metavar='NAME=VALUE')
    parser.add_argument('--work', type=Path, default=Path('runs/adaptation_matrix'))
    parser.add_argument('--output', type=Path, default=RESULTS)
    parser.add_argument('--list', action='store_true', help='name the missing runs and stop')
    parser.add_argument('--report', action='store_true', help='write table and plots and stop')
    parser.add_argument('--one', help=argparse.SUPPRESS)
    parser.add_argument('--answer', type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if arguments.report:
            print('\n'.join(map(str, write_report(ResultStore(arguments.output),
                                                  arguments.output.parent))))  # fmt: skip
            return 0
        if arguments.root is None:
            parser.error('--root is needed: the folder of the data set')
        arguments.work = arguments.work.resolve()
        arguments.work.mkdir(parents=True, exist_ok=True)
        if arguments.one:
            # More threads than asked for would make runs on busy machines incomparable.
            os.environ.setdefault('OMP_NUM_THREADS', '1')
            run_here(arguments)
            return 0
        return run_matrix(arguments)
    except PointataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
