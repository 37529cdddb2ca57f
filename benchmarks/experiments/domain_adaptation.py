# Copyright 2026 the pointata_ros contributors
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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.command_line import ROOT, CommandLine, run_main
from benchmarks.experiments.domain_methods import ABLATIONS, MAIN
from benchmarks.experiments.domain_runs import Setup, add_options, run_setups
from pointata_core.training.domain.settings import Domain

CONFIGS = ROOT / 'config' / 'training'
PAIRS = {'night': 'domain_day_to_night.yaml', 'city': 'domain_city.yaml'}


def run_all(options: argparse.Namespace) -> None:
    """Carry out what is missing."""

    def place(domain: Domain) -> Domain:
        return replace(domain, root=str(options.root))

    setups = {}
    for name in options.pairs:
        setup = Setup.read(CONFIGS / PAIRS[name], place, options.steps)
        assert setup.test is not None, 'recipes of pairs have one'
        split = f'{options.role}_{setup.test.split.partition("_")[2]}'
        setups[name] = replace(setup, test=replace(setup.test, split=split))
    run_setups(options, setups)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'domain-adaptation', __doc__, pairs=['night'], methods=['source_only'], seeds=[1], steps=2,
    )  # fmt: skip
    add_options(line)
    line.set_defaults(methods=[*MAIN, *ABLATIONS])
    line.add_argument('--pairs', nargs='+', choices=PAIRS, default=list(PAIRS))
    line.add_argument('--role', choices=('test', 'val'), default='test')
    line.add_argument('--root', type=Path, default=Path('datasets/simulated_camera'))
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
