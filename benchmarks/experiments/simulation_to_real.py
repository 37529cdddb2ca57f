# Copyright 2026 the pointata_ros contributors
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
from dataclasses import replace
from pathlib import Path

from benchmarks.command_line import CommandLine, run_main
from benchmarks.experiments.domain_adaptation import CONFIGS
from benchmarks.experiments.domain_runs import Setup, add_options, run_setups, write_overlays
from benchmarks.experiments.recorded_streets import prepare
from pointata_core.training.domain.settings import Domain

RECIPES = {'lidar': 'domain_to_real_lidar.yaml', 'camera': 'domain_to_real_camera.yaml'}
_FRAMES = 3


def run_all(options: argparse.Namespace) -> None:
    """Carry out what is missing."""
    folder = options.work / 'frames'
    prepare(folder, options.data, options.streets, _FRAMES)
    if options.prepare:
        return

    def place(domain: Domain) -> Domain:
        images = domain.images and str(options.data / Path(domain.images).name)
        return replace(domain, root=str(folder / Path(domain.root).name), images=images)

    setups = {
        name: replace(Setup.read(CONFIGS / RECIPES[name], place, options.steps), test=None)
        for name in options.setups
    }
    if options.overlays is not None:
        write_overlays(setups['camera'], options.work, options.seeds[0], options.overlays)
        return
    run_setups(options, setups)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'simulation-to-real', __doc__, setups=['lidar'], methods=['source_only'], seeds=[1],
        steps=2, streets=4,
    )  # fmt: skip
    add_options(line)
    line.add_argument('--data', type=Path, default=Path('datasets'))
    line.add_argument('--setups', nargs='+', choices=RECIPES, default=list(RECIPES))
    line.add_argument('--streets', type=int, default=60, help='simulated ones to train on')
    line.add_argument('--prepare', action='store_true', help='make the frames and stop')
    line.add_argument('--overlays', type=Path, metavar='DIR', help='draw predictions and stop')
    options = line.options(arguments)
    return run_main(lambda: run_all(options), options.threads)
