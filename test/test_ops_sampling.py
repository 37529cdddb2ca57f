# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from point_clouds import DEVICES, batch_of, clouds

from pointata_core.ops import farthest_point_sample
from pointata_core.ops._checks import squared_distance
from pointata_core.ops._exact import exact_mean
from pointata_core.ops.sampling import _sample_with_torch


def plain_farthest_points(cloud: np.ndarray, count: int) -> list[int]:
    """The definition, one point at a time."""
    picks: list[int] = []
    if len(cloud):
        centroid = [float(sum(map(Fraction, axis.tolist())) / len(cloud)) for axis in cloud.T]
        away = [sum((float(p) - c) ** 2 for p, c in zip(point, centroid)) for point in cloud]
        picks.append(away.index(max(away)))
    while picks and len(picks) < count:
        offset = cloud[:, None] - cloud[picks]
        offset *= offset
        nearest = (offset[..., 0] + offset[..., 1] + offset[..., 2]).min(axis=1).tolist()
        if max(nearest) == 0:
            break
        picks.append(nearest.index(max(nearest)))
    return (picks + [-1] * count)[:count]


@given(clouds(), st.integers(0, 50))
def test_farthest_points_follow_the_definition(cloud, count):
    picked = farthest_point_sample(torch.from_numpy(cloud)[None], count)
    assert picked.dtype == torch.int64
    assert picked[0].tolist() == plain_farthest_points(cloud, count)


@given(clouds(smallest=1), clouds(smallest=1), st.integers(1, 50))
@settings(max_examples=60)
def test_batched_path_equals_the_cpu_path(first, second, count):
    points, mask = batch_of(first, second)
    filled = points.masked_fill(~mask.unsqueeze(-1), 0)
    score = squared_distance(filled.double(), exact_mean(filled, mask).unsqueeze(1))
    batched = _sample_with_torch(filled, count, mask, score)
    assert torch.equal(batched, farthest_point_sample(points, count, mask))


@given(clouds(smallest=1), clouds(smallest=1), st.integers(1, 20))
@settings(max_examples=60)
def test_other_rows_and_padding_change_nothing(first, second, count):
    points, mask = batch_of(first, second)
    together = farthest_point_sample(points, count, mask)
    for row, cloud in enumerate((first, second)):
        alone = farthest_point_sample(torch.from_numpy(cloud)[None], count)
        assert torch.equal(together[row], alone[0])


@given(clouds(smallest=1), st.integers(1, 60))
def test_no_location_is_picked_twice_and_none_is_left_over(cloud, count):
    picked = farthest_point_sample(torch.from_numpy(cloud)[None], count)[0]
    locations = [tuple(cloud[i]) for i in picked.tolist() if i >= 0]
    distinct = len({tuple(point) for point in cloud})
    assert len(set(locations)) == len(locations) == min(count, distinct)


def test_the_order_of_the_input_does_not_matter():
    rng = np.random.default_rng(4)
    cloud = torch.from_numpy(rng.normal(size=(500, 3)).astype(np.float32) * 30)
    order = torch.from_numpy(rng.permutation(500))
    picked = farthest_point_sample(cloud[None], 64)[0]
    picked_of_shuffled = farthest_point_sample(cloud[order][None], 64)[0]
    assert torch.equal(order[picked_of_shuffled], picked)


def test_start_is_the_same_for_padding_anywhere():
    cloud = torch.randn(1, 300, 3, generator=torch.Generator().manual_seed(1))
    spread = torch.full((1, 700, 3), torch.inf)
    where = torch.randperm(700, generator=torch.Generator().manual_seed(2))[:300].sort().values
    spread[0, where] = cloud[0]
    mask = torch.zeros(1, 700, dtype=torch.bool)
    mask[0, where] = True
    assert torch.equal(
        farthest_point_sample(spread, 40, mask)[0], where[farthest_point_sample(cloud, 40)[0]]
    )


@pytest.mark.parametrize('device', DEVICES)
def test_every_device_picks_the_same_points(device):
    cloud = torch.randn(3, 2000, 3, generator=torch.Generator().manual_seed(3)) * 40
    cloud[1] = cloud[1].round()
    mask = torch.rand(3, 2000, generator=torch.Generator().manual_seed(4)) < 0.8
    expected = [plain_farthest_points(c[m].numpy(), 100) for c, m in zip(cloud, mask)]
    picked = farthest_point_sample(cloud.to(device), 100, mask.to(device)).cpu()
    for row in range(3):
        assert torch.equal(picked[row], torch.nonzero(mask[row]).squeeze(1)[expected[row]])


def test_a_cloud_without_points_gives_empty_slots():
    assert farthest_point_sample(torch.zeros(2, 0, 3), 3).tolist() == [[-1] * 3] * 2
    nothing_valid = torch.zeros(1, 4, dtype=torch.bool)
    assert farthest_point_sample(torch.zeros(1, 4, 3), 3, nothing_valid).tolist() == [[-1] * 3]
    assert farthest_point_sample(torch.zeros(0, 4, 3), 3).shape == (0, 3)


@pytest.mark.parametrize('value', [torch.nan, torch.inf, -torch.inf, 2e18])
def test_a_coordinate_that_cannot_be_measured_is_refused(value):
    cloud = torch.zeros(1, 4, 3)
    cloud[0, 2, 1] = value
    with pytest.raises(ValueError, match='non-finite'):
        farthest_point_sample(cloud, 2)


@pytest.mark.parametrize(
    ('points', 'count', 'mask'),
    [
        (torch.zeros(4, 3), 2, None),
        (torch.zeros(1, 4, 2), 2, None),
        (torch.zeros(1, 4, 3), -1, None),
        (torch.zeros(1, 4, 3), 2, torch.ones(1, 3, dtype=torch.bool)),
        (torch.zeros(1, 4, 3), 2, torch.ones(1, 4)),
    ],
)
def test_malformed_arguments_are_refused(points, count, mask):
    with pytest.raises(ValueError):
        farthest_point_sample(points, count, mask)


@given(clouds(smallest=1), st.integers(-140, 90))
@settings(max_examples=60)
def test_exact_mean_is_exact_at_any_scale(cloud, power):
    scaled = np.ldexp(cloud, power - 20).astype(np.float32)
    mean = exact_mean(torch.from_numpy(scaled)[None], None)[0].tolist()
    largest = float(np.abs(scaled).max())
    for axis in range(3):
        true = sum(map(Fraction, scaled[:, axis].tolist())) / len(scaled)
        assert abs(Fraction(mean[axis]) - true) <= Fraction(largest) / 2**40


def test_exact_mean_does_not_depend_on_order_or_padding():
    rng = np.random.default_rng(11)
    # Magnitudes so far apart that ordinary float64 sums round.
    values = rng.normal(size=(1000, 3)) * 10.0 ** rng.uniform(-12, 3, (1000, 3))
    cloud = torch.from_numpy(values.astype(np.float32))
    mean = exact_mean(cloud[None], None)
    order = torch.from_numpy(rng.permutation(1000))
    assert torch.equal(exact_mean(cloud[order][None], None), mean)
    padded = torch.zeros(1, 1500, 3)
    where = torch.from_numpy(np.sort(rng.permutation(1500)[:1000]))
    padded[0, where] = cloud
    mask = torch.zeros(1, 1500, dtype=torch.bool)
    mask[0, where] = True
    assert torch.equal(exact_mean(padded, mask), mean)
