# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Procedural yards: a robot on a lawn or a paved court, with somebody acting in front of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pointata_core.simulation.objects import plants, structures, vehicles
from pointata_core.simulation.objects.things import street_thing
from pointata_core.simulation.people.mingling import mingle
from pointata_core.simulation.people.performance import (
    EMPTY_ALONE_COMPANY,
    Performance,
    wander,
    write_script,
)
from pointata_core.simulation.scenes.ground import Ground, rolling
from pointata_core.simulation.scenes.seats import place_seats
from pointata_core.simulation.scenes.street import draw_body
from pointata_core.simulation.scenes.world import EgoPath, World
from pointata_core.simulation.solids import ShapeBuilder, concatenate, rigid, yaw_rotation
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id

_CELL, _SPACING = 0.25, 0.5
_HALF = 40.0
_CROWD = 12

_Gathering = Callable[[np.random.Generator, float, int], tuple[list[Performance], float]]
"""From randomness, seconds and the last instance id to people and where the sensor looks."""


def yard(rng: np.random.Generator, duration: float, sensor_height: float | None = None) -> World:
    """Draw a yard with nobody, one or two people.

    Args:
        rng: Source of randomness.
        duration: Seconds of the recording.
        sensor_height: Metres above the ground; drawn if not given.
    """
    return _yard(rng, duration, sensor_height, 'yard', _few)


def crowd(rng: np.random.Generator, duration: float, sensor_height: float | None = None) -> World:
    """Draw a yard with up to twelve people who cross each other's ways; arguments as `yard`."""
    return _yard(rng, duration, sensor_height, 'crowd', _many)


def _yard(
    rng: np.random.Generator,
    duration: float,
    sensor_height: float | None,
    name: str,
    gather: _Gathering,
) -> World:
    ground = _ground(rng)
    builder, parts = ShapeBuilder(), []
    instance = 0

    def point(angle: float, distance: float) -> np.ndarray:
        x, y = distance * np.cos(angle), distance * np.sin(angle)
        return np.array([x, y, float(ground.height(x, y))])

    size = rng.uniform(9, 18)
    sides = int(rng.integers(1, 5))
    turn = rng.uniform(0, 2 * np.pi)
    for side in range(sides):
        angle = turn + side * np.pi / 2
        instance += 1
        front = point(angle, size * rng.uniform(0.9, 1.5))
        # A house's body lies to the left of its façade's direction, that is away from the centre.
        width = rng.uniform(8, 22)
        structures.building(builder, front, angle - np.pi / 2, width, 9.0, rng, instance)
    for side in range(sides, 4):
        angle = turn + side * np.pi / 2
        first, last = point(angle - 0.7, size * 1.5), point(angle + 0.7, size * 1.5)
        (structures.fence if rng.random() < 0.5 else plants.hedge)(builder, first, last, rng)
    for _ in range(rng.poisson(6)):
        plant = plants.tree if rng.random() < 0.5 else plants.bush
        plant(builder, point(rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.4) * size), rng)
    for _ in range(rng.poisson(2.5)):
        instance += 1
        spot = point(rng.uniform(0, 2 * np.pi), rng.uniform(6.5, 1.2 * size))
        make = vehicles.car if rng.random() < 0.6 else vehicles.two_wheeler
        parts.append(make(rng, instance).moved(rigid(spot, yaw_rotation(rng.uniform(0, 6.28)))))
    for _ in range(rng.poisson(3)):
        instance += 1
        spot = point(rng.uniform(0, 2 * np.pi), rng.uniform(6.5, 1.2 * size))
        pose = rigid(spot, yaw_rotation(rng.uniform(0, 6.28)))
        parts.append(street_thing(rng, instance).moved(pose))
    for _ in range(rng.poisson(2)):
        instance += 1
        spot = point(rng.uniform(0, 2 * np.pi), rng.uniform(6, size))
        structures.lamp_post(builder, spot, rng.uniform(0, 6.28), rng, instance)

    people, facing = gather(rng, duration, instance)
    place_seats(builder, people, ground, class_id('furniture'), rng)

    steps = int(duration / 0.1) + 3
    speed = rng.choice([0.0, rng.uniform(0.1, 0.4)])
    times = np.arange(steps) * 0.1
    heading = facing + 0.15 * np.sin(times * rng.uniform(0.2, 0.8))
    travel = np.minimum(speed * times, 1.2)  # never up to the people
    samples = np.stack([travel, np.zeros(steps), heading], 1)
    height = rng.uniform(0.4, 1.6) if sensor_height is None else sensor_height
    return World(
        name=name,
        static=concatenate([builder.build(), *parts]),
        ground=ground,
        movers=(),
        people=tuple(people),
        ego=EgoPath(
            samples,
            0.1,
            float(height),
            float(rng.normal(0, 0.015)),
            float(rng.normal(0, 0.03)),
            np.array([0.006 * rng.random(), 5.0, 0.004 * rng.random(), 3.0]),
        ),
    )


