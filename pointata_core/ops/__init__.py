# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Operators on points: torch tensors in and out, any device, batch first.

Indices are int64 and -1 means "none". Coordinates are taken as float32 metres; distances follow
one arithmetic on every device and path (`squared_distance`), ties go to the lowest index, and
non-finite coordinates are a ValueError. Empty input gives empty or all -1.
"""

from pointata_core.ops._checks import squared_distance
from pointata_core.ops.grouping import gather
from pointata_core.ops.interpolation import Interpolation, interpolate, interpolation_weights
from pointata_core.ops.neighbours import Neighbours, knn, nearest_within
from pointata_core.ops.sampling import farthest_point_sample
from pointata_core.ops.segments import segment_reduce
from pointata_core.ops.voxels import VoxelGrid, count_voxels, voxel_grid

__all__ = [
    'Interpolation',
    'Neighbours',
    'VoxelGrid',
    'count_voxels',
    'farthest_point_sample',
    'gather',
    'interpolate',
    'interpolation_weights',
    'knn',
    'nearest_within',
    'segment_reduce',
    'squared_distance',
    'voxel_grid',
]
