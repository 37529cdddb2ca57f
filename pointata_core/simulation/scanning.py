# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scan a drawn world with a sensor, frame after frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.simulation.hits import DROP, GROUND, NO_CLASS, describe, in_the_grass
from pointata_core.simulation.objects.library import share_of_meshes
from pointata_core.simulation.people.performance import Performance
from pointata_core.simulation.scenes.indoor import indoor
from pointata_core.simulation.scenes.stage import stage
from pointata_core.simulation.scenes.street import street
from pointata_core.simulation.scenes.traffic import traffic
from pointata_core.simulation.scenes.world import World
from pointata_core.simulation.scenes.yard import crowd, yard
from pointata_core.simulation.sensing.artefacts import drops, late, shadowed
from pointata_core.simulation.sensing.mesh_casting import require_embree
from pointata_core.simulation.sensing.ray_casting import HitBuffer, cast
from pointata_core.simulation.sensing.returns import receive
from pointata_core.simulation.sensing.sensors import SensorModel, get_sensor
from pointata_core.simulation.solids import rigid, yaw_rotation
from pointata_core.taxonomy import class_id

SCENES = {
    'street': street,
    'traffic': traffic,
    'yard': yard,
    'crowd': crowd,
    'stage': stage,
    'indoor': indoor,
}
"""The kinds of scenes by name."""

ACTOR_RANGE = 8.0
"""Metres; a person farther away has no action."""

ACTOR_POINTS = 5
"""With fewer visible points, a person has no action: it could not be recognised."""

FIRST_STAMP_NS = 1_700_000_000_000_000_000
_SECTORS = 8  # of a turn
_PANE_MIRRORS = 20.0
_GAIN_SPREAD = 0.12  # of the logarithm, from unit to unit
_MIRRORS = np.zeros(NO_CLASS + 1)
for _name, _share in (('road', 1), ('sidewalk', 1), ('terrain', 0.3), ('floor', 1), ('car', 4)):
    _MIRRORS[class_id(_name)] = _share


@dataclass(frozen=True)
class PersonTruth:
    """Somebody in the scene, seen or not.

    Attributes:
        instance: Of the person's points.
        place: x, y, z in metres in the map, on the ground below the person.
        action: Index into ``ACTION_CLASSES``.
        points: Points of the person in the scan.
        phenotype: Which body it has; -1 for one of capsules.
        clip: Captured clip that it performs; empty for a parametric motion.
        doing: Name from ``PERSON_ACTIONS``; empty where that was not kept.
    """

    instance: int
    place: tuple[float, float, float]
    action: int
    points: int
    phenotype: int
    clip: str
    doing: str = ''


@dataclass(frozen=True)
class SimulatedFrame:
    """One scan with its truth.

    Attributes:
        points: (N, 3) float32 metres in the sensor frame: x forward, y left, z up.
        intensity: (N,) float32 in [0, 1]. (Bags are written in the scale of the real sensor.)
        ring: (N,) uint16 row of the sensor, lowest first.
        label: (N,) uint8 index into ``SEGMENTATION_CLASSES``, or ``NO_CLASS``.
        instance: (N,) uint16; 0 = none.
        action: Index into ``ACTION_CLASSES`` of the nearest visible person within 8 m, else 0.
        stamp_ns: Nanoseconds.
        pose: (4, 4) float64 sensor -> map.
        moving: (N,) bool, whether the point's vehicle or person moves over ground at that instant;
            ``None`` where that was not kept.
        people: Everybody in the scene; empty where that was not kept.
    """

    points: np.ndarray
    intensity: np.ndarray
    ring: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    action: int
    stamp_ns: int
    pose: np.ndarray
    moving: np.ndarray | None = None
    people: tuple[PersonTruth, ...] = ()


@dataclass(frozen=True)
class Mount:
    """How a sensor is fixed to what carries it.

    Attributes:
        height: Least and largest height above the ground, metres; None = as sensor and scene have.
        pitch_deg: Positive looks down.
        roll_deg: 180 = upside down.
    """

    height: tuple[float, float] | None = None
    pitch_deg: float = 0.0
    roll_deg: float = 0.0


