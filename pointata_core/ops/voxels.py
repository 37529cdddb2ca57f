# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Voxel grid sampling: one voxel per occupied cube, and the way back from points to voxels.

The live path calls this on every full scan, so on the CPU it is NumPy throughout: torch would wake
its thread pool for a dozen passes of some 100 us each, which costs more than it gains.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pointata_core.ops._checks import require_finite
from pointata_core.ops._exact import grid_scale

# A table of all possible voxels beats sorting the points unless it is much longer than they are.
_KEYS_PER_POINT_TO_RANK = 16
_KEYS_PER_POINT_TO_COUNT = 128


@dataclass(frozen=True)
class VoxelGrid:
    """The occupied voxels of a cloud, ordered by their grid coordinates.

    Attributes:
        voxel_of_point: ``(N,)`` int64, the voxel of each input point.
        counts: ``(M,)`` int64, points per voxel, at least 1.
        centroids: ``(M, 3)`` float32, mean of the points of each voxel, metres.
    """

    voxel_of_point: Tensor
    counts: Tensor
    centroids: Tensor


def voxel_grid(
    points: Tensor, size: float | Tensor, coordinates: Tensor | None = None
) -> VoxelGrid:
    """Group points by the cube of edge ``size`` they fall into.

    A point belongs to the cube ``floor(coordinates / size)``, divided in float64. Voxels are
    ordered by those (x, y, z) numbers, so neither their order nor their centroids depend on the
    order of the points. There is no limit on how far apart points may lie.

    Args:
        points: ``(N, 3)`` metres.
        size: Edge of a voxel, or ``(N,)`` one per point; in the unit of ``coordinates``.
        coordinates: ``(N, 3)`` where the points stand in the space that is cut into cubes; the
            points themselves when None. Centroids are always those of ``points``.

    Returns:
        The grid; empty for an empty cloud.

    Raises:
        ValueError: Non-finite input, a shape that does not fit, or a size that is not positive.
    """
    if points.dim() != 2 or points.shape[1] != 3:
        raise ValueError(f'points must have shape (N, 3), found {tuple(points.shape)}')
    coordinates = points if coordinates is None else coordinates
    if coordinates.shape != points.shape:
        raise ValueError(
            f'coordinates must have shape {tuple(points.shape)}, found {tuple(coordinates.shape)}'
        )
    points, coordinates = points.detach().to(torch.float32), coordinates.detach()
    edge = _checked_edge(size, coordinates)
    if points.shape[0] == 0:
        nothing = torch.zeros(0, dtype=torch.int64, device=points.device)
        return VoxelGrid(nothing, nothing.clone(), points.clone())
    if points.device.type == 'cpu':
        return _grid_with_numpy(points, coordinates, edge)
    return _grid_with_torch(points, coordinates, edge)


def count_voxels(coordinates: Tensor, size: float | Tensor) -> int:
    """How many voxels `voxel_grid` would find, at a fraction of its price.

    Args:
        coordinates: ``(N, 3)`` where the points stand in the space that is cut into cubes.
        size: As for `voxel_grid`.

    Raises:
        ValueError: As `voxel_grid`.
    """
    if coordinates.device.type != 'cpu' or len(coordinates) == 0:
        return voxel_grid(coordinates, size).counts.numel()
    coordinates = coordinates.detach()
    voxels, low, high = _cut(coordinates, _checked_edge(size, coordinates))
    strides, keys = _key_strides(low.tolist(), high.tolist())
    if strides is None or keys > _KEYS_PER_POINT_TO_COUNT * len(coordinates):
        return _rank_cells(voxels, low, high)[1].size
    occupied = np.zeros(keys, dtype=bool)
    occupied[_keys(voxels, low, strides)] = True
    return int(np.count_nonzero(occupied))


def _checked_edge(size: float | Tensor, coordinates: Tensor) -> Tensor:
    edge = torch.as_tensor(size, dtype=torch.float64, device=coordinates.device)
    if edge.dim() not in (0, 1) or (edge.dim() == 1 and edge.shape != coordinates.shape[:1]):
        raise ValueError(f'size must be a number or (N,), found shape {tuple(edge.shape)}')
    if edge.numel() and not bool(((edge > 0) & (edge < torch.inf)).all()):
        raise ValueError('size must be positive and finite')
    return edge


def _grid_with_torch(points: Tensor, coordinates: Tensor, edge: Tensor) -> VoxelGrid:
    require_finite(points, 'points')
    voxels = torch.floor(coordinates.double() / edge.reshape(-1, 1))
    require_finite(voxels, 'coordinates / size', limit=sys.float_info.max)
    low, high = voxels.amin(dim=0), voxels.amax(dim=0)
    strides, _ = _key_strides(low.tolist(), high.tolist())
    if strides is None:
        # Adding zero turns -0.0 into 0.0, which else may count as a voxel of its own.
        _, rank, counts = torch.unique(voxels + 0.0, dim=0, return_inverse=True, return_counts=True)
    else:
        x, y, z = (voxels - low).long().unbind(dim=1)
        key = x * strides[0] + y * strides[1] + z
        _, rank, counts = torch.unique(key, return_inverse=True, return_counts=True)
    values = points.double()
    scale = grid_scale(values.abs().amax(), counts.amax())
    total = values.new_zeros((counts.numel(), 3)).index_add_(0, rank, (values * scale).round())
    return VoxelGrid(rank, counts, (total / counts.unsqueeze(1) / scale).float())


