# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The grid seen from the sensor: azimuth by elevation.

What stands upright and what hides what shows here: a pole is a column of cells, whatever its
distance. Rows grow with elevation, for most sensors look most closely at the horizon. The grid goes
on a little beyond a full turn on both sides, so that nothing is cut apart behind the sensor.
"""

from __future__ import annotations

from math import log1p, pi

import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.scene.config import SceneConfig
from pointata_core.models.scene.grid_points import GridPoints
from pointata_core.ops.range_compression import compress_range

_KNEE = 0.26  # elevation at which rows begin to grow, radians
_BORDER = 0.8  # elevation of the outer rows
MARGIN = 16  # columns beyond a full turn, on each side


def place_in_view(points: Tensor, mask: Tensor | None, config: SceneConfig) -> GridPoints:
    """Find the cells of points, each in one cell of one full turn.

    Args:
        points: ``(F, N, 3)`` normalised.
        mask: ``(F, N)`` or ``None``.
        config: Of the grid.
    """
    x, y, z = points.unbind(-1)
    azimuth = torch.atan2(y, x) / (2 * pi) + 0.5
    elevation = torch.atan2(z, torch.linalg.vector_norm(points[..., :2], dim=-1))
    rising = compress_range(elevation.unsqueeze(-1), _KNEE)[..., 0]
    border = _KNEE * log1p(_BORDER / _KNEE)
    row = (rising / border + 1.0) * (config.view_rows / 2)
    position = torch.stack([azimuth * config.view_columns, row], dim=-1)
    return GridPoints.at(position, mask, config.view_rows, config.view_columns)


def beyond_a_turn(image: Tensor) -> Tensor:
    """Continue an image ``(F, C, R, S)`` on both sides, ``(F, C, R, S + 2 * MARGIN)``."""
    return F.pad(image, (MARGIN, MARGIN, 0, 0), mode='circular')


def read_view(grid: GridPoints, image: Tensor) -> Tensor:
    """Values at the points ``(F, N, C)``.

    Args:
        grid: Of :func:`place_in_view`.
        image: ``(F, C, R', S')`` over the area of :func:`beyond_a_turn`, at any resolution.
    """
    shift = grid.position.new_tensor([MARGIN, 0])
    wide = GridPoints(
        grid.position + shift, grid.cell, grid.frames, grid.rows, grid.columns + 2 * MARGIN
    )
    return wide.gather(image)
