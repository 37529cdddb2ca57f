# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cars, vans, trucks and two-wheelers, in their own frame: x forward, origin on the ground.

Most are meshes of real ones (`library`); the rest are made of boxes, cylinders and capsules.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from pointata_core.simulation.objects.library import GLASS, draw_model, drawn_as_mesh
from pointata_core.simulation.solids import ShapeBuilder, Shapes, rotation_from_rpy
from pointata_core.taxonomy import class_id

_TYRE = 0.05


# Black paint returns little at 905 nm, white much: the whole range occurs.
_PAINTS = (0.06, 0.15, 0.3, 0.5, 0.7)
_VEHICLES = {'car': 0.8, 'van': 0.11, 'truck': 0.05, 'bus': 0.04}


def car(rng: np.random.Generator, instance: int, longest: float = 7.5) -> Shapes:
    """A passenger car, van, truck or bus (in falling frequency).

    Args:
        rng: Source of randomness.
        instance: Instance id.
        longest: Metres that a mesh may be long; a parked one must leave room for its neighbours.
    """
    if drawn_as_mesh(rng):
        kind = str(rng.choice(list(_VEHICLES), p=list(_VEHICLES.values())))
        scale = rng.uniform(0.94, 1.06, 3)
        model = draw_model(kind, rng)
        while np.ptp(model.box[:, 0]) > longest:
            model = draw_model('car', rng)
        return model.shapes(class_id('car'), instance, float(rng.choice(_PAINTS)), scale)
    kind = rng.choice(['hatchback', 'sedan', 'van', 'truck'], p=[0.47, 0.36, 0.13, 0.04])
    builder = ShapeBuilder(class_id('car'), instance, rng.choice(_PAINTS))
    if kind == 'truck':
        _truck(builder, rng)
    elif kind == 'van':
        _van(builder, rng)
    else:
        _passenger_car(builder, rng, boot=kind == 'sedan')
    return builder.build()


def _wheels(builder: ShapeBuilder, front: float, rear: float, track: float, radius: float) -> None:
    axle = rotation_from_rpy(np.pi / 2, 0.0, 0.0)
    for x in (front, rear):
        for y in (track, -track):
            builder.cylinder((x, y, radius), radius, 0.1, axle, reflectivity=_TYRE)


def _passenger_car(builder: ShapeBuilder, rng: np.random.Generator, *, boot: bool) -> None:
    length, width = rng.uniform(3.6, 4.8), rng.uniform(1.65, 1.85)
    height = rng.uniform(1.4, 1.65)
    sill, belt = rng.uniform(0.18, 0.28), height * rng.uniform(0.56, 0.62)
    half, side = length / 2, width / 2
    builder.box((0, 0, (sill + belt) / 2), (half - 0.18, side, (belt - sill) / 2))
    # Bumpers and the rounded ends of bonnet and boot.
    for sign in (1, -1):
        start, end = (sign * (half - 0.2), side - 0.2, 0.5), (sign * (half - 0.2), 0.2 - side, 0.5)
        builder.capsule(start, end, 0.2)
    nose = rng.uniform(0.9, 1.25)
    cabin_front = half - nose
    cabin_rear = -half + (rng.uniform(0.55, 0.85) if boot else 0.12)
    roof = side - 0.16
    front, rear = cabin_front - 0.55, cabin_rear + (0.45 if boot else 0.22)
    builder.box(
        ((front + rear) / 2, 0, (belt + height) / 2),
        ((front - rear) / 2, roof, (height - belt) / 2),
        **GLASS,
    )
    builder.box(((front + rear) / 2, 0, height - 0.03), ((front - rear) / 2, roof, 0.04))
    for row in (0.15, -0.75):  # seats, seen through the windows
        seat = ((front + rear) / 2 + row, 0, belt + 0.05)
        builder.box(seat, (0.09, roof - 0.15, 0.3), reflectivity=0.2)
    for low, high in ((cabin_front, front), (cabin_rear, rear)):  # windscreen and rear window
        slope = np.arctan2(height - belt, abs(low - high))
        pitch = slope if low > high else -slope
        builder.box(
            ((low + high) / 2, 0, (belt + height) / 2),
            (np.hypot(low - high, height - belt) / 2, roof, 0.03),
            rotation_from_rpy(0, pitch, 0),
            **GLASS,
        )
    bonnet = half - 0.25 - (cabin_front - 0.1)
    builder.ellipsoid((cabin_front - 0.1 + bonnet / 2, 0, belt), (bonnet * 0.6, side * 0.95, 0.11))
    for sign in (1, -1):
        builder.box((cabin_front - 0.35, sign * (side + 0.09), belt + 0.08), (0.08, 0.1, 0.07))
    radius = rng.uniform(0.29, 0.34)
    _wheels(builder, half - rng.uniform(0.75, 0.9), -half + rng.uniform(0.65, 0.8), side, radius)


