# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from point_clouds import DEVICES, batch_of, clouds

from pointata_core.ops import knn, nearest_within
from pointata_core.ops._pairs import nearest_of_all_pairs
from pointata_core.ops._tree import nearest_by_tree


def plain_neighbours(query: np.ndarray, cloud: np.ndarray, k: int) -> list[tuple[float, int]]:
    """The definition: sort everything by (float32 distance, index)."""
    offset = query - cloud
    offset *= offset
    distance2 = offset[:, 0] + offset[:, 1] + offset[:, 2]
    ranked = sorted(zip(distance2.tolist(), range(len(cloud))))
    return (ranked + [(np.inf, -1)] * k)[:k]


@given(clouds(), clouds(), st.integers(1, 12))
def test_neighbours_follow_the_definition(queries, cloud, k):
    found = knn(torch.from_numpy(queries)[None], torch.from_numpy(cloud)[None], k)
    assert found.index.dtype == torch.int64 and found.distance2.dtype == torch.float32
    for row, query in enumerate(queries):
        expected = plain_neighbours(query, cloud, k)
        assert found.index[0, row].tolist() == [index for _, index in expected]
        assert found.distance2[0, row].tolist() == [distance for distance, _ in expected]


@given(clouds(), clouds(), clouds(), st.integers(1, 12))
def test_batched_path_equals_the_tree(queries, first, second, k):
    asked = torch.from_numpy(queries).expand(2, -1, -1)
    points, mask = batch_of(first, second)
    points = points.masked_fill(~mask.unsqueeze(-1), 0)
    by_pairs = nearest_of_all_pairs(asked, points, k, mask, None)
    by_tree = nearest_by_tree(asked, points, k, mask, None)
    assert torch.equal(by_pairs[0], by_tree[0])
    assert torch.equal(by_pairs[1], by_tree[1])


@pytest.mark.parametrize('scale', [1e-22, 1e-18, 1e-3, 1.0, 1e17])
@pytest.mark.parametrize('rounded', [False, True])
def test_batched_path_equals_the_tree_at_any_scale(scale, rounded):
    rng = np.random.default_rng(7)
    cloud, queries = rng.normal(size=(2, 400, 3)) * 5
    if rounded:
        cloud, queries = cloud.round(), queries.round()
    points = torch.from_numpy(cloud * scale).float()[None]
    asked = torch.from_numpy(queries * scale).float()[None]
    by_pairs = nearest_of_all_pairs(asked, points, 9, None, None)
    by_tree = nearest_by_tree(asked, points, 9, None, None)
    assert torch.equal(by_pairs[0], by_tree[0])
    assert torch.equal(by_pairs[1], by_tree[1])


def test_distances_that_differ_only_beyond_float32_are_ties():
    # On a sphere float64 sees an order where float32 sees a handful of equal distances.
    rng = np.random.default_rng(10)
    sphere = rng.normal(size=(2000, 3))
    sphere = (sphere / np.linalg.norm(sphere, axis=1, keepdims=True)).astype(np.float32)
    for k in range(1, 30):
        found = knn(torch.zeros(1, 1, 3), torch.from_numpy(sphere)[None], k)
        expected = plain_neighbours(np.zeros(3, np.float32), sphere, k)
        assert found.index[0, 0].tolist() == [index for _, index in expected]


@given(clouds(smallest=1), clouds(smallest=1), st.integers(1, 5))
@settings(max_examples=60)
def test_masked_points_and_queries_do_not_exist(first, second, k):
    points, mask = batch_of(first, second)
    together = knn(points, points, k, mask, mask)
    for row, cloud in enumerate((first, second)):
        alone = knn(torch.from_numpy(cloud)[None], torch.from_numpy(cloud)[None], k)
        size = len(cloud)
        assert torch.equal(together.index[row, :size], alone.index[0])
        assert torch.equal(together.distance2[row, :size], alone.distance2[0])
        assert (together.index[row, size:] == -1).all()
        assert (together.distance2[row, size:] == torch.inf).all()


def test_the_order_of_the_points_does_not_matter():
    generator = torch.Generator().manual_seed(5)
    cloud, queries = torch.randn(2, 300, 3, generator=generator)
    order = torch.randperm(300, generator=generator)
    found = knn(queries[None], cloud[None], 8)
    shuffled = knn(queries[None], cloud[order][None], 8)
    assert torch.equal(order[shuffled.index], found.index)
    assert torch.equal(shuffled.distance2, found.distance2)


@pytest.mark.parametrize('device', DEVICES)
def test_every_device_finds_the_same_neighbours(device):
    generator = torch.Generator().manual_seed(6)
    cloud = torch.randn(2, 3000, 3, generator=generator) * 40
    cloud[1] = cloud[1].round()
    found = knn(cloud[:, :500].to(device), cloud.to(device), 16)
    for row in range(2):
        for query in range(0, 500, 25):
            expected = plain_neighbours(cloud[row, query].numpy(), cloud[row].numpy(), 16)
            assert found.index[row, query].tolist() == [index for _, index in expected]
            assert found.distance2[row, query].tolist() == [distance for distance, _ in expected]


@given(clouds(), clouds(), st.floats(0, 30))
def test_nearest_within_is_the_first_neighbour_if_it_is_in_reach(queries, cloud, radius):
    found = nearest_within(torch.from_numpy(queries)[None], torch.from_numpy(cloud)[None], radius)
    for row, query in enumerate(queries):
        distance2, index = plain_neighbours(query, cloud, 1)[0]
        assert found[0, row] == (index if distance2 <= radius * radius else -1)


def test_the_radius_is_inclusive_and_may_be_infinite():
    query = torch.zeros(1, 1, 3)
    point = torch.tensor([[[3.0, 4.0, 0.0]]])
    assert nearest_within(query, point, 5.0).item() == 0
    assert nearest_within(query, point, 4.9999).item() == -1
    assert nearest_within(query, point, torch.inf).item() == 0
    assert nearest_within(query, torch.zeros(1, 0, 3), torch.inf).item() == -1


@pytest.mark.parametrize('radius', [-1.0, float('nan')])
def test_a_meaningless_radius_is_refused(radius):
    with pytest.raises(ValueError, match='radius'):
        nearest_within(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3), radius)


@pytest.mark.parametrize('which', ['queries', 'points'])
@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_a_non_finite_coordinate_is_refused_by_name(which, value):
    arguments = {'queries': torch.zeros(1, 3, 3), 'points': torch.zeros(1, 3, 3)}
    arguments[which][0, 1, 2] = value
    with pytest.raises(ValueError, match=which):
        knn(**arguments, k=1)


def test_malformed_arguments_are_refused():
    with pytest.raises(ValueError, match='k must'):
        knn(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3), 0)
    with pytest.raises(ValueError, match='batch'):
        knn(torch.zeros(1, 1, 3), torch.zeros(2, 1, 3), 1)
    with pytest.raises(ValueError, match='shape'):
        knn(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2), 1)
