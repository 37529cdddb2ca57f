# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tubes: a token and its nearest predecessors in time, as indices into past frames' slots.

Slot 0 is the class token, which continues the class token of the frame before; slots 1..G are the
patch tokens. ``-1`` means that a tube does not reach that far back.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def parent_slots(parents: Tensor, frame: Tensor, before: Tensor) -> Tensor:
    """Turn token parents into slot parents.

    Args:
        parents: ``(F, G)`` from :func:`~pointata_core.models.point.geometry.tube_parents`.
        frame: ``(F,)``, whether the frame has tokens.
        before: ``(F,)``, whether the frame before has tokens.

    Returns:
        ``(F, 1 + G)``.
    """
    slots = torch.where(parents >= 0, parents + 1, parents)
    class_parent = torch.where(frame & before, 0, -1).to(parents.dtype)
    return torch.cat([class_parent.unsqueeze(1), slots], dim=1)


def tube_steps(centres: Tensor, before: Tensor, slots: Tensor) -> Tensor:
    """Return how far each token came along its tube since the frame before.

    Args:
        centres: ``(F, G, 3)``.
        before: ``(F, G, 3)`` centres of the frame before, in this frame's coordinates.
        slots: ``(F, 1 + G)`` from :func:`parent_slots`.

    Returns:
        ``(F, G, 4)``: the displacement, and 1; zeros where a tube begins.
    """
    parent = slots[:, 1:].unsqueeze(-1) - 1
    follows = parent >= 0
    origin = torch.gather(before, 1, parent.clamp_min(0).expand_as(centres))
    return torch.cat([(centres - origin) * follows, follows.to(centres.dtype)], dim=-1)


def ancestors(parents: list[Tensor]) -> list[Tensor]:
    """Chain parents into ancestors.

    Args:
        parents: ``parents[j] (F, S)`` leads from frame ``t - j`` to ``t - j - 1``.

    Returns:
        For each ``j`` the slot in frame ``t - j - 1`` that slot s of frame ``t`` descends from.
    """
    chain = [parents[0]]
    for step in parents[1:]:
        last = chain[-1]
        older = torch.gather(step, 1, last.clamp_min(0))
        chain.append(torch.where(last >= 0, older, -1))
    return chain


def shift_frames(values: Tensor, by: int, fill: float = 0.0) -> Tensor:
    """Move ``(B, T, ...)`` ``by`` frames towards the future; the first frames become ``fill``."""
    if by == 0:
        return values
    pad = [0, 0] * (values.dim() - 2) + [by, 0]
    return F.pad(values, pad, value=fill)[:, : values.shape[1]]


def clip_ancestors(parents: Tensor, depth: int) -> list[Tensor]:
    """Chain the parents of a whole clip ``(B, T, S)`` into ``depth`` ancestors ``(B*T, S)``."""
    steps = [shift_frames(parents, j, -1).flatten(0, 1) for j in range(depth)]
    return ancestors(steps) if steps else []


def follow(latents: Tensor, ancestor: Tensor) -> Tensor:
    """Gather ``(..., F, S, r)`` along ``ancestor (F, S)``; zero where the tube has ended."""
    index = ancestor.clamp_min(0).unsqueeze(-1).expand(latents.shape)
    return torch.gather(latents, -2, index) * (ancestor >= 0).unsqueeze(-1)


def moved_points(points: Tensor, motion: Tensor | None) -> Tensor:
    """Apply rigid motions ``(..., 4, 4)`` to points ``(..., N, 3)``."""
    if motion is None:
        return points
    return points @ motion[..., :3, :3].transpose(-1, -2) + motion[..., None, :3, 3]
