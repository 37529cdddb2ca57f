# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands at the foot of a façade on the street: shop windows, awnings, scaffolds, stairs."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.objects.structures import along_frame
from pointata_core.simulation.solids import ShapeBuilder, Surface
from pointata_core.taxonomy import class_id

_BUILDING = class_id('building')


def dress(
    builder: ShapeBuilder,
    front: np.ndarray,
    yaw: float,
    width: float,
    rng: np.random.Generator,
) -> None:
    """Add a shop front or a scaffold to a façade, or nothing.

    Args:
        builder: Receives the shapes.
        front: (3,) middle of the façade's foot.
        yaw: Direction of the façade; the house lies to the left.
        width: Metres along it.
        rng: Source of randomness.
    """
    choice = rng.random()
    if choice < 0.3:
        _shop(builder, front, yaw, width, rng)
    elif choice < 0.36:
        _scaffold(builder, front, yaw, width, rng)


def _shop(
    builder: ShapeBuilder, front: np.ndarray, yaw: float, width: float, rng: np.random.Generator
) -> None:
    """Panes to the ground that let most light in, an awning or a sign above them, goods outside."""
    glass = {'surface': Surface.MESH, 'fill': rng.uniform(0.2, 0.6), 'reflectivity': 0.08}
    paint = {'label': _BUILDING, 'reflectivity': rng.uniform(0.2, 0.6)}
    half = width * rng.uniform(0.25, 0.48)
    middle = along_frame(front, yaw, 0, -0.1, 1.3)
    builder.box(middle, (half, 0.04, 1.1), yaw, label=_BUILDING, **glass)
    reach = rng.choice([0.15, rng.uniform(0.6, 1.8)])
    awning = along_frame(front, yaw, 0, -reach / 2, rng.uniform(2.4, 3.0))
    builder.box(awning, (half, reach / 2, rng.uniform(0.03, 0.3)), yaw, **paint)
    for _ in range(rng.poisson(1.0)):
        spot = along_frame(front, yaw, rng.uniform(-half, half), -rng.uniform(0.4, 1.0), 0.4)
        builder.box(spot, (rng.uniform(0.2, 0.6), 0.25, 0.45), yaw, **paint)


def _scaffold(
    builder: ShapeBuilder, front: np.ndarray, yaw: float, width: float, rng: np.random.Generator
) -> None:
    """Tubes and planks in front of the façade, at times under a net."""
    paint = {'label': _BUILDING, 'reflectivity': 0.3}
    levels = int(rng.integers(2, 5))
    columns = np.arange(-width / 2, width / 2 + 0.01, 2.4)
    for x in columns:
        for y in (-0.3, -1.1):
            foot = along_frame(front, yaw, x, y, 0.0)
            builder.capsule(foot, foot + [0, 0, 2.0 * levels], 0.025, **paint)
    for level in range(1, levels + 1):
        deck = along_frame(front, yaw, 0, -0.7, 2.0 * level)
        builder.box(deck, (width / 2, 0.4, 0.03), yaw, **paint)
        start = along_frame(front, yaw, columns[0], -1.1, 2.0 * level + 1.0)
        builder.capsule(start, along_frame(front, yaw, columns[-1], -1.1, 2.0 * level + 1.0), 0.025,
                        **paint)  # fmt: skip
    if rng.random() < 0.4:
        net = {'surface': Surface.MESH, 'fill': rng.uniform(0.3, 0.8)}
        begin = along_frame(front, yaw, -width / 2, -1.15, 0)
        end = along_frame(front, yaw, width / 2, -1.15, 0)
        builder.wall(begin, end, front[2] + 0.5, front[2] + 2.0 * levels + 1.0, **paint, **net)
