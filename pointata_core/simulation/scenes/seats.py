# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Seats for the people whose script lets them sit down on one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pointata_core.simulation.people.motions import sits_on_seat
from pointata_core.simulation.people.performance import Performance
from pointata_core.simulation.scenes.ground import Ground
from pointata_core.simulation.solids import ShapeBuilder, up, yaw_rotation

_BACK = 0.46  # how far the pelvis moves back, in leg lengths: as in the posture on a chair


def place_seats(
    builder: ShapeBuilder,
    people: Iterable[Performance],
    ground: Ground | None,
    label: int,
    rng: np.random.Generator,
) -> None:
    """Add a stool, a bench or a chair behind everyone who is going to sit on one.

    A seat somebody would walk through at another time is left out: to the sensor, that person then
    sits on something thin and dark that does not return, which real recordings have, too.
    """
    people = list(people)
    for person in people:
        for segment in person.script:
            if segment.action != 'sit_down' or not sits_on_seat(segment.style):
                continue
            anchor, yaw = person.anchor_at(segment.start + 1.2)
            back = _BACK * person.body.leg
            heading = np.array([np.cos(yaw), np.sin(yaw)])
            spot = anchor - heading * back
            if _in_the_way(spot, segment.start, segment.end, people):
                continue
            floor = 0.0 if ground is None else float(ground.height(*spot))
            _seat(builder, np.array([*spot, floor]), yaw, 0.245 * person.body.height, label, rng)


def _in_the_way(spot: np.ndarray, start: float, end: float, people: list[Performance]) -> bool:
    for person in people:
        times = person.script[0].start + 0.05 * np.arange(len(person.path))
        other = (times < start - 0.3) | (times > end + 2.2)
        if np.any(np.linalg.norm(person.path[other, :2] - spot, axis=1) < 0.35):
            return True
    return False


def _seat(
    builder: ShapeBuilder,
    foot: np.ndarray,
    yaw: float,
    height: float,
    label: int,
    rng: np.random.Generator,
) -> None:
    turn = yaw_rotation(yaw)
    paint = {'label': label, 'reflectivity': rng.uniform(0.2, 0.6)}
    style = rng.choice(['stool', 'chair', 'box'])
    if style == 'box':
        half = (rng.uniform(0.18, 0.3), rng.uniform(0.2, 0.5), height / 2)
        builder.box(foot + up(height / 2), half, turn, **paint)
        return
    builder.box(foot + up(height - 0.03), (0.2, 0.21, 0.03), turn, **paint)
    for x in (-0.17, 0.17):
        for y in (-0.18, 0.18):
            leg = foot + turn @ np.array([x, y, 0.0])
            builder.capsule(leg, leg + up(height - 0.05), 0.018, **paint)
    if style == 'chair':
        back = foot + turn @ np.array([-0.2, 0.0, height + 0.24])
        builder.box(back, (0.02, 0.2, 0.22), turn, **paint)
