# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streets on which some vehicles in the lanes stand still.

On a plain ``street`` every vehicle in a lane moves, so a single frame shows by the position of a
vehicle whether it moves. Here about half of them wait, and only several frames show which.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pointata_core.simulation.scenes.street import street
from pointata_core.simulation.scenes.world import EgoPath, Mover, World

_SHARE = 0.5
_NEAR = 25.0  # metres from us, half-way through the recording
_ATTEMPTS = 30
_HALF_LANE = 2.0  # metres to the side of our way that a vehicle held up must leave free


def traffic(rng: np.random.Generator, duration: float, sensor_height: float | None = None) -> World:
    """Draw a street with a vehicle near us, and hold up about half of all, none of them on our way.

    Args:
        rng: Source of randomness.
        duration: Seconds of the recording.
        sensor_height: Metres above the ground; drawn if not given.
    """
    for _ in range(_ATTEMPTS):
        world = street(rng, duration, sensor_height)
        if _has_traffic(world, duration / 2):
            break
    held = rng.random(len(world.movers)) < _SHARE
    movers = [
        mover.halted() if hold and _leaves_free(mover, world.ego) else mover
        for mover, hold in zip(world.movers, held, strict=True)
    ]
    return replace(world, name='traffic', movers=tuple(movers))


def _has_traffic(world: World, t: float) -> bool:
    ego = world.ego.pose_at(t, world)[:2, 3]
    return any(np.linalg.norm(one.place_at(t)[:2] - ego) < _NEAR for one in world.movers)


def _leaves_free(mover: Mover, ego: EgoPath) -> bool:
    """Whether the vehicle, standing where it begins, is beside the sensor's way or off its ends."""
    way = mover.path[0, :2] - ego.samples[:, :2]
    distance = np.linalg.norm(way, axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > 8.0:  # more than a vehicle's length before or behind
        return True
    yaw = ego.samples[nearest, 2]
    return bool(abs(np.cos(yaw) * way[nearest, 1] - np.sin(yaw) * way[nearest, 0]) > _HALF_LANE)
