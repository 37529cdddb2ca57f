# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Full scans of 250,000 points must fit in 2 GB, interpreter and libraries included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SET_UP = """
import torch
from pointata_core.ops import *
from pointata_core.ops._checks import squared_distance
from pointata_core.ops._exact import exact_mean
from pointata_core.ops._pairs import nearest_of_all_pairs
from pointata_core.ops.sampling import _sample_with_torch
from pointata_core.ops.voxels import _grid_with_torch
torch.set_num_threads(1)
scan = torch.randn(1, 250_000, 3) * 30
centres = scan[:, :1024].clone()
"""

PUBLIC = """
assert farthest_point_sample(scan, 64).min() >= 0
assert knn(scan, centres, 16).index.min() >= 0
assert knn(centres, scan, 32).index.min() >= 0
nearest_within(scan, centres, 1.0)
weights = interpolation_weights(scan, centres)
assert interpolate(torch.randn(1, 1024, 64), weights).shape == (1, 250_000, 64)
grid = voxel_grid(scan[0], 0.1)
segment_reduce(torch.randn(250_000, 64), grid.voxel_of_point, grid.counts.numel(), 'max')
"""

BATCHED = """
start = squared_distance(scan.double(), exact_mean(scan, None).unsqueeze(1))
assert _sample_with_torch(scan, 64, None, start).min() >= 0
assert nearest_of_all_pairs(scan, centres, 3, None, None)[0].min() >= 0
assert nearest_of_all_pairs(centres[:, :64], scan, 32, None, None)[0].min() >= 0
_grid_with_torch(scan[0], scan[0], torch.tensor(0.1))
"""

PEAK = """
peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]
print(peak[0].split()[1])
"""


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='reads VmHWM from Linux /proc')
@pytest.mark.parametrize('work', [PUBLIC, BATCHED], ids=['cpu path', 'batched path'])
def test_250k_points_fit_in_two_gigabytes(work):
    finished = subprocess.run(
        [sys.executable, '-c', SET_UP + work + PEAK],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout) * 1024 < 2e9
