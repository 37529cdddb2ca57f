# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What frames of whole clips take from the frame before: tubes, steps and neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from pointata_core.models.point.align_embedder import EarlierFrame
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.frame_passes import patches_before
from pointata_core.models.point.geometry import FrameGeometry, tube_parents
from pointata_core.models.point.network_parts import NetworkParts
from pointata_core.models.point.tubes import moved_points, parent_slots, shift_frames, tube_steps


def clip_parents(
    geometry: FrameGeometry, motion: Tensor | None, batch: int, config: GeometryConfig
) -> Tensor:
    """Slot of the frame before that every slot continues, ``(B, T, 1 + G)``; ``-1`` for none.

    Args:
        geometry: Of the ``B * T`` frames.
        motion: ``(B, T, 4, 4)`` taking the frame before into each frame; ``None`` at rest.
        batch: B.
        config: Gives the distance beyond which a tube begins anew.
    """
    clip = geometry.unfold(batch)
    before = moved_points(shift_frames(clip.centres, 1), motion)
    mask = clip.token_mask
    before_mask = shift_frames(mask, 1, False)
    parents = tube_parents(
        clip.centres.flatten(0, 1),
        mask.flatten(0, 1),
        before.flatten(0, 1),
        before_mask.flatten(0, 1),
        config.tube_radius,
        config.follows,
    )
    slots = parent_slots(parents, mask.any(-1).flatten(), before_mask.any(-1).flatten())
    return slots.unflatten(0, (batch, -1))


def clip_steps(geometry: FrameGeometry, motion: Tensor | None, parents: Tensor) -> Tensor:
    """How far each token came along its tube, ``(B * T, G, 4)``, see :func:`tube_steps`.

    Args:
        geometry: Of the ``B * T`` frames.
        motion: See :func:`clip_parents`.
        parents: From :func:`clip_parents`.
    """
    centres = geometry.unfold(len(parents)).centres
    before = moved_points(shift_frames(centres, 1), motion)
    return tube_steps(geometry.centres, before.flatten(0, 1), parents.flatten(0, 1))


def clip_patches_before(
    parts: NetworkParts,
    points: Tensor,
    features: Tensor | None,
    mask: Tensor | None,
    motion: Tensor | None,
    geometry: FrameGeometry,
) -> EarlierFrame:
    """The nearest points of the frame before for each patch of whole clips.

    Args:
        parts: Of the network.
        points: ``(B, T, N, 3)``.
        features: ``(B, T, N, C)`` or ``None``.
        mask: ``(B, T, N)`` or ``None``.
        motion: ``(B, T, 4, 4)`` taking the frame before into each frame, or ``None``.
        geometry: Of the ``B * T`` frames.
    """
    present = torch.ones(points.shape[:3], dtype=torch.bool, device=points.device)
    before = moved_points(shift_frames(points, 1), motion).flatten(0, 1)
    columns = None if features is None else shift_frames(features, 1).flatten(0, 1)
    known = shift_frames(present if mask is None else mask, 1, False).flatten(0, 1)
    return patches_before(parts, geometry, before, columns, known)
