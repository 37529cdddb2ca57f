# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sizes of the scene encoder; a part of the network's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from math import log1p

from pointata_core.errors import ConfigError


@dataclass(frozen=True)
class SceneConfig:
    """Grid and widths of the scene encoder. Lengths are in normalised units (metres / scale).

    Attributes:
        cells: Cells along each side of the grid; a multiple of 8.
        knee: Horizontal range at which cells begin to grow.
        reach: Horizontal range of the border; points beyond it belong to the cells of the border.
        heights: Edges of the bins of the height histogram, over the local ground, rising.
        point_width: Width of the features of single points.
        widths: Channels of the U-Net's four levels, finest first.
        ground_cells: Cells that share one estimate of the ground's height, along each side.
        lags: How many frames back the maps lie that are compared with the newest; empty for none.
        view_rows: Rows of the grid seen from the sensor, a multiple of 8; 0 for no such grid.
        view_columns: Its columns around a full turn, a multiple of 8.
        view_widths: Channels of the four levels of its U-Net, finest first.
        frame_statistics: How much each frame's own mean and variance count in normalisation against
            those of training, 0..1; of no effect in training.
    """

    cells: int = 112
    knee: float = 0.5
    reach: float = 8.0
    heights: tuple[float, ...] = (
        -0.06, -0.025, -0.008, 0.008, 0.02, 0.035, 0.055, 0.08, 0.11, 0.15, 0.2, 0.26, 0.33, 0.45,
        0.7,
    )  # fmt: skip
    point_width: int = 32
    widths: tuple[int, int, int, int] = (24, 48, 96, 128)
    ground_cells: int = 4
    lags: tuple[int, ...] = ()
    view_rows: int = 0
    view_columns: int = 384
    view_widths: tuple[int, int, int, int] = (16, 32, 64, 96)
    frame_statistics: float = 0.0

    def __post_init__(self) -> None:
        for name, holds, expected in (
            ('cells', self.cells >= 8 and self.cells % 8 == 0, 'a multiple of 8'),
            ('knee', self.knee > 0, '> 0'),
            ('reach', self.reach > 0, '> 0'),
            ('heights', list(self.heights) == sorted(set(self.heights)), 'rising numbers'),
            ('frame_statistics', 0 <= self.frame_statistics <= 1, '0..1'),
            ('point_width', self.point_width > 0, '> 0'),
            (
                'lags',
                list(self.lags) == sorted({*self.lags}) and min(self.lags, default=1) > 0,
                'rising numbers from 1',
            ),
            ('widths', _four(self.widths), 'four numbers > 0'),
            ('view_rows', self.view_rows % 8 == 0 <= self.view_rows, 'a multiple of 8, or 0'),
            ('view_columns', self.view_columns % 8 == 0 < self.view_columns, 'a multiple of 8'),
            ('view_widths', _four(self.view_widths), 'four numbers > 0'),
            (
                'ground_cells',
                self.ground_cells > 0 and self.cells % self.ground_cells == 0,
                f'a divisor of cells ({self.cells})',
            ),
        ):
            if not holds:
                raise ConfigError(f'scene.{name} is {getattr(self, name)!r}, expected {expected}')

    @property
    def border(self) -> float:
        """Distance of the grid's border from the sensor, in compressed units."""
        return self.knee * log1p(self.reach / self.knee)


def _four(widths: tuple[int, ...]) -> bool:
    return len(widths) == 4 and min(widths) > 0
