# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Procedural streets: from a highway to a lane between hedges, in several kinds of places.

A street follows a gently winding centre line. Each side is a row of lots behind a sidewalk or a
verge. All sizes are drawn per street and per lot, in ranges wider than those of any one place, so
training covers more than the streets of use.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pointata_core.simulation.objects import vehicles
from pointata_core.simulation.objects.library import drawn_as_mesh
from pointata_core.simulation.objects.riders import rider
from pointata_core.simulation.people.body import Body
from pointata_core.simulation.people.figures import Figure, draw_figure
from pointata_core.simulation.people.performance import (
    Performance,
    straight_on,
    wander,
    write_script,
)
from pointata_core.simulation.scenes.kerbside import line_kerbs
from pointata_core.simulation.scenes.roadside import line_street
from pointata_core.simulation.scenes.site import Site
from pointata_core.simulation.scenes.street_plan import SIGHT, City, StreetPlan, draw_plan
from pointata_core.simulation.scenes.world import EgoPath, Mover, World, smooth_speed
from pointata_core.simulation.solids import concatenate

_PATH_STEP = 0.1
_ROBOT = 1.3  # metres; sensors mounted lower are on small robots
_RIDERS = 0.18  # of the vehicles under way


def _lanes(plan: StreetPlan, rng: np.random.Generator) -> list[tuple[float, int]]:
    """Lateral position and direction of the lanes beside our own that are free of parked cars."""
    lanes = [(plan.lane, 1)]
    width = rng.uniform(2.9, 3.6)
    right = plan.lane - width
    if plan.half_road + right > (2.9 if plan.parked > 0.05 else 1.2):
        lanes.append((right, 1))
    left = plan.lane + width
    if plan.median and left < -plan.median - 1.2:
        lanes.append((left, 1))
    left = max(left, plan.median + 1.6)
    while left < plan.parking_on(1) - 2.0 and len(lanes) < 6:
        lanes.append((left, -1))
        left += width
    return lanes


def _traffic(site: Site, duration: float, ego_speed: float) -> tuple[Mover, ...]:
    """Vehicles under way: with us at about our speed, others against us."""
    rng, plan = site.rng, site.plan
    starts: list[tuple[float, float, float]] = []
    for lateral, direction in _lanes(plan, rng):
        at = -45.0 + rng.exponential(40.0)
        while at < 85.0 + 9.0 * duration * (direction < 0):
            own = lateral == plan.lane
            if not (own and abs(at) < 16.0) and rng.random() < min(0.9, plan.country.traffic / 2):
                speed = ego_speed if own else max(ego_speed, 5.0) * rng.uniform(0.85, 1.2)
                starts.append((at, lateral, direction * speed))
            at += rng.uniform(14, 60)
    times = np.arange(int(duration / _PATH_STEP) + 3) * _PATH_STEP
    movers = []
    for begin, lateral, speed in starts:
        path = np.array([plan.line.at(v, lateral) for v in begin + speed * times])
        path[:, 2] += np.pi * (speed < 0)
        instance = site.next_instance()
        if rng.random() < _RIDERS and drawn_as_mesh(rng):
            vehicle = rider(rng, instance, site.next_instance())
        else:
            vehicle = vehicles.car(rng, instance, longest=20.0)
        movers.append(Mover(vehicle, path, _PATH_STEP))
    return tuple(movers)


def _people(site: Site, duration: float, actors: list[np.ndarray]) -> tuple[Performance, ...]:
    """Passers-by on the sidewalks, and performers around the given spots."""
    rng, plan = site.rng, site.plan
    people = []
    for _ in range(rng.poisson(plan.country.people)):
        side = rng.choice([-1, 1])
        outer = max(plan.border, plan.half_road + 0.8) + 0.4
        lateral = side * rng.uniform(plan.half_road + 0.4, outer)
        x = rng.uniform(-20, plan.end - plan.begin - 2 * SIGHT + 30)
        px, py, yaw = plan.line.at(x, lateral)
        script = write_script(duration, rng, performing=False)
        path = straight_on(script, np.array([px, py]), yaw + rng.choice([0, np.pi]), rng)
        people.append(Performance(draw_body(rng, site.next_instance()), tuple(script), path))
    for spot in actors:
        script = write_script(duration, rng)
        path = wander(script, spot, rng.uniform(0.8, 1.8), rng)
        people.append(Performance(draw_body(rng, site.next_instance()), tuple(script), path))
    return tuple(people)


