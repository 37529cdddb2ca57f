# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Buildings, fences, garden walls, poles and signs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pointata_core.simulation.solids import ShapeBuilder, Surface, rotation_from_rpy, up
from pointata_core.taxonomy import class_id

_BUILDING = class_id('building')
_FENCE = class_id('fence')
_POLE = class_id('pole')
_STOREYS = np.array([0.15, 0.4, 0.25, 0.13, 0.07, 0.05])  # how often, from one storey on


def along_frame(position: np.ndarray, yaw: float, x: float, y: float, z: float) -> np.ndarray:
    """The point (x, y, z) of a frame at ``position`` with ``yaw``."""
    c, s = np.cos(yaw), np.sin(yaw)
    return position + np.array([c * x - s * y, s * x + c * y, z])


def building(
    builder: ShapeBuilder,
    front: np.ndarray,
    yaw: float,
    width: float,
    depth: float,
    rng: np.random.Generator,
    instance: int,
    storeys: tuple[int, int] = (1, 5),
) -> None:
    """A house whose façade runs ``width`` metres along ``yaw`` and whose body lies to the left.

    Args:
        builder: Receives the shapes.
        front: (3,) middle of the façade's foot.
        yaw: Direction of the façade.
        width: Metres along the façade.
        depth: Metres behind it.
        rng: Source of randomness.
        instance: Instance id.
        storeys: Least and most.
    """
    weights = _STOREYS[storeys[0] - 1 : storeys[1]]
    floors = storeys[0] + int(rng.choice(len(weights), p=weights / weights.sum()))
    height = 2.9 * floors + rng.uniform(0.3, 1.2)
    paint = {
        'label': _BUILDING,
        'instance': instance,
        'reflectivity': rng.uniform(0.2, 0.55),
    }
    windows = {'surface': Surface.WINDOWS, 'detail': rng.uniform(1.6, 3.4)}
    windows['fill'] = rng.uniform(0.25, 0.6)

    def place(x: float, y: float, z: float) -> np.ndarray:
        return along_frame(front, yaw, x, y, z)

    half = (width / 2, depth / 2, height / 2 + 0.5)
    builder.box(place(0, depth / 2, height / 2 - 0.5), half, yaw, **paint, **windows)
    if rng.random() < 0.5:  # plinth
        size = (width / 2 + 0.06, 0.06, rng.uniform(0.2, 0.5))
        builder.box(place(0, -0.02, 0.2), size, yaw, **paint)
    for _ in range(int(rng.integers(0, 3))):  # bays, porches, garages set forward
        wide, out = rng.uniform(0.7, 2.2), rng.uniform(0.2, 0.9)
        tall = rng.choice([2.4, 2.9, height])
        x = rng.uniform(-1, 1) * max(0.0, width / 2 - wide)
        builder.box(place(x, -out + 0.3, tall / 2 - 0.2), (wide, out, tall / 2 + 0.2), yaw, **paint)
    door = rng.uniform(-0.8, 0.8) * width / 2
    for step in range(int(rng.integers(0, 4))):
        size = (0.7, 0.3 * (step + 1), 0.08)
        builder.box(place(door, 0, 0.5 - 0.16 * step), size, yaw, **paint)
    if floors > 1:
        for storey in range(1, floors):
            if rng.random() < 0.25:  # balcony with a rail
                x, wide = rng.uniform(-0.6, 0.6) * width / 2, rng.uniform(0.8, 1.8)
                level = 2.9 * storey
                builder.box(place(x, -0.5, level), (wide, 0.55, 0.08), yaw, **paint)
                rail = place(x, -1.0, level + 0.55)
                builder.box(rail, (wide, 0.02, 0.45), yaw, **paint)
    for corner in (-1, 1):  # drainpipes
        if rng.random() < 0.4:
            foot = place(corner * (width / 2 - 0.15), -0.07, height / 2)
            builder.cylinder(foot, 0.05, height / 2, 0.0, **paint)
    if rng.random() < 0.65:
        _gable(builder, place, yaw, width, depth, height, rng, paint)


def _gable(
    builder: ShapeBuilder,
    place: Callable[[float, float, float], np.ndarray],
    yaw: float,
    width: float,
    depth: float,
    height: float,
    rng: np.random.Generator,
    paint: dict,
) -> None:
    pitch = rng.uniform(0.45, 0.85)
    rafter = (depth / 2 + 0.4) / np.cos(pitch)
    roof = {**paint, 'reflectivity': rng.uniform(0.1, 0.35)}
    for sign in (1, -1):
        rotation = rotation_from_rpy(0, 0, yaw) @ rotation_from_rpy(-sign * pitch, 0, 0)
        rise = np.tan(pitch) * depth / 4
        centre = place(0, depth / 2 + sign * depth / 4, height + rise - 0.1)
        builder.box(centre, (width / 2 + 0.3, rafter / 2, 0.08), rotation, **roof)
    for layer in np.linspace(0.1, 0.9, 5):  # gable ends, in steps hidden under the roof
        size = (width / 2 - 0.05, (1 - layer) * depth / 2 * 0.93, 0.1 * np.tan(pitch) * depth / 2)
        builder.box(
            place(0, depth / 2, height + layer * np.tan(pitch) * depth / 2), size, yaw, **paint
        )
    if rng.random() < 0.6:
        builder.box(
            place(rng.uniform(-0.3, 0.3) * width, depth * 0.6, height + 2.0),
            (0.3, 0.3, 1.2),
            yaw,
            **paint,
        )


