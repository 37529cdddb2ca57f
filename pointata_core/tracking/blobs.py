# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points of people, grouped by person.

People stand on the ground, so points are grouped by their distance seen from above: the gaps
between the rings of a LiDAR, and a belt that returns nothing, do not cut a body in two. The
distance grows with range, because the points of a sensor spread with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_CELL = 0.06  # metres; a dense camera gives thousands of points on one body
_MOST_CELLS = 8192  # the nearest ones; a crowd of a hundred has fewer
# Metres. A group narrower or lower than these is one body; wider than the last it is two, even if
# nobody is expected. Two people stand apart.
_TWO, _LOW, _WIDE, _APART = 0.75, 0.9, 1.2, 0.4
_LARGEST = 2.6  # metres; wider than arms or a lying body: a wall taken for a person
_SMALL_SHARE, _TALL_SHARE = 0.12, 0.3  # of cells and height; a smaller part is a limb


@dataclass(frozen=True)
class BlobSettings:
    """How points become blobs.

    Args:
        reach: Metres between neighbours on one body, at the sensor.
        reach_growth: Metres that it grows by with each metre of range.
        least_points: Fewest points of a blob.
        most: Most blobs of a cloud; the nearest are kept.
    """

    reach: float = 0.25
    reach_growth: float = 0.012
    least_points: int = 5
    most: int = 64


@dataclass(frozen=True, eq=False)
class Blob:
    """Points that one person may have.

    Attributes:
        rows: (n,) int64, which rows of the input.
        centre: (2,) metres, x and y of the middle of the visible surface.
        low: (3,) metres, least coordinates.
        high: (3,) metres, largest coordinates.
        distance: Metres from the sensor, along the ground.
    """

    rows: Indices
    centre: Floats
    low: Floats
    high: Floats
    distance: float


@dataclass(frozen=True, eq=False)
class _Cells:
    """Occupied cells of a grid seen from above.

    Attributes:
        centre: (C, 2) mean of the points in each.
        reach: (C,) metres to neighbours of the same body.
        of_row: (N,) cell of each point, -1 for none.
    """

    centre: Floats
    reach: Floats
    of_row: Indices


def find_blobs(
    points: np.ndarray,
    sensor: np.ndarray,
    expected: np.ndarray | None = None,
    settings: BlobSettings = BlobSettings(),
) -> list[Blob]:
    """Group points of people by person.

    Args:
        points: (N, 3) finite metres with z up, of people alone.
        sensor: (3,) position of the sensor in the same frame.
        expected: (K, 2) where people that are followed should be: a group that several of them
            form is divided between them.
        settings: Distances and limits.

    Returns:
        Blobs, the nearest first.
    """
    points = np.asarray(points, np.float64)
    if len(points) < settings.least_points:
        return []
    cells = _cells_of(points, sensor, settings)
    whole = np.arange(len(cells.centre))
    height = _heights(points[:, 2], cells)
    groups = [
        part
        for group in _components(cells, whole, 1.0)
        for part in _divided(cells, group, expected, height, settings)
    ]
    owner = np.full(len(cells.centre) + 1, -1)
    for number, group in enumerate(groups):
        owner[group] = number
    of_row = owner[cells.of_row]
    order = np.argsort(of_row, kind='stable')
    edges = np.searchsorted(of_row[order], np.arange(len(groups) + 1))
    found = []
    for number, group in enumerate(groups):
        rows = order[edges[number] : edges[number + 1]]
        blob = _blob(points, rows, cells.centre[group].mean(0), sensor)
        if len(rows) >= settings.least_points and _width(blob) <= _LARGEST:
            found.append(blob)
    found.sort(key=lambda blob: (blob.distance, *blob.centre))
    return found[: settings.most]


def _cells_of(points: Floats, sensor: np.ndarray, settings: BlobSettings) -> _Cells:
    place = np.floor(points[:, :2] / _CELL).astype(np.int64)
    place -= place.min(0)
    key = place[:, 0] * (place[:, 1].max() + 1) + place[:, 1]
    _, of_row, count = np.unique(key, return_inverse=True, return_counts=True)
    sums = [np.bincount(of_row, points[:, axis], len(count)) for axis in (0, 1)]
    centre = np.stack(sums, 1) / count[:, None]
    distance = np.linalg.norm(centre - sensor[:2], axis=1)
    if len(centre) > _MOST_CELLS:
        kept = np.sort(np.argsort(distance, kind='stable')[:_MOST_CELLS])
        new = np.full(len(centre), -1)
        new[kept] = np.arange(len(kept))
        of_row, centre, distance = new[of_row], centre[kept], distance[kept]
    return _Cells(centre, settings.reach + settings.reach_growth * distance, of_row)


def _heights(height: Floats, cells: _Cells) -> Floats:
    """(C, 2) least and largest height of each cell."""
    found = np.tile([np.inf, -np.inf], (len(cells.centre) + 1, 1))
    np.minimum.at(found[:, 0], cells.of_row, height)
    np.maximum.at(found[:, 1], cells.of_row, height)
    return found[:-1]