def draw_body(rng: np.random.Generator, instance: int) -> Body | Figure:
    """A person of random size: adults mostly, children at times."""
    child = rng.random() < 0.12
    height = rng.uniform(1.15, 1.5) if child else rng.normal(1.73, 0.09)
    if drawn_as_mesh(rng):
        return draw_figure(rng, float(height), instance)
    return Body(
        float(height), float(rng.uniform(0.85, 1.3)), instance, float(rng.uniform(0.1, 0.7))
    )


def _roof(rng: np.random.Generator) -> tuple[float, float, float]:
    """The roof of a car under the sensor: it blocks the lowest rays to the front and the rear."""
    drop, length, width = rng.uniform((0.35, 0.8, 0.5), (0.7, 1.4, 0.75))
    return float(drop), float(length), float(width)


def street(
    rng: np.random.Generator,
    duration: float,
    sensor_height: float | None = None,
    city: City | None = None,
) -> World:
    """Draw a street and a drive through it.

    Args:
        rng: Source of randomness.
        duration: Seconds of the recording.
        sensor_height: Metres above the road; drawn if not given.
        city: Whose streets; None for all that can be drawn.
    """
    steps = int(duration / _PATH_STEP) + 3
    pace = rng.choice([0.0, rng.uniform(0.05, 0.2), rng.uniform(0.3, 1.0)], p=[0.15, 0.2, 0.65])
    plan = draw_plan(rng)
    plan = plan if city is None else city.of(plan)
    height = rng.uniform(1.55, 1.95) if sensor_height is None else sensor_height
    robot = height < _ROBOT
    top = min(pace * plan.country.speed, 1.6 if robot else np.inf)
    speed = smooth_speed(rng, steps, _PATH_STEP, top * 0.6, top)
    x = np.concatenate([[0.0], np.cumsum(speed)[:-1] * _PATH_STEP])
    plan = replace(plan, end=float(x[-1]) + SIGHT)
    site = Site(rng, plan)
    lane = plan.lane
    if robot and plan.sidewalk > 1.6 and rng.random() < 0.7:  # on the sidewalk, off the kerb
        lane = rng.choice([-1, 1]) * (plan.border - 0.4 * plan.sidewalk)
    sway = 0.15 * np.sin(2 * np.pi * x / rng.uniform(25, 60))
    samples = np.array([plan.line.at(v, lane + s) for v, s in zip(x, sway)])
    # The way goes along the x axis of the map, but the car need not look exactly along it.
    samples[:, 2] += rng.normal(0, 0.02)
    line_street(site)
    line_kerbs(site)
    actors = []
    if top <= 2.0 or rng.random() < 0.25:
        count = 1 + int(rng.random() < 0.3)
        for _ in range(count):
            along = float(x[len(x) // 2]) + rng.uniform(2.5, 6.5)
            side = -1 if rng.random() < 0.6 else 1
            lateral = side * (plan.parking_on(side) + rng.uniform(1.4, 2.4))
            if top <= 2.0 and rng.random() < 0.5:
                along, lateral = (
                    float(x[-1]) + rng.uniform(2.8, 6.5),
                    plan.lane + rng.uniform(-1, 1),
                )
            actors.append(np.array(plan.line.at(along, lateral)[:2]))
    return World(
        name='street',
        static=concatenate([site.builder.build(), *site.parts]),
        ground=site.ground,
        movers=_traffic(site, duration, float(speed.mean())),
        people=_people(site, duration, actors),
        ego=EgoPath(
            samples,
            _PATH_STEP,
            float(height),
            float(rng.normal(0, 0.006)),
            float(rng.normal(0, 0.01)),
            np.array([0.004 * rng.random(), rng.uniform(2, 7), 0.003 * rng.random(), 4.0]),
        ),
        carrier=_roof(rng) if height > _ROBOT and rng.random() < 0.6 else None,
        rain=float(rng.choice([0.0, rng.uniform(0.001, 0.03)], p=[0.92, 0.08])),
    )
