# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rays per second of the LiDAR simulator on one core.

    python -m benchmarks simulator [--frames 8] [--scenes 4]

A ray counts once per frame, whether it returns or not. Wall time and CPU time of the process are
both given; the second is the one to compare on a machine that does other work, too. The timers hold
all that a frame costs: moving the scene, casting, labels, noise; drawing the scene is timed apart.
Each row is the median over all frames of several scenes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from pointata_core.simulation import SENSORS, simulate

CASES = (
    ('street', 'hdl64'),
    ('street', 'hdl64_lite'),
    ('street', 'vlp16'),
    ('yard', 'rs16'),
    ('yard', 'os1_32'),
    ('indoor', 'rs16'),
    ('indoor', 'kinect'),
)


def measure(scene: str, sensor: str, scenes: int, frames: int) -> dict[str, float | int | str]:
    """Time ``frames`` frames of each of ``scenes`` scenes."""
    drawing, scanning, computing, points = [], [], [], []
    for seed in range(scenes):
        start = time.perf_counter()
        stream = simulate(scene, sensor, 1000 + seed, frames / 10)
        drawing.append(time.perf_counter() - start)
        next(stream)  # ray directions and caches
        for _ in range(frames - 1):
            start, start_cpu = time.perf_counter(), time.process_time()
            frame = next(stream)
            scanning.append(time.perf_counter() - start)
            computing.append(time.process_time() - start_cpu)
            points.append(len(frame.points))
    median, median_cpu = statistics.median(scanning), statistics.median(computing)
    return {
        'scene': scene,
        'sensor': sensor,
        'rays_per_frame': SENSORS[sensor].rays,
        'points_per_frame': round(statistics.mean(points)),
        'frame_ms_p50': round(1e3 * median, 2),
        'frame_cpu_ms_p50': round(1e3 * median_cpu, 2),
        'frame_ms_max': round(1e3 * max(scanning), 2),
        'draw_ms_p50': round(1e3 * statistics.median(drawing), 2),
        'million_rays_per_second': round(SENSORS[sensor].rays / median / 1e6, 2),
        'million_rays_per_cpu_second': round(SENSORS[sensor].rays / median_cpu / 1e6, 2),
        'frames_measured': len(scanning),
    }


def run(arguments: argparse.Namespace) -> None:
    """Measure all cases, print and write them."""
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, really
    rows = []
    for scene, sensor in CASES:
        row = measure(scene, sensor, arguments.scenes, arguments.frames)
        rows.append(row)
        print(
            f'{scene:7} {sensor:11} {row["frame_ms_p50"]:8.1f} ms/frame '
            f'({row["frame_cpu_ms_p50"]:.1f} ms CPU) {row["million_rays_per_cpu_second"]:6.2f} '
            f'M rays per CPU second, {row["points_per_frame"]:8d} points'
        )
    settings = settings_of(arguments, 'frames', 'scenes') | {'cores_used': 1}
    write_results(arguments.output, settings, rows=rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('simulator', __doc__, frames=2, scenes=1)
    line.add_argument('--frames', type=int, default=8)
    line.add_argument('--scenes', type=int, default=4)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
