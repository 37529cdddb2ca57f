# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choosing points: farthest point sampling and seeded random sampling.

On the CPU each row runs through NumPy, elsewhere the whole batch runs through torch; both take the
same float32 steps and give the same picks. fpsample's plain sampler is exact too (ties go to the
highest index, so it would need reversed input) but takes twice as long at the sizes used here; its
bucket samplers are quicker on very large clouds but break ties by bucket, and their start index
(fpsample 1.0.2) counts points in bucket order. ``benchmarks/speed/operators.py`` has the figures.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pointata_core.ops._checks import checked_points, squared_distance
from pointata_core.ops._exact import exact_mean


def farthest_point_sample(points: Tensor, count: int, mask: Tensor | None = None) -> Tensor:
    """Pick points one by one, each the farthest from all picked before.

    Deterministic: the first pick is the valid point farthest from the centroid of the valid points,
    every tie goes to the lowest index. No location is picked twice: once every distinct location is
    taken the remaining slots are -1. A row's result depends on nothing but its own valid points.

    Args:
        points: ``(B, N, 3)`` coordinates in metres; anything may stand behind the mask.
        count: Number of slots per row, at least 0.
        mask: ``(B, N)`` bool, true where a point is valid; None when all are.

    Returns:
        ``(B, count)`` int64 indices into N, -1 in slots that could not be filled.

    Raises:
        ValueError: A valid point is not finite, a shape is wrong, or ``count`` is negative.

    Reference: Eldar et al., "The farthest point strategy for progressive image sampling", 1997.
    """
    if count < 0:
        raise ValueError(f'count must be at least 0, found {count}')
    points = checked_points(points, mask, 'points')
    batch, available, _ = points.shape
    if available == 0 or count == 0 or batch == 0:
        return torch.full((batch, count), -1, dtype=torch.int64, device=points.device)
    start_score = squared_distance(points.double(), exact_mean(points, mask).unsqueeze(1))
    if points.device.type == 'cpu':
        return _sample_with_numpy(points, count, mask, start_score)
    return _sample_with_torch(points, count, mask, start_score)


def _sample_with_torch(
    points: Tensor, count: int, mask: Tensor | None, start_score: Tensor
) -> Tensor:
    axes = points.transpose(1, 2).contiguous()
    closest = torch.full_like(axes[:, 0], torch.inf)
    if mask is not None:
        # Padding holds -1: no distance raises it, so it never wins while a valid point is left.
        closest = closest.masked_fill(~mask, -1.0)
        start_score = start_score.masked_fill(~mask, -1.0)
    _, chosen = start_score.max(dim=1, keepdim=True)
    chosen_by_slot, score_by_slot = [chosen], [closest.gather(1, chosen)]
    for _ in range(1, count):
        offset = axes - axes.gather(2, chosen.unsqueeze(1).expand(-1, 3, -1))
        offset *= offset
        closest = torch.minimum(closest, offset[:, 0] + offset[:, 1] + offset[:, 2])
        score, chosen = closest.max(dim=1, keepdim=True)
        chosen_by_slot.append(chosen)
        score_by_slot.append(score)
    return torch.where(torch.cat(score_by_slot, 1) > 0, torch.cat(chosen_by_slot, 1), -1)


def _sample_with_numpy(
    points: Tensor, count: int, mask: Tensor | None, start_score: Tensor
) -> Tensor:
    picked = np.full((points.shape[0], count), -1, dtype=np.int64)
    for row, cloud in enumerate(points.numpy()):
        score = start_score[row].numpy()
        if mask is None:
            _sample_cloud(cloud, score, picked[row])
            continue
        valid = np.flatnonzero(mask[row].numpy())
        if valid.size:
            _sample_cloud(cloud[valid], score[valid], picked[row])
            picked[row] = np.where(picked[row] >= 0, valid[picked[row]], -1)
    return torch.from_numpy(picked)


def _sample_cloud(cloud: np.ndarray, start_score: np.ndarray, picked: np.ndarray) -> None:
    """Fill ``picked`` (count,) with rows of ``cloud`` (N, 3) until no location is left."""
    axes = np.ascontiguousarray(cloud.T)
    offset = np.empty_like(axes)
    distance2, offset_y, offset_z = offset
    closest = np.full(axes.shape[1], np.inf, dtype=np.float32)
    chosen = start_score.argmax()
    for slot in range(picked.size):
        if not closest[chosen] > 0:
            return
        picked[slot] = chosen
        # Everything in place: at these sizes the loop costs its memory traffic.
        np.subtract(axes, axes[:, chosen, None], out=offset)
        np.multiply(offset, offset, out=offset)
        np.add(distance2, offset_y, out=distance2)
        np.add(distance2, offset_z, out=distance2)
        np.minimum(closest, distance2, out=closest)
        chosen = closest.argmax()
