#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time the sparse 3D U-Net and its rulebooks; writes ``benchmarks/results/sparse.json``.

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
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch

from pointata_core.models.camera.sparse_unet import GRID, SparseUNet
from pointata_core.ops.sparse import sparse_grid
from pointata_core.ops.sparse_spconv import spconv_available

RESULT = Path(__file__).resolve().parents[1] / 'results' / 'sparse.json'
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


def main() -> None:
    """Measure every size, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--voxels', type=int, nargs='+', default=[8_000, 20_000, 60_000])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--backend', default='torch', choices=['torch', 'spconv'])
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--note', default='', help='what else is to be known, for the results')
    parser.add_argument('--output', type=Path, default=RESULT)
    parser.add_argument('--one', type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
        return
    rows = []
    for voxels in arguments.voxels:
        command = [sys.executable, '-m', 'benchmarks.speed.sparse', '--one', str(voxels)]
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
    names = ('device', 'backend', 'repeats', 'threads', 'note')
    cuda = arguments.device.startswith('cuda')
    results = {
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'machine': {'cpus': os.cpu_count(), 'system': platform.platform()},
        'accelerator': torch.cuda.get_device_name() if cuda else None,
        'load_average': os.getloadavg() if hasattr(os, 'getloadavg') else None,
        'versions': {'python': platform.python_version(), 'torch': torch.__version__},
        'spconv_installed': spconv_available(),
        'settings': {name: getattr(arguments, name) for name in names} | {'voxel_m': VOXEL},
        'rows': rows,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')
    print(f'wrote {arguments.output}')


if __name__ == '__main__':
    main()
