# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Paths of many people through one place: they cross, hide each other, and make way."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.people.performance import STEP, Segment

_NEAR, _FAR, _WIDE = 2.5, 10.0, 1.0  # metres from the sensor, and radians to each side
_APART = 0.55  # metres between two people who pass
_NOTICE = 1.2  # metres at which somebody in the way is noticed
_TURN = 2.8  # radians per second
_REACHED = 0.6  # metres


def mingle(scripts: list[list[Segment]], rng: np.random.Generator) -> list[np.ndarray]:
    """Draw the ways of several people in front of the sensor, which is at the origin.

    Args:
        scripts: What each of them does; those who walk or run go from place to place.
        rng: Source of randomness.

    Returns:
        A path for each, as :class:`~pointata_core.simulation.people.performance.Performance` has.
    """
    count = len(scripts)
    begin = min(script[0].start for script in scripts)
    steps = int(np.ceil((max(script[-1].end for script in scripts) - begin) / STEP)) + 3
    place = _starts(count, rng)
    goal = _places(count, rng)
    yaw = rng.uniform(-np.pi, np.pi, count)
    joint = np.empty((steps, count, 3))
    for step in range(steps):
        joint[step, :, :2], joint[step, :, 2] = place, yaw
        now = begin + step * STEP
        speed = np.array([_speed(script, now) for script in scripts])
        reached = np.linalg.norm(goal - place, axis=1) < _REACHED
        goal = np.where(reached[:, None], _places(count, rng), goal)
        wish, slow = _around(place, yaw, goal)
        turn = (wish - yaw + np.pi) % (2 * np.pi) - np.pi
        yaw = yaw + np.clip(turn, -_TURN * STEP, _TURN * STEP) * (speed > 0)
        ahead = np.stack([np.cos(yaw), np.sin(yaw)], 1)
        place = place + (speed * slow * STEP)[:, None] * ahead
    times = begin + STEP * np.arange(steps)
    return [_own(script, times, joint[:, number]) for number, script in enumerate(scripts)]


def _speed(script: list[Segment], now: float) -> float:
    under_way = [segment for segment in script if segment.start <= now]
    segment = under_way[-1] if under_way else script[0]
    return segment.style.speed * min(1.0, max(0.0, now - segment.start) / 0.4)


def _around(place: np.ndarray, yaw: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each wants to go, to the right of whom it would walk into; and its share of speed."""
    wish = np.arctan2(*(goal - place)[:, ::-1].T)
    slow = np.ones(len(place))
    obstacles = np.concatenate([place, np.zeros((1, 2))])  # the sensor as well
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], 1)
    for number in range(len(place)):
        offset = obstacles - place[number]
        away = np.linalg.norm(offset, axis=1)
        away[number] = np.inf
        in_front = (offset @ ahead[number] > 0) & (away < _NOTICE)
        if in_front.any():
            first = int(np.argmin(np.where(in_front, away, np.inf)))
            wish[number] = np.arctan2(offset[first, 1], offset[first, 0]) - np.pi / 2
            slow[number] = np.clip((away[first] - _APART) / (_NOTICE - _APART), 0.0, 1.0)
    return wish, slow


def _places(count: int, rng: np.random.Generator) -> np.ndarray:
    angle, distance = rng.uniform(-_WIDE, _WIDE, count), rng.uniform(_NEAR, _FAR, count)
    return distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)


def _starts(count: int, rng: np.random.Generator) -> np.ndarray:
    """Places that are at least a metre apart."""
    chosen = np.empty((0, 2))
    while len(chosen) < count:
        place = _places(1, rng)
        if not len(chosen) or np.linalg.norm(chosen - place, axis=1).min() > 1.0:
            chosen = np.concatenate([chosen, place])
    return chosen


def _own(script: list[Segment], times: np.ndarray, path: np.ndarray) -> np.ndarray:
    """A path at the times of its script."""
    count = int(np.ceil((script[-1].end - script[0].start) / STEP)) + 2
    own = script[0].start + STEP * np.arange(count)
    columns = [path[:, 0], path[:, 1], np.unwrap(path[:, 2])]
    return np.stack([np.interp(own, times, column) for column in columns], 1)