def _few(
    rng: np.random.Generator, duration: float, instance: int
) -> tuple[list[Performance], float]:
    people = []
    facing = 0.0
    for person in range(int(rng.choice([0, 1, 2], p=EMPTY_ALONE_COMPANY))):
        instance += 1
        angle, distance = rng.uniform(-0.9, 0.9), rng.uniform(2.6, 5.5) + 4.5 * person
        facing = facing if person else angle + rng.normal(0, 0.12)
        centre = distance * np.array([np.cos(angle), np.sin(angle)])
        script = write_script(duration, rng)
        path = wander(script, centre, rng.uniform(0.7, 1.6), rng)
        people.append(Performance(draw_body(rng, instance), tuple(script), path))
    return people, facing


def _many(
    rng: np.random.Generator, duration: float, instance: int
) -> tuple[list[Performance], float]:
    count = int(rng.integers(1, _CROWD + 1))
    scripts = [write_script(duration, rng, performing=rng.random() < 0.5) for _ in range(count)]
    people = [
        Performance(draw_body(rng, instance + 1 + number), tuple(script), path)
        for number, (script, path) in enumerate(zip(scripts, mingle(scripts, rng)))
    ]
    return people, 0.0


def _ground(rng: np.random.Generator) -> Ground:
    road, sidewalk, terrain = (class_id(name) for name in ('road', 'sidewalk', 'terrain'))
    count = int(2 * _HALF / _CELL)
    base = rng.choice([terrain, sidewalk, road], p=[0.45, 0.3, 0.25])
    classes = np.full((count, count), base, np.uint8)
    raised = np.full((count, count), base != road)
    axis = -_HALF + (np.arange(count) + 0.5) * _CELL
    for _ in range(int(rng.integers(1, 4))):  # paths, beds and drives
        yaw, offset = rng.uniform(0, np.pi), rng.uniform(-12, 12)
        across = np.abs(np.cos(yaw) * axis[:, None] + np.sin(yaw) * axis[None, :] - offset)
        band = across < rng.uniform(0.6, 3.5)
        kind = rng.choice([terrain, sidewalk, road])
        classes[band], raised[band] = kind, kind != road
    reflectivity = np.full(len(SEGMENTATION_CLASSES), 0.3, np.float32)
    reflectivity[[road, sidewalk, terrain]] = rng.uniform(0.15, 0.45, 3)
    waves = np.array(
        [
            (rng.uniform(0, top), *rng.normal(0, 2 * np.pi / length, 2), rng.uniform(0, 6.28))
            for top, length in ((0.3, 40), (0.08, 12), (0.03, 4))
        ]
    )
    slope = (float(rng.normal(0, 0.02)), float(rng.normal(0, 0.02)))
    nodes = int(2 * _HALF / _SPACING) + 1
    return Ground(
        classes,
        raised,
        (-_HALF, -_HALF),
        _CELL,
        float(rng.uniform(0.0, 0.12)),
        rolling((nodes, nodes), (-_HALF, -_HALF), _SPACING, slope, waves),
        _SPACING,
        reflectivity,
        grass=float(rng.uniform(0.0, 0.1)),
    )
