# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours by a k-d tree (scipy), made to agree with the comparison of all pairs.

The tree measures in float64 and breaks ties as it likes. So it only proposes one candidate more
than requested; their float32 distances are computed again and ordered by (distance, index). A query
whose last neighbour is too close to the edge of its candidates to be sure (equal distances, as on a
lattice or among duplicates) falls back to comparing all pairs: exact, at the cost of that path.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from pointata_core.ops._pairs import nearest_of_all_pairs

SPARE_CANDIDATES = 1
CHUNK_CANDIDATES = 1 << 20
"""Candidates held at once (about 50 MB of temporaries)."""

# A float32 squared distance differs from the true one by at most 5 roundings of 2**-24 each, and by
# the smallest float32 where it underflows.
_RELATIVE_ERROR = 1e-6
_ABSOLUTE_ERROR = 1e-37
_MANY_QUERIES = 4096


def nearest_by_tree(
    queries: Tensor, points: Tensor, k: int, mask: Tensor | None, query_mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As `nearest_of_all_pairs`, for tensors on the CPU: same indices, same distances."""
    batch, count, _ = queries.shape
    index = torch.full((batch, count, k), -1, dtype=torch.int64)
    distance2 = torch.full((batch, count, k), torch.inf)
    for row in range(batch):
        which = slice(None) if query_mask is None else torch.nonzero(query_mask[row]).squeeze(1)
        valid = None if mask is None else torch.nonzero(mask[row]).squeeze(1)
        cloud = points[row] if valid is None else points[row, valid]
        found, squared = _search_cloud(queries[row, which], cloud, min(k, cloud.shape[0]))
        index[row, which, : found.shape[1]] = found if valid is None else valid[found]
        distance2[row, which, : found.shape[1]] = squared
    return index, distance2


def _search_cloud(queries: Tensor, points: Tensor, kept: int) -> tuple[Tensor, Tensor]:
    index = torch.empty((queries.shape[0], kept), dtype=torch.int64)
    distance2 = torch.empty((queries.shape[0], kept))
    if index.numel() == 0:
        return index, distance2
    # Unbalanced: half the time to build, and a tree is queried only once.
    tree = cKDTree(points.numpy(), balanced_tree=False, compact_nodes=False)
    candidates = min(kept + SPARE_CANDIDATES, points.shape[0])
    at_once = max(1, CHUNK_CANDIDATES // candidates)
    for first in range(0, queries.shape[0], at_once):
        part = slice(first, first + at_once)
        found, squared, sure = _best_candidates(tree, queries[part], points, candidates, kept)
        index[part], distance2[part] = torch.from_numpy(found), torch.from_numpy(squared)
        if not sure.all():
            unsure = first + torch.from_numpy(np.flatnonzero(~sure))
            exact = nearest_of_all_pairs(queries[None, unsure], points[None], kept, None, None)
            index[unsure], distance2[unsure] = exact[0][0], exact[1][0]
    return index, distance2


def _best_candidates(
    tree: cKDTree, queries: Tensor, points: Tensor, candidates: int, kept: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best ``kept`` of the tree's ``candidates``, and whether no other point can belong to them."""
    values = queries.numpy()
    workers = torch.get_num_threads() if len(values) >= _MANY_QUERIES else 1
    distance, index = tree.query(values, k=range(1, candidates + 1), workers=workers)
    offset = values[:, None, :] - points.numpy()[index]
    offset *= offset
    squared = offset[..., 0] + offset[..., 1] + offset[..., 2]
    untidy = np.flatnonzero((squared[:, 1:] <= squared[:, :-1]).any(axis=1))
    if untidy.size:
        order = np.lexsort((index[untidy], squared[untidy]))
        index[untidy] = np.take_along_axis(index[untidy], order, axis=1)
        squared[untidy] = np.take_along_axis(squared[untidy], order, axis=1)
    if candidates == points.shape[0]:
        sure = np.ones(len(values), dtype=bool)
    else:
        edge = distance[:, -1] ** 2 * (1 - _RELATIVE_ERROR) - _ABSOLUTE_ERROR
        sure = squared[:, kept - 1] < edge
    return index[:, :kept], squared[:, :kept], sure
