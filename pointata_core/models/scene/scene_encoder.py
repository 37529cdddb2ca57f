# SPDX-License-Identifier: Apache-2.0
"""Points of a scan to features that say where in the scene they are.

Features of single points are pooled into a grid seen from above, beside a histogram of heights over
the local ground. A U-Net gives every cell its surroundings, and every point reads its place in the
result beside its own features, so that what shares a cell is still told apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.scene.birds_eye import GridPoints, place
from pointata_core.models.scene.config import SceneConfig
from pointata_core.models.scene.ground import ground_height
from pointata_core.models.scene.unet import BirdsEyeUNet

_COLUMNS = 8
_TALLEST = 1.5


class SceneEncoder(nn.Module):
    """Points and their scan to features per point.

    Args:
        features: Sensor feature columns per point.
        config: Sizes.
        width: Output width H.
    """

    def __init__(self, features: int, config: SceneConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.lift = nn.Linear(_COLUMNS + features, config.point_width)
        self.deepen = nn.Linear(config.point_width, config.point_width)
        self.unet = BirdsEyeUNet(config.point_width + len(config.heights) + 1, config.widths)
        self.merge = nn.Linear(
            _COLUMNS + features + config.point_width + config.widths[0] + config.widths[1], width
        )
        edges = torch.tensor(config.heights)
        self.register_buffer('edges', edges, persistent=False)

    def forward(self, points: Tensor, features: Tensor | None, mask: Tensor | None) -> Tensor:
        """Describe every point.

        Args:
            points: ``(F, N, 3)`` normalised.
            features: ``(F, N, C)`` or ``None``.
            mask: ``(F, N)`` or ``None``.

        Returns:
            ``(F, N, H)``.
        """
        grid = place(points, mask, self.config)
        height = points[..., 2] - ground_height(points, mask, grid, self.config.ground_cells)
        columns = self._columns(points, features, height, grid)
        own = F.relu(self.deepen(F.relu(self.lift(columns))))
        bins = torch.bucketize(height.flatten(), self.edges)
        seen = torch.cat(
            [grid.scatter_max(own.flatten(0, 1)), grid.histogram(bins, len(self.edges) + 1)], dim=1
        )
        fine, coarse = self.unet(seen)
        around = [columns, own, grid.gather(fine), grid.gather(coarse)]
        return F.relu(self.merge(torch.cat(around, dim=-1)))

    def _columns(
        self, points: Tensor, features: Tensor | None, height: Tensor, grid: GridPoints
    ) -> Tensor:
        """What a point is by itself, ``(F, N, 8 + C)``."""
        within = grid.position - grid.position.detach().floor() - 0.5
        reach = torch.linalg.vector_norm(points[..., :2], dim=-1)
        raised = height.clamp(-_TALLEST, _TALLEST)
        columns = [
            within[..., 0],
            within[..., 1],
            raised * 5,
            (raised * 40).clamp(-2, 2),
            torch.log(reach + 0.05),
            reach * 0.25,
            points[..., 2].clamp(-_TALLEST, _TALLEST),
            raised / (reach + 0.1),
        ]
        stacked = torch.stack(columns, dim=-1)
        if features is None or not features.shape[-1]:
            return stacked
        return torch.cat([stacked, features], dim=-1)
