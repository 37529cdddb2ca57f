# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scene ready to be scanned: what stands, what moves, who acts and where the sensor goes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pointata_core.simulation.people.performance import Performance
from pointata_core.simulation.scenes.ground import Ground
from pointata_core.simulation.solids import (
    Shapes,
    concatenate,
    rigid,
    rotation_from_rpy,
    yaw_rotation,
)

MOVING_SPEED = 0.2
"""Metres per second over ground from which a vehicle or a person counts as moving."""

_INSTANT = 0.1  # seconds before and after, between which a speed is taken


@dataclass(frozen=True)
class Mover:
    """A rigid thing on wheels that follows a path.

    Attributes:
        shapes: In its own frame.
        path: (K, 3) map x, y and yaw at equal steps of time.
        step: Seconds between rows of ``path``.
    """

    shapes: Shapes
    path: np.ndarray
    step: float

    @property
    def instance(self) -> int:
        """Its instance id."""
        return int(self.shapes.instance[0])

    @property
    def instances(self) -> list[int]:
        """Its instance id, and that of its rider."""
        return np.unique(self.shapes.instance).tolist()

    def place_at(self, t: float) -> np.ndarray:
        """(3,) map x, y and yaw at time ``t``."""
        exact = np.clip(t / self.step, 0, len(self.path) - 1.001)
        index = int(exact)
        return self.path[index] + (exact - index) * (self.path[index + 1] - self.path[index])

    def shapes_at(self, t: float, world: World) -> Shapes:
        """Shapes in the map frame at time ``t``."""
        x, y, yaw = self.place_at(t)
        position = (x, y, world.ground_height(x, y))
        return self.shapes.moved(rigid(position, world.tilt(x, y) @ yaw_rotation(yaw)))

    def halted(self) -> Mover:
        """The same thing, standing where its path begins."""
        return replace(self, path=np.repeat(self.path[:1], len(self.path), axis=0))


@dataclass(frozen=True)
class EgoPath:
    """Trajectory of the sensor.

    Attributes:
        samples: (K, 3) map x, y and yaw at equal steps of time.
        step: Seconds between samples.
        height: Metres above the ground.
        roll: Radians, of the mounting.
        pitch: Radians, of the mounting.
        shake: (4,) amplitude (radians) and angular rate (rad/s) of pitch, then the same of roll.
    """

    samples: np.ndarray
    step: float
    height: float
    roll: float
    pitch: float
    shake: np.ndarray

    def pose_at(self, t: float, world: World) -> np.ndarray:
        """(4, 4) pose sensor -> map at time ``t``."""
        exact = np.clip(t / self.step, 0, len(self.samples) - 1.001)
        index = int(exact)
        row = self.samples[index]
        x, y, yaw = row + (exact - index) * (self.samples[index + 1] - row)
        amplitude_p, rate_p, amplitude_r, rate_r = self.shake
        pitch = self.pitch + amplitude_p * np.sin(rate_p * t)
        roll = self.roll + amplitude_r * np.sin(rate_r * t + 1.0)
        z = world.ground_height(x, y) + self.height
        return rigid((x, y, z), world.tilt(x, y) @ rotation_from_rpy(roll, pitch, yaw))


@dataclass(frozen=True)
class World:
    """Everything in a scene, as a function of time.

    Attributes:
        name: ``street``, ``yard`` or ``indoor``.
        static: Shapes that stay, in the map frame.
        ground: Outdoor ground; None indoors, where the floor is a shape at height 0.
        movers: Vehicles under way.
        people: Persons; each has an instance id and a script.
        ego: Path of the sensor.
        rain: Share of the rays that meet a drop.
        carrier: Roof under the sensor: metres down to it, half its length, half its width; None =
            nothing of the carrier is in view.
    """

    name: str
    static: Shapes
    ground: Ground | None
    movers: tuple[Mover, ...]
    people: tuple[Performance, ...]
    ego: EgoPath
    rain: float = 0.0
    carrier: tuple[float, float, float] | None = None

    def ground_height(self, x: float, y: float) -> float:
        """Map z of the ground at map x, y."""
        return (
            0.0 if self.ground is None else float(self.ground.height(np.float64(x), np.float64(y)))
        )

    def tilt(self, x: float, y: float) -> np.ndarray:
        """(3, 3) rotation from upright to what stands on wheels on the ground at map x, y."""
        return np.eye(3) if self.ground is None else self.ground.tilt(x, y)

    def shapes_at(self, t: float) -> Shapes:
        """All shapes in the map frame at time ``t``; the static ones come first."""
        parts = [self.static]
        parts += [mover.shapes_at(t, self) for mover in self.movers]
        for person in self.people:
            (x, y), _ = person.anchor_at(t)
            parts.append(person.shapes_at(t, self.ground_height(x, y)))
        return concatenate(parts)

    def moving_at(self, t: float) -> list[int]:
        """Instances of the vehicles and persons that change their place on the ground at ``t``.

        A person that waves on the spot does not move; the sensor's own motion plays no part.
        """
        places = [
            (instance, lambda at, m=mover: m.place_at(at)[:2])
            for mover in self.movers
            for instance in mover.instances
        ]
        places += [(one.body.instance, lambda at, p=one: p.anchor_at(at)[0]) for one in self.people]
        least = MOVING_SPEED * 2 * _INSTANT
        return [
            instance
            for instance, place in places
            if np.linalg.norm(place(t + _INSTANT) - place(t - _INSTANT)) >= least
        ]


def smooth_speed(
    rng: np.random.Generator, steps: int, step: float, low: float, high: float
) -> np.ndarray:
    """(steps,) a speed that wanders between ``low`` and ``high`` without jerks, metres/second."""
    times = np.arange(steps) * step
    wave = sum(
        np.sin(2 * np.pi * times / rng.uniform(6, 20) + rng.uniform(0, 2 * np.pi)) for _ in range(2)
    )
    return low + (high - low) * (0.5 + 0.25 * wave)
