# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A correction in one scan, carried over to the same places in scans before and after it.

A point takes the label of the nearest point of the corrected scan, in a frame at rest, if that
point was corrected and lies near enough. What a person labelled is never changed. Things that may
move are carried over to few scans only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pointata_core.taxonomy import MOVING_NAMES, classes_among
from pointata_core.teaching.edits import ScanChange
from pointata_core.teaching.project import Project


@dataclass(frozen=True)
class Reach:
    """How far a correction goes.

    Args:
        scans: Scans before and after; 0 for none.
        moving_scans: The same for classes of things that may move.
        near: Metres between the same place in two scans, at the sensor.
        growth: Metres that it grows by with each metre of range.
        most: Metres that it is at most.
    """

    scans: int = 10
    moving_scans: int = 2
    near: float = 0.1
    growth: float = 0.01
    most: float = 0.4


DEFAULT_REACH = Reach()
THIS_SCAN = Reach(scans=0)


def carried_over(
    project: Project,
    number: int,
    index: NDArray[np.int32],
    labels: NDArray[np.uint16],
    reach: Reach = DEFAULT_REACH,
) -> list[ScanChange]:
    """Changes of other scans that follow from a correction; none without poses.

    Args:
        project: Its scans.
        number: The corrected scan.
        index: ``(n,)`` the corrected points.
        labels: ``(n,)`` class numbers that they get.
        reach: How far the correction goes.
    """
    scan = project.scan(number)
    chosen = np.zeros(len(scan.points), np.bool_)
    chosen[index] = np.isfinite(scan.points[index]).all(1)
    if scan.pose is None or not chosen.any():
        return []
    of_point = np.zeros(len(scan.points), np.uint16)
    of_point[index] = labels
    here = _at_rest(scan.points, scan.pose)
    low, high = here[chosen].min(0) - reach.most, here[chosen].max(0) + reach.most
    around = np.flatnonzero(((here > low - reach.most) & (here < high + reach.most)).all(1))
    tree = cKDTree(here[around])
    movable = np.isin(of_point, classes_among(project.classes.names, MOVING_NAMES))
    found = []
    for other in range(max(0, number - reach.scans), min(len(project), number + reach.scans + 1)):
        target = project.scan(other)
        if other == number or target.pose is None:
            continue
        there = _at_rest(target.points, target.pose)
        free = ~project.known(other).confirmed
        rows = np.flatnonzero(free & ((there > low) & (there < high)).all(1))
        distance, nearest = tree.query(there[rows], distance_upper_bound=reach.most)
        met = np.isfinite(distance)
        rows, distance, source = rows[met], distance[met], around[nearest[met]]
        away = np.linalg.norm(there[rows] - scan.pose[:3, 3], axis=1)
        taken = chosen[source] & (distance <= reach.near + reach.growth * away)
        if abs(other - number) > reach.moving_scans:
            taken &= ~movable[source]
        rows, source = rows[taken].astype(np.int32), source[taken]
        if len(rows):
            words = project.classes.words(of_point[source], project.known(other).words[rows])
            found.append(ScanChange(other, rows, words, np.zeros(len(rows), np.bool_)))
    return found


def _at_rest(points: NDArray[np.float32], pose: NDArray[np.float64]) -> NDArray[np.float64]:
    return points.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
