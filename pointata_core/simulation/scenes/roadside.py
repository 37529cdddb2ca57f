# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands beyond the sidewalks: houses, gardens, groves, fields, walls and car parks."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.objects import barriers, facades, plants, structures
from pointata_core.simulation.scenes.site import Site


def line_street(site: Site) -> None:
    """Fill both sides of a street with lots, and close the view far behind them."""
    rng, plan = site.rng, site.plan
    lots = plan.country.lots
    weights = np.array(list(lots.values()))
    for side in (-1, 1):
        at = plan.begin
        while at < plan.end:
            run = rng.uniform(7, 22)
            if plan.in_crossing(at + run / 2, run / 2 + plan.sidewalk):
                at += 2.0
                continue
            kind = list(lots)[int(rng.choice(len(lots), p=weights / weights.sum()))]
            _LOTS[kind](site, side, at, run)
            at += run + (0.0 if rng.random() < 0.5 else rng.uniform(0.5, 4.0))
        if rng.random() < plan.country.barrier:
            _barrier(site, side)
        _backdrop(site, side)


def _backdrop(site: Site, side: int) -> None:
    """Trees and woods that show behind the first row of whatever stands at the street."""
    rng, plan = site.rng, site.plan
    away = plan.border + _setback(site, side) + rng.uniform(12, 26)
    height, thick = rng.uniform(4, 11), 0.35 + 0.65 * plan.greenery
    for start, end in site.line(plan.begin, plan.end, side * away, 14.0):
        if rng.random() < thick and not plan.in_crossing(start[0], 14.0):
            plants.thicket(site.builder, start, end, height, rng)
        if rng.random() < 0.5 * plan.greenery and not plan.in_crossing(start[0], 8.0):
            spot, _ = site.point(start[0], side * (away - rng.uniform(2, 9)))
            plants.tree(site.builder, spot, rng)


def _facing(yaw: float, side: int) -> float:
    return yaw if side > 0 else yaw + np.pi


