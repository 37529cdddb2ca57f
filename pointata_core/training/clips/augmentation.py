# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: copies of a clip that are prepared, and changes in every training step.

Every frame of a clip is changed alike: what moves stays what moves. A prepared copy is changed
before sampling and neighbour search, so that everything computed from it (voxels, tokens, frozen
features) is what a live stream would give. What is cheap to compute again (token centres, the
displacements of their patches, the order of frames) also changes in every step; where the points
are in the batch, they move along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointata_core.datasets.protocol import Clip
from pointata_core.errors import ConfigError
from pointata_core.models.point.patch_motion import rotated_displacements
from pointata_core.training.clips.clip_batch import ClipBatch

Axis = Literal['y', 'z']


@dataclass(frozen=True)
class AugmentationConfig:
    """How much a prepared copy is changed.

    Args:
        up_axis: Vertical axis of the sensor frame: ``y`` for cameras, ``z`` for LiDAR and radar.
        rotation_deg: Largest rotation about the vertical, either way.
        tilt_deg: Largest rotation about the other two axes, either way.
        scale: Smallest and largest factor, drawn for every axis by itself.
        mirror: Whether to reflect half of the clips about the forward axis; wrong where left and
            right are classes.
        jitter_m: Standard deviation of noise on every point.
        keep: Smallest share of points that is kept.
    """

    up_axis: Axis = 'z'
    rotation_deg: float = 0.0
    tilt_deg: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    mirror: bool = False
    jitter_m: float = 0.0
    keep: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high:
            raise ConfigError(f'augmentation.scale is {self.scale}, expected 0 < low <= high')
        if not 0 < self.keep <= 1:
            raise ConfigError(f'augmentation.keep is {self.keep}, expected above 0, at most 1')


@dataclass(frozen=True)
class StepAugmentation:
    """How much a clip is changed in every step, on top of its prepared copies.

    Args:
        rotation_deg: Largest rotation of the token centres (and of the points, where features are
            not frozen) about the vertical, either way.
        scale: Largest change of their scale, for every axis by itself.
        shift: Standard deviation of their shift, normalised units.
        mirror: Whether to reflect half of the clips about the forward axis.
        time_warp: Largest change of a clip's speed, relative: frames are taken twice or left out.
            Not where the sensor's motion is known.
        sector_mix: Share of the clips of one frame that take a sector of another one, with its
            labels; see :mod:`.mixing`.
    """

    rotation_deg: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    mirror: bool = False
    time_warp: float = 0.0
    sector_mix: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.sector_mix <= 1:
            raise ConfigError(f'step_augmentation.sector_mix is {self.sector_mix}, expected 0 to 1')
        if not 0 <= self.time_warp < 1:
            raise ConfigError(
                f'step_augmentation.time_warp is {self.time_warp}, expected 0 to below 1'
            )


def mirror_axis(up_axis: Axis) -> int:
    """The axis that points sideways: x right in camera frames, y left in LiDAR frames."""
    return 0 if up_axis == 'y' else 1


