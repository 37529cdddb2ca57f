# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Token centres that follow what they lie on, from frame to frame.

Centres that every frame samples anew hardly lie on the same part of a body twice. Followed centres
are sampled once. In each frame a point belongs to the nearest centre within reach, and each centre
moves to the mean of its own (Lloyd, 1982), some rounds long. One without points of its own moves
along with the nearest that has some: so the centres behind a moving body catch up. In the end a
centre lies on the nearest point of its own. One without any, and a slot that was empty, is sampled
again: the point farthest from all other centres. Where something comes into sight beyond the reach
of all centres, one of the two that are closest to each other goes there.

Only the frame before is needed, so a stream and a clip give the same centres. Sums are of integers
and ties go by coordinates, so the order of the points decides nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pointata_core.ops import farthest_point_sample

_STEPS_PER_UNIT = 2.0**20
_ROUNDS = 3
_CROWDED = 2.0  # how much farther than two centres from each other a point lies that gets one


def followed_centres(
    points: Tensor,
    mask: Tensor | None,
    before: Tensor,
    before_mask: Tensor,
    reach: float,
    sampled: Tensor,
) -> Tensor:
    """Find the centres of F frames that follow those of the frames before.

    Args:
        points: ``(F, N, 3)`` normalised, finite.
        mask: ``(F, N)``, false for padding, or ``None``.
        before: ``(F, G, 3)`` centres of the frames before, in the coordinates of these frames.
        before_mask: ``(F, G)``, where there is one; none at all where a history begins.
        reach: Largest distance of a point from the centre that it belongs to.
        sampled: ``(F, N, 3)`` the points in the space in which centres are sampled.

    Returns:
        ``(F, G)`` indices into the points; -1 where every distinct location has a centre.
    """
    count = before.shape[1]
    valid = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
    valid = valid if mask is None else mask
    begins = ~before_mask.any(dim=1)
    found = torch.full(before_mask.shape, -1, dtype=torch.int64, device=points.device)
    if begins.any():
        first = farthest_point_sample(
            sampled[begins], count, None if mask is None else mask[begins]
        )
        found[begins] = first
    going = ~begins
    if going.any():
        order = _by_coordinates(points[going], valid[going])
        known = torch.gather(valid[going], 1, order)
        spread = order.unsqueeze(-1).expand(-1, -1, 3)
        own = torch.gather(points[going], 1, spread)
        moved = _moved(own, known, before[going], before_mask[going], reach)
        filled = _filled(torch.gather(sampled[going], 1, spread), known, moved)
        chosen = _spread(own, known, filled, reach)
        if order.shape[1]:
            chosen = torch.where(chosen < 0, -1, torch.gather(order, 1, chosen.clamp_min(0)))
        found[going] = chosen
    return found


def _by_coordinates(points: Tensor, valid: Tensor) -> Tensor:
    """Order ``(F, N)`` of the points by x, then y, then z; padding comes last."""
    keys = points.masked_fill(~valid.unsqueeze(-1), torch.inf)
    order = torch.arange(points.shape[1], device=points.device).expand(len(points), -1)
    for axis in (2, 1, 0):
        key = torch.gather(keys[..., axis], 1, order)
        order = torch.gather(order, 1, key.argsort(dim=1, stable=True))
    return order


def _moved(points: Tensor, valid: Tensor, before: Tensor, known: Tensor, reach: float) -> Tensor:
    """The point that each centre moves to, ``(F, G)``; -1 where none is left for it."""
    frames, available, _ = points.shape
    slots = before.shape[1]
    if not available:
        return torch.full((frames, slots), -1, dtype=torch.int64, device=points.device)
    exact, place = points.double(), before.double()
    for _ in range(_ROUNDS):
        owner, _ = _owners(exact, valid, place, known, reach)
        mean, members = _means(exact, owner, slots)
        place = place + _shifts(mean - place, members > 0, place)
    owner, off = _owners(exact, valid, place, known, reach)
    closest = off.new_full((frames, slots + 1), torch.inf).scatter_reduce_(1, owner, off, 'amin')
    index = torch.arange(available, device=points.device).expand(frames, -1)
    index = torch.where(off == torch.gather(closest, 1, owner), index, available)
    chosen = index.new_full((frames, slots + 1), available)
    chosen = chosen.scatter_reduce_(1, owner, index, 'amin')[:, :slots]
    there = chosen < available
    found = torch.where(there, chosen, 0).unsqueeze(-1).expand(-1, -1, 3)
    near = _squares(torch.gather(exact, 1, found) - before.double()) <= reach * reach
    return torch.where(there & near, chosen, -1)


