# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Procedural rooms, from an office to a hall, with one person acting and perhaps another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pointata_core.simulation.objects.furniture import draw_piece
from pointata_core.simulation.people.performance import (
    EMPTY_ALONE_COMPANY,
    Performance,
    wander,
    write_script,
)
from pointata_core.simulation.scenes.seats import place_seats
from pointata_core.simulation.scenes.street import draw_body
from pointata_core.simulation.scenes.world import EgoPath, World
from pointata_core.simulation.solids import ShapeBuilder
from pointata_core.taxonomy import class_id

_FLOOR, _WALL, _CEILING = (class_id(name) for name in ('floor', 'wall', 'ceiling'))
_FURNITURE = class_id('furniture')


@dataclass(frozen=True)
class _Room:
    """Half extents and height, metres; centred on the origin of the map."""

    half_x: float
    half_y: float
    height: float


def indoor(rng: np.random.Generator, duration: float, sensor_height: float | None = None) -> World:
    """Draw a room.

    Args:
        rng: Source of randomness.
        duration: Seconds of the recording.
        sensor_height: Metres above the floor; drawn if not given.
    """
    hall = rng.random() < 0.4
    room = _Room(
        rng.uniform(5, 14) if hall else rng.uniform(2.3, 5),
        rng.uniform(4, 10) if hall else rng.uniform(2.0, 4),
        rng.uniform(3.2, 7) if hall else rng.uniform(2.4, 3.4),
    )
    builder = ShapeBuilder()
    _shell(builder, room, rng)

    angle = rng.uniform(0, 2 * np.pi)
    start = np.array([room.half_x, room.half_y]) * rng.uniform(0.3, 0.75)
    start = start * [np.cos(angle), np.sin(angle)]
    distance = min(rng.uniform(2.0, 5.5), 1.6 * max(room.half_x, room.half_y))
    toward = np.arctan2(-start[1], -start[0]) + rng.normal(0, 0.25)
    stage = start + distance * np.array([np.cos(toward), np.sin(toward)])
    limit = np.array([room.half_x, room.half_y]) - 0.9
    stage = np.clip(stage, -limit, limit)

    people = []
    centres = [stage, np.clip(rng.uniform(-1, 1, 2) * limit, -limit, limit)]
    centres = centres[: int(rng.choice([0, 1, 2], p=EMPTY_ALONE_COMPANY))]
    for number, centre in enumerate(centres):
        script = write_script(duration, rng, performing=number == 0 or rng.random() < 0.5)
        path = wander(script, centre, rng.uniform(0.5, 1.0), rng)
        people.append(Performance(draw_body(rng, 100 + number), tuple(script), path))

    # The sensor sees the stage: nothing tall comes between them.
    view = [start + (stage - start) * share for share in np.linspace(0, 1, 6)]
    _partitions(builder, room, [*centres, *view], rng)
    free = [(centre, 1.9) for centre in centres] + [(point, 0.6) for point in view]
    _furnish(builder, room, free, rng)
    place_seats(builder, people, None, _FURNITURE, rng)

    steps = int(duration / 0.1) + 3
    times = np.arange(steps) * 0.1
    speed = rng.choice([0.0, rng.uniform(0.05, 0.8)], p=[0.5, 0.5])
    facing = np.arctan2(*(stage - start)[::-1])
    reach = max(0.7, float(np.linalg.norm(stage - start)) - 1.6)
    travel = reach * 0.5 * (1 - np.cos(np.minimum(speed * times / reach, np.pi)))
    samples = np.empty((steps, 3))
    samples[:, :2] = start + travel[:, None] * [np.cos(facing), np.sin(facing)]
    wobble = rng.choice([0.0, 0.25]) * np.sin(times * rng.uniform(0.3, 1.0))
    samples[:, 2] = facing + rng.normal(0, 0.12) + wobble
    height = rng.uniform(0.4, 1.6) if sensor_height is None else sensor_height
    return World(
        name='indoor',
        static=builder.build(),
        ground=None,
        movers=(),
        people=tuple(people),
        ego=EgoPath(
            samples,
            0.1,
            float(min(height, room.height - 0.5)),
            float(rng.normal(0, 0.015)),
            float(rng.normal(0.02, 0.05)),
            np.array([0.003 * rng.random(), 4.0, 0.003 * rng.random(), 3.0]),
        ),
    )


def _shell(builder: ShapeBuilder, room: _Room, rng: np.random.Generator) -> None:
    paint = {'label': _WALL, 'reflectivity': rng.uniform(0.35, 0.75)}
    builder.floor(
        (0, 0, 0),
        room.half_x + 8,
        room.half_y + 8,
        label=_FLOOR,
        reflectivity=rng.uniform(0.15, 0.5),
    )
    builder.floor(
        (0, 0, room.height),
        room.half_x + 8,
        room.half_y + 8,
        label=_CEILING,
        reflectivity=rng.uniform(0.4, 0.8),
    )
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]]) * [room.half_x, room.half_y]
    for start, end in itertools.pairwise(corners):
        _wall(builder, start, end, room.height, rng, paint)
    # What shows through the doors: a corridor all around.
    outer = corners + np.sign(corners) * rng.uniform(1.6, 5.0)
    for start, end in itertools.pairwise(outer):
        builder.wall(start, end, 0.0, room.height, **paint)
    if room.half_x > 6:
        size = rng.uniform(0.15, 0.35)
        for x in np.arange(-room.half_x + 3, room.half_x - 2, rng.uniform(4, 7)):
            for y in (-room.half_y * 0.55, room.half_y * 0.55):
                builder.box((x, y, room.height / 2), (size, size, room.height / 2), **paint)
    for x in np.arange(-room.half_x + 1, room.half_x, rng.uniform(1.8, 3.5)):  # lamps and beams
        half = (rng.uniform(0.08, 0.3), room.half_y * rng.uniform(0.1, 0.95), 0.04)
        builder.box((x, 0, room.height - 0.06), half, label=_CEILING, reflectivity=0.7)


