# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from point_clouds import DEVICES, clouds

from pointata_core.ops import count_voxels, voxel_grid
from pointata_core.ops.voxels import _grid_with_torch

SIZES = st.sampled_from([1e-12, 1e-6, 0.01, 0.1, 0.5, 1.0, 3.0, 1e6])


def plain_grid(coordinates: np.ndarray, sizes: np.ndarray) -> dict[tuple[int, ...], list[int]]:
    """The definition: whole numbers of any length, one point at a time."""
    voxels = defaultdict(list)
    for number, (place, size) in enumerate(zip(coordinates.tolist(), sizes.tolist())):
        voxels[tuple(math.floor(c / size) for c in place)].append(number)
    return dict(sorted(voxels.items()))


def check_grid(grid, points: np.ndarray, voxels: dict) -> None:
    assert grid.counts.tolist() == [len(members) for members in voxels.values()]
    largest = float(np.abs(points).max(initial=0))
    for number, members in enumerate(voxels.values()):
        assert (grid.voxel_of_point[members] == number).all()
        for axis in range(3):
            mean = sum(map(Fraction, points[members, axis].tolist())) / len(members)
            found = grid.centroids[number, axis].item()
            assert abs(found - float(mean)) <= abs(float(mean)) * 2**-24 + largest * 2**-40


@given(clouds(), SIZES)
def test_voxels_follow_the_definition(cloud, size):
    grid = voxel_grid(torch.from_numpy(cloud), size)
    assert grid.voxel_of_point.dtype == grid.counts.dtype == torch.int64
    check_grid(grid, cloud, plain_grid(cloud, np.full(len(cloud), size)))


@given(clouds(), SIZES)
def test_batched_path_equals_the_cpu_path(cloud, size):
    points, edge = torch.from_numpy(cloud), torch.tensor(size, dtype=torch.float64)
    if len(cloud) == 0:
        return
    fast, plain = voxel_grid(points, size), _grid_with_torch(points, points, edge)
    assert torch.equal(fast.voxel_of_point, plain.voxel_of_point)
    assert torch.equal(fast.counts, plain.counts)
    assert torch.equal(fast.centroids, plain.centroids)


@given(clouds(), SIZES)
def test_counting_voxels_alone_gives_their_number(cloud, size):
    expected = len(plain_grid(cloud, np.full(len(cloud), size)))
    assert count_voxels(torch.from_numpy(cloud), size) == expected


@pytest.mark.parametrize('spread', [0.3, 3.0, 30.0, 3000.0])
def test_dense_and_scattered_clouds_are_ranked_alike(spread):
    # Between them, both the table of all voxels and the sorted points are used.
    points = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0)) * spread
    grid = voxel_grid(points, 0.1)
    plain = _grid_with_torch(points, points, torch.tensor(0.1, dtype=torch.float64))
    assert torch.equal(grid.voxel_of_point, plain.voxel_of_point)
    assert torch.equal(grid.centroids, plain.centroids)
    assert count_voxels(points, 0.1) == plain.counts.numel()


@given(clouds(smallest=1), SIZES, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_of_the_points_does_not_matter(cloud, size, random):
    order = list(range(len(cloud)))
    random.shuffle(order)
    points = torch.from_numpy(cloud)
    grid, shuffled = voxel_grid(points, size), voxel_grid(points[order], size)
    assert torch.equal(shuffled.voxel_of_point, grid.voxel_of_point[order])
    assert torch.equal(shuffled.counts, grid.counts)
    assert torch.equal(shuffled.centroids, grid.centroids)


@given(clouds(smallest=2), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_voxels_may_be_cut_in_another_space_with_sizes_of_their_own(cloud, seed):
    rng = np.random.default_rng(seed)
    coordinates = rng.normal(size=cloud.shape).astype(np.float32)
    sizes = rng.uniform(0.1, 2, len(cloud))
    grid = voxel_grid(
        torch.from_numpy(cloud), torch.from_numpy(sizes), torch.from_numpy(coordinates)
    )
    check_grid(grid, cloud, plain_grid(coordinates, sizes))


@pytest.mark.parametrize('spread', [1e3, 1e9, 1e14, 1e17])
def test_voxels_far_apart_are_never_merged(spread):
    # From grids that fit one key in a few bits to some whose numbers no 64-bit key could hold.
    rng = np.random.default_rng(8)
    cloud = (rng.normal(size=(300, 3)) * spread).astype(np.float32)
    cloud[150:] = cloud[:150] + np.float32(spread * 1e-6)
    check_grid(
        voxel_grid(torch.from_numpy(cloud), 0.01), cloud, plain_grid(cloud, np.full(300, 0.01))
    )


def test_points_either_side_of_zero_are_in_different_cells():
    points = torch.tensor([[-0.1, 0.0, 0.0], [0.1, 0.0, 0.0], [-0.0, 0.0, 0.0]])
    assert voxel_grid(points, 1.0).voxel_of_point.tolist() == [0, 1, 1]


@pytest.mark.parametrize('device', DEVICES)
def test_every_device_gives_the_same_grid(device):
    points = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(9)) * 30
    grid = voxel_grid(points.to(device), 0.7)
    check_grid(
        type(grid)(grid.voxel_of_point.cpu(), grid.counts.cpu(), grid.centroids.cpu()),
        points.numpy(),
        plain_grid(points.numpy(), np.full(len(points), 0.7)),
    )


def test_an_empty_cloud_gives_an_empty_grid():
    grid = voxel_grid(torch.zeros(0, 3), 0.1)
    assert grid.voxel_of_point.shape == (0,)
    assert grid.counts.shape == (0,)
    assert grid.centroids.shape == (0, 3)


@pytest.mark.parametrize('which', ['points', 'coordinates'])
@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_a_non_finite_coordinate_is_refused(which, value):
    arguments = {'points': torch.zeros(5, 3), 'coordinates': torch.zeros(5, 3)}
    arguments[which][3, 0] = value
    with pytest.raises(ValueError, match='non-finite'):
        voxel_grid(size=1.0, **arguments)


@pytest.mark.parametrize('size', [0.0, -1.0, float('nan'), float('inf'), torch.ones(2)])
def test_a_meaningless_size_is_refused(size):
    with pytest.raises(ValueError, match='size'):
        voxel_grid(torch.zeros(3, 3), size)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='points'):
        voxel_grid(torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match='coordinates'):
        voxel_grid(torch.zeros(3, 3), 1.0, torch.zeros(2, 3))
