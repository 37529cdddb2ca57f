# SPDX-License-Identifier: Apache-2.0
"""A light local feature per point: where it stands in the ground-plane cells around it.

Tokens describe a few hundred places; whether a point belongs to the kerb or the road beside it is
decided at the point. Vertical statistics of cells at several sizes, and one learned max per cell,
say that at the price of a few scatter operations and without any neighbour search.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.ops import segment_reduce

_STATISTICS = 10


class LocalFeature(nn.Module):
    """Points and their pillars to per-point features.

    Args:
        features: Sensor feature columns per point.
        pillar_sizes: Cell sizes in normalised units.
        width: Output width H.
    """

    def __init__(self, features: int, pillar_sizes: tuple[float, ...], width: int) -> None:
        super().__init__()
        self.pillar_sizes = pillar_sizes
        self.pooled_width = width // 3
        self.lift = nn.Linear(3 + features + _STATISTICS * len(pillar_sizes), width)
        self.lift_norm = nn.LayerNorm(width)
        self.pool_in = nn.Linear(width, self.pooled_width * len(pillar_sizes))
        self.merge = nn.Linear(width + self.pooled_width * len(pillar_sizes), width)

    def forward(self, points: Tensor, features: Tensor | None, pillars: Tensor) -> Tensor:
        """Describe every point.

        Args:
            points: ``(F, N, 3)`` normalised.
            features: ``(F, N, C)`` or ``None``.
            pillars: ``(F, S, N)`` cells; ``-1`` for padding.

        Returns:
            ``(F, N, H)``.
        """
        frames, slots = points.shape[:2]
        flat = points.reshape(-1, 3)
        cells = [self._flat_cells(pillars[:, s]) for s in range(len(self.pillar_sizes))]
        reach = torch.linalg.vector_norm(flat[:, :2], dim=1, keepdim=True)
        columns = [flat[:, 2:], reach, torch.log(reach + 0.05)]
        if features is not None and features.shape[-1]:
            columns.append(features.reshape(frames * slots, -1))
        for cell, size in zip(cells, self.pillar_sizes, strict=True):
            columns.append(_pillar_statistics(flat, cell, size))
        x = F.gelu(self.lift_norm(self.lift(torch.cat(columns, dim=1))))
        pooled = self.pool_in(x).split(self.pooled_width, dim=1)
        context = [
            segment_reduce(values, cell, values.shape[0] + 1, 'max')[cell]
            for values, cell in zip(pooled, cells, strict=True)
        ]
        x = x + F.gelu(self.merge(torch.cat([x, *context], dim=1)))
        return x.view(frames, slots, x.shape[-1])

    @staticmethod
    def _flat_cells(cells: Tensor) -> Tensor:
        """Number cells over all frames; padding shares one cell behind all others."""
        frames, slots = cells.shape
        offsets = torch.arange(frames, device=cells.device).unsqueeze(1) * slots
        return torch.where(cells < 0, frames * slots, cells + offsets).flatten()


def _pillar_statistics(points: Tensor, cell: Tensor, size: float) -> Tensor:
    """Describe the pillar of every point.

    Height over its floor and under its top, offset from its mean, crowding; and its shape seen from
    above and from the side: a wall is a line from above, a trunk a dot, a bush a blob.

    Args:
        points: ``(X, 3)``.
        cell: ``(X,)``.
        size: Edge of a pillar.

    Returns:
        ``(X, 10)``.
    """
    count = points.shape[0] + 1
    low = segment_reduce(points[:, 2:], cell, count, 'min')[cell]
    high = segment_reduce(points[:, 2:], cell, count, 'max')[cell]
    sums = segment_reduce(F.pad(points, (0, 1), value=1.0), cell, count, 'sum')[cell]
    crowd = sums[:, 3:]
    offset = points - sums[:, :3] / crowd
    scale = points.new_tensor([1 / size, 1 / size, 1.0])
    height = points[:, 2:]
    shape = _pillar_shape(offset * scale, cell, count, crowd)
    return torch.cat([height - low, high - height, offset * scale, crowd.log(), shape], dim=1)


def _pillar_shape(offset: Tensor, cell: Tensor, count: int, crowd: Tensor) -> Tensor:
    """Return ``(X, 4)``: spread along and across in the plane, how linear, spread in height."""
    x, y, z = offset.unbind(1)
    products = torch.stack([x * x, x * y, y * y, z * z], dim=1)
    xx, xy, yy, zz = (segment_reduce(products, cell, count, 'sum')[cell] / crowd).unbind(1)
    # Eigenvalues of the 2 x 2 covariance in closed form.
    middle = (xx + yy) / 2
    gap = ((xx - yy).square() / 4 + xy.square()).sqrt()
    along, across = (middle + gap).sqrt(), (middle - gap).clamp_min(0).sqrt()
    return torch.stack([along, across, gap / (middle + 1e-6), zz.sqrt() * 5], dim=1)
