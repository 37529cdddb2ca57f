# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a street: its centre line, its cross-section and what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pointata_core.simulation.scenes.countries import COUNTRIES, Country, Span

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
        country: Kind of street.
        line: Centre line.
        begin: First metre of the street along map x.
        end: Last metre.
        half_road: Half the width of the carriageway, median included.
        median: Half the width of the strip between the two directions; 0 = none.
        sidewalk: Width of the sidewalks; 0 = none.
        verge: Width of the grass strip between kerb and sidewalk; 0 = none.
        kerb: Height of the kerb, metres; 0 = none.
        setback: Distance of houses from the border; on the right and on the left.
        bank: Rise of the ground beyond the border, metres; on the right and on the left.
        crossing: Map x of a crossing street, or None.
        half_crossing: Half its width.
        greenery: 0..1, share of lots and gaps that are green.
        parked: 0..1, share of kerb places taken.
        lane: Lateral position of the sensor's lane; not positive: right-hand traffic.
        parking: Lateral distance of parked cars on the right and on the left.
    """

    country: Country
    line: CentreLine
    begin: float
    end: float
    half_road: float
    median: float
    sidewalk: float
    verge: float
    kerb: float
    setback: tuple[float, float]
    bank: tuple[float, float]
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


def _moved(value: float, old: Span, new: Span) -> float:
    share = np.clip((value - old[0]) / (old[1] - old[0]), 0, 1)
    return float(new[0] + share * (new[1] - new[0]))


def draw_plan(rng: np.random.Generator) -> StreetPlan:
    """Draw a street that begins before map x = 0 and ends where it is in sight from there."""
    weights = np.array([one.weight for one in COUNTRIES.values()])
    country = list(COUNTRIES.values())[int(rng.choice(len(weights), p=weights / weights.sum()))]

    def drawn(span: Span, chance: float = 1.0) -> float:
        value = float(rng.uniform(*span))
        return value if rng.random() < chance else 0.0

    wave = 2 * np.pi / rng.uniform(140, 500)
    half_road = drawn(country.half_road)
    median = min(drawn(country.median, country.divided), half_road - 5.5)
    median = median if median > 0.2 else 0.0
    # Share of its own half that lies between the lane of the sensor and the middle of the road.
    lane = -(median + (half_road - median) * drawn(country.lane))
    inset = rng.uniform(0.95, 1.15) * (rng.random() < 0.75)  # else half on the sidewalk
    return StreetPlan(
        country=country,
        line=CentreLine(min(rng.uniform(0, 8), 0.16 / wave), wave, rng.uniform(0, 2 * np.pi)),
        begin=-SIGHT,
        end=SIGHT,
        half_road=half_road,
        median=median,
        sidewalk=drawn(country.sidewalk, country.walked),
        verge=drawn(country.verge, country.verged),
        kerb=drawn(country.kerb, country.kerbed),
        setback=(drawn(country.setback), drawn(country.setback)),
        bank=(drawn(country.bank, country.banked), drawn(country.bank, country.banked)),
        crossing=rng.uniform(-20, 45) if rng.random() < country.crossed else None,
        half_crossing=rng.uniform(2.8, 4.5),
        greenery=drawn(country.greenery),
        parked=max(0.0, drawn(country.parked)),
        lane=lane,
        # Where the road is narrow, people park on the sidewalk and leave the lane free.
        parking=(max(half_road - inset, 2.3 - lane), max(half_road - inset, 2.3 + lane)),
    )
