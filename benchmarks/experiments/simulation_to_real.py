#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From simulated streets to recorded ones, with a LiDAR alone and with a camera beside it.

    python -m benchmarks.experiments.simulation_to_real --data datasets             # everything missing
    python -m benchmarks.experiments.simulation_to_real --arms lidar --seeds 1            # a part
    python -m benchmarks.experiments.simulation_to_real --list                            # what is missing
    python -m benchmarks.experiments.simulation_to_real --report                          # the tables alone
    python -m benchmarks.experiments.simulation_to_real --overlays runs/overlays          # answers, drawn

``--data`` holds two recordings of an HDL-64E: ``semantickitti00_range_21f`` (21 frames of
SemanticKITTI's sequence 00, with labels) and ``kitti_raw_10f`` (10 scans of KITTI raw, with
images and calibration). Simulated streets are made first. A finished run is written at once;
stopped at any moment, the same command goes on.

The LiDAR's head of the last step is scored on frames 16 to 20 of the labelled recording, which no
run sees, and whose labels chose nothing. Settings are those of the recipes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

from benchmarks.command_line import obey  # noqa: E402
from benchmarks.experiments.domain_adaptation import CONFIGS  # noqa: E402
from benchmarks.experiments.domain_matrix.command import carry_on  # noqa: E402
from benchmarks.experiments.domain_matrix.runs import Finished, Run  # noqa: E402

RESULTS = HERE.parent / 'results' / 'simulation_to_real.json'
RECIPES = {'lidar': 'domain_to_real_lidar.yaml', 'camera': 'domain_to_real_camera.yaml'}
STREETS, FRAMES = 60, 3


def run_all(arguments: argparse.Namespace) -> None:
    """Carry out what is missing."""
    from benchmarks.experiments.domain_matrix.arms import WAYS, Arm, carry_out
    from benchmarks.experiments.domain_matrix.real_report import write_tables
    from benchmarks.experiments.domain_matrix.streets import prepare

    frames = arguments.work / 'frames'
    prepare(frames, arguments.data, STREETS, FRAMES)
    if arguments.prepare:
        return
    finished = Finished(arguments.output)
    arms = {
        name: Arm.read(CONFIGS / RECIPES[name], frames, arguments.data, arguments.steps)
        for name in arguments.arms
    }
    for name, arm in arms.items():
        finished.require_settings(name, arm.facts())
    runs = [
        Run(name, way, seed)
        for name in arms
        for seed in arguments.seeds
        for way in WAYS[name]
        if arguments.ways is None or way in arguments.ways
    ]
    missing = [run for run in runs if run not in finished]
    if arguments.list:
        print(*missing, sep='\n')
        return
    if arguments.overlays is not None:
        from benchmarks.experiments.domain_matrix.real_overlays import write_overlays

        write_overlays(arms['camera'], arguments.work, arguments.seeds[0], arguments.overlays)
        return
    carry_on(
        missing,
        finished,
        lambda run: WAYS[run.pair][run.variant].summary,
        lambda run: carry_out(run, arms[run.pair], arguments.work),
        lambda measured: {name: one['miou'] for name, one in measured['scores'].items()},
        lambda content: write_tables(content, arguments.output.with_suffix('.md')),
    )


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=Path('datasets'))
    parser.add_argument('--arms', nargs='+', choices=RECIPES, default=list(RECIPES))
    parser.add_argument('--ways', nargs='+', metavar='NAME', help='of training; all by default')
    parser.add_argument('--seeds', nargs='+', type=int, default=[1, 2, 3])
    parser.add_argument('--steps', type=int, help='of each stage, in place of the recipes')
    parser.add_argument('--work', type=Path, default=Path('runs/simulation_to_real'))
    parser.add_argument('--output', type=Path, default=RESULTS)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--prepare', action='store_true', help='make the frames and stop')
    parser.add_argument('--list', action='store_true', help='name the missing runs and stop')
    parser.add_argument('--report', action='store_true', help='write the tables and stop')
    parser.add_argument('--overlays', type=Path, metavar='DIR', help='draw answers and stop')
    arguments = parser.parse_args()
    if arguments.report:
        from benchmarks.experiments.domain_matrix.real_report import write_tables

        write_tables(Finished(arguments.output).content, arguments.output.with_suffix('.md'))
        return 0
    return obey(lambda: run_all(arguments), arguments.threads)


if __name__ == '__main__':
    sys.exit(main())
