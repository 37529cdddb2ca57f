# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One of the simulator's sensors before a shape, so that its points are a scan of one side."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.rendering.ray_casting import RayCaster
from pointata_core.shapes.shape import Scan, Shape
from pointata_core.simulation.sensing.sensors import get_sensor

SENSORS = ('kinect', 'kinect', 'hdl64', 'os0_128', 'os1_128', 'vls128', 'vlp16', 'qt64', 'mid360')
"""Sensors to choose from; the depth camera twice as often, it sees people near by."""

_DISTANCE = (1.8, 6.0)  # in radii of the shape
_HEIGHT = (-0.3, 1.0)  # of the sensor above the middle of the shape, in radii
_LEAST = 128  # points on the shape
_NEARER, _TRIES = 0.75, 7


def draw_scan(shape: Shape, rng: np.random.Generator, azimuth: float | None = None) -> Scan | None:
    """Place a sensor before a shape in the unit sphere.

    A sensor that sees too few points comes nearer.

    Args:
        shape: The shape.
        rng: Source of randomness.
        azimuth: Where the sensor stands, radians; anywhere if not given.

    Returns:
        The rays that can meet the sphere; None where even the nearest sensor sees too little.
    """
    caster = RayCaster(shape)
    directions = _directions(SENSORS[int(rng.integers(len(SENSORS)))])
    anywhere, height = rng.uniform(-np.pi, np.pi), rng.uniform(*_HEIGHT)
    azimuth = anywhere if azimuth is None else azimuth
    turn, tilt = rng.uniform(-0.1, 0.1, 2)
    distance = float(np.exp(rng.uniform(*np.log(_DISTANCE))))
    for _ in range(_TRIES):
        scan = _place(directions, distance, azimuth + turn, azimuth, height, tilt)
        if len(scan.directions):
            hits = caster.cast(np.broadcast_to(scan.origin, scan.directions.shape), scan.directions)
            if np.count_nonzero(hits.face >= 0) >= _LEAST:
                return scan
        distance = max(_NEARER * distance, 1.3)
    return None


def sometimes_scanned(shape: Shape, share: float, rng: np.random.Generator) -> Shape:
    """A shape that holds a scan of itself in a share of the cases, 0..1."""
    return replace(shape, scan=draw_scan(shape, rng)) if rng.random() < share else shape


def _place(
    directions: NDArray[np.float32],
    distance: float,
    heading: float,
    azimuth: float,
    height: float,
    tilt: float,
) -> Scan:
    """A sensor whose x axis points towards the middle, but for small angles."""
    origin = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), height])
    pitch = np.arctan2(height, distance) + tilt  # x dips below the horizon by it
    cosine, sine = np.cos(pitch), np.sin(pitch)
    down = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    cosine, sine = np.cos(heading + np.pi), np.sin(heading + np.pi)
    around = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    rays = directions @ (around @ down).T.astype(np.float32)
    away = float(np.linalg.norm(origin))
    edge = np.sqrt(max(1 - 1 / away**2, 0.0))  # cosine of half the angle of the unit sphere
    inside = rays @ (-origin / away).astype(np.float32) >= edge
    return Scan(origin.astype(np.float32), rays[inside])


@cache
def _directions(sensor: str) -> NDArray[np.float32]:
    """(R, 3) unit directions of a preset; of a spinning sensor those forward of it."""
    directions = get_sensor(sensor).directions().reshape(3, -1).T
    return np.ascontiguousarray(directions[directions[:, 0] > 0.2])
