# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Time the sparse 3D U-Net and its rulebooks.

Points of a synthetic camera frustum (ground, walls and boxes up to 60 m away) on a grid of 5 cm.
Inside the timer: ``rulebooks`` is sorting and neighbour search of all seven levels, ``inference``
the whole network on points in evaluation mode, rulebooks included, ``training`` forward and
backward. Median and 99th percentile over the repeats after two warm-up runs. Memory is what the
process gained at its highest, each size in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from pointata_core.models.camera.sparse_unet import GRID, SparseUNet
from pointata_core.ops.sparse import sparse_grid
from pointata_core.ops.sparse_spconv import spconv_available

VOXEL = 0.05
LEVELS = 7


def frustum(voxels: int, seed: int = 0) -> torch.Tensor:
    """Coordinates ``(voxels, 4)`` of distinct voxels as in front of a camera."""
    rng = np.random.default_rng(seed)
    found = np.zeros((0, 3), dtype=np.int64)
    while len(found) < voxels:
        azimuth = rng.uniform(-0.7, 0.7, voxels)
        reach = 60 ** rng.uniform(0.3, 1.0, voxels)
        ground = rng.random(voxels) < 0.5
        height = np.where(ground, -1.7, rng.uniform(-1.7, 3.0, voxels))
        # What stands up is found on walls and boxes: ranges that repeat over the azimuth.
        wall = 8 + 20 * np.abs(np.sin(3 * azimuth)) + rng.normal(0, 0.02, voxels)
        reach = np.where(ground, reach, wall)
        points = np.stack([reach * np.cos(azimuth), reach * np.sin(azimuth), height], axis=1)
        cells = np.floor(points / VOXEL).astype(np.int64) + GRID // 2
        found = np.unique(np.concatenate([found, cells]), axis=0)
    kept = np.sort(rng.choice(len(found), voxels, replace=False))
    return torch.from_numpy(np.pad(found[kept], ((0, 0), (0, 1))))


def make_rulebooks(coordinates: torch.Tensor) -> None:
    """Do what the network does before its first product."""
    grid, _ = sparse_grid(coordinates, (GRID,) * 3)
    for level in range(LEVELS):
        grid.submanifold(3)
        if level < LEVELS - 1:
            grid, _ = grid.strided(2, 2)


def timed(work: Callable[[], object], repeats: int, device: torch.device) -> dict[str, float]:
    """Milliseconds over the repeats after a warm-up."""
    times = []
    for _ in range(repeats + 2):
        _wait(device)
        begin = time.perf_counter()
        work()
        _wait(device)
        times.append((time.perf_counter() - begin) * 1e3)
    kept = np.array(times[2:])
    return {
        'median_ms': round(float(np.median(kept)), 2),
        'p99_ms': round(float(np.percentile(kept, 99)), 2),
    }


def measure(voxels: int, arguments: argparse.Namespace) -> dict[str, object]:
    """Measure one size, in this process."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    coordinates = frustum(voxels).to(device)
    features = torch.ones(voxels, 1, device=device)
    network = SparseUNet(backend=arguments.backend).to(device)
    base = _memory(device)
    row: dict[str, object] = {'voxels': voxels}
    row['rulebooks'] = timed(lambda: make_rulebooks(coordinates), arguments.repeats, device)

    network.eval()
    with torch.no_grad():
        row['inference'] = timed(lambda: network(coordinates, features), arguments.repeats, device)
    row['inference_memory_mib'] = round((_memory(device) - base) / 2**20, 1)

    network.train()

    def step() -> None:
        network.zero_grad()
        network(coordinates, features).square().mean().backward()

    row['training'] = timed(step, arguments.repeats, device)
    row['training_memory_mib'] = round((_memory(device) - base) / 2**20, 1)
    return row


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _memory(device: torch.device) -> int:
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(arguments: argparse.Namespace) -> None:
    """Measure every size in a process of its own, print a table and write the results."""
    rows = []
    for voxels in arguments.voxels:
        command = [sys.executable, '-m', 'benchmarks', 'sparse', '--one', str(voxels)]
        for name in ('device', 'backend', 'repeats', 'threads'):
            command += [f'--{name}', str(getattr(arguments, name))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        row = rows[-1]
        print(
            f'{voxels:>7} voxels: rulebooks {row["rulebooks"]["median_ms"]:7.1f} ms, '
            f'inference {row["inference"]["median_ms"]:7.1f} ms '
            f'({row["inference_memory_mib"]:.0f} MiB), '
            f'training {row["training"]["median_ms"]:7.1f} ms '
            f'({row["training_memory_mib"]:.0f} MiB)'
        )
    cuda = arguments.device.startswith('cuda')
    settings = settings_of(arguments, 'device', 'backend', 'repeats', 'threads') | {
        'voxel_m': VOXEL,
        'accelerator': torch.cuda.get_device_name() if cuda else None,
        'spconv_installed': spconv_available(),
    }
    write_results(arguments.output, settings, rows=rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('sparse', __doc__, device='cpu', voxels=[500], repeats=1)
    line.set_defaults(threads=os.cpu_count())
    line.add_argument('--voxels', type=int, nargs='+', default=[8_000, 20_000, 60_000])
    line.add_argument('--backend', default='torch', choices=['torch', 'spconv'])
    line.add_argument('--repeats', type=int, default=10)
    line.add_argument('--one', type=int, help=argparse.SUPPRESS)
    options = line.options(arguments)
    if options.one:
        print(json.dumps(measure(options.one, options)))
        return 0
    return run_main(lambda: run(options), options.threads)
