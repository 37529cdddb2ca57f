# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reductions over ragged groups of rows."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Reduction = Literal['mean', 'max', 'min', 'sum']


def segment_reduce(values: Tensor, segment: Tensor, count: int, how: Reduction) -> Tensor:
    """Reduce the rows of each segment. Gradients flow to ``values``.

    Args:
        values: ``(N, C)`` floating.
        segment: ``(N,)`` int64 in ``[-1, count)``; rows of -1 belong to no segment.
        count: Number of segments.
        how: ``mean``, ``max``, ``min`` or ``sum``.

    Returns:
        ``(count, C)``; zero for a segment without rows, whatever the reduction.

    Raises:
        ValueError: Unknown reduction, shapes that do not fit or a segment out of range.
    """
    if values.dim() != 2 or segment.shape != values.shape[:1]:
        raise ValueError(
            'values must be (N, C) and segment (N,), '
            f'found {tuple(values.shape)} and {tuple(segment.shape)}'
        )
    if segment.numel() and not bool(((segment >= -1) & (segment < count)).all()):
        raise ValueError(f'segment must lie in [-1, {count})')
    # Rows without a segment go to one extra bin, which is cut off again.
    bins = segment.masked_fill(segment < 0, count)
    start = values.new_zeros((count + 1, values.shape[1]))
    if how in ('sum', 'mean'):
        total = start.index_add(0, bins, values)[:count]
        if how == 'sum':
            return total
        rows = bins.bincount(minlength=count + 1)[:count].clamp(min=1)
        return total / rows.unsqueeze(1).to(total.dtype)
    if how in ('max', 'min'):
        wide = bins.unsqueeze(1).expand_as(values)
        return start.scatter_reduce(0, wide, values, f'a{how}', include_self=False)[:count]
    raise ValueError(f"how must be 'mean', 'max', 'min' or 'sum', found {how!r}")
