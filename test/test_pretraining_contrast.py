# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Contrasts of points and images: equal to a plain loop, neutral where they must be."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pointata_core.training.pretrain.contrast import (
    alignment,
    effective_rank,
    info_nce,
    local_contrast,
    overall_contrast,
    uniformity,
)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(values, dim=-1)


def slow_local(regions, cells, place, temperature, negatives) -> float:
    """The loss as the formula has it, one pair and one sum at a time."""
    batch, views, tokens, _ = regions.shape
    pairs = [
        (b, w, g, int(place[b, w, g]))
        for b in range(batch)
        for w in range(views)
        for g in range(tokens)
        if place[b, w, g] >= 0
    ]
    occupied = sorted({(b, w, p) for b, w, _, p in pairs})

    def competes(one, other):
        same_image = one == other
        if negatives == 'image':
            return same_image
        return same_image or one[0] != other[0]

    def score(pair, cell):
        b, w, g, _ = pair
        return math.exp(float(regions[b, w, g] @ cells[cell]) / temperature)

    forth = 0.0
    for pair in pairs:
        b, w, _, p = pair
        total = sum(score(pair, c) for c in occupied if competes((b, w), c[:2]))
        forth -= math.log(score(pair, (b, w, p)) / total)
    back = 0.0
    for cell in occupied:
        mine = [pair for pair in pairs if (pair[0], pair[1], pair[3]) == cell]
        others = [p for p in pairs if p not in mine and competes(p[:2], cell[:2])]
        rest = sum(score(pair, cell) for pair in others)
        losses = [-math.log(score(p, cell) / (score(p, cell) + rest)) for p in mine]
        back += sum(losses) / len(losses)
    return (forth / len(pairs) + back / len(occupied)) / 2


@pytest.mark.parametrize('negatives', ['batch', 'image'])
@settings(max_examples=15, deadline=None)
@given(
    batch=st.integers(1, 3), views=st.integers(1, 3), tokens=st.integers(1, 5),
    seed=st.integers(0, 10_000),
)  # fmt: skip
def test_local_loss_equals_the_plain_loop(negatives, batch, views, tokens, seed):
    regions = unit(batch, views, tokens, 4, seed=seed)
    cells = unit(batch, views, 4, 4, seed=seed + 1)
    generator = torch.Generator().manual_seed(seed)
    place = torch.randint(-1, 4, (batch, views, tokens), generator=generator)
    place[0, 0, 0] = 2
    found = local_contrast(regions, cells, place, 0.3, negatives)
    assert found.pairs == int((place >= 0).sum())
    expected = slow_local(regions, cells, place, 0.3, negatives)
    assert float(found.loss) == pytest.approx(expected, rel=1e-4)


def test_constant_features_give_the_logarithm_of_the_number_of_candidates():
    regions, cells = torch.ones(4, 1, 3, 8), torch.ones(4, 1, 9, 8)
    place = torch.tensor([0, 4, 8]).expand(4, 1, 3)
    loss = local_contrast(regions, cells, place, 0.1, 'batch').loss
    assert float(loss) == pytest.approx(math.log(12), rel=1e-5)
    shapes = torch.ones(6, 8)
    loss = overall_contrast(shapes, shapes.unsqueeze(1), 0.1).loss
    assert float(loss) == pytest.approx(math.log(6), rel=1e-5)


def test_regions_of_one_cell_do_not_repel_each_other():
    """Alone in the batch, regions of one cell are right in both directions: nothing to learn."""
    regions = unit(1, 1, 5, 4).requires_grad_()
    found = local_contrast(regions, unit(1, 1, 9, 4), torch.full((1, 1, 5), 3), 0.1, 'batch')
    found.loss.backward()
    assert float(found.loss.detach()) == 0
    assert float(regions.grad.abs().max()) == 0


def test_other_views_of_the_same_shape_are_neutral():
    regions, cells = unit(2, 2, 4, 8), unit(2, 2, 9, 8, seed=1)
    place = torch.tensor([[0, 1, 2, -1], [3, 4, 5, 6]]).expand(2, 2, 4)
    alone = local_contrast(regions[:1, :1], cells[:1, :1], place[:1, :1], 0.1, 'batch')
    both = local_contrast(regions[:1], cells[:1], place[:1], 0.1, 'batch')
    second = local_contrast(regions[:1, 1:], cells[:1, 1:], place[:1, 1:], 0.1, 'batch')
    weight = torch.tensor([3.0, 4.0])
    mean = (torch.stack([alone.loss, second.loss]) * weight).sum() / 7
    assert float(both.loss) == pytest.approx(float(mean), rel=1e-4)
    other = local_contrast(regions, cells, place, 0.1, 'batch')
    assert other.candidates == 14 and float(other.loss) > float(both.loss)


def test_hidden_regions_and_empty_cells_get_no_gradient():
    regions, cells = unit(2, 1, 3, 8).requires_grad_(), unit(2, 1, 4, 8, seed=1).requires_grad_()
    place = torch.tensor([[[0, -1, 2]], [[1, 1, -1]]])
    local_contrast(regions, cells, place, 0.1, 'batch').loss.backward()
    moved = regions.grad.abs().sum(-1) > 0
    torch.testing.assert_close(moved, place >= 0)
    moved = cells.grad.abs().sum(-1)[:, 0] > 0
    assert moved.tolist() == [[True, False, True, False], [False, True, False, False]]


def test_a_batch_without_visible_regions_keeps_the_graph():
    regions, cells = unit(2, 1, 3, 8).requires_grad_(), unit(2, 1, 4, 8).requires_grad_()
    found = local_contrast(regions, cells, torch.full((2, 1, 3), -1), 0.1, 'batch')
    found.loss.backward()
    assert found.pairs == 0
    assert float(found.loss.detach()) == 0
    assert float(regions.grad.abs().sum() + cells.grad.abs().sum()) == 0


def test_gradients_are_those_of_finite_differences():
    owner = torch.tensor([0, 0, 1, 2])
    allowed = torch.ones(4, 3, dtype=torch.bool)
    allowed[3, 0] = False

    def loss(anchors, candidates):
        # info_nce computes scores in float32, so the check is told to expect no more.
        return info_nce(anchors, candidates, owner, allowed, 0.5).loss

    inputs = (unit(4, 5).requires_grad_(), unit(3, 5, seed=1).requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-3, atol=2e-3, rtol=1e-2)


def test_partners_are_found_when_they_are_equal():
    shapes = unit(8, 16)
    assert float(overall_contrast(shapes, shapes.unsqueeze(1), 0.1).retrieval) == 1
    swapped = shapes.roll(1, 0).unsqueeze(1)
    assert float(overall_contrast(shapes, swapped, 0.1).retrieval) == 0


def test_monitors_tell_collapse_from_spread():
    spread = unit(200, 16)
    collapsed = F.normalize(torch.ones(200, 16) + 0.01 * torch.randn(200, 16), dim=1)
    assert float(uniformity(collapsed)) > -0.01 > -2 > float(uniformity(spread))
    assert float(effective_rank(spread)) > 14
    line = torch.linspace(-1, 1, 50)[:, None] * unit(1, 16)
    assert float(effective_rank(line)) == pytest.approx(1, abs=1e-3)
    assert float(alignment(spread, spread)) == 0
    assert float(alignment(spread, -spread)) == pytest.approx(4, rel=1e-6)