def rotations(angles: Tensor, axis: int) -> Tensor:
    """Rotations ``(B, 3, 3)`` of column vectors by ``(B,)`` radians about an axis."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = torch.eye(3, dtype=angles.dtype).repeat(len(angles), 1, 1)
    matrix[:, first, first] = matrix[:, second, second] = angles.cos()
    matrix[:, first, second], matrix[:, second, first] = -angles.sin(), angles.sin()
    return matrix


# ------------------------------------------------------------------ prepared copies


def draw_transform(config: AugmentationConfig, generator: np.random.Generator) -> NDArray:
    """Draw one linear map ``(3, 3)`` for a clip: rotations, then a factor for every axis."""
    up = 'xyz'.index(config.up_axis)
    matrix = np.eye(3)
    for axis in range(3):
        limit = config.rotation_deg if axis == up else config.tilt_deg
        angle = torch.tensor([np.deg2rad(generator.uniform(-limit, limit))], dtype=torch.float64)
        matrix = rotations(angle, axis)[0].numpy() @ matrix
    factors = generator.uniform(*config.scale, size=3)
    if config.mirror and generator.random() < 0.5:
        factors[mirror_axis(config.up_axis)] *= -1
    return matrix * factors[:, None]


def augment_clip(clip: Clip, config: AugmentationConfig, generator: np.random.Generator) -> Clip:
    """Change a clip: points, and with them the poses; labels and features of the points kept.

    Args:
        clip: The clip.
        config: How much.
        generator: Source of randomness.
    """
    matrix = draw_transform(config, generator)
    points, kept = [], []
    for cloud in clip.points:
        rows = np.arange(len(cloud))
        if config.keep < 1 and len(cloud):
            share = generator.uniform(config.keep, 1.0)
            count = max(1, round(share * len(cloud)))
            rows = np.sort(generator.choice(len(cloud), count, replace=False))
        moved = cloud[rows] @ matrix.astype(np.float32).T
        if config.jitter_m:
            noise = generator.normal(0.0, config.jitter_m, moved.shape)
            moved = moved + noise.astype(np.float32)
        points.append(np.ascontiguousarray(moved, dtype=np.float32))
        kept.append(rows)

    def cut(columns: Sequence[NDArray] | None) -> list[NDArray] | None:
        if columns is None:
            return None
        return [rows[own] for rows, own in zip(columns, kept, strict=True)]

    around = np.eye(4)
    around[:3, :3] = matrix
    poses = None if clip.poses is None else clip.poses @ np.linalg.inv(around)
    return replace(
        clip, points=points, features=cut(clip.features), labels=cut(clip.labels), poses=poses
    )


# ------------------------------------------------------------------ every step


def augment_step(
    batch: ClipBatch,
    config: StepAugmentation,
    up_axis: Axis,
    displacements: int,
    seed: int,
    part: int = 0,
    parts: int = 1,
) -> ClipBatch:
    """Move the token centres of every clip, and play it faster or slower.

    Args:
        batch: Clips of one process.
        config: How far.
        up_axis: Vertical axis of the sensor frame.
        displacements: How many of the auxiliary token features are displacements, which turn along.
        seed: Of this step.
        part: Which part of the batch of all processes this is.
        parts: Number of processes: any number of them changes a clip alike.
    """
    moves = any((config.rotation_deg, config.scale, config.shift, config.mirror))
    if not moves and not config.time_warp:
        return batch
    clips = len(batch.points)
    generator = torch.Generator().manual_seed(seed)
    own = slice(part * clips, (part + 1) * clips)

    def uniform(columns: int) -> Tensor:
        return torch.rand(clips * parts, columns, generator=generator)[own]

    drawn = uniform(4) * 2 - 1
    shift = torch.randn(clips * parts, 3, generator=generator)[own] * config.shift
    warp = uniform(2)
    if moves:
        angle = torch.deg2rad(drawn[:, 0] * config.rotation_deg)
        scale = 1 + config.scale * drawn[:, 1:]
        if config.mirror:
            scale[:, mirror_axis(up_axis)] *= torch.where(uniform(1)[:, 0] < 0.5, -1.0, 1.0)
        # For row vectors.
        matrix = rotations(angle, 'xyz'.index(up_axis)).transpose(1, 2) * scale.unsqueeze(1)
        device = batch.points.device
        batch = _moved(batch, matrix.to(device), shift.to(device).unsqueeze(1), displacements)
    if config.time_warp:
        speed = 1 + config.time_warp * (2 * warp[:, 0] - 1)
        batch = batch.at_frames(warped_frames(batch.action.shape[1], speed, warp[:, 1]))
    return batch


def warped_frames(frames: int, speed: Tensor, pivot: Tensor) -> Tensor:
    """Frames of clips played faster or slower about a fixed moment.

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

    def move(positions: Tensor, mask: Tensor) -> Tensor:
        moved = positions.reshape(clips, -1, 3) @ matrix + shift
        return moved.view_as(positions) * mask.unsqueeze(-1)

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
