# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Carrying features from a few centres to many points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.ops.neighbours import knn


@dataclass(frozen=True)
class Interpolation:
    """Which centres each query listens to, and how much.

    Attributes:
        index: ``(B, M, k)`` int64 into the centres, -1 where there were fewer.
        weight: ``(B, M, k)`` float32; each row sums to 1, or to 0 where there was no centre.
    """

    index: Tensor
    weight: Tensor


def interpolation_weights(
    queries: Tensor, centres: Tensor, mask: Tensor | None = None, neighbours: int = 3
) -> Interpolation:
    """Inverse-squared-distance weights over the nearest centres.

    A query that coincides with a centre takes that centre's value alone (coinciding centres share
    it). The weights do not change with the scale of the scene.

    Args:
        queries: ``(B, M, 3)`` metres.
        centres: ``(B, G, 3)`` metres.
        mask: ``(B, G)`` bool, true where a centre is valid.
        neighbours: Centres per query, at least 1.

    Returns:
        Index and weight, nearest centre first.

    Raises:
        ValueError: As `knn`.

    Reference: Qi et al., "PointNet++", NeurIPS 2017, equation 2 (p = 2, k = 3).
    """
    found = knn(queries, centres, neighbours, mask)
    nearest = found.distance2[..., :1]
    # Ratios to the nearest one instead of reciprocals: no epsilon to tune, nothing to overflow.
    ratio = torch.where(
        nearest > 0, nearest / found.distance2, (found.distance2 == 0).to(nearest.dtype)
    )
    ratio = ratio.masked_fill(found.index < 0, 0.0)
    return Interpolation(found.index, ratio / ratio.sum(-1, keepdim=True).clamp(min=1.0))


def interpolate(values: Tensor, interpolation: Interpolation) -> Tensor:
    """Weighted mean of the centres' features at each query. Gradients flow to ``values``.

    Args:
        values: ``(B, G, C)`` features of the centres.
        interpolation: From `interpolation_weights`.

    Returns:
        ``(B, M, C)`` in the type of ``values``; zero where there was no centre.
    """
    batch, centres, channels = values.shape
    queries, neighbours = interpolation.index.shape[1:]
    # "None" is a row of zeros behind each frame's centres: whatever the centres hold, it adds none.
    table = F.pad(values, (0, 0, 0, 1)).reshape(-1, channels)
    index = interpolation.index
    index = torch.where(index < 0, centres, index)
    index = index + (centres + 1) * torch.arange(batch, device=index.device).view(-1, 1, 1)
    # A bag sums its rows as it reads them; a (B, M, k, C) intermediate would be the largest tensor
    # of the head.
    total = F.embedding_bag(
        index.reshape(-1, neighbours),
        table,
        per_sample_weights=interpolation.weight.to(values.dtype).reshape(-1, neighbours),
        mode='sum',
    )
    return total.view(batch, queries, channels)
