# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How long the point operators take at the sizes the network uses.

    python -m benchmarks operators [--device cpu] [--repeats 15] [--threads 1]

Each row is the median of repeated calls after one warm-up call; the timer holds the call alone (on
an accelerator up to the end of its work). ``CPU`` is the processor time the process spent in it,
which a busy machine stretches less than the wall clock. ``batched`` is the torch path of
accelerators, run on the same device; on the CPU it is there to compare with. The FPS row
``fpsample`` is that library's exact sampler.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.ops import (
    farthest_point_sample,
    gather,
    interpolation_weights,
    knn,
    nearest_within,
    voxel_grid,
)
from pointata_core.ops._checks import squared_distance
from pointata_core.ops._exact import exact_mean
from pointata_core.ops._pairs import nearest_of_all_pairs
from pointata_core.ops.range_compression import compress_range
from pointata_core.ops.sampling import _sample_with_torch

Work = Callable[[], object]


def scan_like(count: int, seed: int) -> Tensor:
    """A cloud as dense as a spinning sensor's: log-uniform range, flat, 4 to 75 m."""
    generator = torch.Generator().manual_seed(seed)
    distance, angle = torch.rand(2, count, generator=generator)
    distance, angle = 4 * torch.exp(distance * 2.93), angle * 2 * torch.pi
    height = torch.randn(count, generator=generator) - 1
    return torch.stack([distance * angle.cos(), distance * angle.sin(), height], dim=1)


def workloads(device: torch.device) -> dict[str, Work]:
    """Every measured call, by the name of its row."""
    scan = scan_like(124_000, 0).to(device)
    compressed = compress_range(scan, 10.0)
    voxels = scan_like(8192, 1).to(device)[None]
    centres = gather(voxels, farthest_point_sample(voxels, 256))
    before = centres + 0.1
    start = squared_distance(voxels.double(), exact_mean(voxels, None).unsqueeze(1))
    rows: dict[str, Work] = {
        'voxel_grid 124k points, range-compressed, 0.2 m': lambda: voxel_grid(
            scan, 0.2, compressed
        ),
        'voxel_grid 124k points, 0.1 m': lambda: voxel_grid(scan, 0.1),
        'farthest_point_sample 256 of 8192': lambda: farthest_point_sample(voxels, 256),
        'farthest_point_sample 256 of 8192 (batched)': lambda: _sample_with_torch(
            voxels, 256, None, start
        ),
        'farthest_point_sample 64 of 8192': lambda: farthest_point_sample(voxels, 64),
        'knn 256 x 8192, k=32': lambda: knn(centres, voxels, 32),
        'knn 256 x 8192, k=32 (batched)': lambda: nearest_of_all_pairs(
            centres, voxels, 32, None, None
        ),
        'knn 256 x 256, k=8': lambda: knn(centres, centres, 8),
        'nearest_within 256 x 256': lambda: nearest_within(centres, before, 1.0),
        'interpolation_weights 8192 x 256, k=3': lambda: interpolation_weights(voxels, centres),
        'interpolation_weights 8192 x 256, k=3 (batched)': lambda: nearest_of_all_pairs(
            voxels, centres, 3, None, None
        ),
    }
    try:
        import fpsample
    except ImportError:
        return rows
    cloud = voxels[0].cpu().numpy()
    rows['farthest_point_sample 256 of 8192 (fpsample)'] = lambda: fpsample.fps_sampling(
        cloud, 256, start_idx=0
    )
    return rows


def measure(work: Work, repeats: int, device: torch.device) -> dict[str, float]:
    """Wall-clock and processor time (ms) of a call, after one warm-up call."""
    work()
    wall, processor = [], []
    for _ in range(repeats):
        _wait(device)
        begin, begin_processor = time.perf_counter(), time.process_time()
        work()
        _wait(device)
        wall.append(1e3 * (time.perf_counter() - begin))
        processor.append(1e3 * (time.process_time() - begin_processor))
    return {
        'median_ms': round(statistics.median(wall), 3),
        'fastest_ms': round(min(wall), 3),
        'slowest_ms': round(max(wall), 3),
        'cpu_median_ms': round(statistics.median(processor), 3),
    }


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print a table and write the results."""
    device = torch.device(arguments.device)
    rows = {}
    for name, work in workloads(device).items():
        rows[name] = row = measure(work, arguments.repeats, device)
        print(f'{name:<52} {row["median_ms"]:9.3f} ms, CPU {row["cpu_median_ms"]:9.3f} ms')
    settings = settings_of(arguments, 'device', 'repeats', 'threads')
    settings['accelerator'] = torch.cuda.get_device_name(device) if device.type == 'cuda' else None
    write_results(arguments.output, settings, peak_rss_bytes=peak_rss_bytes(), rows=rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('operators', __doc__, device='cpu', repeats=1)
    line.add_argument('--repeats', type=int, default=15)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
