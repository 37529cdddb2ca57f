# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours by comparing all pairs, in chunks: any device, batched."""

from __future__ import annotations

import torch
from torch import Tensor

from pointata_core.ops._checks import squared_distance

CHUNK_PAIRS = 1 << 21
"""Pairs held at once on the CPU (about 60 MB of temporaries)."""

CHUNK_PAIRS_ACCELERATOR = 1 << 24
"""Pairs held at once elsewhere (about 0.7 GB): fewer, larger launches."""

_INDEX_BITS = 32
_INDEX_MASK = (1 << _INDEX_BITS) - 1


def nearest_of_all_pairs(
    queries: Tensor, points: Tensor, k: int, mask: Tensor | None, query_mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Indices and squared distances ``(B, M, k)`` of the nearest points, by (distance, index).

    Coordinates are float32 ``(B, M, 3)`` and ``(B, N, 3)``, finite also behind the masks.
    """
    batch, count, _ = queries.shape
    available = points.shape[1]
    index = queries.new_full((batch, count, k), -1, dtype=torch.int64)
    distance2 = queries.new_full((batch, count, k), torch.inf)
    kept = min(k, available)
    if kept == 0 or count == 0 or batch == 0:
        return index, distance2
    budget = CHUNK_PAIRS if points.device.type == 'cpu' else CHUNK_PAIRS_ACCELERATOR
    queries_at_once = max(1, budget // available)
    rows_at_once = max(1, queries_at_once // count)
    for row in range(0, batch, rows_at_once):
        rows = slice(row, row + rows_at_once)
        for query in range(0, count, queries_at_once):
            part = slice(query, query + queries_at_once)
            pairs = squared_distance(queries[rows, part, None], points[rows, None])
            if mask is not None:
                pairs.masked_fill_(~mask[rows, None], torch.inf)
            key = _smallest_keys(pairs, kept)
            nearest = (key >> _INDEX_BITS).to(torch.int32).view(torch.float32)
            distance2[rows, part, :kept] = nearest
            index[rows, part, :kept] = torch.where(nearest < torch.inf, key & _INDEX_MASK, -1)
    if query_mask is not None:
        index.masked_fill_(~query_mask.unsqueeze(-1), -1)
        distance2.masked_fill_(~query_mask.unsqueeze(-1), torch.inf)
    return index, distance2


def _smallest_keys(pairs: Tensor, kept: int) -> Tensor:
    # The bits of a non-negative float order like an integer. With the index below them all keys
    # differ, so the selection has no ties left to break in a device's own way.
    key = pairs.view(torch.int32).long() << _INDEX_BITS
    key |= torch.arange(pairs.shape[-1], device=pairs.device)
    if kept == 1:
        return key.amin(dim=-1, keepdim=True)
    return key.topk(kept, dim=-1, largest=False, sorted=True).values