def _van(builder: ShapeBuilder, rng: np.random.Generator) -> None:
    length, width, height = rng.uniform(4.5, 6.2), rng.uniform(1.8, 2.05), rng.uniform(1.85, 2.6)
    half, side, nose = length / 2, width / 2, rng.uniform(0.7, 1.1)
    belt = 1.05
    builder.box((-nose / 2, 0, (0.3 + height) / 2), (half - nose / 2, side, (height - 0.3) / 2))
    builder.box((half - nose / 2, 0, (0.3 + belt) / 2), (nose / 2, side, (belt - 0.3) / 2))
    slope = np.arctan2(height - belt, nose)
    builder.box(
        (half - nose / 2 - 0.05, 0, (belt + height) / 2 - 0.05),
        (np.hypot(nose, height - belt) / 2, side - 0.06, 0.04),
        rotation_from_rpy(0, slope, 0),
        **GLASS,
    )
    for sign in (1, -1):
        builder.box((half - nose - 0.5, sign * side, height * 0.68), (0.4, 0.012, 0.26), **GLASS)
        builder.box((half - nose + 0.1, sign * (side + 0.12), belt + 0.25), (0.06, 0.11, 0.14))
    _wheels(builder, half - 0.85, -half + 0.95, side - 0.05, 0.34)


def _truck(builder: ShapeBuilder, rng: np.random.Generator) -> None:
    length, height = rng.uniform(6.0, 10.0), rng.uniform(2.9, 3.7)
    half, side, cab = length / 2, 1.2, rng.uniform(1.6, 2.1)
    builder.box((half - cab / 2, 0, 1.55), (cab / 2, side - 0.06, 1.1))
    builder.box((half + 0.01, 0, 2.05), (0.02, side - 0.2, 0.4), **GLASS)
    rear = -cab / 2 - 0.15
    builder.box((rear, 0, (1.0 + height) / 2), (half - cab / 2 - 0.15, side, (height - 1.0) / 2))
    builder.box((0, 0, 0.8), (half - 0.3, 0.45, 0.16))
    _wheels(builder, half - 1.1, -half + 1.6, side - 0.12, 0.48)


def two_wheeler(rng: np.random.Generator, instance: int) -> Shapes:
    """A bicycle, or a motorcycle one time in four; leaning on its stand."""
    if drawn_as_mesh(rng):
        model = draw_model('motorcycle' if rng.random() < 0.35 else 'bicycle', rng)
        scale = np.full(3, rng.uniform(0.92, 1.08))
        return model.shapes(class_id('bicycle'), instance, rng.uniform(0.1, 0.6), scale)
    builder = ShapeBuilder(class_id('bicycle'), instance, rng.uniform(0.15, 0.6))
    if rng.random() < 0.25:
        _motorcycle(builder, rng)
    else:
        _bicycle(builder, rng)
    return builder.build()


def _ring(
    builder: ShapeBuilder, centre: Sequence[float], radius: float, tube: float, pieces: int = 8
) -> None:
    angle = np.linspace(0, 2 * np.pi, pieces + 1)
    points = np.asarray(centre) + radius * np.stack(
        [np.cos(angle), np.zeros_like(angle), np.sin(angle)], 1
    )
    for start, end in itertools.pairwise(points):
        builder.capsule(start, end, tube, reflectivity=_TYRE + 0.1)


def _bicycle(builder: ShapeBuilder, rng: np.random.Generator) -> None:
    wheel = rng.uniform(0.31, 0.35)
    base = rng.uniform(0.5, 0.55)
    tube = 0.022
    for x in (base, -base):
        _ring(builder, (x, 0, wheel), wheel - 0.02, tube)
        builder.capsule((x, -0.05, wheel), (x, 0.05, wheel), 0.03)
        for angle in (0.3, 1.9):  # what is seen of the spokes
            spoke = 0.9 * wheel * np.array([np.cos(angle), 0, np.sin(angle)])
            centre = np.array([x, 0, wheel])
            builder.capsule(centre - spoke, centre + spoke, 0.006)
    crank, saddle = (-0.08, 0, 0.29), (-0.24, 0, rng.uniform(0.85, 1.0))
    head = (base - 0.15, 0, 0.82)
    for start, end in (
        (crank, head),
        (crank, saddle),
        ((-0.2, 0, 0.75), head),
        ((-base, 0, wheel), crank),
        ((-base, 0, wheel), (-0.2, 0, 0.75)),
        (head, (base, 0, wheel)),
        (head, (base - 0.22, 0, 1.02)),
    ):
        builder.capsule(start, end, tube)
    builder.capsule((base - 0.22, -0.28, 1.03), (base - 0.22, 0.28, 1.03), 0.018)
    builder.ellipsoid(saddle, (0.13, 0.08, 0.04))
    builder.capsule((-0.1, -0.15, 0.3), (-0.06, 0.15, 0.28), 0.025)
    if rng.random() < 0.4:  # luggage rack with a basket
        builder.box((-base + 0.05, 0, 0.82), (0.2, 0.14, 0.1))


def _motorcycle(builder: ShapeBuilder, rng: np.random.Generator) -> None:
    axle = rotation_from_rpy(np.pi / 2, 0.0, 0.0)
    for x in (0.68, -0.65):
        builder.cylinder((x, 0, 0.31), 0.31, 0.06, axle, reflectivity=_TYRE)
    builder.box((0, 0, 0.48), (0.34, 0.15, 0.2))
    builder.ellipsoid((0.15, 0, 0.8), (0.3, 0.16, 0.16))
    builder.ellipsoid((-0.4, 0, 0.8), (0.42, 0.14, 0.08))
    builder.capsule((0.68, 0, 0.31), (0.45, 0, 0.95), 0.05)
    builder.capsule((0.42, -0.36, 1.02), (0.42, 0.36, 1.02), 0.025)
    builder.ellipsoid((0.52, 0, 0.88), (0.12, 0.15, 0.15))
    if rng.random() < 0.5:
        builder.box((-0.75, 0, 0.95), (0.17, 0.2, 0.15))
