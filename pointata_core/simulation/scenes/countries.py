# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of streets: ranges from which their sizes are drawn, and what lines them.

The ranges are wider than those of any one place. Lawns, wide and flush sidewalks, open views and
banks are as frequent as in recorded drives: `python -m benchmarks street-statistics` compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Span = tuple[float, float]
"""Least and largest value."""


@dataclass(frozen=True)
class Country:
    """One kind of street. Lengths are metres; shares and chances lie between 0 and 1.

    Attributes:
        weight: How often it is drawn, relative to the others.
        half_road: Half the width of the carriageway.
        sidewalk: Width of sidewalks; ``walked`` is the chance that there are any.
        walked: See there.
        verge: Width of the grass between kerb and sidewalk; ``verged`` is its chance.
        verged: See there.
        kerb: Height of kerbs; ``kerbed`` is the chance of any, else sidewalks are flush.
        kerbed: See there.
        setback: Distance of houses from the sidewalk; below 0 they stand at it.
        bank: Rise (negative: fall) of the ground beside the road; ``banked`` is its chance.
        banked: See there.
        median: Half the width of the strip between the directions; ``divided`` is its chance.
        divided: See there.
        lane: Place of the sensor within its half of the road, from the middle.
        greenery: Share of green lots and gaps.
        parked: Share of kerb places taken; below 0 there is none.
        crossed: Chance of a crossing street.
        lots: Weight of each kind of lot: house, garden, grove, field, wall, parking.
        tree_row: Chance of a row of trees on a side.
        barrier: Chance of a guard rail, noise wall or fence along a side.
        storeys: Least and most storeys of houses.
        speed: Largest speed of the drive, metres per second.
        people: Passers-by in the mean.
        traffic: Vehicles per lane and 100 m in the mean.
    """

    weight: float
    half_road: Span
    sidewalk: Span = (1.2, 3.0)
    walked: float = 1.0
    verge: Span = (0.8, 2.5)
    verged: float = 0.0
    kerb: Span = (0.03, 0.17)
    kerbed: float = 0.9
    setback: Span = (0.0, 6.0)
    bank: Span = (-1.0, 2.0)
    banked: float = 0.3
    median: Span = (0.5, 3.0)
    divided: float = 0.0
    lane: Span = (0.0, 0.45)
    greenery: Span = (0.25, 1.0)
    parked: Span = (-0.3, 0.5)
    crossed: float = 0.45
    lots: Mapping[str, float] = field(default_factory=lambda: {'house': 0.6, 'garden': 0.4})
    tree_row: float = 0.4
    barrier: float = 0.0
    storeys: tuple[int, int] = (1, 5)
    speed: float = 10.0
    people: float = 3.0
    traffic: float = 1.0


COUNTRIES: Mapping[str, Country] = MappingProxyType(
    {
        'residential': Country(
            weight=0.3,
            half_road=(2.7, 5.0),
            sidewalk=(1.2, 4.5),
            walked=0.92,
            verged=0.25,
            kerbed=0.8,
            setback=(-3.0, 6.0),
            greenery=(0.1, 0.9),
            parked=(-0.2, 0.6),
            lots={'house': 0.54, 'garden': 0.24, 'grove': 0.14, 'field': 0.04, 'parking': 0.04},
        ),
        'suburb': Country(
            weight=0.16,
            half_road=(3.2, 6.5),
            sidewalk=(1.2, 3.0),
            walked=0.9,
            verge=(1.0, 5.0),
            verged=0.7,
            kerbed=0.75,
            setback=(3.0, 12.0),
            banked=0.5,
            greenery=(0.5, 1.0),
            parked=(0.0, 0.2),
            lots={'house': 0.36, 'garden': 0.28, 'grove': 0.26, 'field': 0.08, 'parking': 0.02},
            storeys=(1, 2),
            speed=13.0,
        ),
        'old_town': Country(
            weight=0.17,
            half_road=(2.1, 4.0),
            sidewalk=(0.5, 2.2),
            walked=0.85,
            kerbed=0.55,
            setback=(-1.0, 0.8),
            banked=0.0,
            greenery=(0.0, 0.3),
            parked=(-0.2, 0.4),
            lots={'house': 0.88, 'garden': 0.09, 'wall': 0.03},
            tree_row=0.05,
            storeys=(2, 5),
            speed=7.0,
            people=6.0,
        ),
        'avenue': Country(
            weight=0.16,
            half_road=(5.5, 11.0),
            sidewalk=(2.5, 8.0),
            verge=(0.8, 4.0),
            verged=0.5,
            setback=(0.0, 10.0),
            divided=0.5,
            lane=(0.15, 0.7),
            greenery=(0.1, 0.8),
            parked=(-0.2, 0.45),
            lots={'house': 0.55, 'garden': 0.15, 'grove': 0.19, 'field': 0.04, 'parking': 0.07},
            tree_row=0.65,
            storeys=(2, 6),
            speed=13.0,
            people=5.0,
            traffic=1.8,
        ),
        'park': Country(
            weight=0.08,
            half_road=(2.6, 4.5),
            sidewalk=(1.5, 4.0),
            walked=0.7,
            verge=(0.8, 6.0),
            verged=0.6,
            kerbed=0.6,
            setback=(8.0, 25.0),
            banked=0.7,
            greenery=(0.8, 1.0),
            parked=(0.0, 0.15),
            lots={'house': 0.1, 'garden': 0.15, 'grove': 0.55, 'field': 0.2},
            tree_row=0.5,
        ),
        'country': Country(
            weight=0.09,
            half_road=(2.4, 4.5),
            walked=0.12,
            kerbed=0.1,
            setback=(5.0, 25.0),
            bank=(-2.0, 3.0),
            banked=0.85,
            greenery=(0.8, 1.0),
            parked=(0.0, 0.02),
            crossed=0.15,
            lots={'house': 0.08, 'garden': 0.07, 'grove': 0.53, 'field': 0.32},
            tree_row=0.3,
            barrier=0.15,
            storeys=(1, 2),
            speed=20.0,
            people=0.4,
            traffic=0.5,
        ),
        'highway': Country(
            weight=0.08,
            half_road=(8.0, 15.0),
            walked=0.0,
            kerbed=0.1,
            setback=(20.0, 40.0),
            bank=(-3.0, 4.0),
            banked=0.9,
            median=(0.4, 3.0),
            divided=0.85,
            lane=(0.15, 0.75),
            greenery=(0.7, 1.0),
            parked=(0.0, 0.0),
            crossed=0.0,
            lots={'house': 0.04, 'grove': 0.5, 'field': 0.46},
            tree_row=0.1,
            barrier=0.75,
            speed=30.0,
            people=0.0,
            traffic=1.5,
        ),
        'square': Country(
            weight=0.06,
            half_road=(3.0, 7.0),
            sidewalk=(3.0, 12.0),
            kerbed=0.4,
            setback=(4.0, 25.0),
            banked=0.1,
            greenery=(0.0, 0.5),
            parked=(0.0, 0.5),
            lots={'house': 0.4, 'garden': 0.05, 'field': 0.1, 'parking': 0.4, 'wall': 0.05},
            storeys=(1, 5),
            people=5.0,
        ),
    }
)  # fmt: skip
"""By name."""
