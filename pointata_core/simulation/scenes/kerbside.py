# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands between carriageway and lots: parked cars, trees, lamps, signs, bicycles."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.objects import barriers, plants, structures, vehicles
from pointata_core.simulation.objects.things import street_thing
from pointata_core.simulation.scenes.site import Site
from pointata_core.simulation.solids import rigid, yaw_rotation


def line_kerbs(site: Site) -> None:
    """Furnish both kerbs and the median."""
    for side in (-1, 1):
        _parked_cars(site, side)
        _street_furniture(site, side)
    if site.plan.median:
        _median(site)


def _parked_cars(site: Site, side: int) -> None:
    rng, plan = site.rng, site.plan
    taken = plan.parked * rng.uniform(0.3, 1.3)
    at = plan.begin + rng.uniform(0, 5)
    while at < plan.end:
        if rng.random() < taken and not plan.in_crossing(at, 6.0):
            lateral = side * (plan.parking_on(side) + abs(rng.normal(0, 0.08)))
            site.park(*site.point(at, lateral))
        at += rng.uniform(5.6, 7.5)


def _street_furniture(site: Site, side: int) -> None:
    rng, plan, builder = site.rng, site.plan, site.builder
    strip = max(plan.half_road + 0.35, plan.parking_on(side) + 1.15 if plan.parked > 0.05 else 0)
    rural = not plan.sidewalk
    if rng.random() < plan.country.tree_row:
        lateral = side * (strip + rng.uniform(0.2, 0.6 + 0.6 * plan.verge + 2.5 * rural))
        for at in site.along(rng.uniform(7, 20)):
            plants.tree(builder, site.point(at, lateral)[0], rng)
    if rng.random() < (0.15 if rural else 0.8):
        for at in site.along(rng.uniform(20, 45)):
            spot, yaw = site.point(at, side * (strip + rural))
            toward = yaw - side * np.pi / 2
            structures.lamp_post(builder, spot, toward, rng, site.next_instance())
    for at in site.along(rng.uniform(18, 70)):
        spot, yaw = site.point(at, side * (strip + rural * rng.uniform(0.2, 1.5)))
        facing = yaw + rng.choice([0, np.pi]) + rng.normal(0, 0.2)
        structures.traffic_sign(builder, spot, facing, rng, site.next_instance())
    if rng.random() < 0.2 + 0.3 * (plan.sidewalk > 0 and not plan.kerb):
        gap = rng.choice([2.2, 25.0])  # bollards, or posts along a road
        for at in site.along(gap):
            if rng.random() < 0.6:
                spot, _ = site.point(at, side * strip)
                structures.bollard(builder, spot, rng, site.next_instance())
    if plan.sidewalk:
        for at in site.along(rng.uniform(40, 250)):
            spot, yaw = site.point(at, side * (plan.border - 0.4))
            facing = yaw + rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.15)
            for place in range(int(rng.choice([1, 1, 2, 5]))):
                pose = rigid(spot + [0.6 * place, 0, 0], yaw_rotation(facing + rng.normal(0, 0.1)))
                site.parts.append(vehicles.two_wheeler(rng, site.next_instance()).moved(pose))
        for at in site.along(rng.uniform(15, 60)):
            spot, yaw = site.point(at, side * rng.choice([strip + 0.2, plan.border - 0.4]))
            pose = rigid(spot, yaw_rotation(yaw + (np.pi if side < 0 else 0.0)))
            site.parts.append(street_thing(rng, site.next_instance()).moved(pose))
    if plan.crossing is not None and rng.random() < 0.4:
        spot, yaw = site.point(plan.crossing + plan.half_crossing + 0.6, side * strip)
        structures.traffic_light(builder, spot, yaw, rng, site.next_instance())


def _median(site: Site) -> None:
    """Rails, a concrete barrier, a hedge or trees between the two directions."""
    rng, plan, builder = site.rng, site.plan, site.builder
    fast = not plan.sidewalk
    shares = [0.45, 0.3, 0.1, 0.05, 0.1] if fast else [0.1, 0.05, 0.2, 0.4, 0.25]
    style = rng.choice(['rail', 'concrete', 'hedge', 'trees', 'grass'], p=shares)
    if style == 'trees':
        for at in site.along(rng.uniform(7, 15)):
            plants.tree(builder, site.point(at, 0.0)[0], rng)
        return
    for start, end in site.line(plan.begin, plan.end, 0.0, 12.0):
        if style == 'rail':
            barriers.guard_rail(builder, start, end, rng)
        elif style == 'concrete':
            barriers.concrete_barrier(builder, start, end, rng)
        elif style == 'hedge' and not plan.in_crossing(start[0], 12.0):
            plants.hedge(builder, start, end, rng)
