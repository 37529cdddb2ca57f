# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points of a scan to features that say where in the scene they are.

Features of single points are pooled into a grid as the sensor sees the scene, where a U-Net gives
every cell its surroundings. What the points read there is pooled into a grid seen from above,
beside a histogram of heights over the local ground, for a second U-Net. Every point reads its place
in the result beside its own features, so that what shares a cell is still told apart.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pointata_core.models.activation import relu
from pointata_core.models.linear import Linear
from pointata_core.models.scene.birds_eye import place
from pointata_core.models.scene.config import SceneConfig
from pointata_core.models.scene.grid_points import GridPoints
from pointata_core.models.scene.ground import ground_height
from pointata_core.models.scene.range_view import beyond_a_turn, place_in_view, read_view
from pointata_core.models.scene.unet import GridUNet, NormedConvolution

_COLUMNS = 8
_TALLEST = 1.5


class SceneFeatures(NamedTuple):
    """What the encoder makes of F frames, each by itself.

    Attributes:
        own: ``(F, N, P)`` features of single points.
        grid: Where the points are on the grid.
        fine: ``(F, C, S, S)`` map of the finest level.
        coarse: ``(F, C', S / 2, S / 2)`` map of the next.
    """

    own: Tensor
    grid: GridPoints
    fine: Tensor
    coarse: Tensor


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
        finest, second = config.widths[:2]
        own_share = config.frame_statistics
        own = _COLUMNS + features
        self.lift = Linear(own, config.point_width)
        self.deepen = Linear(config.point_width, config.point_width)
        self.view: GridUNet | None = None
        self.join: Linear | None = None
        if config.view_rows:
            self.view = GridUNet(config.point_width, config.view_widths, own_share)
            seen = config.point_width + sum(config.view_widths[:2])
            self.join = Linear(seen, config.point_width)
        self.unet = GridUNet(config.point_width + len(config.heights) + 1, config.widths, own_share)
        self.compare: NormedConvolution | None = None
        self.blend: NormedConvolution | None = None
        if config.lags:
            seen = finest + (finest + 1) * len(config.lags)
            self.compare = NormedConvolution(seen, finest, 1, own=own_share)
            self.blend = NormedConvolution(finest, finest, own=own_share)
        self.merge = Linear(own + config.point_width + finest + second, width)

    def forward(
        self, points: Tensor, features: Tensor | None, mask: Tensor | None
    ) -> SceneFeatures:
        """Describe frames, each by itself.

        Args:
            points: ``(F, N, 3)`` normalised.
            features: ``(F, N, C)`` or ``None``.
            mask: ``(F, N)`` or ``None``.
        """
        grid = place(points, mask, self.config)
        height = points[..., 2] - ground_height(points, mask, grid, self.config.ground_cells)
        columns = self._columns(points, features, height, grid)
        columns = columns.to(self.lift.factor.dtype)
        own = relu(self.deepen(relu(self.lift(columns))))
        if self.view is not None and self.join is not None:
            view = place_in_view(points, mask, self.config)
            images = self.view(beyond_a_turn(view.scatter_max(own.flatten(0, 1))))
            own = relu(self.join(torch.cat([own, *(read_view(view, i) for i in images)], dim=-1)))
        edges = torch.tensor(self.config.heights, device=points.device)
        heights = grid.histogram(torch.bucketize(height.flatten(), edges), len(edges) + 1)
        seen = torch.cat([grid.scatter_max(own.flatten(0, 1)), heights], dim=1)
        fine, coarse = self.unet(seen)
        return SceneFeatures(torch.cat([columns, own], dim=-1), grid, fine, coarse)

    def with_history(self, fine: Tensor, earlier: list[Tensor]) -> Tensor:
        """Compare the map of a frame with earlier ones.

        Args:
            fine: ``(F, C, S, S)`` of the frames.
            earlier: Of each lag ``(F, C + 1, S, S)``, see :mod:`.map_history`; the last ones may be
                left out, which is as if nothing had been seen.

        Returns:
            ``(F, C, S, S)``.
        """
        if self.compare is None or self.blend is None:
            return fine
        inside = self.lift.factor.dtype
        maps = [image.to(inside) for image in (fine, *earlier)]
        changed = relu(self.compare(torch.cat(maps, dim=1)))
        return relu(self.blend(changed) + maps[0])

    def read(self, scene: SceneFeatures, fine: Tensor) -> Tensor:
        """Features of the points ``(F, N, H)``.

        Args:
            scene: Of the frames.
            fine: Their map, after :meth:`with_history`.
        """
        around = [scene.own, scene.grid.gather(fine), scene.grid.gather(scene.coarse)]
        return relu(self.merge(torch.cat([part.to(scene.own.dtype) for part in around], dim=-1)))

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
