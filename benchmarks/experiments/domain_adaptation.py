#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""FtD++, xMUDA and their bounds on two pairs of simulated domains: variants x pairs x seeds.

    python -m benchmarks.experiments.domain_adaptation                                    # methods and bounds
    python -m benchmarks.experiments.domain_adaptation --variants without_mpd --seeds 1   # an ablation
    python -m benchmarks.experiments.domain_adaptation --list                             # what is missing
    python -m benchmarks.experiments.domain_adaptation --report                           # the table alone
    python -m benchmarks.experiments.domain_adaptation --role val --seeds 100 --output runs/tuning.json

Frames are simulated when a pair is first opened. A finished run is written at once to
``benchmarks/results/domain_adaptation.json``, with a table beside it; stopped at any moment, the
same command goes on with what is missing, and a begun run with its last checkpoint.

The last step is scored on test scenes of the target. Settings were chosen on validation scenes
(``--role val``) with seeds that are not reported.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

from benchmarks.command_line import obey  # noqa: E402
from benchmarks.experiments.domain_matrix.command import carry_on  # noqa: E402
from benchmarks.experiments.domain_matrix.report import write_table  # noqa: E402
from benchmarks.experiments.domain_matrix.runs import Finished, Pair, Run, carry_out  # noqa: E402
from benchmarks.experiments.domain_matrix.variants import ABLATIONS, MAIN, VARIANTS  # noqa: E402

RESULTS = HERE.parent / 'results' / 'domain_adaptation.json'
CONFIGS = HERE.parents[1] / 'config' / 'training'
PAIRS = {'night': 'domain_day_to_night.yaml', 'city': 'domain_city.yaml'}


def matrix(arguments: argparse.Namespace) -> list[Run]:
    """Runs in the order in which they are made: seed by seed, so that seeds stay even."""
    return [
        Run(pair, variant, seed)
        for pair in arguments.pairs
        for seed in arguments.seeds
        for variant in arguments.variants
    ]


def run_matrix(arguments: argparse.Namespace) -> None:
    """Carry out what is missing."""
    finished = Finished(arguments.output)
    pairs = {
        name: Pair.read(CONFIGS / PAIRS[name], arguments.root, arguments.role, arguments.steps)
        for name in arguments.pairs
    }
    for name, pair in pairs.items():
        finished.require_settings(name, pair.facts())
    missing = [run for run in matrix(arguments) if run not in finished]
    if arguments.list:
        for run in missing:
            print(run)
        return
    carry_on(
        missing,
        finished,
        lambda run: VARIANTS[run.variant].summary,
        lambda run: carry_out(run, pairs[run.pair], arguments.work),
        lambda measured: measured['miou'],
        lambda content: write_table(content, arguments.output.with_suffix('.md')),
    )


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pairs', nargs='+', choices=PAIRS, default=list(PAIRS))
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=[*MAIN, *ABLATIONS],
                        metavar='NAME', help=f'of {", ".join(VARIANTS)}')  # fmt: skip
    parser.add_argument('--seeds', nargs='+', type=int, default=[1, 2, 3])
    parser.add_argument('--steps', type=int, help='of each stage, in place of the settings')
    parser.add_argument('--role', choices=('test', 'val'), default='test')
    parser.add_argument('--root', type=Path, default=Path('datasets/simulated_camera'))
    parser.add_argument('--work', type=Path, default=Path('runs/domain_matrix'))
    parser.add_argument('--output', type=Path, default=RESULTS)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--list', action='store_true', help='name the missing runs and stop')
    parser.add_argument('--report', action='store_true', help='write the table and stop')
    arguments = parser.parse_args()
    if arguments.report:
        write_table(Finished(arguments.output).content, arguments.output.with_suffix('.md'))
        return 0
    return obey(lambda: run_matrix(arguments), arguments.threads)


if __name__ == '__main__':
    sys.exit(main())
