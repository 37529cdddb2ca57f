# SPDX-License-Identifier: Apache-2.0
"""Procedural streets: from an avenue of terraced houses to a lane between hedges.

A street follows a gently winding centre line. Each side is a row of lots: house, garden, grove,
parking or gap, behind a sidewalk. All sizes are drawn per street and per lot, in ranges wider
than those of European residential streets, so training covers more than the streets of use.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pointata_core.simulation.objects import plants, structures, vehicles
from pointata_core.simulation.people.body import Body
from pointata_core.simulation.people.performance import (
    Performance,
    straight_on,
    wander,
    write_script,
)
from pointata_core.simulation.scenes.ground import Ground
from pointata_core.simulation.scenes.street_plan import SIGHT, City, StreetPlan, draw_plan
from pointata_core.simulation.scenes.world import EgoPath, Mover, World, smooth_speed
from pointata_core.simulation.solids import (
    ShapeBuilder,
    Shapes,
    concatenate,
    rigid,
    yaw_rotation,
)
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id

_CELL = 0.2
_WIDTH = 60.0  # metres of ground on each side
_PATH_STEP = 0.1

_ROAD, _SIDEWALK, _TERRAIN = (class_id(name) for name in ('road', 'sidewalk', 'terrain'))


class _Street:
    """Builds one street; each method adds one kind of thing."""

    def __init__(self, rng: np.random.Generator, plan: StreetPlan) -> None:
        self.rng = rng
        self.plan = plan
        self.builder = ShapeBuilder()
        self.parts: list[Shapes] = []
        self.instances = 0
        length, width = plan.end - plan.begin, 2 * _WIDTH
        size = (int(length / _CELL), int(width / _CELL))
        self.classes = np.full(size, _TERRAIN, np.uint8)
        self.raised = np.ones(size, bool)
        self.ground = self._lay_ground()

    def next_instance(self) -> int:
        self.instances += 1
        return self.instances

    def point(self, x: float, lateral: float) -> tuple[np.ndarray, float]:
        """Ground point and heading of the road at (x, lateral)."""
        px, py, yaw = self.plan.line.at(x, lateral)
        return np.array([px, py, float(self.ground.height(px, py))]), yaw

    def _lay_ground(self) -> Ground:
        plan, rng = self.plan, self.rng
        x = plan.begin + (np.arange(self.classes.shape[0])[:, None] + 0.5) * _CELL
        y = -_WIDTH + (np.arange(self.classes.shape[1])[None, :] + 0.5) * _CELL
        lateral = (y - plan.line.y(x)) * np.cos(plan.line.yaw(x))
        away = np.abs(lateral)
        road = away < plan.half_road
        walk = (away >= plan.half_road + plan.verge) & (away < plan.border)
        if plan.crossing is not None:
            across = np.abs(x - plan.crossing)
            road |= np.broadcast_to(across < plan.half_crossing, road.shape)
            beside = (across < plan.half_crossing + max(plan.sidewalk, 0.5)) & (away > plan.border)
            walk |= beside & (across >= plan.half_crossing) & (plan.sidewalk > 0)
        self.classes[walk] = _SIDEWALK
        self.classes[road] = _ROAD
        self.raised[road] = False
        # Lots: paved yards, drives and parking places among the grass, with ragged edges.
        for side in (-1, 1):
            at = plan.begin
            while at < plan.end:
                run = rng.uniform(4, 22)
                paving = rng.choice(
                    [_TERRAIN, _SIDEWALK, _ROAD],
                    p=[
                        0.25 + 0.6 * plan.greenery,
                        0.5 - 0.4 * plan.greenery,
                        0.25 - 0.2 * plan.greenery,
                    ],
                )
                lot = (x >= at) & (x < at + run) & (lateral * side >= plan.border) & ~road
                depth = rng.uniform(4, 20)
                lot = lot & (lateral * side < plan.border + depth)
                self.classes[lot & (self.classes == _TERRAIN)] = paving
                if paving == _ROAD and rng.random() < 0.6:  # the drive crosses the sidewalk
                    drive = (x >= at) & (x < at + 3.2) & (lateral * side >= plan.half_road)
                    drive = drive & (lateral * side < plan.border)
                    self.raised[drive] = False
                at += run
        reflectivity = np.full(len(SEGMENTATION_CLASSES), 0.3, np.float32)
        reflectivity[_ROAD] = rng.uniform(0.15, 0.35)
        reflectivity[_SIDEWALK] = rng.uniform(0.25, 0.45)
        reflectivity[_TERRAIN] = rng.uniform(0.25, 0.45)
        waves = [
            (rng.uniform(0.0, 0.12), *rng.normal(0, 2 * np.pi / 45, 2), rng.uniform(0, 6.28)),
            (rng.uniform(0.0, 0.03), *rng.normal(0, 2 * np.pi / 14, 2), rng.uniform(0, 6.28)),
        ]
        return Ground(
            self.classes,
            self.raised,
            (plan.begin, -_WIDTH),
            _CELL,
            float(rng.uniform(0.05, 0.17)) if rng.random() < 0.9 else 0.0,
            (float(rng.normal(0, 0.012)), float(rng.normal(0, 0.008))),
            np.array(waves),
            reflectivity,
            grass=float(rng.uniform(0.0, 0.12)),
        )

    def lots(self) -> None:
        """Line both sides with houses, gardens and groves."""
        rng, plan = self.rng, self.plan
        for side in (-1, 1):
            setback = rng.choice([0.0, rng.uniform(1.5, 4), rng.uniform(3, 9)], p=[0.35, 0.4, 0.25])
            at = plan.begin
            while at < plan.end:
                run = rng.uniform(7, 22)
                if plan.in_crossing(at + run / 2, run / 2 + plan.sidewalk):
                    at += 2.0
                    continue
                kind = rng.random()
                if kind < 0.25 + 0.35 * plan.greenery:
                    self._green_lot(side, at, run, setback)
                elif kind < 0.96:
                    self._house_lot(side, at, run, setback)
                at += run + (0.0 if rng.random() < 0.5 else rng.uniform(0.5, 4.0))

    def _house_lot(self, side: int, at: float, run: float, setback: float) -> None:
        rng, plan = self.rng, self.plan
        lateral = side * (plan.border + max(0.0, setback + rng.uniform(-0.6, 0.6)))
        front, yaw = self.point(at + run / 2, lateral)
        facing = yaw if side > 0 else yaw + np.pi
        depth = rng.uniform(7, 13)
        structures.building(self.builder, front, facing, run, depth, rng, self.next_instance())
        if setback > 1.2:
            self._front_garden(side, at, run, setback)
        if rng.random() < 0.5:  # trees behind the house reach over the roof
            behind, _ = self.point(at + run / 2, lateral + side * (depth + 4))
            plants.tree(self.builder, behind, rng)

    def _front_garden(self, side: int, at: float, run: float, setback: float) -> None:
        rng, plan = self.rng, self.plan
        start, _ = self.point(at, side * (plan.border + 0.15))
        end, _ = self.point(at + run * rng.uniform(0.6, 1.0), side * (plan.border + 0.15))
        choice = rng.random()
        if choice < 0.35:
            structures.fence(self.builder, start, end, rng)
        elif choice < 0.35 + 0.4 * (0.4 + plan.greenery):
            plants.hedge(self.builder, start, end, rng)
        for _ in range(rng.poisson(4.5 * plan.greenery)):
            spot, _ = self.point(
                at + rng.uniform(0, run), side * (plan.border + rng.uniform(0.5, setback))
            )
            plants.bush(self.builder, spot, rng)
        if setback > 3 and rng.random() < 0.5 * plan.greenery:
            spot, _ = self.point(at + rng.uniform(0, run), side * (plan.border + setback * 0.5))
            plants.tree(self.builder, spot, rng)

    def _green_lot(self, side: int, at: float, run: float, setback: float) -> None:
        rng, plan = self.rng, self.plan
        edge = side * (plan.border + rng.uniform(0.2, 1.0))
        start, _ = self.point(at, edge)
        end, _ = self.point(at + run, edge)
        choice = rng.random()
        if choice < 0.35:
            plants.hedge(self.builder, start, end, rng)
        elif choice < 0.65:
            structures.fence(self.builder, start, end, rng)
        for _ in range(1 + rng.poisson(run / 4 * (0.4 + plan.greenery))):
            spot, _ = self.point(
                at + rng.uniform(0, run), side * (plan.border + 0.6 + rng.exponential(5.0))
            )
            (plants.tree if rng.random() < 0.5 else plants.bush)(self.builder, spot, rng)
        if rng.random() < 0.5:  # something closes the view
            far, yaw = self.point(at + run / 2, side * (plan.border + rng.uniform(12, 25)))
            facing = yaw if side > 0 else yaw + np.pi
            structures.building(self.builder, far, facing, run, 9.0, rng, self.next_instance())

    def kerbside(self) -> None:
        """Parked cars, street trees, lamps, signs, bollards and bicycles along the kerbs."""
        rng, plan = self.rng, self.plan
        for side in (-1, 1):
            taken = plan.parked * rng.uniform(0.3, 1.3)
            at = plan.begin + rng.uniform(0, 5)
            while at < plan.end:
                if rng.random() < taken and not plan.in_crossing(at, 6.0):
                    spot, yaw = self.point(
                        at, side * (plan.parking_on(side) + abs(rng.normal(0, 0.08)))
                    )
                    if rng.random() < 0.5:
                        yaw += np.pi
                    pose = rigid(spot, yaw_rotation(yaw + rng.normal(0, 0.02)))
                    self.parts.append(vehicles.car(rng, self.next_instance()).moved(pose))
                at += rng.uniform(5.6, 7.5)
            self._street_furniture(side)

    def _street_furniture(self, side: int) -> None:
        rng, plan = self.rng, self.plan
        strip = max(plan.half_road + 0.35, plan.parking_on(side) + 1.15)

        def walk(gap: float) -> Iterator[float]:
            at = plan.begin + rng.uniform(0, gap)
            while at < plan.end:
                if not plan.in_crossing(at, 1.0):
                    yield at
                at += gap * rng.uniform(0.7, 1.3)

        trees = rng.choice([0, 9.0, 16.0], p=[0.4, 0.3, 0.3])
        if trees:
            for at in walk(trees):
                plants.tree(self.builder, self.point(at, side * (strip + 0.2))[0], rng)
        for at in walk(rng.uniform(18, 40)):
            spot, yaw = self.point(at, side * strip)
            toward = yaw - side * np.pi / 2
            structures.lamp_post(self.builder, spot, toward, rng, self.next_instance())
        for at in walk(rng.uniform(15, 45)):
            spot, yaw = self.point(at, side * strip)
            facing = yaw + rng.choice([0, np.pi]) + rng.normal(0, 0.2)
            structures.traffic_sign(self.builder, spot, facing, rng, self.next_instance())
        if rng.random() < 0.25:
            for at in walk(2.2):
                if rng.random() < 0.5:
                    spot, _ = self.point(at, side * strip)
                    structures.bollard(self.builder, spot, rng, self.next_instance())
        for at in walk(rng.uniform(10, 40)):
            spot, yaw = self.point(at, side * (plan.border - 0.4))
            facing = yaw + rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.15)
            lean = rigid(spot, yaw_rotation(facing))
            self.parts.append(vehicles.two_wheeler(rng, self.next_instance()).moved(lean))
        if plan.crossing is not None and rng.random() < 0.4:
            spot, yaw = self.point(plan.crossing + plan.half_crossing + 0.6, side * strip)
            structures.traffic_light(self.builder, spot, yaw, rng, self.next_instance())

    def traffic(self, duration: float, ego_speed: float) -> tuple[Mover, ...]:
        """Vehicles under way: ahead of us and behind at about our speed, others against us."""
        rng, plan = self.rng, self.plan
        left = plan.lane + rng.uniform(2.3, 2.8)
        starts = [(gap, plan.lane, ego_speed) for gap in (-22.0, 26.0, 55.0) if rng.random() < 0.25]
        if left < plan.parking_on(1) - 2.0:  # there is room for a second lane
            gaps = np.cumsum(rng.uniform(12, 60, rng.poisson(2.0))) - 20
            starts += [(gap, left, -rng.uniform(0.9, 1.1) * 9.0) for gap in gaps]
        times = np.arange(int(duration / _PATH_STEP) + 3) * _PATH_STEP
        movers = []
        for begin, lateral, speed in starts:
            path = np.array([plan.line.at(v, lateral) for v in begin + speed * times])
            path[:, 2] += np.pi * (speed < 0)
            movers.append(Mover(vehicles.car(rng, self.next_instance()), path, _PATH_STEP))
        return tuple(movers)

    def people(self, duration: float, actors: list[np.ndarray]) -> tuple[Performance, ...]:
        """Passers-by on the sidewalks, and performers around the given spots."""
        rng, plan = self.rng, self.plan
        people = []
        for _ in range(rng.poisson(4.0)):
            side = rng.choice([-1, 1])
            lateral = side * rng.uniform(plan.half_road + 0.4, plan.border + 0.4)
            x = rng.uniform(-20, plan.end - plan.begin - 2 * SIGHT + 30)
            px, py, yaw = plan.line.at(x, lateral)
            script = write_script(duration, rng, performing=False)
            path = straight_on(script, np.array([px, py]), yaw + rng.choice([0, np.pi]), rng)
            people.append(Performance(draw_body(rng, self.next_instance()), tuple(script), path))
        for spot in actors:
            script = write_script(duration, rng)
            path = wander(script, spot, rng.uniform(0.8, 1.8), rng)
            people.append(Performance(draw_body(rng, self.next_instance()), tuple(script), path))
        return tuple(people)


def draw_body(rng: np.random.Generator, instance: int) -> Body:
    """A person of random size: adults mostly, children at times."""
    child = rng.random() < 0.12
    height = rng.uniform(1.15, 1.5) if child else rng.normal(1.73, 0.09)
    return Body(
        float(height), float(rng.uniform(0.85, 1.3)), instance, float(rng.uniform(0.1, 0.7))
    )


def street(
    rng: np.random.Generator,
    duration: float,
    sensor_height: float | None = None,
    city: City | None = None,
) -> World:
    """Draw a street and a drive through it.

    Args:
        rng: Source of randomness.
        duration: Seconds of the recording.
        sensor_height: Metres above the road; drawn if not given.
        city: Whose streets; None for all that can be drawn.
    """
    steps = int(duration / _PATH_STEP) + 3
    top = rng.choice([0.0, rng.uniform(0.5, 2.0), rng.uniform(3, 10)], p=[0.15, 0.25, 0.6])
    speed = smooth_speed(rng, steps, _PATH_STEP, top * 0.6, top)
    x = np.concatenate([[0.0], np.cumsum(speed)[:-1] * _PATH_STEP])
    plan = draw_plan(rng, float(x[-1]))
    plan = plan if city is None else city.of(plan)
    site = _Street(rng, plan)
    sway = 0.15 * np.sin(2 * np.pi * x / rng.uniform(25, 60))
    samples = np.array([plan.line.at(v, plan.lane + s) for v, s in zip(x, sway)])
    # The way goes along the x axis of the map, but the car need not look exactly along it.
    samples[:, 2] += rng.normal(0, 0.02)
    height = rng.uniform(1.55, 2.0) if sensor_height is None else sensor_height
    site.lots()
    site.kerbside()
    actors = []
    if top <= 2.0 or rng.random() < 0.25:
        count = 1 + int(rng.random() < 0.3)
        for _ in range(count):
            along = float(x[len(x) // 2]) + rng.uniform(2.5, 6.5)
            side = -1 if rng.random() < 0.6 else 1
            lateral = side * (plan.parking_on(side) + rng.uniform(1.4, 2.4))
            if top <= 2.0 and rng.random() < 0.5:
                along, lateral = (
                    float(x[-1]) + rng.uniform(2.8, 6.5),
                    plan.lane + rng.uniform(-1, 1),
                )
            actors.append(np.array(plan.line.at(along, lateral)[:2]))
    return World(
        name='street',
        static=concatenate([site.builder.build(), *site.parts]),
        ground=site.ground,
        movers=site.traffic(duration, float(speed.mean())),
        people=site.people(duration, actors),
        ego=EgoPath(
            samples,
            _PATH_STEP,
            float(height),
            float(rng.normal(0, 0.006)),
            float(rng.normal(0, 0.01)),
            np.array([0.004 * rng.random(), rng.uniform(2, 7), 0.003 * rng.random(), 4.0]),
        ),
    )
