# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points on a grid: pooling them into its cells, and reading an image of it at the points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointata_core.ops import segment_reduce


@dataclass(frozen=True)
class GridPoints:
    """Points of F frames on a grid of R rows and S columns.

    Attributes:
        position: ``(F, N, 2)`` continuous, column and row, in cells from the corner of the grid.
        cell: ``(F * N,)`` number of the cell in the row of all cells of all frames; -1 for padding.
        frames: F.
        rows: R.
        columns: S.
    """

    position: Tensor
    cell: Tensor
    frames: int
    rows: int
    columns: int

    @classmethod
    def at(cls, position: Tensor, mask: Tensor | None, rows: int, columns: int) -> GridPoints:
        """Find the cells of points; what lies beyond the border belongs to the outer cells.

        Args:
            position: ``(F, N, 2)``, see the attributes.
            mask: ``(F, N)``, false for padding; ``None`` when every slot holds a point.
            rows: Of the grid.
            columns: Of the grid.
        """
        column = position[..., 0].clamp(0, columns - 1e-3).long()
        row = position[..., 1].clamp(0, rows - 1e-3).long()
        frames = len(position)
        first = torch.arange(frames, device=position.device).unsqueeze(1) * rows * columns
        cell = first + row * columns + column
        if mask is not None:
            cell = torch.where(mask, cell, -1)
        return cls(position, cell.flatten(), frames, rows, columns)

    def scatter_max(self, values: Tensor) -> Tensor:
        """Largest values ``(F, C, S, S)`` of the cells; zero in empty ones.

        Args:
            values: ``(F * N, C)``.
        """
        return self._image(segment_reduce(values, self.cell, self._cells, 'max'))

    def histogram(self, bins: Tensor, count: int) -> Tensor:
        """Points in each bin of each cell, as ``log1p``, ``(F, bins, R, S)``.

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
            image: ``(F, C, R', S')`` over the same area, at any resolution.
        """
        # align_corners false: -1 and 1 are the outer borders of the outer cells.
        extent = self.position.new_tensor([self.columns, self.rows])
        at = (self.position * (2.0 / extent) - 1.0).unsqueeze(1)
        # Places are too exact for bfloat16.
        found = torch.nn.functional.grid_sample(
            image.to(at.dtype), at, padding_mode='border', align_corners=False
        )
        return found.squeeze(2).transpose(1, 2).to(image.dtype)

    @property
    def _cells(self) -> int:
        return self.frames * self.rows * self.columns

    def _image(self, grid: Tensor) -> Tensor:
        cells = grid.view(self.frames, self.rows, self.columns, grid.shape[1])
        # Channels stay last in memory, as the convolutions like them.
        return cells.permute(0, 3, 1, 2)