def fence(
    builder: ShapeBuilder, start: np.ndarray, end: np.ndarray, rng: np.random.Generator
) -> None:
    """A fence or a low wall from ``start`` to ``end`` (x, y, z on the ground)."""
    style = rng.choice(['slats', 'mesh', 'wall', 'rails'], p=[0.3, 0.25, 0.3, 0.15])
    paint = {'label': _FENCE, 'reflectivity': rng.uniform(0.2, 0.6)}
    base = min(start[2], end[2])
    yaw = float(np.arctan2(end[1] - start[1], end[0] - start[0]))
    length = float(np.linalg.norm((end - start)[:2]))
    if style == 'wall':
        height = rng.uniform(0.4, 1.9)
        middle = (start + end) / 2 + up(height / 2 - 0.15)
        builder.box(middle, (length / 2, 0.12, height / 2 + 0.15), yaw, **paint)
        for share in np.arange(0, 1.01, max(0.15, 3.0 / length)):
            post = start + (end - start) * share
            builder.box(post + up(height / 2), (0.17, 0.17, height / 2 + 0.1), yaw, **paint)
        return
    height = rng.uniform(0.8, 1.9)
    if style == 'slats':
        gaps = {'surface': Surface.SLATS, 'detail': rng.uniform(0.1, 0.2)}
        gaps['fill'] = rng.uniform(0.55, 0.9)
        builder.wall(start, end, base + 0.06, base + height, **paint, **gaps)
    elif style == 'mesh':
        fill = rng.uniform(0.2, 0.5)
        more = {'surface': Surface.MESH, 'fill': fill}
        builder.wall(start, end, base + 0.03, base + height, **paint, **more)
    levels = (0.3, 0.7, 0.95) if style == 'rails' else (0.2, 0.85)
    for level in levels:
        lift = up(level * height)
        builder.capsule(start + lift, end + lift, 0.03, **paint)
    for share in np.arange(0, 1.001, min(1.0, 2.0 / length)):
        foot = start + (end - start) * share
        builder.capsule(foot, foot + up(height), 0.04, **paint)


def lamp_post(
    builder: ShapeBuilder, foot: np.ndarray, toward: float, rng: np.random.Generator, instance: int
) -> None:
    """A street lamp, its arm pointing along the yaw ``toward``."""
    height, radius = rng.uniform(3.5, 9.0), rng.uniform(0.05, 0.11)
    paint = {'label': _POLE, 'instance': instance, 'reflectivity': rng.uniform(0.12, 0.4)}
    builder.cylinder(foot + up(height / 2), radius, height / 2 + 0.2, 0.0, **paint)
    builder.cylinder(foot + up(0.5), radius * 1.7, 0.5, 0.0, **paint)
    reach = rng.uniform(0.2, 2.0)
    arm = np.array([reach * np.cos(toward), reach * np.sin(toward), 0.2])
    tip = foot + up(height) + arm
    builder.capsule(foot + up(height), tip, radius * 0.6, **paint)
    builder.box(tip, (0.35, 0.12, 0.07), toward, **paint)


def traffic_sign(
    builder: ShapeBuilder, foot: np.ndarray, facing: float, rng: np.random.Generator, instance: int
) -> None:
    """A sign on a pole, its plate's normal along the yaw ``facing``."""
    height = rng.uniform(2.1, 3.2)
    paint = {'label': _POLE, 'instance': instance}
    radius = rng.uniform(0.025, 0.045)
    builder.capsule(foot, foot + up(height), radius, reflectivity=0.25, **paint)
    for plate in range(int(rng.integers(1, 3))):
        size = (0.012, rng.uniform(0.2, 0.42), rng.uniform(0.15, 0.42))
        level = height - 0.3 - 0.62 * plate
        offset = np.array([0.05 * np.cos(facing), 0.05 * np.sin(facing), level])
        # Retro-reflective foil in front, far brighter than anything else, and bare metal behind.
        builder.box(foot + offset, size, facing, reflectivity=0.98, **paint)
        behind = foot + offset - 0.02 * np.array([np.cos(facing), np.sin(facing), 0.0])
        builder.box(behind, size, facing, reflectivity=0.2, **paint)


def traffic_light(
    builder: ShapeBuilder, foot: np.ndarray, facing: float, rng: np.random.Generator, instance: int
) -> None:
    """A traffic light beside the road."""
    height = rng.uniform(2.6, 3.4)
    paint = {'label': _POLE, 'instance': instance, 'reflectivity': 0.25}
    builder.cylinder(foot + up(height / 2), 0.06, height / 2, 0.0, **paint)
    builder.box(foot + up(height), (0.14, 0.16, 0.45), facing, **paint)


def bollard(
    builder: ShapeBuilder, foot: np.ndarray, rng: np.random.Generator, instance: int
) -> None:
    """A knee-high post."""
    height = rng.uniform(0.6, 1.1)
    paint = {'label': _POLE, 'instance': instance, 'reflectivity': rng.uniform(0.12, 0.4)}
    builder.capsule(foot, foot + up(height), rng.uniform(0.04, 0.09), **paint)
