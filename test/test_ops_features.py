# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from point_clouds import DEVICES, clouds

from pointata_core.ops import gather, interpolate, interpolation_weights, knn, segment_reduce

REDUCTIONS = {'mean': np.mean, 'max': np.max, 'min': np.min, 'sum': np.sum}


def test_gather_collects_rows_and_leaves_none_at_zero():
    values = torch.arange(12.0).view(2, 3, 2) + 1
    index = torch.tensor([[[0, -1], [2, 2]], [[-1, -1], [1, 0]]])
    expected = [
        [[[1, 2], [0, 0]], [[5, 6], [5, 6]]],
        [[[0, 0], [0, 0]], [[9, 10], [7, 8]]],
    ]
    assert gather(values, index).tolist() == expected
    assert gather(values, index[..., 0]).tolist() == [[row[0] for row in b] for b in expected]


def test_what_is_not_gathered_does_not_leak_in():
    values = torch.full((1, 2, 3), torch.nan)
    assert gather(values, torch.tensor([[-1, -1]])).tolist() == [[[0.0] * 3] * 2]
    assert gather(torch.zeros(1, 0, 3), torch.tensor([[-1, -1]])).shape == (1, 2, 3)


def test_gather_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match='index'):
        gather(torch.zeros(2, 3, 1), torch.zeros(1, 3, dtype=torch.int64))


def test_a_query_on_a_centre_takes_its_value_alone():
    centres = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]])
    values = torch.tensor([[[1.0], [2], [3], [4]]])
    weights = interpolation_weights(centres, centres)
    assert torch.equal(interpolate(values, weights), values)


def test_centres_in_the_same_place_share_the_weight():
    centres = torch.zeros(1, 2, 3)
    weights = interpolation_weights(torch.zeros(1, 1, 3), centres, neighbours=2)
    assert weights.weight.tolist() == [[[0.5, 0.5]]]


@given(clouds(), clouds(), st.integers(1, 4))
def test_weights_are_inverse_squared_distances_that_sum_to_one(queries, centres, neighbours):
    asked, known = torch.from_numpy(queries)[None], torch.from_numpy(centres)[None]
    found = interpolation_weights(asked, known, neighbours=neighbours)
    nearest = knn(asked, known, neighbours)
    assert torch.equal(found.index, nearest.index)
    sums = found.weight.sum(-1)
    torch.testing.assert_close(sums, torch.full_like(sums, float(len(centres) > 0)))
    assert (found.weight[nearest.index < 0] == 0).all()
    apart = (nearest.distance2 > 0) & (nearest.index >= 0)
    product = (found.weight * nearest.distance2)[apart[..., 0]][:, : len(centres)]
    torch.testing.assert_close(product, product[:, :1].expand_as(product), rtol=1e-5, atol=0)


@given(clouds(smallest=3), st.sampled_from([1e-15, 1e-3, 1e3, 1e12]))
@settings(max_examples=60)
def test_weights_do_not_change_with_the_scale_of_the_scene(cloud, scale):
    scale = 2.0 ** round(np.log2(scale))
    points = torch.from_numpy(cloud)[None]
    centres = points[:, ::2]
    here, there = (interpolation_weights(points * s, centres * s) for s in (1.0, scale))
    assert torch.equal(here.index, there.index)
    torch.testing.assert_close(here.weight, there.weight)


def test_a_constant_is_interpolated_as_itself():
    generator = torch.Generator().manual_seed(1)
    queries, centres = torch.randn(2, 2, 50, 3, generator=generator)
    values = torch.full((2, 50, 4), 7.5)
    found = interpolate(values, interpolation_weights(queries, centres))
    torch.testing.assert_close(found, torch.full((2, 50, 4), 7.5))


def test_masked_centres_are_not_listened_to():
    queries = torch.zeros(1, 1, 3)
    centres = torch.tensor([[[0.1, 0, 0], [1.0, 0, 0], [torch.nan, 0, 0]]])
    mask = torch.tensor([[False, True, False]])
    found = interpolation_weights(queries, centres, mask)
    assert found.index.tolist() == [[[1, -1, -1]]]
    assert found.weight.tolist() == [[[1.0, 0.0, 0.0]]]
    values = torch.tensor([[[1.0], [2.0], [torch.nan]]])
    assert interpolate(values, found).tolist() == [[[2.0]]]


@pytest.mark.parametrize('how', REDUCTIONS)
@given(st.data())
@settings(max_examples=40)
def test_segments_follow_the_definition(how, data):
    rows, count = data.draw(st.integers(0, 30)), data.draw(st.integers(0, 8))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = rng.normal(size=(rows, 3))
    segment = rng.integers(-1, count, rows)
    found = segment_reduce(torch.from_numpy(values), torch.from_numpy(segment), count, how)
    assert found.shape == (count, 3)
    for number in range(count):
        members = values[segment == number]
        expected = REDUCTIONS[how](members, axis=0) if len(members) else np.zeros(3)
        np.testing.assert_allclose(found[number].numpy(), expected, rtol=1e-12, atol=1e-12)


def test_segments_refuse_what_they_cannot_mean():
    values = torch.zeros(2, 1)
    with pytest.raises(ValueError, match='segment must lie'):
        segment_reduce(values, torch.tensor([0, 2]), 2, 'sum')
    with pytest.raises(ValueError, match='how'):
        segment_reduce(values, torch.tensor([0, 1]), 2, 'median')
    with pytest.raises(ValueError, match='segment'):
        segment_reduce(values, torch.tensor([0]), 2, 'sum')


@pytest.mark.parametrize('device', DEVICES)
def test_gradients_flow_to_the_values(device):
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64).to(device)
    values.requires_grad_()
    index = torch.tensor([[[0, 4], [-1, 2]], [[3, 3], [-1, -1]]], device=device)
    assert torch.autograd.gradcheck(lambda v: gather(v, index), values)
    queries, centres = torch.randn(2, 2, 5, 3, generator=generator).to(device)
    weights = interpolation_weights(queries, centres)
    assert torch.autograd.gradcheck(lambda v: interpolate(v, weights), values)
    segment = torch.tensor([0, 2, -1, 0, 2], device=device)
    for how in REDUCTIONS:
        assert torch.autograd.gradcheck(
            lambda v, h=how: segment_reduce(v, segment, 3, h), values[0]
        )