def _partitions(
    builder: ShapeBuilder, room: _Room, free: Sequence, rng: np.random.Generator
) -> None:
    """Stubs of walls and chimney breasts, a metre clear of the ``free`` points.

    Few rooms are plain boxes.
    """
    paint = {'label': _WALL, 'reflectivity': rng.uniform(0.35, 0.75)}
    for _ in range(int(rng.integers(0, 4))):
        side = int(rng.integers(4))
        yaw = side * np.pi / 2
        span, depth = (room.half_x, room.half_y) if side % 2 == 0 else (room.half_y, room.half_x)
        reach = rng.uniform(0.1, 0.45) * depth
        half = (rng.choice([0.06, rng.uniform(0.15, 0.6)]), reach, room.height / 2)
        local = np.array([rng.uniform(-1, 1) * span, depth - reach])
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, -s], [s, c]])
        gap = np.maximum(np.abs(np.array(free) @ turn - local) - half[:2], 0)
        if np.linalg.norm(gap, axis=1).min() > 1.0:
            builder.box((*(turn @ local), room.height / 2), half, yaw, **paint)


def _wall(
    builder: ShapeBuilder,
    start: np.ndarray,
    end: np.ndarray,
    height: float,
    rng: np.random.Generator,
    paint: dict,
) -> None:
    """A wall with a door and windows; a window pane returns nothing: the ray goes outdoors."""
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    yaw = float(np.arctan2(along[1], along[0]))

    def piece(begin: float, stop: float, low: float, high: float) -> None:
        if stop - begin > 0.02 and high - low > 0.02:
            middle = start + along * (begin + stop) / 2
            half = ((stop - begin) / 2, 0.06, (high - low) / 2)
            builder.box((*middle, (low + high) / 2), half, yaw, **paint)

    openings = []
    if rng.random() < 0.5:
        at = rng.uniform(0.4, max(0.5, length - 1.5))
        openings.append((at, at + rng.uniform(0.85, 1.1), 0.0, 2.05, 'door'))
    if rng.random() < 0.45:
        at = rng.uniform(0.3, max(0.4, length - 3.0))
        top = min(height - 0.2, 2.3)
        openings.append((at, min(length - 0.2, at + rng.uniform(1, 2.5)), 0.9, top, 'window'))
    openings.sort()
    position = 0.0
    for begin, stop, low, high, kind in openings:
        if begin < position or stop > length or stop <= begin:
            continue
        piece(position, begin, 0.0, height)
        piece(begin, stop, 0.0, low)
        piece(begin, stop, high, height)
        position = stop
        if kind == 'window':  # sill, frame, and a black pane
            middle = start + along * (begin + stop) / 2
            builder.box((*middle, low), ((stop - begin) / 2, 0.12, 0.025), yaw, **paint)
            pane = {**paint, 'reflectivity': 0.0}
            half = ((stop - begin) / 2, 0.01, (high - low) / 2)
            builder.box((*middle, (low + high) / 2), half, yaw, **pane)
        elif rng.random() < 0.7:  # the leaf, shut or ajar
            opening = rng.choice([0.0, rng.uniform(0.4, 1.9)])
            hinge, width = start + along * begin, stop - begin
            turned = yaw + opening
            middle = hinge + width / 2 * np.array([np.cos(turned), np.sin(turned)])
            builder.box((*middle, high / 2), (width / 2, 0.022, high / 2), turned, **paint)
    piece(position, length, 0.0, height)


def _furnish(builder: ShapeBuilder, room: _Room, free: Sequence, rng: np.random.Generator) -> None:
    """Furniture along the walls and some in the room, never on the ``free`` (centre, radius)."""
    area = 4 * room.half_x * room.half_y
    taken = list(free)
    for _ in range(int(rng.integers(3, 7) + area / 9)):
        piece = draw_piece(rng)
        half_x, half_y = piece.draw_size(rng)
        wall = piece.at_wall and rng.random() < 0.9
        for _ in range(6):  # a few tries to find a place
            if wall:
                side = int(rng.integers(4))
                yaw = side * np.pi / 2
                depth, span = (
                    (room.half_y, room.half_x) if side % 2 == 0 else (room.half_x, room.half_y)
                )
                if span < half_x + 0.1:
                    continue
                local = np.array([rng.uniform(-1, 1) * (span - half_x), depth - half_y - 0.09])
                c, s = np.cos(yaw), np.sin(yaw)
                spot = np.array([c * local[0] - s * local[1], s * local[0] + c * local[1]])
            else:
                yaw = rng.uniform(0, 2 * np.pi)
                margin = max(half_x, half_y)
                if min(room.half_x, room.half_y) < margin + 0.2:
                    continue
                limit = np.array([room.half_x, room.half_y]) - margin
                spot = rng.uniform(-1, 1, 2) * limit
            radius = float(np.hypot(half_x, half_y))
            if all(np.linalg.norm(spot - c) > radius * 0.8 + r * 0.9 for c, r in taken):
                taken.append((spot, radius))
                piece.build(builder, spot, float(yaw), half_x, half_y, rng)
                break
