# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The points of one person as a person skill sees them.

Training and streaming cut people out with these functions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointata_core.tracking.tracker import Person

_FEW_GROUND, _NEAR, _WIDER = 5, 2.5, 6.0  # points, metres
_MOST_GROUND = 4096  # points that are looked at
_RISE = 0.3  # metres per second, by which a floor without ground points may rise


def thinned_ground(points: NDArray[np.float64], is_ground: np.ndarray) -> NDArray[np.float64]:
    """Points (M, 3) of the ground, evenly thinned, as :func:`floor_below` takes them."""
    rows = np.flatnonzero(is_ground)
    rows = rows[:: max(1, -(-len(rows) // _MOST_GROUND))]
    found = points[rows]
    return found[np.isfinite(found).all(1)]


def floor_below(
    person: Person, ground: NDArray[np.float64], before: float | None, seconds: float
) -> float:
    """Height of the floor that a person stands on, metres.

    Args:
        person: Who stands there.
        ground: (M, 3) points of the ground.
        before: What this function returned last for the same person.
        seconds: Since then.

    Returns:
        The median height of the ground around; where none is seen, the lowest point of the person
        lately.
    """
    away = np.linalg.norm(ground[:, :2] - person.centre[:2], axis=1)
    for reach in (_NEAR, _WIDER):
        near = ground[away <= reach, 2]
        if len(near) >= _FEW_GROUND:
            return float(np.median(near))
    lowest = float(person.centre[2] - person.size[2] / 2)
    return lowest if before is None else min(lowest, before + _RISE * seconds)


def crop(
    points: NDArray[np.float64],
    person: Person,
    sensor: NDArray[np.float64],
    floor: float,
    most: int,
    reach: float,
) -> NDArray[np.float32]:
    """Points of a person, upright and about its middle.

    Args:
        points: (n, 3) metres in the fixed frame, of this person.
        person: Its place.
        sensor: (3,) metres, where the sensor is.
        floor: Metres, height of the floor.
        most: Points to keep.
        reach: Metres from the middle within which points are kept.

    Returns:
        (m, 3) metres: x away from the sensor, y to the left of that, z above the floor.
    """
    offset = (points[:, :2] - person.centre[:2]) @ _view(person, sensor).T
    found = np.column_stack([offset, points[:, 2] - floor])
    found = found[np.abs(offset).max(1, initial=0.0) <= reach]
    if len(found) > most:
        found = found[np.linspace(0, len(found) - 1, most).astype(np.int64)]
    return found.astype(np.float32)


def motion(person: Person, sensor: NDArray[np.float64], floor: float) -> NDArray[np.float32]:
    """(4,) velocity away from the sensor and to the left, speed, and the sensor's height."""
    velocity = _view(person, sensor) @ person.velocity
    speed = np.linalg.norm(velocity)
    return np.array([*velocity, speed, sensor[2] - floor], np.float32).clip(-5, 5)


def _view(person: Person, sensor: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 2) rotation after which the sensor looks along x at the person."""
    x, y = person.centre[:2] - sensor[:2]
    length = max(float(np.hypot(x, y)), 1e-6)
    return np.array([[x, y], [-y, x]]) / length
