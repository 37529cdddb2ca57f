# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bare floor with people: all actions of people, at little cost for everything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pointata_core.simulation.people import motions
from pointata_core.simulation.people.body import Body
from pointata_core.simulation.people.figures import Figure
from pointata_core.simulation.people.mingling import mingle
from pointata_core.simulation.people.motions import NEUTRAL
from pointata_core.simulation.people.performance import Performance, Segment, write_script
from pointata_core.simulation.scenes.seats import place_seats
from pointata_core.simulation.scenes.street import draw_body
from pointata_core.simulation.scenes.world import EgoPath, World
from pointata_core.simulation.solids import ShapeBuilder
from pointata_core.taxonomy import class_id

_HALF = 16.0  # metres of the floor to each side
_PASSERS_BY = 0.25  # share of the people
_CLEAR = 0.7  # metres between people and what hides them
_ACTIONS = (
    *('stand', 'stand', 'walk', 'walk', 'run', 'wave', 'sit_down', 'fall'),
    *('pick_up', 'throw', 'punch', 'kick', 'jump'),
)
_LONG = ('sit_down', 'fall')  # one stays as one is for a while


def stage(rng: np.random.Generator, duration: float, sensor_height: float | None = None) -> World:
    """Draw five to ten people on a floor, partly behind low things.

    Args:
        rng: Source of randomness.
        duration: Seconds of the recording.
        sensor_height: Metres above the floor; drawn if not given.
    """
    scripts = []
    for _ in range(int(rng.integers(5, 11))):
        passes_by = rng.random() < _PASSERS_BY
        scripts.append(
            write_script(duration, rng, performing=False) if passes_by else _script(duration, rng)
        )
    people = [
        Performance(_body(rng, 1 + number), tuple(script), path)
        for number, (script, path) in enumerate(zip(scripts, mingle(scripts, rng)))
    ]
    builder = ShapeBuilder()
    paint = {'label': class_id('floor'), 'reflectivity': rng.uniform(0.15, 0.5)}
    builder.floor((0, 0, 0), _HALF, _HALF, **paint)
    place_seats(builder, people, None, class_id('furniture'), rng)
    _hide(builder, people, rng)
    height = rng.uniform(0.4, 1.6) if sensor_height is None else sensor_height
    samples = np.zeros((int(duration / 0.1) + 3, 3))
    samples[:, 2] = rng.normal(0, 0.05)
    return World(
        name='stage',
        static=builder.build(),
        ground=None,
        movers=(),
        people=tuple(people),
        ego=EgoPath(
            samples,
            0.1,
            float(height),
            float(rng.normal(0, 0.01)),
            float(rng.normal(0.01, 0.02)),
            np.array([0.003 * rng.random(), 4.0, 0.003 * rng.random(), 3.0]),
        ),
    )


def _body(rng: np.random.Generator, instance: int) -> Body | Figure:
    body = draw_body(rng, instance)
    return replace(body, plain=True) if isinstance(body, Figure) else body


def _script(duration: float, rng: np.random.Generator) -> list[Segment]:
    """All actions about equally often, each as short or long as people do it."""
    script: list[Segment] = []
    deck: list[str] = []
    now, posture, previous = -rng.uniform(0.0, 3.0), NEUTRAL, ''
    while now < duration:
        if previous in _LONG:
            action, length = 'stand_up', rng.uniform(1.6, 2.4)
        else:
            deck = deck or [str(name) for name in rng.permutation(_ACTIONS)]
            action = deck.pop()
            length = rng.uniform(2.5, 6.0) if action in _LONG else rng.uniform(1.5, 3.5)
        segment = Segment(action, now, now + length, motions.draw_style(action, rng), posture)
        script.append(segment)
        posture, now, previous = segment.posture_at(segment.end), segment.end, action
    return script


def _hide(builder: ShapeBuilder, people: list[Performance], rng: np.random.Generator) -> None:
    """Add tables, low walls and posts, where nobody walks."""
    ways = np.concatenate([person.path[::4, :2] for person in people])
    for _ in range(rng.poisson(2)):
        angle, distance = rng.uniform(-0.9, 0.9), rng.uniform(1.2, 7.0)
        spot = distance * np.array([np.cos(angle), np.sin(angle)])
        low = rng.random() < 0.6
        half = rng.uniform((0.05, 0.3, 0.25), (0.3, 0.9, 0.5)) if low else (0.06, 0.06, 1.2)
        if np.linalg.norm(ways - spot, axis=1).min() > _CLEAR + half[1]:
            paint = {'label': class_id('furniture'), 'reflectivity': rng.uniform(0.2, 0.7)}
            builder.box((*spot, half[2]), half, angle, **paint)
