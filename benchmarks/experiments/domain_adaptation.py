# SPDX-License-Identifier: Apache-2.0
"""FtD++, xMUDA and their bounds on two pairs of simulated domains: methods x pairs x seeds.

    python -m benchmarks domain-adaptation                                    # all
    python -m benchmarks domain-adaptation --methods without_mpd --seeds 1    # an ablation
    python -m benchmarks domain-adaptation --list                             # what is missing
    python -m benchmarks domain-adaptation --role val --seeds 100 --output runs/tuning.json

Frames are simulated when a pair is first opened. A finished run is on disk at once; stopped at any
moment, the same command goes on with what is missing, and a begun run with its last checkpoint.

The last step is scored on test scenes of the target. Settings were chosen on validation scenes
(``--role val``) with seeds that are not reported.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.command_line import ROOT, CommandLine, run_main
from benchmarks.experiments.domain_matrix.methods import ABLATIONS, MAIN, METHODS
from benchmarks.run_store import Run, RunStore, run_missing

CONFIGS = ROOT / 'config' / 'training'
PAIRS = {'night': 'domain_day_to_night.yaml', 'city': 'domain_city.yaml'}


def shown(miou: Mapping[str, float]) -> str:
    """Scores of a run in words."""
    return 'mIoU ' + ', '.join(f'{name} {100 * value:.1f}' for name, value in miou.items())


def run_all(options: argparse.Namespace) -> None:
    """Carry out what is missing, seed by seed, so that seeds stay even."""
    from benchmarks.experiments.domain_matrix.runs import Pair, carry_out

    store = RunStore(options.output)
    pairs = {
        name: Pair.read(CONFIGS / PAIRS[name], options.root, options.role, options.steps)
        for name in options.pairs
    }
    for name, pair in pairs.items():
        store.require_settings(name, pair.facts())
    run_missing(
        store,
        [
            Run(pair, method, seed)
            for pair in options.pairs
            for seed in options.seeds
            for method in options.methods
        ],
        lambda run: carry_out(run, pairs[run.task], options.work),
        lambda measured: shown(measured['miou']),
        lambda run: METHODS[run.method].summary,
        options.list,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'domain-adaptation', __doc__, pairs=['night'], methods=['source_only'], seeds=[1], steps=2,
        work=Path('runs/quick/domain_adaptation'),
    )  # fmt: skip
    line.add_argument('--pairs', nargs='+', choices=PAIRS, default=list(PAIRS))
    line.add_argument('--methods', nargs='+', choices=METHODS, default=[*MAIN, *ABLATIONS],
                      metavar='NAME', help=f'of {", ".join(METHODS)}')  # fmt: skip
    line.add_argument('--seeds', nargs='+', type=int, default=[1, 2, 3])
    line.add_argument('--steps', type=int, help='of each stage, in place of the settings')
    line.add_argument('--role', choices=('test', 'val'), default='test')
    line.add_argument('--root', type=Path, default=Path('datasets/simulated_camera'))
    line.add_argument('--work', type=Path, default=Path('runs/domain_adaptation'))
    line.add_argument('--list', action='store_true', help='name the missing runs and stop')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
