# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small street with known labels, and folders to teach in that hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pointata_core.datasets.scenes.semantickitti_writer import SequenceWriter, raw_ids
from pointata_core.taxonomy import class_id
from pointata_core.teaching.project import Project

PERIOD_NS = 100_000_000


def street() -> tuple[np.ndarray, np.ndarray]:
    """Points at rest and their classes: a road with a raised sidewalk, a wall, two cars."""
    rng = np.random.default_rng(1)

    def box(low, high, count):
        return rng.uniform(low, high, (count, 3))

    parts = {
        'road': box((-12, -4, -1.72), (16, 3, -1.68), 6000),
        'sidewalk': box((-12, 3, -1.57), (16, 6, -1.53), 3000),
        'building': box((-12, 6, -1.5), (16, 6.1, 3), 3000),
    }
    cars = np.concatenate([box((x, -3, -1.4), (x + 3.5, -1.5, -0.2), 800) for x in (-6, 6)])
    points = np.concatenate([*parts.values(), cars])
    names = np.repeat([*parts, 'car'], [*map(len, parts.values()), len(cars)])
    return points, np.array([class_id(name) for name in names], np.uint16)


def write_street(folder: Path, scans: int = 4, *, labels: bool = False, poses: bool = True) -> Path:
    """A sensor that drives along the street, half a metre a scan, and sees most points of it."""
    points, truth = street()
    writer = SequenceWriter(folder)
    for number in range(scans):
        seen = np.random.default_rng(number).random(len(points)) < 0.7
        pose = np.eye(4)
        pose[0, 3] = 0.5 * number
        words = raw_ids(truth[seen]) if labels else np.zeros(seen.sum(), np.uint32)
        bright = truth[seen] / 15
        own = points[seen] - pose[:3, 3]
        writer.add(own, bright, words, number * PERIOD_NS, pose if poses else None)
    writer.close()
    return folder


def truth_of(number: int) -> np.ndarray:
    """Classes of the points of a scan."""
    points, truth = street()
    return truth[np.random.default_rng(number).random(len(points)) < 0.7]


def street_project(folder: Path, scans: int = 4, *, poses: bool = True) -> Project:
    """A folder with the street, without labels."""
    write_street(folder / 'sequences' / '00', scans, poses=poses)
    return Project.start(folder)
