# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scan cut into parts that a person labels with one click.

A part never holds two labels of the bundle, so an error of the bundle can be corrected without
touching what is right. What hangs together is one part if it is small; large parts are cut into
patches of like height, slope and intensity (after Achanta et al., SLIC, TPAMI 2012), because the
bundle may have missed a border, as between road and sidewalk. All lengths grow with range, as the
spacing of points does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from pointata_core.models.scene.birds_eye import place
from pointata_core.models.scene.config import SceneConfig
from pointata_core.models.scene.ground import ground_height
from pointata_core.ops.range_compression import compress_range
from pointata_core.taxonomy import GROUND_NAMES, UNLABELLED, classes_among

Floats = NDArray[np.float64]

_SCALE_M = 10.0  # metres of one unit of the scene network, for the height of the ground
_NEIGHBOURS, _ROUNDS = 8, 3
_APART = 1e4  # metres between parts that must not meet


@dataclass(frozen=True)
class SegmentSettings:
    """How a scan is cut. Lengths are in metres near the sensor, and grow with range.

    Args:
        voxel: Points this near are one.
        reach: Neighbours on one thing are no farther apart.
        ground: Size of a patch of ground.
        upright: Size of a patch of what stands on it.
        whole: What is smaller stays whole.
        height: Metres along the ground that one metre of height counts like.
        slope: Metres along the ground that the difference of flat and upright counts like.
        intensity: Metres along the ground that the difference of dark and bright counts like.
        knee: Range at which lengths begin to grow.
        farthest: Points farther away belong to no part.
    """

    voxel: float = 0.12
    reach: float = 0.45
    ground: float = 4.0
    upright: float = 4.0
    whole: float = 4.0
    height: float = 12.0
    slope: float = 4.0
    intensity: float = 6.0
    knee: float = 10.0
    farthest: float = 80.0


DEFAULT_SIZES = SegmentSettings()


def segment_scan(
    points: NDArray[np.float32],
    intensity: NDArray[np.float32],
    labels: NDArray[np.uint16],
    classes: Sequence[str],
    settings: SegmentSettings = DEFAULT_SIZES,
) -> NDArray[np.int32]:
    """Cut a scan; the same scan is always cut alike.

    Args:
        points: ``(N, 3)`` metres with z up.
        intensity: ``(N,)``.
        labels: ``(N,)`` of the bundle.
        classes: Names of the labels.
        settings: Sizes.

    Returns:
        ``(N,)`` numbers from 0; -1 for points that are not finite or too far away.
    """
    out = np.full(len(points), -1, np.int32)
    distance = np.linalg.norm(points.astype(np.float64), axis=1)
    used = np.flatnonzero(np.isfinite(distance) & (distance < settings.farthest))
    if not len(used):
        return out
    place_, label = points[used].astype(np.float64), labels[used]
    near = _compressed(place_, settings.knee)
    voxel = _numbered(np.column_stack([np.floor(near / settings.voxel), label]))
    count = np.bincount(voxel)
    centre = np.column_stack([np.bincount(voxel, near[:, axis]) / count for axis in range(3)])
    of_voxel = np.full(len(count), UNLABELLED, np.uint16)
    of_voxel[voxel] = label
    part = _connected(centre, of_voxel, settings.reach)
    on_ground = np.isin(of_voxel, classes_among(classes, GROUND_NAMES))
    size = np.where(on_ground, settings.ground, settings.upright)
    large = _extent(centre, part) > settings.whole
    described = _described(place_, intensity[used], voxel, count, settings)
    patch = _patches(centre, described, part, size)
    patch[~large[part]] = 0
    out[used] = _numbered(np.column_stack([part, patch]))[voxel]
    return out


def heights(points: NDArray[np.floating]) -> Floats:
    """Metres over the ground of every point ``(N, 3)``, z up; the reference of scene networks."""
    normalised = torch.from_numpy(np.asarray(points, np.float32) / _SCALE_M)[None]
    config = SceneConfig()
    grid = place(normalised, None, config)
    ground = ground_height(normalised, None, grid, config.ground_cells)[0].numpy()
    return points[:, 2] - _SCALE_M * ground.astype(np.float64)


def _compressed(points: Floats, knee: float) -> Floats:
    return compress_range(torch.from_numpy(points), knee).numpy()


def _numbered(rows: NDArray) -> NDArray[np.int64]:
    """Number of each row among the different ones, by first occurrence."""
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return order[inverse.ravel()]


def _connected(centre: Floats, label: NDArray, reach: float) -> NDArray[np.int64]:
    """Voxels of one label that hang together."""
    apart = np.column_stack([centre, label.astype(np.float64) * _APART])
    distance, index = cKDTree(apart).query(
        apart, k=min(_NEIGHBOURS, len(apart)), distance_upper_bound=reach
    )
    row, column = np.nonzero(np.isfinite(distance.reshape(len(apart), -1)))
    other = index.reshape(len(apart), -1)[row, column]
    ones = np.ones(len(row), np.bool_)
    shape = (len(apart), len(apart))
    _, part = connected_components(coo_array((ones, (row, other)), shape=shape), directed=False)
    return part.astype(np.int64)


def _extent(centre: Floats, part: NDArray[np.int64]) -> Floats:
    """Longest side of each part, seen from above."""
    low = np.full((part.max() + 1, 2), np.inf)
    high = -low
    np.minimum.at(low, part, centre[:, :2])
    np.maximum.at(high, part, centre[:, :2])
    return (high - low).max(1)


def _described(
    points: Floats,
    intensity: NDArray,
    voxel: NDArray[np.int64],
    count: NDArray,
    settings: SegmentSettings,
) -> Floats:
    """What tells neighbouring voxels apart besides their place, in metres, ``(V, 3)``."""
    height = np.bincount(voxel, heights(points)) / count
    at = np.column_stack([np.bincount(voxel, points[:, axis]) / count for axis in range(3)])
    bright = rankdata(np.bincount(voxel, np.nan_to_num(intensity)) / count) / len(count)
    columns = (
        settings.height * height.clip(-1.0, 4.0),
        settings.slope * _uprightness(at),
        settings.intensity * bright,
    )
    return np.column_stack(columns)


def _uprightness(at: Floats) -> Floats:
    """0 on flat ground, 1 on walls: from the plane through the nearest voxels."""
    if len(at) < 4:
        return np.zeros(len(at))
    _, index = cKDTree(at).query(at, k=min(12, len(at)))
    around = at[index] - at[index].mean(1, keepdims=True)
    _, vectors = np.linalg.eigh(around.transpose(0, 2, 1) @ around)
    return 1.0 - np.abs(vectors[:, 2, 0])


def _patches(
    centre: Floats, described: Floats, part: NDArray[np.int64], size: Floats
) -> NDArray[np.int64]:
    """Patches about as large as ``size``, of voxels that are alike."""
    # In units of the size, so that one search serves all; parts do not meet.
    where = np.column_stack([centre[:, :2] / size[:, None], described / size[:, None]])
    apart = np.column_stack([where, part * _APART])
    start = _numbered(np.column_stack([part, np.floor(where[:, :2])]))
    for _ in range(_ROUNDS):
        count = np.bincount(start)
        means = [np.bincount(start, column) / count for column in apart.T]
        _, found = cKDTree(np.column_stack(means)).query(apart)
        start = _numbered(found[:, None])
    return start