def _setback(site: Site, side: int) -> float:
    return max(0.0, site.plan.setback[(side + 1) // 2])


def _house(site: Site, side: int, at: float, run: float) -> None:
    rng, plan = site.rng, site.plan
    setback = _setback(site, side)
    lateral = side * (plan.border + max(0.0, setback + rng.uniform(-0.6, 0.6)))
    front, yaw = site.point(at + run / 2, lateral)
    facing = _facing(yaw, side)
    width = run if setback < 1.5 else run * rng.uniform(0.5, 1.0)
    depth = rng.uniform(7, 13)
    structures.building(
        site.builder, front, facing, width, depth, rng, site.next_instance(), plan.country.storeys
    )
    if setback < 2.5:
        facades.dress(site.builder, front, facing, width, rng)
    else:
        _front_garden(site, side, at, run, setback)
    if rng.random() < 0.6:  # trees behind the house reach over the roof
        behind, _ = site.point(at + run / 2, lateral + side * (depth + 4))
        plants.tree(site.builder, behind, rng)


def _front_garden(site: Site, side: int, at: float, run: float, setback: float) -> None:
    rng, plan = site.rng, site.plan
    _closed(site, side, at, run, 0.6 if setback < 8 else 0.3)
    if rng.random() < 0.5 * plan.greenery:
        _bed(site, side, at, run, rng.uniform(0.3, setback))
    for _ in range(rng.poisson(4.5 * plan.greenery)):
        away = plan.border + rng.uniform(0.5, setback)
        plants.bush(site.builder, site.point(at + rng.uniform(0, run), side * away)[0], rng)
    if setback > 3 and rng.random() < 0.6 * plan.greenery:
        spot, _ = site.point(at + rng.uniform(0, run), side * (plan.border + setback * 0.5))
        plants.tree(site.builder, spot, rng)
    if setback > 6 and rng.random() < 0.25:  # a car in the drive
        spot, yaw = site.point(at + run / 2, side * (plan.border + 3.2))
        site.park(spot, yaw + np.pi / 2)


def _closed(site: Site, side: int, at: float, run: float, chance: float) -> None:
    """A fence, hedge or wall at the edge of a lot, or none."""
    rng, plan = site.rng, site.plan
    if rng.random() > chance:
        return
    lateral = side * (plan.border + rng.uniform(0.15, 0.8))
    make = plants.hedge if rng.random() < 0.25 + 0.35 * plan.greenery else structures.fence
    for start, end in site.line(at, at + run * rng.uniform(0.6, 1.0), lateral, 8.0):
        make(site.builder, start, end, rng)


def _bed(site: Site, side: int, at: float, run: float, away: float) -> None:
    """Low plants along a lot: herbs, ground cover, the foot of a hedge that is gone."""
    lateral = side * (site.plan.border + away)
    for start, end in site.line(at, at + run, lateral, 6.0):
        plants.herbs(site.builder, start, end, site.rng)


def _garden(site: Site, side: int, at: float, run: float) -> None:
    rng, plan = site.rng, site.plan
    _closed(site, side, at, run, 0.75)
    if rng.random() < 0.6 * plan.greenery:
        _bed(site, side, at, run, rng.uniform(0.3, 4.0))
    for _ in range(1 + rng.poisson(run / 4 * (0.4 + plan.greenery))):
        away = plan.border + 0.8 + rng.exponential(6.0)
        plant = plants.tree if rng.random() < 0.5 else plants.bush
        plant(site.builder, site.point(at + rng.uniform(0, run), side * away)[0], rng)
    if rng.random() < 0.5:  # something closes the view
        far, yaw = site.point(at + run / 2, side * (plan.border + rng.uniform(14, 30)))
        structures.building(
            site.builder, far, _facing(yaw, side), run, 9.0, rng, site.next_instance(),
            plan.country.storeys,
        )  # fmt: skip


def _grove(site: Site, side: int, at: float, run: float) -> None:
    """Bushes and trees without a fence; its edge lies near the road or far from it."""
    rng, plan = site.rng, site.plan
    edge = plan.border + rng.choice([rng.uniform(0.5, 3.0), rng.uniform(3.0, 14.0)])
    height = rng.uniform(1.5, 7.0)
    for depth in (1.5, rng.uniform(4, 9)):
        for start, end in site.line(at, at + run, side * (edge + depth), 10.0):
            plants.thicket(site.builder, start, end, height * (0.6 + 0.1 * depth), rng)
    if rng.random() < 0.6:
        _bed(site, side, at, run, max(0.3, edge - plan.border - rng.uniform(0.0, 1.5)))
    for _ in range(rng.poisson(run / 5)):
        spot, _ = site.point(at + rng.uniform(0, run), side * (edge + rng.exponential(6.0)))
        (plants.tree if rng.random() < 0.7 else plants.bush)(site.builder, spot, rng)


def _field(site: Site, side: int, at: float, run: float) -> None:
    """Open ground, at times with a fence, single plants, and something far behind."""
    rng, plan = site.rng, site.plan
    if rng.random() < 0.2:
        _closed(site, side, at, run, 1.0)
    for _ in range(rng.poisson(run / 25)):
        spot, _ = site.point(at + rng.uniform(0, run), side * (plan.border + rng.uniform(2, 25)))
        (plants.tree if rng.random() < 0.4 else plants.bush)(site.builder, spot, rng)
    far = plan.border + rng.uniform(18, 40)
    if rng.random() < 0.55:
        for start, end in site.line(at, at + run, side * far, 12.0):
            plants.thicket(site.builder, start, end, rng.uniform(3, 9), rng)


def _wall(site: Site, side: int, at: float, run: float) -> None:
    """A wall taller than a man, or a hoarding with a scaffold behind it."""
    rng, plan = site.rng, site.plan
    lateral = side * (plan.border + 0.2)
    height = rng.uniform(1.8, 3.2)
    for start, end in site.line(at, at + run, lateral, 10.0):
        barriers.noise_wall(site.builder, start, end, height, rng)
    if rng.random() < 0.5:
        spot, _ = site.point(at + run / 2, side * (plan.border + 4))
        plants.tree(site.builder, spot, rng)


def _parking(site: Site, side: int, at: float, run: float) -> None:
    """Rows of cars side by side, the nearest at the sidewalk."""
    rng, plan = site.rng, site.plan
    full = rng.uniform(0.2, 0.9)
    for row in range(int(rng.integers(1, 4))):
        away = plan.border + 3.0 + row * rng.choice([5.0, 11.0])
        for place in np.arange(at + 1.3, at + run - 1.0, 2.7):
            if rng.random() < full:
                spot, yaw = site.point(float(place), side * away)
                site.park(spot, yaw + np.pi / 2)
    if rng.random() < 0.7:
        far, yaw = site.point(at + run / 2, side * (plan.border + rng.uniform(24, 40)))
        structures.building(
            site.builder, far, _facing(yaw, side), run, 15.0, rng, site.next_instance(), (1, 3)
        )


def _barrier(site: Site, side: int) -> None:
    """A guard rail or a noise wall along one side of the whole street."""
    rng, plan = site.rng, site.plan
    lateral = side * (plan.half_road + rng.uniform(0.4, 2.0))
    begin = plan.begin + rng.choice([0.0, rng.uniform(0, plan.end - plan.begin)])
    wall = rng.random() < 0.3
    height = rng.uniform(2.0, 5.0)
    for start, end in site.line(begin, plan.end, lateral + side * wall * rng.uniform(0, 4), 12.0):
        if wall:
            barriers.noise_wall(site.builder, start, end, height, rng)
        else:
            barriers.guard_rail(site.builder, start, end, rng)


_LOTS = {
    'house': _house,
    'garden': _garden,
    'grove': _grove,
    'field': _field,
    'wall': _wall,
    'parking': _parking,
}
