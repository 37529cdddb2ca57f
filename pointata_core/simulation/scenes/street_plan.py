# SPDX-License-Identifier: Apache-2.0
"""The plan of a street: its centre line, its cross-section and how green and how full it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SIGHT = 90.0  # metres of street before the start and beyond the end of the drive
_GREENERY, _PARKED = (0.25, 1.0), (0.02, 0.6)


@dataclass(frozen=True)
class CentreLine:
    """y = a sin(kx + phase): a road that winds gently along x."""

    amplitude: float
    wave: float
    phase: float

    def y(self, x: float | np.ndarray) -> float | np.ndarray:
        """Map y of the centre at map x."""
        return self.amplitude * np.sin(self.wave * x + self.phase)

    def yaw(self, x: float | np.ndarray) -> float | np.ndarray:
        """Heading at map x, radians."""
        return np.arctan(self.amplitude * self.wave * np.cos(self.wave * x + self.phase))

    def at(self, x: float, lateral: float) -> tuple[float, float, float]:
        """Map x, y and heading of the point ``lateral`` metres left of the centre near map x."""
        yaw = float(self.yaw(x))
        return x - lateral * np.sin(yaw), float(self.y(x)) + lateral * np.cos(yaw), yaw


@dataclass(frozen=True)
class StreetPlan:
    """What is drawn once per street.

    Attributes:
        line: Centre line.
        begin: First metre of the street along map x.
        end: Last metre.
        half_road: Half the width of the carriageway.
        sidewalk: Width of the sidewalks; 0 = none.
        verge: Width of the grass strip between kerb and sidewalk; 0 = none.
        crossing: Map x of a crossing street, or None.
        half_crossing: Half its width.
        greenery: 0..1, share of lots and gaps that are green.
        parked: 0..1, share of kerb places taken.
        lane: Lateral position of the sensor's lane; not positive: right-hand traffic.
        parking: Lateral distance of parked cars on the right and on the left.
    """

    line: CentreLine
    begin: float
    end: float
    half_road: float
    sidewalk: float
    verge: float
    crossing: float | None
    half_crossing: float
    greenery: float
    parked: float
    lane: float
    parking: tuple[float, float]

    @property
    def border(self) -> float:
        """Lateral distance at which private ground begins."""
        return self.half_road + self.verge + self.sidewalk

    def parking_on(self, side: int) -> float:
        """Lateral distance of the middle of parked cars; side is -1 (right) or 1 (left)."""
        return self.parking[(side + 1) // 2]

    def in_crossing(self, x: float, margin: float = 0.0) -> bool:
        """True within the crossing street."""
        if self.crossing is None:
            return False
        return abs(x - self.crossing) < self.half_crossing + margin


@dataclass(frozen=True)
class City:
    """How streets of one city differ from all that the simulator draws.

    Attributes:
        greenery: Least and most greenery.
        parked: Least and most share of kerb places taken.
        breadth: Factor on the width of carriageways.
    """

    greenery: tuple[float, float] = _GREENERY
    parked: tuple[float, float] = _PARKED
    breadth: float = 1.0

    def of(self, plan: StreetPlan) -> StreetPlan:
        """The plan as this city would have it."""
        wider = (self.breadth - 1) * plan.half_road
        return replace(
            plan,
            greenery=_moved(plan.greenery, _GREENERY, self.greenery),
            parked=_moved(plan.parked, _PARKED, self.parked),
            half_road=plan.half_road + wider,
            lane=plan.lane * self.breadth,
            parking=(plan.parking[0] + wider, plan.parking[1] + wider),
        )


def _moved(value: float, old: tuple[float, float], new: tuple[float, float]) -> float:
    return new[0] + (value - old[0]) / (old[1] - old[0]) * (new[1] - new[0])


def draw_plan(rng: np.random.Generator, travel: float) -> StreetPlan:
    """Draw a street for a drive of ``travel`` metres from map x = 0 on."""
    wave = 2 * np.pi / rng.uniform(140, 500)
    half_road = rng.uniform(2.9, 6.0)
    lane = -half_road * rng.uniform(0.0, 0.45)
    inset = rng.uniform(0.95, 1.15) * (rng.random() < 0.75)  # else half on the sidewalk
    return StreetPlan(
        line=CentreLine(min(rng.uniform(0, 8), 0.16 / wave), wave, rng.uniform(0, 2 * np.pi)),
        begin=-SIGHT,
        end=travel + SIGHT,
        half_road=half_road,
        sidewalk=rng.uniform(1.2, 4.0) if rng.random() < 0.9 else 0.0,
        verge=rng.uniform(0.8, 2.2) if rng.random() < 0.3 else 0.0,
        crossing=rng.uniform(-20, travel + 40) if rng.random() < 0.45 else None,
        half_crossing=rng.uniform(2.8, 4.5),
        greenery=rng.uniform(*_GREENERY),
        parked=rng.uniform(*_PARKED),
        lane=lane,
        # Where the road is narrow, people park on the sidewalk and leave the lane free.
        parking=(max(half_road - inset, 2.3 - lane), max(half_road - inset, 2.3 + lane)),
    )