def _owners(
    points: Tensor, valid: Tensor, place: Tensor, known: Tensor, reach: float
) -> tuple[Tensor, Tensor]:
    """Slot of the centre that each point belongs to and squared distance, ``(F, N)``.

    Points that belong to none have the slot G.
    """
    distance = _squares(points.unsqueeze(2) - place.unsqueeze(1))
    nearest, owner = distance.masked_fill(~known.unsqueeze(1), torch.inf).min(dim=2)
    own = valid & (nearest <= reach * reach)
    return torch.where(own, owner, place.shape[1]), nearest


def _means(points: Tensor, owner: Tensor, slots: int) -> tuple[Tensor, Tensor]:
    """Mean ``(F, G, 3)`` and number ``(F, G)`` of each centre's points."""
    steps = (points * _STEPS_PER_UNIT).round().long()
    spread = owner.unsqueeze(-1).expand(-1, -1, 3)
    total = steps.new_zeros(len(points), slots + 1, 3).scatter_add_(1, spread, steps)
    members = steps.new_zeros(len(points), slots + 1)
    members = members.scatter_add_(1, owner, torch.ones_like(owner))
    mean = total.double() / members.clamp_min(1).unsqueeze(-1) / _STEPS_PER_UNIT
    return mean[:, :slots], members[:, :slots]


def _shifts(shift: Tensor, there: Tensor, place: Tensor) -> Tensor:
    """Shifts ``(F, G, 3)`` where there are points; elsewhere that of the nearest such centre."""
    distance = _squares(place.unsqueeze(2) - place.unsqueeze(1))
    nearest, like = distance.masked_fill(~there.unsqueeze(1), torch.inf).min(dim=2)
    borrowed = torch.gather(shift, 1, like.unsqueeze(-1).expand(-1, -1, 3))
    return borrowed * torch.isfinite(nearest).unsqueeze(-1)


def _filled(points: Tensor, valid: Tensor, chosen: Tensor) -> Tensor:
    """Fill empty slots by farthest point sampling that starts from the chosen centres."""
    if not points.shape[1]:
        return chosen
    chosen = chosen.clone()
    place = torch.gather(points, 1, chosen.clamp_min(0).unsqueeze(-1).expand(-1, -1, 3))
    distance = _squares(points.unsqueeze(2) - place.unsqueeze(1))
    closest = distance.masked_fill((chosen < 0).unsqueeze(1), torch.inf).min(dim=2).values
    # Padding never wins; where no centre is left the first valid point is as far as any other.
    closest = closest.masked_fill(~valid, -1.0)
    rows = torch.arange(len(points), device=points.device)
    while True:
        empty = chosen < 0
        score, pick = closest.max(dim=1)
        open_rows = empty.any(dim=1) & (score > 0)
        if not open_rows.any():
            return chosen
        slot = empty.int().argmax(dim=1)
        chosen[rows[open_rows], slot[open_rows]] = pick[open_rows]
        away = _squares(points - points[rows, pick].unsqueeze(1))
        closest = torch.where(open_rows.unsqueeze(1), torch.minimum(closest, away), closest)


def _spread(points: Tensor, valid: Tensor, chosen: Tensor, reach: float) -> Tensor:
    """Send centres that crowd to points beyond the reach of all."""
    if not points.shape[1]:
        return chosen
    chosen = chosen.clone()
    rows = torch.arange(len(points), device=points.device)
    alone = torch.eye(chosen.shape[1], dtype=torch.bool, device=points.device)
    for _ in range(chosen.shape[1]):
        empty = chosen < 0
        place = torch.gather(points, 1, chosen.clamp_min(0).unsqueeze(-1).expand(-1, -1, 3))
        off = _squares(points.unsqueeze(2) - place.unsqueeze(1))
        off = off.masked_fill(empty.unsqueeze(1), torch.inf).min(dim=2).values
        far, pick = off.masked_fill(~valid, -1.0).max(dim=1)
        between = _squares(place.unsqueeze(2) - place.unsqueeze(1))
        between = between.masked_fill(alone | empty.unsqueeze(1) | empty.unsqueeze(2), torch.inf)
        tightest, slot = between.min(dim=2).values.min(dim=1)
        moves = (far > reach * reach) & (far > _CROWDED**2 * tightest)
        if not moves.any():
            break
        chosen[rows[moves], slot[moves]] = pick[moves]
    return chosen


def _squares(offsets: Tensor) -> Tensor:
    """Squared lengths, added in one order on every device."""
    square = offsets * offsets
    return square[..., 0] + square[..., 1] + square[..., 2]
