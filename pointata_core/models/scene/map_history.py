# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Maps of earlier frames, moved into the axes of the newest one.

A map is what the U-Net made of one frame, with one channel more that is 1 where there was a frame.
The sensor's motion takes it along, so the same place stays in the same cell, as far as cells of
different sizes allow. Whole clips and streams take the same steps and give the same numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.scene.birds_eye import cell_centres, grid_position
from pointata_core.models.scene.config import SceneConfig


class MapHistory(NamedTuple):
    """Maps of the last frames of B streams, newest first.

    Attributes:
        maps: ``(B, L, C + 1, S, S)``; zeros before the first frame.
        motion: ``(B, L, 4, 4)`` taking each frame into the last one, normalised units.
    """

    maps: Tensor
    motion: Tensor

    @classmethod
    def empty(
        cls, config: SceneConfig | None, batch: int, device: torch.device | str, dtype: torch.dtype
    ) -> MapHistory:
        """The history before the first frame."""
        lags = max(config.lags, default=0) if config is not None else 0
        shape = (0, 0, 0)
        if config is not None:
            shape = (config.widths[0] + 1, config.cells, config.cells)
        maps = torch.zeros((batch, lags, *shape), device=device, dtype=dtype)
        motion = torch.eye(4, device=device, dtype=dtype).expand(batch, lags, 4, 4)
        return cls(maps, motion.contiguous())

    def advance(self, motion: Tensor | None) -> MapHistory:
        """The same history as the next frame sees it.

        Args:
            motion: ``(B, 4, 4)`` taking the frame before into it; ``None`` for a sensor at rest.
        """
        if motion is None:
            return self
        return MapHistory(self.maps, motion.unsqueeze(1) @ self.motion)

    def lagged(self, config: SceneConfig) -> list[Tensor]:
        """Maps at the lags of the configuration, each ``(B, C + 1, S, S)``, moved."""
        return [
            moved_map(self.maps[:, lag - 1], self.motion[:, lag - 1], config) for lag in config.lags
        ]

    def push(self, newest: Tensor) -> MapHistory:
        """Put the map of the newest frame ``(B, C + 1, S, S)`` first and forget the oldest.

        Its motion begins at the identity; that of :meth:`advance` is in the others.
        """
        lags = self.maps.shape[1]
        if not lags:
            return self
        here = torch.eye(4, device=newest.device, dtype=self.motion.dtype)
        here = here.expand(len(newest), 1, 4, 4)
        return MapHistory(
            torch.cat([newest.unsqueeze(1), self.maps[:, : lags - 1]], dim=1),
            torch.cat([here, self.motion[:, : lags - 1]], dim=1),
        )


def clip_maps(maps: Tensor, motion: Tensor | None, config: SceneConfig) -> list[Tensor]:
    """What every frame of whole clips sees of the frames before it.

    Args:
        maps: ``(B, T, C + 1, S, S)`` of all frames.
        motion: ``(B, T, 4, 4)`` taking the frame before into each; ``None`` for a sensor at rest.
        config: Of the lags.

    Returns:
        For each lag ``(B * T, C + 1, S, S)``, zeros before the first frame; nothing for the last
        lags if they reach beyond the first frame of the clips.
    """
    frames = maps.shape[1]
    if motion is None:
        motion = torch.eye(4, device=maps.device, dtype=maps.dtype).expand(*maps.shape[:2], 4, 4)
    found, whole = [], motion
    for lag in range(1, min(max(config.lags, default=0), frames - 1) + 1):
        if lag > 1:
            older = torch.cat([whole[:, :1], whole[:, : frames - 1]], dim=1)
            whole = motion @ older
        if lag in config.lags:
            before = F.pad(maps, [0, 0] * 3 + [lag, 0])[:, :frames]
            found.append(moved_map(before.flatten(0, 1), whole.flatten(0, 1), config))
    return found


def remembered(fine: Tensor, present: Tensor) -> Tensor:
    """The map of frames as it is kept, ``(F, C + 1, S, S)``; zeros for frames without points.

    Args:
        fine: ``(F, C, S, S)``.
        present: ``(F,)`` bool, whether the frame has points.
    """
    there = present.view(-1, 1, 1, 1).to(fine.dtype)
    return torch.cat([fine * there, there.expand(-1, 1, *fine.shape[2:])], dim=1)


def moved_map(image: Tensor, motion: Tensor, config: SceneConfig) -> Tensor:
    """Resample maps after a motion of the sensor; zero where nothing was seen.

    Args:
        image: ``(F, C, S, S)``.
        motion: ``(F, 4, 4)`` taking the frame of the map into the frame to sample for.
        config: Of the grid.
    """
    at = cell_centres(config, image.device, image.dtype)
    # Where each cell was: the inverse of a rigid motion, for points on the ground plane.
    turn = motion[:, :2, :2]
    back = (at - motion[:, None, :2, 3]) @ turn
    sampled = grid_position(back, config) * (2.0 / config.cells) - 1.0
    side = config.cells
    return F.grid_sample(image, sampled.view(len(image), side, side, 2), align_corners=False)
