# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours: the k nearest, and the nearest within a radius.

On the CPU a k-d tree proposes candidates, elsewhere all pairs are compared in chunks; both end in
the same float32 distances and the same order (distance, then index).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pointata_core.ops._checks import checked_points, require_same_batch
from pointata_core.ops._pairs import nearest_of_all_pairs
from pointata_core.ops._tree import nearest_by_tree


@dataclass(frozen=True)
class Neighbours:
    """The nearest points of each query, nearest first.

    Attributes:
        index: ``(B, M, k)`` int64 into the points; -1 where there were fewer.
        distance2: ``(B, M, k)`` float32 squared distances (m^2); inf where there were fewer.
    """

    index: Tensor
    distance2: Tensor


def knn(
    queries: Tensor,
    points: Tensor,
    k: int,
    mask: Tensor | None = None,
    query_mask: Tensor | None = None,
) -> Neighbours:
    """Find the k nearest points of each query; ties go to the lowest index.

    Args:
        queries: ``(B, M, 3)`` metres.
        points: ``(B, N, 3)`` metres.
        k: Neighbours per query, at least 1.
        mask: ``(B, N)`` bool, true where a point is valid.
        query_mask: ``(B, M)`` bool, true where a query is valid; others get -1 and inf.

    Returns:
        Index and squared distance, ascending by (distance, index).

    Raises:
        ValueError: A valid coordinate is not finite, a shape is wrong, or ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f'k must be at least 1, found {k}')
    require_same_batch(queries, points, 'queries and points')
    queries = checked_points(queries, query_mask, 'queries')
    points = checked_points(points, mask, 'points')
    # Many small clouds (the tokens of a batch of clips) are not worth a tree each.
    small = k == 1 and len(points) >= 8 and points.shape[1] <= 64
    tree = points.device.type == 'cpu' and not small
    search = nearest_by_tree if tree else nearest_of_all_pairs
    return Neighbours(*search(queries, points, k, mask, query_mask))


def nearest_within(
    queries: Tensor,
    points: Tensor,
    radius: float,
    mask: Tensor | None = None,
    query_mask: Tensor | None = None,
) -> Tensor:
    """Find the nearest point of each query that is at most ``radius`` away.

    Args:
        queries: ``(B, M, 3)`` metres.
        points: ``(B, N, 3)`` metres.
        radius: Metres, inclusive; inf for no limit.
        mask: ``(B, N)`` bool, true where a point is valid.
        query_mask: ``(B, M)`` bool, true where a query is valid.

    Returns:
        ``(B, M)`` int64; ties go to the lowest index, -1 where nothing is in reach.

    Raises:
        ValueError: As `knn`, or a radius that is negative or NaN.
    """
    if math.isnan(radius) or radius < 0:
        raise ValueError(f'radius must be at least 0, found {radius}')
    nearest = knn(queries, points, 1, mask, query_mask)
    reached = nearest.distance2.double() <= radius * radius
    return torch.where(reached, nearest.index, -1).squeeze(-1)
