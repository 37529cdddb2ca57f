# SPDX-License-Identifier: Apache-2.0
"""The grid seen from above: which cell a point is in, and what its cell holds.

Cells grow with range as the spacing of a spinning sensor's points does, so a scan of a street and a
depth image of a room both fill the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointata_core.models.scene.config import SceneConfig
from pointata_core.ops import segment_reduce
from pointata_core.ops.range_compression import compress_range


@dataclass(frozen=True)
class GridPoints:
    """Points of F frames on the grid.

    Attributes:
        position: ``(F, N, 2)`` continuous, in cells from the corner of the grid.
        cell: ``(F * N,)`` number of the cell in the row of all cells of all frames; -1 for padding.
        frames: F.
        side: Cells along each side.
    """

    position: Tensor
    cell: Tensor
    frames: int
    side: int

    def scatter_max(self, values: Tensor) -> Tensor:
        """Largest values ``(F, C, S, S)`` of the cells; zero in empty ones.

        Args:
            values: ``(F * N, C)``.
        """
        return self._image(segment_reduce(values, self.cell, self._cells, 'max'))

    def histogram(self, bins: Tensor, count: int) -> Tensor:
        """Points in each bin of each cell, as ``log1p``, ``(F, bins, S, S)``.

        Args:
            bins: ``(F * N,)`` bin of every point.
            count: Number of bins.
        """
        key = (self.cell * count + bins)[self.cell >= 0]
        points = torch.bincount(key, minlength=self._cells * count).to(torch.float32)
        return self._image(points.log1p_().view(-1, count))

    def gather(self, image: Tensor) -> Tensor:
        """Values at the points ``(F, N, C)``, linear between the centres of the cells.

        Args:
            image: ``(F, C, S', S')`` over the same area, at any resolution.
        """
        # align_corners false: -1 and 1 are the outer borders of the outer cells.
        at = (self.position * (2.0 / self.side) - 1.0).unsqueeze(1)
        found = torch.nn.functional.grid_sample(
            image, at.to(image.dtype), padding_mode='border', align_corners=False
        )
        return found.squeeze(2).transpose(1, 2)

    @property
    def _cells(self) -> int:
        return self.frames * self.side**2

    def _image(self, grid: Tensor) -> Tensor:
        cells = grid.view(self.frames, self.side, self.side, grid.shape[1])
        # Channels stay last in memory, as the convolutions like them.
        return cells.permute(0, 3, 1, 2)


def place(points: Tensor, mask: Tensor | None, config: SceneConfig) -> GridPoints:
    """Find the cells of points.

    Args:
        points: ``(F, N, 3)`` normalised.
        mask: ``(F, N)``, false for padding; ``None`` when every slot holds a point.
        config: Of the grid.
    """
    position = grid_position(points[..., :2], config)
    # x of grid_sample runs along the last axis, y along the one before.
    column, row = position.clamp(0, config.cells - 1e-3).long().unbind(-1)
    frames = len(points)
    first = torch.arange(frames, device=points.device).unsqueeze(1) * config.cells**2
    cell = first + row * config.cells + column
    if mask is not None:
        cell = torch.where(mask, cell, -1)
    return GridPoints(position, cell.flatten(), frames, config.cells)


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
