# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who acts, and how they move: the choice of the actor's points, the differences of its trace."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.models.point.heads.action_head import ActionHead
from pointata_core.models.point.heads.actor_pooling import TRACE_WIDTH, ActorPooling, choose_actor

BODY = torch.tensor([0.02, 0.02, 0.08])


def body(x: float, y: float, points: int, seed: int = 0) -> torch.Tensor:
    """Points of somebody who stands at x, y; in tenths of metres, ``(points, 3)``."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(points, 3, generator=random) * BODY + torch.tensor([x, y, -0.1])


def chosen(points: torch.Tensor, probability: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    kept, weight = choose_actor(points.unsqueeze(0), probability.unsqueeze(0))
    return kept[0], weight[0]


def test_the_nearer_of_two_people_is_chosen_and_the_other_left_out():
    near, far = body(0.3, 0.1, 40), body(-0.1, 0.5, 80, seed=1)
    points, weight = chosen(torch.cat([far, near]), torch.full((120,), 0.95))
    mine = torch.linalg.vector_norm(points[:, :2] - near[:, :2].mean(0), dim=1) < 0.12
    assert mine.sum() == 40
    assert weight[mine].min() > 0.5
    assert weight[~mine].max() < 0.01


@pytest.mark.parametrize('strays', [1, 2])
def test_stray_points_in_front_do_not_become_the_actor(strays):
    person = body(0.4, 0.0, 40)
    stray = torch.tensor([[0.1, 0.05, -0.1], [0.2, -0.2, 0.0]])[:strays]
    points, weight = chosen(torch.cat([stray, person]), torch.ones(40 + strays))
    centre = (weight.unsqueeze(1) * points).sum(0) / weight.sum()
    assert torch.linalg.vector_norm(centre[:2] - person[:, :2].mean(0)) < 0.02


def test_unlikely_points_carry_no_weight():
    person, wall = body(0.5, 0.0, 30), body(0.2, 0.0, 200, seed=1)
    probability = torch.cat([torch.full((30,), 0.9), torch.full((200,), 0.1)])
    points, weight = chosen(torch.cat([person, wall]), probability)
    mine = torch.linalg.vector_norm(points[:, :2] - person[:, :2].mean(0), dim=1) < 0.12
    assert weight[~mine].sum() < 0.1 * weight[mine].sum()


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(20, 900))
def test_rounding_of_the_probabilities_moves_no_descriptor(seed, count):
    random = torch.Generator().manual_seed(seed)
    people = torch.cat([body(0.3, 0.0, count // 2, seed), body(0.1, 0.4, count, seed + 1)])
    probability = torch.rand(len(people), generator=random) ** 0.2
    nudged = probability + 1e-7 * torch.randn(len(people), generator=random)
    torch.manual_seed(seed)
    pooling = ActorPooling(16)
    with torch.no_grad():
        one, other = (pooling(people[None], p.clamp(0, 1)[None]) for p in (probability, nudged))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_padding_changes_nothing_and_nobody_gives_a_defined_answer():
    person = body(0.3, 0.0, 30)
    probability = torch.full((30,), 0.9)
    pooling = ActorPooling(16)
    with torch.no_grad():
        plain = pooling(person[None], probability[None])
        mask = torch.arange(700) < 30
        padded_points = torch.zeros(700, 3)
        padded_points[:30] = person
        padded_probability = torch.full((700,), 0.99)
        padded_probability[:30] = probability
        padded = pooling(padded_points[None], padded_probability[None], mask[None])
        torch.testing.assert_close(padded, plain, atol=1e-5, rtol=1e-5)
        empty = pooling(torch.zeros(1, 0, 3), torch.zeros(1, 0))
        masked = pooling(padded_points[None], padded_probability[None], torch.zeros(1, 700) > 0)
    assert empty.isfinite().all()
    torch.testing.assert_close(masked, empty, atol=1e-5, rtol=1e-5)
    assert masked[0, -TRACE_WIDTH] == 0.0


def head_with_a_trace() -> ActionHead:
    torch.manual_seed(0)
    return ActionHead(4, 6 + TRACE_WIDTH, 12, frames=4, classes=3, dropout=0.0).eval()


def test_the_readout_tells_speeds_apart_that_no_single_frame_shows():
    head = head_with_a_trace()
    # Only differences may speak: what a single frame says is the same everywhere.
    descriptors = torch.zeros(2, 20, head.descriptor_width)
    trace = descriptors[..., head.readout_width :]
    trace[..., 0] = 0.98
    trace[:, :, 1] = torch.arange(20.0) * torch.tensor([[0.1], [0.3]])
    present = torch.ones(2, 20, dtype=torch.bool)
    with torch.no_grad():
        slow, fast = head(descriptors, present)[:, -1]
        trace[:, :, 1] += 5.0
        moved = head(descriptors, present)[:, -1]
    assert (slow - fast).abs().max() > 1e-3
    torch.testing.assert_close(moved, torch.stack([slow, fast]), atol=1e-5, rtol=0)


def test_somebody_who_appears_has_not_moved():
    head = head_with_a_trace()
    descriptors = torch.zeros(2, 12, head.descriptor_width)
    trace = descriptors[..., head.readout_width :]
    trace[:, 8:, 0] = 0.98
    trace[0, 8:, 1] = 3.0
    # Where nobody was seen, a place means nothing.
    trace[0, :8, 1] = -7.0
    present = torch.ones(2, 12, dtype=torch.bool)
    with torch.no_grad():
        far, near = head(descriptors, present)
    torch.testing.assert_close(far, near, atol=1e-6, rtol=0)
