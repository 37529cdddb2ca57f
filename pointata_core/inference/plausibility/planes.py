# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The large planes of a cloud, such as ground, walls and ceiling, by random sampling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_POINTS = 1500
_NEAR_TRIPLES, _FAR_TRIPLES = 240, 80
_NEIGHBOURS = 48


@dataclass(frozen=True)
class Plane:
    """A plane, seen from the sensor at (0, 0, 0).

    Attributes:
        normal: (3,) of length 1, towards the sensor.
        distance: From the sensor, metres.
        share: Of the thinned points that lie in it.
        beyond: Share of the thinned points that lie clearly behind it.
        breadth: Metres that it extends along the shorter one of its two directions.
        length: Along the longer one.
    """

    normal: NDArray[np.float64]
    distance: float
    share: float
    beyond: float
    breadth: float
    length: float


def thinned(points: NDArray[np.float32], cell: float, most: int = _POINTS) -> NDArray[np.float64]:
    """At most one point for each cell, so that near surfaces count no more than far ones."""
    cells = np.floor(points / cell).astype(np.int64)
    _, first = np.unique(cells, axis=0, return_index=True)
    rng = np.random.default_rng(0)
    if len(first) > most:
        first = rng.choice(first, most, replace=False)
    return points[np.sort(first)].astype(np.float64)


def planes_of(points: NDArray[np.float64], tolerance: float, most: int) -> Iterator[Plane]:
    """The largest planes, one after the other, each in what the others left.

    Args:
        points: (N, 3) metres.
        tolerance: Metres that a point may be off its plane.
        most: How many at most.
    """
    normals, offsets = _candidates(points)
    rest = np.ones(len(points), bool)
    for _ in range(most):
        if not len(normals) or rest.sum() < 8:
            return
        # No matrix product: its threads would get into the way of those of the node.
        heights = np.einsum('ij,kj->ik', points[rest], normals)
        inside = np.abs(heights - offsets) < tolerance
        best = int(inside.sum(axis=0).argmax())
        normal, offset = normals[best], offsets[best]
        for _ in range(3):
            near = rest & (np.abs(points @ normal - offset) < tolerance)
            if near.sum() < 8:
                return
            normal, offset = _fit(points[near])
        near = rest & (np.abs(points @ normal - offset) < tolerance)
        if near.sum() < 8:
            return
        yield _described(points, near, normal, offset, tolerance)
        rest &= np.abs(points @ normal - offset) >= 2 * tolerance


def _candidates(points: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Planes through three points each: two thirds of them through neighbours."""
    rng = np.random.default_rng(0)
    count = len(points)
    seeds = rng.integers(0, count, _NEAR_TRIPLES)
    _, near = cKDTree(points).query(points[seeds], k=min(_NEIGHBOURS, count))
    columns = rng.integers(0, near.shape[1], (_NEAR_TRIPLES, 2))
    local = np.stack([seeds, *np.take_along_axis(near, columns, axis=1).T], axis=1)
    triples = points[np.concatenate([local, rng.integers(0, count, (_FAR_TRIPLES, 3))])]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    size = np.linalg.norm(normals, axis=1)
    usable = size > 1e-9
    normals = normals[usable] / size[usable, None]
    return normals, np.einsum('ij,ij->i', normals, triples[usable, 0])


def _fit(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    centre = points.mean(axis=0)
    normal = _directions(points - centre)[0]
    return normal, float(normal @ centre)


def _directions(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Principal directions of points (N, 3) as rows, the one of the smallest spread first."""
    return np.linalg.eigh(np.einsum('ij,ik->jk', centred, centred))[1].T


def _described(
    points: NDArray[np.float64],
    near: NDArray[np.bool_],
    normal: NDArray[np.float64],
    offset: float,
    tolerance: float,
) -> Plane:
    if offset > 0:
        normal, offset = -normal, -offset
    mine = points[near] - points[near].mean(axis=0)
    axes = _directions(mine)[1:]
    low, high = np.percentile(np.einsum('ij,kj->ik', mine, axes), (5, 95), axis=0)
    length, breadth = sorted((high - low).tolist(), reverse=True)
    beyond = float((points @ normal - offset < -4 * tolerance).mean())
    return Plane(normal, -offset, float(near.mean()), beyond, breadth, length)
