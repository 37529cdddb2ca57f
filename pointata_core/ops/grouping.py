# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Collecting rows of features by index."""

from __future__ import annotations

import torch
from torch import Tensor


def gather(values: Tensor, index: Tensor) -> Tensor:
    """Collect rows of ``values``; a row of -1 is zero. Gradients flow to ``values``.

    Args:
        values: ``(B, N, C)`` of any type.
        index: ``(B, M)`` or ``(B, M, k)`` int64 into N, or -1 for "none".

    Returns:
        ``(B, M, C)`` or ``(B, M, k, C)``.

    Raises:
        ValueError: The shapes do not fit.
    """
    if values.dim() != 3 or index.dim() not in (2, 3) or index.shape[0] != values.shape[0]:
        raise ValueError(
            'values must be (B, N, C) and index (B, M) or (B, M, k), '
            f'found {tuple(values.shape)} and {tuple(index.shape)}'
        )
    batch, available, channels = values.shape
    if available == 0:
        return values.new_zeros((*index.shape, channels))
    rows = index.clamp(min=0) + available * torch.arange(batch, device=index.device).view(
        -1, *[1] * (index.dim() - 1)
    )
    found = values.reshape(-1, channels).index_select(0, rows.reshape(-1))
    return found.view(*index.shape, channels).masked_fill((index < 0).unsqueeze(-1), 0)
