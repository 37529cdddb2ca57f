# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A street while it is being built: its plan and ground, and the shapes added so far."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from pointata_core.simulation.objects import vehicles
from pointata_core.simulation.scenes.street_ground import lay_ground
from pointata_core.simulation.scenes.street_plan import StreetPlan
from pointata_core.simulation.solids import ShapeBuilder, Shapes, rigid, yaw_rotation


class Site:
    """Collects what stands along one street.

    Args:
        rng: Source of randomness.
        plan: The street.
    """

    def __init__(self, rng: np.random.Generator, plan: StreetPlan) -> None:
        self.rng = rng
        self.plan = plan
        self.builder = ShapeBuilder()
        self.parts: list[Shapes] = []
        self.instances = 0
        self.ground = lay_ground(rng, plan)

    def next_instance(self) -> int:
        """An instance id that nothing has yet."""
        self.instances += 1
        return self.instances

    def point(self, x: float, lateral: float) -> tuple[np.ndarray, float]:
        """Ground point and heading of the road at (x, lateral)."""
        px, py, yaw = self.plan.line.at(x, lateral)
        return np.array([px, py, float(self.ground.height(px, py))]), yaw

    def along(self, gap: float) -> Iterator[float]:
        """Places about ``gap`` metres apart along the street, none in the crossing."""
        at = self.plan.begin + self.rng.uniform(0, gap)
        while at < self.plan.end:
            if not self.plan.in_crossing(at, 1.0):
                yield at
            at += gap * self.rng.uniform(0.7, 1.3)

    def line(
        self, begin: float, end: float, lateral: float, step: float = 12.0
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Ground points that follow the street from ``begin`` to ``end``, two by two."""
        count = max(1, round((end - begin) / step))
        places = [self.point(float(x), lateral)[0] for x in np.linspace(begin, end, count + 1)]
        yield from itertools.pairwise(places)

    def park(self, spot: np.ndarray, yaw: float) -> None:
        """Put a car on the ground point ``spot``, facing ``yaw`` or against it."""
        turn = np.pi * (self.rng.random() < 0.5) + self.rng.normal(0, 0.02)
        tilt = self.ground.tilt(spot[0], spot[1])
        pose = rigid(spot, tilt @ yaw_rotation(yaw + turn))
        self.parts.append(vehicles.car(self.rng, self.next_instance()).moved(pose))