def simulate(
    scene: str,
    sensor: str | SensorModel,
    seed: int,
    duration_s: float,
    rate_hz: float = 10.0,
    meshes: float | None = None,
    *,
    mount: Mount = Mount(),
    turning: bool = False,
    keep: Callable[[Performance], bool] = lambda person: True,
) -> Iterator[SimulatedFrame]:
    """Draw a scene and scan it.

    Args:
        scene: ``'street'``, ``'traffic'``, ``'yard'``, ``'crowd'``, ``'stage'`` or ``'indoor'``.
        sensor: Name of a preset, or a model.
        seed: Same arguments and seed, same frames, bit for bit.
        duration_s: Seconds; ``round(duration_s * rate_hz)`` frames, at least one.
        rate_hz: Frames per second.
        meshes: Share of vehicles, people and furniture that are meshes of real ones; the others
            are boxes, cylinders and capsules. None takes three quarters, or 0 with a warning where
            embreex is not installed.
        mount: Height and attitude of the sensor.
        turning: Spread the rays of a turn over the time between frames. Each point is then given in
            the sensor frame of its own instant, as by a driver without motion compensation.
        keep: Which of the people that were drawn are there.

    Yields:
        Frames in order of time, with points in order of ring and azimuth.

    Raises:
        ConfigError: Unknown scene or sensor, a duration or rate that is not positive, or meshes
            without embreex.
    """
    if scene not in SCENES:
        raise ConfigError(
            f'scene is {scene!r}, expected one of {", ".join(SCENES)}', 'Choose one of these'
        )
    if not (duration_s > 0 and rate_hz > 0):
        raise ConfigError(
            f'duration_s is {duration_s} and rate_hz is {rate_hz}, both must be positive'
        )
    model = get_sensor(sensor)
    world_rng, sensor_rng = np.random.default_rng(seed).spawn(2)
    heights = mount.height or model.mount
    height = float(sensor_rng.uniform(*heights)) if heights else None
    if meshes:
        require_embree()
    with share_of_meshes(meshes):
        world = SCENES[scene](world_rng, duration_s, height)
    ego = replace(
        world.ego,
        pitch=world.ego.pitch + np.radians(mount.pitch_deg),
        roll=world.ego.roll + np.radians(mount.roll_deg),
    )
    carrier = None if mount.pitch_deg or mount.roll_deg else world.carrier
    people = tuple(person for person in world.people if keep(person))
    world = replace(world, ego=ego, carrier=carrier, people=people)
    if turning and model.is_spinning:
        model = replace(model, turn_s=1 / rate_hz)
    count = max(1, round(duration_s * rate_hz))
    model = replace(model, gain=model.gain * float(np.exp(sensor_rng.normal(0, _GAIN_SPREAD))))
    return _frames(world, model, sensor_rng, count, rate_hz)


def _frames(
    world: World, sensor: SensorModel, rng: np.random.Generator, count: int, rate_hz: float
) -> Iterator[SimulatedFrame]:
    directions = sensor.directions()
    for number in range(count):
        if sensor.projection == 'rosette':
            directions = sensor.directions(number)
        yield scan(world, sensor, directions, number / rate_hz, rng)


def scan(
    world: World,
    sensor: SensorModel,
    directions: np.ndarray,
    t: float,
    rng: np.random.Generator,
) -> SimulatedFrame:
    """One frame of ``world`` at time ``t`` seconds.

    Args:
        world: The scene.
        sensor: The sensor.
        directions: ``sensor.directions()``, computed once by the caller.
        t: Seconds since the start.
        rng: Draws foliage, noise and dropouts.
    """
    frame = _scan_turn(world, sensor, directions, t, rng)
    people = _people(world, t, frame.instance, frame.label)
    return replace(frame, people=people, action=_action(people, frame.pose))


def _scan_turn(
    world: World,
    sensor: SensorModel,
    directions: np.ndarray,
    t: float,
    rng: np.random.Generator,
) -> SimulatedFrame:
    """The sectors of a turn one after the other, or the whole turn at once; no action yet."""
    if not sensor.turn_s:
        return _scan(world, sensor, directions, t, rng)
    parts, first = [], 0
    for number, sector in enumerate(sensor.sectors(_SECTORS)):
        rays = directions[:, :, first : first + sector.columns]
        first += sector.columns
        instant = t + sensor.turn_s * ((number + 0.5) / _SECTORS - 0.5)
        parts.append(_scan(world, sector, rays, instant, rng))
    ring = np.concatenate([part.ring for part in parts])
    order = np.argsort(ring, kind='stable')

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    return SimulatedFrame(
        points=joined('points'),
        intensity=joined('intensity'),
        ring=ring[order],
        label=joined('label'),
        instance=joined('instance'),
        moving=joined('moving'),
        action=0,
        stamp_ns=FIRST_STAMP_NS + round(t * 1e9),
        pose=world.ego.pose_at(t, world),
    )


