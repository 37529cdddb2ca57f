# SPDX-License-Identifier: Apache-2.0
"""From simulated streets to recorded ones, with a LiDAR alone and with a camera beside it.

    python -m benchmarks simulation-to-real --data datasets             # everything missing
    python -m benchmarks simulation-to-real --setups lidar --seeds 1    # a part
    python -m benchmarks simulation-to-real --list                      # what is missing
    python -m benchmarks simulation-to-real --overlays runs/overlays    # predictions, drawn

``--data`` holds two recordings of an HDL-64E: ``semantickitti00_range_21f`` (21 frames of
SemanticKITTI's sequence 00, with labels) and ``kitti_raw_10f`` (10 scans of KITTI raw, with
images and calibration). Simulated streets are made first. A finished run is on disk at once;
stopped at any moment, the same command goes on.

The LiDAR's head of the last step is scored on frames 16 to 20 of the labelled recording, which no
run sees, and whose labels chose nothing. Settings are those of the recipes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command_line import CommandLine, run_main
from benchmarks.experiments.domain_adaptation import CONFIGS, shown
from benchmarks.experiments.domain_matrix.methods import STREET_METHODS
from benchmarks.run_store import Run, RunStore, run_missing

RECIPES = {'lidar': 'domain_to_real_lidar.yaml', 'camera': 'domain_to_real_camera.yaml'}
_FRAMES = 3


def run_all(options: argparse.Namespace) -> None:
    """Carry out what is missing."""
    from benchmarks.experiments.domain_matrix.overlays import write_overlays
    from benchmarks.experiments.domain_matrix.street_runs import Setup, carry_out
    from benchmarks.experiments.domain_matrix.streets import prepare

    frames = options.work / 'frames'
    prepare(frames, options.data, options.streets, _FRAMES)
    if options.prepare:
        return
    setups = {
        name: Setup.read(CONFIGS / RECIPES[name], frames, options.data, options.steps)
        for name in options.setups
    }
    if options.overlays is not None:
        write_overlays(setups['camera'], options.work, options.seeds[0], options.overlays)
        return
    store = RunStore(options.output)
    for name, setup in setups.items():
        store.require_settings(name, setup.facts())
    run_missing(
        store,
        [
            Run(name, method, seed)
            for name in setups
            for seed in options.seeds
            for method in STREET_METHODS[name]
            if options.methods is None or method in options.methods
        ],
        lambda run: carry_out(run, setups[run.task], options.work),
        lambda found: shown({name: one['miou'] for name, one in found['scores'].items()}),
        lambda run: STREET_METHODS[run.task][run.method].summary,
        options.list,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'simulation-to-real', __doc__, setups=['lidar'], methods=['source_only'], seeds=[1],
        steps=2, streets=4, work=Path('runs/quick/simulation_to_real'),
    )  # fmt: skip
    line.add_argument('--data', type=Path, default=Path('datasets'))
    line.add_argument('--setups', nargs='+', choices=RECIPES, default=list(RECIPES))
    line.add_argument('--methods', nargs='+', metavar='NAME', help='of training; all by default')
    line.add_argument('--seeds', nargs='+', type=int, default=[1, 2, 3])
    line.add_argument('--steps', type=int, help='of each stage, in place of the recipes')
    line.add_argument('--streets', type=int, default=60, help='simulated ones to train on')
    line.add_argument('--work', type=Path, default=Path('runs/simulation_to_real'))
    line.add_argument('--prepare', action='store_true', help='make the frames and stop')
    line.add_argument('--list', action='store_true', help='name the missing runs and stop')
    line.add_argument('--overlays', type=Path, metavar='DIR', help='draw predictions and stop')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