def _grid_with_numpy(points: Tensor, coordinates: Tensor, edge: Tensor) -> VoxelGrid:
    extremes = torch.tensor([float(points.min()), float(points.max())], dtype=torch.float64)
    require_finite(extremes, 'points')
    voxels, low, high = _cut(coordinates, edge)
    rank, counts = _rank_cells(voxels, low, high)
    scale = grid_scale(extremes.abs().amax(), torch.tensor(counts.max())).item()
    work = voxels  # its memory: the numbers of the voxels are not needed any more
    np.copyto(work, points.numpy().T)
    work *= scale
    np.rint(work, out=work)
    centroids = np.empty((counts.size, 3), dtype=np.float32)
    for axis, on_grid in enumerate(work):
        centroids[:, axis] = np.bincount(rank, weights=on_grid) / counts / scale
    return VoxelGrid(torch.from_numpy(rank), torch.from_numpy(counts), torch.from_numpy(centroids))


def _cut(coordinates: Tensor, edge: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell of every point as whole float64 numbers ``(3, N)``, and the range of each axis.

    One work space, written over step by step: fresh memory would cost more than the arithmetic.
    """
    voxels = np.empty((3, len(coordinates)))
    np.copyto(voxels, coordinates.numpy().T)
    voxels /= edge.numpy()
    np.floor(voxels, out=voxels)
    low, high = voxels.min(axis=1), voxels.max(axis=1)
    reach = torch.from_numpy(np.concatenate([low, high]))
    require_finite(reach, 'coordinates / size', limit=sys.float_info.max)
    return voxels, low, high


def _rank_cells(
    voxels: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rank of each point's voxel among the occupied ones, and the points in each.

    Args:
        voxels: ``(3, N)`` whole float64 numbers; overwritten.
        low: ``(3,)`` smallest of each axis.
        high: ``(3,)`` largest of each axis.
    """
    strides, keys = _key_strides(low.tolist(), high.tolist())
    if strides is not None and keys <= _KEYS_PER_POINT_TO_RANK * voxels.shape[1]:
        key = _keys(voxels, low, strides)
        occupied = np.zeros(keys, dtype=bool)
        occupied[key] = True
        cells = np.flatnonzero(occupied)
        rank_of = np.empty(keys, dtype=np.int32)  # of occupied cells only: no pass over all
        rank_of[cells] = np.arange(cells.size, dtype=np.int32)
        rank = rank_of[key].astype(np.int64)
        return rank, np.bincount(rank)
    if strides is None:
        order = np.lexsort(voxels[::-1])
        ordered = voxels[:, order]
        changes = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    else:
        key = _keys(voxels, low, strides)
        order = _radix_argsort(key)
        ordered = key[order]
        changes = ordered[1:] != ordered[:-1]
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.concatenate([[0], np.cumsum(changes)])
    return rank, np.bincount(rank)


def _keys(voxels: np.ndarray, low: np.ndarray, strides: tuple[int, int, int]) -> np.ndarray:
    """One number per point that orders like its voxel; overwrites ``voxels``."""
    voxels -= low[:, None]
    voxels *= np.array(strides, dtype=np.float64)[:, None]
    key = np.add(np.add(voxels[0], voxels[1], out=voxels[0]), voxels[2], out=voxels[0])
    return key.astype(np.int64)


def _radix_argsort(key: np.ndarray) -> np.ndarray:
    """Argsort non-negative int64 by 16-bit digits: NumPy's stable sort of uint16 is a radix sort.

    A third of the time of ``np.argsort(key)`` at 124k points.
    """
    order = np.argsort(key.astype(np.uint16), kind='stable')
    for _ in range((int(key.max()).bit_length() - 1) // 16):
        key = key >> 16
        order = order[np.argsort(key.astype(np.uint16)[order], kind='stable')]
    return order


def _key_strides(low: list[float], high: list[float]) -> tuple[tuple[int, int, int] | None, int]:
    """Strides that pack (x, y, z) steps into one number, in order, and how many numbers there are.

    Without strides where the numbers do not fit.
    """
    extent = [int(top) - int(bottom) + 1 for bottom, top in zip(low, high, strict=True)]
    keys = extent[0] * extent[1] * extent[2]
    # Beyond 2**53 float64 has no room for every whole number, and voxels would merge.
    if keys >= 1 << 53:
        return None, keys
    return (extent[1] * extent[2], extent[2], 1), keys
