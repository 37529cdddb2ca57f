#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rays per second of the LiDAR simulator on one core.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.simulator [--frames 8] [--scenes 4]

A ray counts once per frame, whether it returns or not. Wall time and CPU time of the process are
both given; the second is the one to compare on a machine that does other work, too. The timers hold
all that a frame costs: moving the scene, casting, labels, noise; drawing the scene is timed apart.
Each row is the median over all frames of several scenes. Results go to
``benchmarks/results/simulator.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from pointata_core.evaluation.environment import machine, versions
from pointata_core.simulation import SENSORS, simulate

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'simulator.json'
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


def main() -> None:
    """Measure all cases, print them and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--scenes', type=int, default=4)
    arguments = parser.parse_args()
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
    result = {
        'command': 'OMP_NUM_THREADS=1 python -m benchmarks.speed.simulator',
        'cores_used': 1,
        'load_average_1min': round(os.getloadavg()[0], 1),
        'machine': machine(),
        'versions': versions(),
        'rows': rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
