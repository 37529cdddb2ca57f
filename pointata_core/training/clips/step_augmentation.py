# SPDX-License-Identifier: Apache-2.0
"""What is changed anew in every training step, on top of the prepared copies of a clip.

Prepared clips and frozen features cost too much to compute again; token centres, the displacements of their
patches and the order of frames do not. Where the points are there as well, they move along.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pointata_core.models.point.patch_motion import rotated_displacements
from pointata_core.training.clips.prepared_clips import ClipBatch
from pointata_core.training.skill.settings import OptimiserSettings


def augment_step(
    batch: ClipBatch,
    settings: OptimiserSettings,
    up_axis: str,
    displacements: int,
    seed: int,
    part: int = 0,
    parts: int = 1,
) -> ClipBatch:
    """Move the token centres of every clip, and play it faster or slower.

    Args:
        batch: Clips of one process.
        settings: How far.
        up_axis: Vertical axis of the sensor frame.
        displacements: How many of the auxiliary are displacements, which turn along.
        seed: Of this step.
        part: Which part of the batch of all processes this is.
        parts: Number of processes: any number of them changes a clip alike.
    """
    limits = (settings.centre_rotation_deg, settings.centre_scale, settings.centre_shift)
    if not any((*limits, settings.time_warp)):
        return batch
    clips = len(batch.points)
    generator = torch.Generator().manual_seed(seed)
    own = slice(part * clips, (part + 1) * clips)
    drawn = torch.rand(clips * parts, 4, generator=generator)[own] * 2 - 1
    shift = torch.randn(clips * parts, 3, generator=generator)[own] * settings.centre_shift
    if any(limits):
        angle = torch.deg2rad(drawn[:, 0] * settings.centre_rotation_deg)
        scale = 1 + settings.centre_scale * drawn[:, 1:]
        matrix = _about(angle, up_axis) * scale.unsqueeze(1)
        device = batch.points.device
        batch = _moved(batch, matrix.to(device), shift.to(device).unsqueeze(1), displacements)
    if settings.time_warp:
        drawn = torch.rand(clips * parts, 2, generator=generator)[own]
        speed = 1 + settings.time_warp * (2 * drawn[:, 0] - 1)
        batch = batch.at_frames(warped_frames(batch.action.shape[1], speed, drawn[:, 1]))
    return batch


def warped_frames(frames: int, speed: Tensor, pivot: Tensor) -> Tensor:
    """Frames of clips played faster or slower about a moment that keeps its place.

    Args:
        frames: T.
        speed: ``(B,)``; above 1 the first and last frames last longer, below 1 the clip is cut.
        pivot: ``(B,)`` from 0, its beginning, to 1, its end.

    Returns:
        Numbers ``(B, T)`` of frames, rising.
    """
    time = torch.linspace(0, 1, frames).unsqueeze(0)
    pivot = pivot.unsqueeze(1)
    warped = (pivot + (time - pivot) * speed.unsqueeze(1)).clamp(0, 1)
    return (warped * (frames - 1)).round().long()


def _moved(batch: ClipBatch, matrix: Tensor, shift: Tensor, displacements: int) -> ClipBatch:
    """Apply ``x @ matrix + shift`` to everything in the clips, ``(B, 3, 3)`` and ``(B, 1, 3)``."""
    clips = len(batch.points)

    def move(places: Tensor, mask: Tensor) -> Tensor:
        moved = places.reshape(clips, -1, 3) @ matrix + shift
        return moved.view_as(places) * mask.unsqueeze(-1)

    layout, motion, auxiliary = batch.geometry, batch.motion, batch.auxiliary
    layout = replace(layout, centres=move(layout.centres, layout.token_mask))
    if motion is not None:
        around = torch.eye(4, device=matrix.device).repeat(clips, 1, 1, 1)
        around[:, 0, :3, :3], around[:, 0, :3, 3] = matrix.transpose(1, 2), shift.squeeze(1)
        motion = around @ motion @ torch.linalg.inv(around)
    if auxiliary is not None and displacements:
        displacement = rotated_displacements(
            auxiliary[..., :displacements].unflatten(0, (clips, -1)), matrix
        ).flatten(0, 1)
        auxiliary = torch.cat([displacement, auxiliary[..., displacements:]], dim=-1)
    points = move(batch.points, batch.mask)
    return replace(batch, geometry=layout, points=points, motion=motion, auxiliary=auxiliary)


def _about(angle: Tensor, axis: str) -> Tensor:
    """Rotations ``(B, 3, 3)`` about an axis of the sensor frame, for row vectors."""
    first, second = ((2, 0), (0, 1))[axis == 'z']
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    matrix[:, first, first] = matrix[:, second, second] = angle.cos()
    matrix[:, first, second], matrix[:, second, first] = angle.sin(), -angle.sin()
    return matrix
