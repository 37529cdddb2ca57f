# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The grid seen from above.

Cells grow with range as the spacing of a spinning sensor's points does, so a scan of a street and a
depth image of a room both fill the grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pointata_core.models.scene.config import SceneConfig
from pointata_core.models.scene.grid_points import GridPoints
from pointata_core.ops.range_compression import compress_range


def place(points: Tensor, mask: Tensor | None, config: SceneConfig) -> GridPoints:
    """Find the cells of points.

    Args:
        points: ``(F, N, 3)`` normalised.
        mask: ``(F, N)``, false for padding; ``None`` when every slot holds a point.
        config: Of the grid.
    """
    position = grid_position(points[..., :2], config)
    return GridPoints.at(position, mask, config.cells, config.cells)


def cell_centres(config: SceneConfig, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Centres of the cells ``(S * S, 2)``, x fastest, in normalised units."""
    axis = (torch.arange(config.cells, device=device, dtype=dtype) + 0.5) / config.cells * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing='ij')
    compressed = torch.stack([x, y], dim=-1).view(-1, 2) * config.border
    ratio = torch.linalg.vector_norm(compressed, dim=-1, keepdim=True) / config.knee
    return compressed * (torch.expm1(ratio) / ratio.clamp_min(1e-6))


def grid_position(plane: Tensor, config: SceneConfig) -> Tensor:
    """Position on the grid, in cells from its corner, of points ``(..., 2)`` of the plane."""
    return (compress_range(plane, config.knee) / config.border + 1.0) * (config.cells / 2)