def _scan(
    world: World,
    sensor: SensorModel,
    directions: np.ndarray,
    t: float,
    rng: np.random.Generator,
) -> SimulatedFrame:
    """All rays at one instant; no action yet."""
    pose = world.ego.pose_at(t, world)
    grid_pose = pose @ rigid((0.0, 0.0, sensor.rise))
    turn = np.eye(3)
    if sensor.is_spinning:  # a spinning sensor starts its turn anywhere within one step
        turn = yaw_rotation(rng.uniform(0, sensor.column_step))
        grid_pose[:3, :3] = pose[:3, :3] @ turn
    to_grid = np.linalg.inv(grid_pose)
    shapes = world.shapes_at(t)
    offset = shapes.centre - pose[:3, 3]
    reach = sensor.max_range + shapes.radius
    shapes = shapes[(offset**2).sum(1) < reach**2].moved(to_grid)

    hits = HitBuffer.empty(sensor)
    flat = directions.reshape(3, -1)
    in_map = (grid_pose[:3, :3].astype(np.float32) @ flat) if world.ground is not None else flat
    if world.ground is not None:
        distance = world.ground.cast(grid_pose[:3, 3], in_map, sensor.max_range)
        hits.distance.reshape(-1)[:] = distance
        hits.shape.reshape(-1)[np.isfinite(distance)] = GROUND
    if world.rain:
        distance = drops(sensor, world.rain, rng)
        met = distance < hits.distance.reshape(-1)
        hits.distance.reshape(-1)[met] = distance[met]
        hits.shape.reshape(-1)[met] = DROP
    cast(shapes, sensor, directions, rng, hits)
    if world.carrier is not None:
        hits.distance.reshape(-1)[shadowed(directions, world.carrier)] = np.inf

    ray = np.flatnonzero(np.isfinite(hits.distance.reshape(-1)))
    distance = hits.distance.reshape(-1)[ray]
    owner = hits.shape.reshape(-1)[ray]
    label, instance, reflectivity, cosine, pane = describe(
        world,
        shapes,
        grid_pose,
        owner,
        flat[:, ray],
        in_map[:, ray],
        distance,
        hits.normals(ray),
        rng,
    )
    if world.ground is not None:
        distance = in_the_grass(distance, label, in_map[2, ray], world.ground.grass, rng)
    got = receive(sensor, ray, distance, reflectivity, cosine, pane, rng)
    back = np.searchsorted(ray, got.ray)
    frame_label, frame_instance = label[back], instance[back]
    # Only what is level or smooth mirrors: the ground, panes and the paint of vehicles.
    mirrors = _MIRRORS[frame_label]
    mirrors[pane[back]] = _PANE_MIRRORS
    extra = late(sensor, got.ray, got.distance, mirrors, rng)
    frame_label[extra > 0], frame_instance[extra > 0] = NO_CLASS, 0
    # The grid was turned by a fraction of a step: turn the points back into the sensor frame.
    points = (turn.astype(np.float32) @ flat[:, got.ray]) * (got.distance + extra)
    points[2] += np.float32(sensor.rise)
    return SimulatedFrame(
        points=np.ascontiguousarray(points.T),
        intensity=got.intensity,
        ring=(got.ray // sensor.columns).astype(np.uint16),
        label=frame_label,
        instance=frame_instance,
        action=0,
        stamp_ns=FIRST_STAMP_NS + round(t * 1e9),
        pose=pose,
        moving=np.isin(frame_instance, world.moving_at(t)),
    )


def _people(
    world: World, t: float, instance: np.ndarray, label: np.ndarray
) -> tuple[PersonTruth, ...]:
    mine = instance[label == class_id('person')]
    found = []
    for performer in world.people:
        (x, y), _ = performer.anchor_at(t)
        own = performer.body.instance
        place = (float(x), float(y), world.ground_height(x, y))
        seen = int(np.count_nonzero(mine == own))
        phenotype = getattr(performer.body, 'phenotype', -1)
        action, clip = performer.action_at(t), performer.clip_at(t)
        doing = performer.doing_at(t)
        found.append(PersonTruth(own, place, action, seen, phenotype, clip, doing))
    return tuple(found)


def _action(people: tuple[PersonTruth, ...], pose: np.ndarray) -> int:
    """Action of the nearest person within reach of whom enough is seen."""
    best, nearest = 0, ACTOR_RANGE
    for person in people:
        distance = float(np.linalg.norm(np.array(person.place[:2]) - pose[:2, 3]))
        if distance < nearest and person.points >= ACTOR_POINTS:
            best, nearest = person.action, distance
    return best
