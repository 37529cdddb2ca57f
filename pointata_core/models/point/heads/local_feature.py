# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A light local feature per point: its position in the pillars around it.

Tokens describe a few hundred positions; kerb and road beside it differ only at the points. Vertical
statistics of voxels at several sizes and one learned max per voxel show the difference. They take a
few scatter operations and no neighbour search.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.activation import gelu

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
            pillars: ``(F, S, N)`` voxels; ``-1`` for padding.

        Returns:
            ``(F, N, H)``.
        """
        frames, slots = points.shape[:2]
        flat = points.reshape(-1, 3)
        bins, count = _bins(pillars)
        reach = torch.linalg.vector_norm(flat[:, :2], dim=1)
        columns = [flat[:, 2], reach, torch.log(reach + 0.05)]
        if features is not None and features.shape[-1]:
            columns += features.reshape(frames * slots, -1).unbind(1)
        columns += pillar_statistics(flat, bins, count, self.pillar_sizes)
        x = gelu(self.lift_norm(self.lift(torch.stack(columns).t())))
        merged = gelu(self._merge(x, bins, count)).add_(x)
        return merged.view(frames, slots, x.shape[-1])

    def _merge(self, x: Tensor, bins: Tensor, count: int) -> Tensor:
        """Apply ``merge`` to ``[x ; for each size the max over the pillar's points]``.

        Its part for the pillars is applied to the pillars, each point then adds up its own: that
        is the same sum, without building the concatenation.
        """
        points, width, kinds = x.shape[0], x.shape[1], len(self.pillar_sizes)
        values = self.pool_in(x).view(points, kinds, self.pooled_width)
        values = values.transpose(0, 1).reshape(bins.numel(), self.pooled_width)
        pooled = values.new_zeros(kinds * count, self.pooled_width)
        index = bins.reshape(-1, 1).expand_as(values)
        pooled = pooled.scatter_reduce(0, index, values, 'amax', include_self=False)
        weight = self.merge.weight[:, width:].unflatten(1, (kinds, -1))
        table = torch.bmm(pooled.unflatten(0, (kinds, count)), weight.permute(1, 2, 0))
        own = F.linear(x, self.merge.weight[:, :width], self.merge.bias)
        return own.add_(F.embedding_bag(bins.t().contiguous(), table.flatten(0, 1), mode='sum'))


def _bins(pillars: Tensor) -> tuple[Tensor, int]:
    """Number the pillars of all frames and sizes ``(F, S, N)`` in one row.

    Returns:
        The pillar of every point ``(S, F * N)``, and how many numbers each size has; the last of
        them is that of padding.
    """
    frames, kinds, slots = pillars.shape
    # Tables need not be longer than the numbers in use; elsewhere than here, asking for the
    # largest would wait for the device.
    used = int(pillars.max()) + 1 if pillars.is_cpu and pillars.numel() else slots
    count = (frames - 1) * slots + used + 1
    offsets = slots * torch.arange(frames, device=pillars.device).view(-1, 1, 1)
    voxels = torch.where(pillars < 0, count - 1, pillars + offsets).transpose(0, 1).flatten(1)
    return voxels + count * torch.arange(kinds, device=pillars.device).unsqueeze(1), count


def pillar_statistics(
    points: Tensor, bins: Tensor, count: int, sizes: tuple[float, ...]
) -> list[Tensor]:
    """Describe the pillars of every point, one column after the other.

    Height over the pillar's floor and under its top, offset from its mean, crowding; and its shape
    seen from above and from the side: a wall is a line from above, a trunk a dot, a bush a blob.

    Args:
        points: ``(X, 3)``.
        bins: ``(S, X)``, pillars of all sizes numbered in one row.
        count: Numbers per size.
        sizes: Edges of the S kinds of pillars.

    Returns:
        ``10 S`` columns ``(X,)``, those of the first size first.
    """
    # All sizes at once, column by column: contiguous rows of one number are what scatters and
    # vector units like best.
    per_pillar = _PerPillar(bins.flatten(), count * len(sizes))
    x, y, height = (column.repeat(len(sizes)) for column in points.unbind(1))
    above = height - per_pillar.highest(height, -1)
    below = per_pillar.highest(height, 1) - height
    crowd = per_pillar.total(torch.ones_like(height))
    scale = points.new_tensor(sizes).reciprocal().repeat_interleave(points.shape[0])
    dx = (x - per_pillar.total(x) / crowd) * scale
    dy = (y - per_pillar.total(y) / crowd) * scale
    dz = height - per_pillar.total(height) / crowd
    shape = _pillar_shape(dx, dy, dz, per_pillar, crowd)
    columns = torch.stack([above, below, dx, dy, dz, crowd.log(), *shape])
    return list(
        columns.unflatten(1, (len(sizes), points.shape[0])).transpose(0, 1).flatten(0, 1).unbind()
    )


class _PerPillar:
    """Reductions over pillars, given back to each of their points."""

    def __init__(self, bins: Tensor, count: int) -> None:
        self.bins, self.count = bins, count

    def highest(self, values: Tensor, sign: int) -> Tensor:
        """Largest (``sign`` 1) or smallest (-1) value of the pillar."""
        how = 'amax' if sign > 0 else 'amin'
        found = values.new_zeros(self.count)
        return found.scatter_reduce(0, self.bins, values, how, include_self=False)[self.bins]

    def total(self, values: Tensor) -> Tensor:
        """Sum over the pillar."""
        return values.new_zeros(self.count).index_add(0, self.bins, values)[self.bins]


def _pillar_shape(
    dx: Tensor, dy: Tensor, dz: Tensor, per_pillar: _PerPillar, crowd: Tensor
) -> tuple[Tensor, ...]:
    """Return spread along and across in the plane, how linear, and spread in height."""
    xx, xy, yy, zz = (
        per_pillar.total(product) / crowd for product in (dx * dx, dx * dy, dy * dy, dz * dz)
    )
    # Eigenvalues of the 2 x 2 covariance in closed form.
    middle = (xx + yy) / 2
    gap = ((xx - yy).square() / 4 + xy.square()).sqrt()
    along, across = (middle + gap).sqrt(), (middle - gap).clamp_min(0).sqrt()
    return along, across, gap / (middle + 1e-6), zz.sqrt() * 5
