# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse convolution equals the dense one on occupied voxels, values and gradients alike."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pointata_core.errors import PointataError
from pointata_core.ops.sparse import average_by_voxel, convolve, sparse_grid


@st.composite
def scenes(draw, channels=3):
    """Points of a small batch, some sharing a voxel, many at the edges of the grid."""
    extent = draw(st.tuples(*[st.integers(2, 6)] * 3))
    batches = draw(st.integers(1, 3))
    place = st.tuples(*(st.integers(0, size - 1) for size in (*extent, batches)))
    rows = draw(st.lists(place, max_size=40))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    coordinates = torch.tensor(rows, dtype=torch.int64).reshape(-1, 4)
    return extent, batches, coordinates, generator


def dense(grid, features, batches):
    """The same voxels as a full tensor (B, C, X, Y, Z)."""
    x, y, z, batch = grid.coordinates.unbind(1)
    full = features.new_zeros(batches, *grid.extent, features.shape[1])
    full[batch, x, y, z] = features
    return full.movedim(-1, 1)


def at(full, grid):
    x, y, z, batch = grid.coordinates.unbind(1)
    return full.movedim(1, -1)[batch, x, y, z]


def random(generator, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def kernel_of(weight, edge):
    return weight.permute(2, 1, 0).reshape(weight.shape[2], weight.shape[1], edge, edge, edge)


@given(scenes())
def test_grid_holds_each_occupied_voxel_once_and_in_order(scene):
    extent, _, coordinates, _ = scene
    grid, voxel = sparse_grid(coordinates, extent)
    places = {tuple(row) for row in coordinates.tolist()}
    found = [tuple(row) for row in grid.coordinates.tolist()]
    assert found == sorted(places, key=lambda p: (p[3], *p[:3]))
    assert torch.equal(grid.coordinates[voxel], coordinates)
    assert (grid.keys.diff() > 0).all()


@given(scenes(), st.sampled_from([1, 3, 5]))
def test_submanifold_convolution_equals_dense(scene, kernel):
    extent, batches, coordinates, generator = scene
    grid, _ = sparse_grid(coordinates, extent)
    x, weight = random(generator, len(grid), 3), random(generator, kernel**3, 3, 4)
    expected = F.conv3d(dense(grid, x, batches), kernel_of(weight, kernel), padding=kernel // 2)
    found = convolve(x, weight, grid.submanifold(kernel))
    torch.testing.assert_close(found, at(expected, grid), rtol=1e-5, atol=1e-5)


STRIDED = [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 1, 0), (3, 3, 0), (1, 2, 0), (4, 2, 1)]


@given(scenes(), st.sampled_from(STRIDED))
def test_strided_convolution_equals_dense_everywhere(scene, shape):
    extent, batches, coordinates, generator = scene
    edge, stride, padding = shape
    if min((size + 2 * padding - edge) // stride + 1 for size in extent) < 1:
        return
    grid, _ = sparse_grid(coordinates, extent)
    x, weight = random(generator, len(grid), 3), random(generator, edge**3, 3, 4)
    coarse, rules = grid.strided(edge, stride, padding)
    full = F.conv3d(dense(grid, x, batches), kernel_of(weight, edge), None, stride, padding)
    assert tuple(full.shape[2:]) == coarse.extent
    # Comparing the whole volume shows that no site is missing, too.
    found = dense(coarse, convolve(x, weight, rules), batches)
    torch.testing.assert_close(found, full, rtol=1e-5, atol=1e-5)


@given(scenes(), st.sampled_from(STRIDED[:4]))
def test_transposed_convolution_equals_dense_where_it_came_from(scene, shape):
    extent, batches, coordinates, generator = scene
    edge, stride, padding = shape
    grid, _ = sparse_grid(coordinates, extent)
    coarse, rules = grid.strided(edge, stride, padding)
    y, weight = random(generator, len(coarse), 3), random(generator, edge**3, 3, 4)
    kernel = weight.permute(1, 2, 0).reshape(3, 4, edge, edge, edge)
    short = [
        size - ((made - 1) * stride - 2 * padding + edge)
        for size, made in zip(extent, coarse.extent)
    ]
    expected = F.conv_transpose3d(dense(coarse, y, batches), kernel, None, stride, padding, short)
    found = convolve(y, weight, rules.transposed)
    torch.testing.assert_close(found, at(expected, grid), rtol=1e-5, atol=1e-5)


@given(scenes(), st.sampled_from(['submanifold', 'strided', 'transposed']))
@settings(max_examples=15)
def test_gradients_are_those_of_finite_differences(scene, kind):
    extent, _, coordinates, generator = scene
    grid, _ = sparse_grid(coordinates[:8], extent)
    rules = grid.submanifold() if kind == 'submanifold' else grid.strided()[1]
    rules = rules.transposed if kind == 'transposed' else rules
    x = random(generator, rules.inputs, 2, dtype=torch.float64).requires_grad_()
    weight = random(generator, len(rules.sizes), 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: convolve(x, w, rules), (x, weight))


@given(scenes())
def test_points_of_a_voxel_are_averaged_and_differentiable(scene):
    extent, _, coordinates, generator = scene
    grid, voxel = sparse_grid(coordinates, extent)
    features = random(generator, len(coordinates), 2, dtype=torch.float64).requires_grad_()
    found = average_by_voxel(features, voxel, len(grid))
    for number in range(len(grid)):
        torch.testing.assert_close(found[number], features[voxel == number].mean(0))
    if len(coordinates):
        assert torch.autograd.gradcheck(lambda f: average_by_voxel(f, voxel, len(grid)), features)


def test_samples_of_a_batch_do_not_see_each_other():
    generator = torch.Generator().manual_seed(0)
    edge = torch.tensor([[3, 3, 3], [3, 3, 2], [0, 0, 0], [0, 0, 1], [0, 3, 3]])
    weight = random(generator, 27, 1, 1)
    alone, _ = sparse_grid(F.pad(edge, (0, 1)), (4, 4, 4))
    both = torch.cat([F.pad(edge, (0, 1)), F.pad(edge, (0, 1), value=1)])
    grid, _ = sparse_grid(both, (4, 4, 4))
    x = random(generator, len(alone), 1)
    found = convolve(torch.cat([x, 2 * x]), weight, grid.submanifold())
    expected = convolve(x, weight, alone.submanifold())
    torch.testing.assert_close(found, torch.cat([expected, 2 * expected]))


def test_the_largest_grid_still_has_a_key_for_every_voxel():
    corner = torch.tensor([[4095, 4095, 4095, 100], [0, 0, 0, 0], [4094, 4095, 4095, 100]])
    grid, voxel = sparse_grid(corner, (4096, 4096, 4096))
    assert torch.equal(grid.coordinates[voxel], corner)
    assert grid.submanifold().sizes == tuple(int(tap in (4, 22)) for tap in range(27))


def test_rulebooks_are_made_once():
    grid, _ = sparse_grid(torch.tensor([[0, 0, 0, 0], [1, 1, 1, 0]]), (4, 4, 4))
    assert grid.submanifold(3) is grid.submanifold(3)
    assert grid.strided(2, 2)[0] is grid.strided(2, 2)[0]
    rules = grid.strided(2, 2)[1]
    assert rules.transposed is rules.transposed
    assert grid.submanifold(5) is not grid.submanifold(3)


def test_within_a_tap_every_row_occurs_once():
    """Sums then need no fixed order of additions to be the same on every device."""
    generator = torch.Generator().manual_seed(0)
    points = F.pad(torch.randint(0, 8, (300, 3), generator=generator), (0, 1))
    grid, _ = sparse_grid(points, (8, 8, 8))
    for rules in (grid.submanifold(), grid.strided()[1], grid.strided(3, 2, 1)[1]):
        for _, source, target in rules.taps:
            assert len(source.unique()) == len(source) and len(target.unique()) == len(target)


def test_half_precision_is_summed_in_single():
    grid, _ = sparse_grid(torch.cartesian_prod(*[torch.arange(3)] * 3, torch.tensor([0])), (3,) * 3)
    x = torch.full((27, 1), 1 / 3, dtype=torch.bfloat16)
    weight = torch.ones(27, 1, 1, dtype=torch.bfloat16)
    found = convolve(x, weight, grid.submanifold())
    middle = found[13].float()
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(middle, 27 * x[0].float(), rtol=2**-8, atol=0)


def test_autocast_does_not_change_the_type():
    grid, _ = sparse_grid(torch.tensor([[0, 0, 0, 0], [1, 0, 0, 0]]), (2, 2, 2))
    x, weight = torch.rand(2, 3, requires_grad=True), torch.rand(27, 3, 2, requires_grad=True)
    plain = convolve(x, weight, grid.submanifold())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = convolve(x, weight, grid.submanifold())
        found.sum().backward()
    assert torch.equal(found, plain)
    assert x.grad.dtype == torch.float32


@pytest.mark.parametrize(
    ('coordinates', 'reason'),
    [
        (torch.zeros(2, 3, dtype=torch.int64), 'int64'),
        (torch.zeros(2, 4), 'int64'),
        (torch.tensor([[0, 0, 4, 0]]), 'lie in'),
        (torch.tensor([[0, -1, 0, 0]]), 'lie in'),
        (torch.tensor([[0, 0, 0, 1 << 60]]), 'batches'),
    ],
)
def test_bad_coordinates_are_refused(coordinates, reason):
    with pytest.raises(ValueError, match=reason):
        sparse_grid(coordinates, (4, 4, 4))


def test_bad_shapes_are_refused():
    grid, _ = sparse_grid(torch.tensor([[0, 0, 0, 0]]), (4, 4, 4))
    with pytest.raises(ValueError, match='features'):
        convolve(torch.rand(2, 3), torch.rand(27, 3, 3), grid.submanifold())
    with pytest.raises(ValueError, match='weight'):
        convolve(torch.rand(1, 3), torch.rand(8, 3, 3), grid.submanifold())
    with pytest.raises(ValueError, match='odd'):
        grid.submanifold(2)
    with pytest.raises(ValueError, match='leave nothing'):
        grid.strided(5, 2)


def test_spconv_gives_the_same_values_and_gradients():
    pytest.importorskip('spconv', reason='the optional back end spconv is not installed')
    generator = torch.Generator().manual_seed(3)
    points = F.pad(torch.randint(0, 6, (80, 3), generator=generator), (0, 1))
    grid, _ = sparse_grid(points, (6, 6, 6))
    down = grid.strided()[1]
    for rules in (grid.submanifold(), down, down.transposed):
        results = []
        for backend in ('torch', 'spconv'):
            x = random(torch.Generator().manual_seed(4), rules.inputs, 8).requires_grad_()
            weight = random(torch.Generator().manual_seed(5), len(rules.sizes), 8, 16)
            weight.requires_grad_()
            out = convolve(x, weight, rules, backend)
            out.square().sum().backward()
            results.append((out.detach(), x.grad, weight.grad))
        for found, expected in zip(*results):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(find_spec('spconv') is not None, reason='spconv is installed')
def test_absent_spconv_says_how_to_go_on():
    grid, _ = sparse_grid(torch.tensor([[0, 0, 0, 0]]), (4, 4, 4))
    with pytest.raises(PointataError, match="choose the back end 'torch'"):
        convolve(torch.rand(1, 3), torch.rand(27, 3, 3), grid.submanifold(), 'spconv')
