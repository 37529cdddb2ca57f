# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a cloud as it came to what the network sees, and back to every input point.

The network works on voxels whose size grows with range. Each input point remembers its
voxel, so each gets a prediction, in input order; points that are not finite or out of range have no
voxel and come back unlabelled. The same function prepares training data and live frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.inference.placement import UNPLACED, Placement
from pointata_core.ops import VoxelGrid, count_voxels, segment_reduce, voxel_grid
from pointata_core.ops.range_compression import compress_range

# Occupied voxels of a surface fall with the square of the voxel size; a little more, so that the
# second attempt nearly always fits.
_GROWTH_MARGIN = 1.08
_THINNING = 4  # of the points for the first sizes that are tried

NO_RETURN_M = 1e-3
"""Points nearer than this are no returns: drivers write (0, 0, 0) where nothing came back."""


@dataclass(frozen=True)
class PreparedFrame:
    """One frame as the network sees it.

    Attributes:
        points: ``(M, 3)`` float32 voxel centroids, normalised.
        features: ``(M, C)`` float32, or ``None`` when the network takes none.
        voxel_of_point: ``(N,)`` int64; ``-1`` for points without a voxel.
        origin: ``(3,)`` float64 metres, subtracted before scaling.
    """

    points: Tensor
    features: Tensor | None
    voxel_of_point: np.ndarray
    origin: np.ndarray


class FramePreparer:
    """Prepares clouds by one configuration; holds no state.

    Args:
        config: Normalisation and sampling.
    """

    def __init__(self, config: PreparationConfig) -> None:
        self.config = config

    def prepare(
        self,
        points: np.ndarray,
        features: Mapping[str, np.ndarray] | None = None,
        origin: np.ndarray | None = None,
        placement: Placement = UNPLACED,
    ) -> PreparedFrame:
        """Prepare one cloud.

        Args:
            points: ``(N, 3)`` in the sensor frame, in input order; NaN and infinity allowed.
            features: Field name to ``(N,)``; missing ones take their default.
            origin: The stream's origin, when it has one already.
            placement: Unit of the points, and the pose of the sensor.

        Raises:
            ValueError: ``points`` is not ``(N, 3)``, or a feature has another length.
        """
        points = np.ascontiguousarray(points, dtype=np.float32)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f'points have shape {points.shape}, expected (N, 3)')
        config = self.config
        points = placement.turned(points)
        usable = self._usable(points)
        kept = points if usable is None else points[usable]
        cloud = torch.from_numpy(kept)
        grid = self._grid(cloud)
        if origin is None:
            origin = np.zeros(3)
            if config.origin == 'first_frame' and len(kept):
                origin = kept.mean(axis=0, dtype=np.float64) + placement.offset
        shift = torch.as_tensor(origin - placement.offset, dtype=torch.float32)
        voxels = grid.centroids - shift
        voxel_of_point = grid.voxel_of_point.numpy()
        if usable is not None:
            whole = np.full(len(points), -1, dtype=np.int64)
            whole[usable] = voxel_of_point
            voxel_of_point = whole
        columns = self._features(features or {}, len(points), usable, grid)
        return PreparedFrame(voxels / config.scale_m, columns, voxel_of_point, origin)

    def motion(self, transform: np.ndarray, origin: np.ndarray) -> Tensor:
        """Express a rigid motion ``(4, 4)`` in metres as one ``(1, 4, 4)`` in normalised units."""
        rotation, shift = transform[:3, :3], transform[:3, 3]
        normalised = np.eye(4)
        normalised[:3, :3] = rotation
        normalised[:3, 3] = (rotation @ origin + shift - origin) / self.config.scale_m
        return torch.from_numpy(normalised.astype(np.float32)).unsqueeze(0)

    def _usable(self, points: np.ndarray) -> np.ndarray | None:
        """Return the mask of points to keep, or ``None`` when that is all of them."""
        low = max(self.config.min_range_m, NO_RETURN_M) ** 2
        high = self.config.max_range_m**2
        with np.errstate(invalid='ignore', over='ignore'):
            squared = np.einsum('ij,ij->i', points, points)
            # A NaN or an infinity fails both comparisons.
            usable = (squared >= low) & (squared <= high)
        return None if usable.all() else usable

    def _grid(self, cloud: Tensor) -> VoxelGrid:
        config = self.config
        coordinates = compress_range(cloud, config.range_knee_m)
        size = config.voxel_size_m
        # What a part of the points does not fit into is too small for all of them, too.
        for some in (coordinates[::_THINNING].contiguous(), coordinates):
            while (count := count_voxels(some, size)) > config.max_voxels:
                size *= (count / config.max_voxels) ** 0.5 * _GROWTH_MARGIN
        return voxel_grid(cloud, size, coordinates)

    def _features(
        self,
        given: Mapping[str, np.ndarray],
        count: int,
        usable: np.ndarray | None,
        grid: VoxelGrid,
    ) -> Tensor | None:
        if not self.config.features:
            return None
        voxels = len(grid.counts)
        columns = []
        for name, spec in self.config.features.items():
            values = given.get(name)
            if values is None:
                columns.append(torch.full((voxels, 1), (spec.default - spec.offset) / spec.scale))
                continue
            values = np.asarray(values, dtype=np.float32)
            if values.shape != (count,):
                raise ValueError(f"feature '{name}' has shape {values.shape}, expected ({count},)")
            values = values if usable is None else values[usable]
            values = np.nan_to_num((values - spec.offset) / spec.scale, posinf=0.0, neginf=0.0)
            column = torch.from_numpy(values.astype(np.float32)).unsqueeze(1)
            column = segment_reduce(column, grid.voxel_of_point, voxels, 'mean')
            columns.append(ranks(column) if spec.form == 'rank' else column)
        return torch.cat(columns, dim=1)


def ranks(column: Tensor) -> Tensor:
    """Ranks of values among each other, from -1 to 1; equal values share their middle rank.

    Values that are all equal, like those of a driver that leaves the field empty, have rank 0.

    Args:
        column: ``(M, 1)``.
    """
    _, group, count = column.flatten().unique(return_inverse=True, return_counts=True)
    above = count.cumsum(0)
    rank = (2 * above - count) / max(len(column), 1) - 1
    return rank[group].unsqueeze(1)