def _components(cells: _Cells, among: Indices, share: float) -> list[Indices]:
    """Cells that are joined by steps of at most ``share`` of their reach."""
    centre, reach = cells.centre[among], cells.reach[among] * share
    pairs = cKDTree(centre).query_pairs(float(reach.max()), output_type='ndarray')
    apart = np.linalg.norm(centre[pairs[:, 0]] - centre[pairs[:, 1]], axis=1)
    pairs = pairs[apart <= reach[pairs].max(1)]
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (len(among),) * 2)
    count, owner = connected_components(links, directed=False)
    return [among[owner == number] for number in range(count)]


def _divided(
    cells: _Cells,
    group: Indices,
    expected: np.ndarray | None,
    height: Floats,
    settings: BlobSettings,
) -> list[Indices]:
    """One group of cells, or the people it consists of."""
    centre = cells.centre[group]
    width = float(np.ptp(centre, axis=0).max())
    tall = _extent(height, group)
    if width < _TWO or tall < _LOW:  # one body, or one that sits or lies
        return [group]
    here = _expected_in(centre, expected, settings)
    if len(here) > 1:
        nearest = np.linalg.norm(centre[:, None] - here[None], axis=2).argmin(1)
        parts = [group[nearest == number] for number in range(len(here))]
        if _are_bodies(parts, group, height):
            return parts
    if width < _WIDE:
        return [group]
    for share in (0.7, 0.5, 0.35):
        parts = _components(cells, group, share)
        large = [part for part in parts if len(part) >= _SMALL_SHARE * len(group)]
        if len(large) > 1 and _are_bodies(large, group, height):
            return _with_rest(cells, group, large)
    return [group]


def _expected_in(centre: Floats, expected: np.ndarray | None, settings: BlobSettings) -> np.ndarray:
    """Places (K, 2) of the expected people that can stand in a group beside each other."""
    if expected is None or len(expected) < 2:
        return np.zeros((0, 2))
    away = np.linalg.norm(centre[:, None] - expected[None], axis=2).min(0)
    here = expected[away <= settings.reach]
    apart = np.linalg.norm(here[:, None] - here[None], axis=2) + np.eye(len(here)) * 9
    return here if len(here) > 1 and apart.min() >= _APART else np.zeros((0, 2))


def _are_bodies(parts: list[Indices], group: Indices, height: Floats) -> bool:
    """Whether none of the parts is a limb."""
    least = _SMALL_SHARE * len(group), _TALL_SHARE * _extent(height, group)
    return all(len(p) >= least[0] and _extent(height, p) >= least[1] for p in parts)


def _extent(height: Floats, group: Indices) -> float:
    return float(height[group, 1].max() - height[group, 0].min())


def _with_rest(cells: _Cells, group: Indices, large: list[Indices]) -> list[Indices]:
    """The large parts of a group, each with the small ones that are nearest to it."""
    seeds = np.concatenate(large)
    owner = np.repeat(np.arange(len(large)), [len(part) for part in large])
    _, nearest = cKDTree(cells.centre[seeds]).query(cells.centre[group])
    return [group[owner[nearest] == number] for number in range(len(large))]


def _blob(points: Floats, rows: Indices, centre: Floats, sensor: np.ndarray) -> Blob:
    mine = points[rows] if len(rows) else np.zeros((1, 3))
    distance = float(np.linalg.norm(centre - sensor[:2]))
    return Blob(rows, centre, mine.min(0), mine.max(0), distance)


def _width(blob: Blob) -> float:
    return float((blob.high - blob.low)[:2].max())


def nearest_blob(points: np.ndarray, sensor: np.ndarray) -> NDArray[np.bool_]:
    """Which points belong to the nearest thing of a person's size.

    For depth cameras without a skill that finds people. Floor and what lies behind are left out.

    Args:
        points: (N, 3) metres with z up; NaN and infinity allowed.
        sensor: (3,) position of the sensor in the same frame.
    """
    chosen = np.zeros(len(points), bool)
    usable = np.flatnonzero(np.isfinite(points).all(1))
    usable = usable[_above_floor(points[usable, 2])]
    blobs = find_blobs(points[usable], sensor, settings=replace(BlobSettings(), least_points=50))
    for blob in blobs:
        if 0.5 <= blob.high[2] - blob.low[2] <= 2.3:
            chosen[usable[blob.rows]] = True
            break
    return chosen


def _above_floor(height: np.ndarray) -> NDArray[np.bool_]:
    """Which heights lie above a level that holds a large share of the points, if there is one."""
    if not len(height):
        return np.zeros(0, bool)
    step = 0.05
    level = np.floor((height - height.min()) / step).astype(np.int64)
    share = np.bincount(level) / len(height)
    floors = np.flatnonzero(share > 0.15)
    low = len(share) // 3
    if not len(floors) or floors[0] > low:
        return np.ones(len(height), bool)
    return level > floors[floors <= low][-1] + 1
