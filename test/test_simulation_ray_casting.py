# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rays meet shapes where geometry says they do, whatever the culling thinks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.simulation.sensing.ray_casting import HitBuffer, cast
from pointata_core.simulation.sensing.sensors import SENSORS, SensorModel
from pointata_core.simulation.solids import (
    ShapeBuilder,
    ShapeKind,
    Shapes,
    Surface,
    concatenate,
    rotation_from_rpy,
)

SPINNING = SensorModel('small', tuple(np.tan(np.linspace(-0.5, 0.5, 24))), 120, 60.0)
CAMERA = replace(
    SENSORS['kinect'], rows=tuple(np.linspace(-0.4, 0.4, 40)), columns=50, max_range=60.0
)


def range_along(shapes: Shapes, direction, sensor_rng_seed: int = 0) -> float:
    """Range along one ray: a camera of which only the middle ray is looked at."""
    direction = np.asarray(direction, float) / np.linalg.norm(direction)
    grid = SensorModel('one', (-1e-4, 0.0, 1e-4), 5, 200.0, projection='pinhole', half_width=1e-4)
    yaw = np.arctan2(direction[1], direction[0])
    pitch = -np.arcsin(direction[2])
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_rpy(0.0, pitch, yaw).T
    rng = np.random.default_rng(sensor_rng_seed)
    hits = cast(shapes.moved(pose), grid, grid.directions(), rng)
    return float(hits.distance[1, 2])


def one(add) -> Shapes:
    builder = ShapeBuilder()
    add(builder)
    return builder.build()


@pytest.mark.parametrize(
    ('add', 'direction', 'expected'),
    [
        (lambda b: b.ellipsoid((10, 0, 0), (1, 1, 1)), (1, 0, 0), 9.0),
        (lambda b: b.ellipsoid((0, -10, 0), (3, 2, 1)), (0, -1, 0), 8.0),
        (lambda b: b.box((5, 0, 0), (1, 2, 3)), (1, 0, 0), 4.0),
        (lambda b: b.box((5, 0, 0), (1, 1, 1), np.pi / 4), (1, 0, 0), 5 - np.sqrt(2)),
        (lambda b: b.cylinder((-6, 0, 0), 0.5, 2.0), (-1, 0, 0), 5.5),
        (lambda b: b.cylinder((0.2, 0, -3), 0.5, 1.0), (0.1, 0, -1), 2 * np.sqrt(1.01)),
        (lambda b: b.capsule((4, 0, -1), (4, 0, 1), 0.25), (1, 0, 0), 3.75),
        (lambda b: b.capsule((4, 0, 0), (6, 0, 0), 0.25), (1, 0, 0), 3.75),
        (lambda b: b.capsule((80, 0, -1), (80, 0, 1), 0.02), (1, 0, 0), 79.98),
        (lambda b: b.wall((7, -1), (7, 1), -1, 1), (1, 0, 0), 7.0),
        (lambda b: b.floor((0, 0, -2), 50, 50), (1, 0, -1), 2 * np.sqrt(2)),
        (lambda b: b.box((-5, 0, 0), (1, 2, 3)), (1, 0, 0), np.inf),
        (lambda b: b.wall((7, 0.1), (7, 1), -1, 1), (1, 0, 0), np.inf),
    ],
)
def test_range_of_known_cases(add, direction, expected):
    assert range_along(one(add), direction) == pytest.approx(expected, abs=2e-4)


def inside(shapes: Shapes, index: int, points: np.ndarray, grow: float) -> np.ndarray:
    """Whether points lie in a shape grown by ``grow`` metres, by the definition of the shape."""
    local = (points - shapes.centre[index]) @ shapes.rotation[index]
    half = shapes.half[index]
    kind = shapes.kind[index]
    if kind == ShapeKind.BOX:
        return np.all(np.abs(local) < half + grow, axis=1)
    if kind == ShapeKind.CYLINDER:
        round_ = np.hypot(local[:, 0], local[:, 1]) < half[0] + grow
        return round_ & (np.abs(local[:, 2]) < half[2] + grow)
    if kind == ShapeKind.CAPSULE:
        local[:, 2] -= np.clip(local[:, 2], -half[2], half[2])
        return np.linalg.norm(local, axis=1) < half[0] + grow
    return np.linalg.norm(local / (half + grow), axis=1) < 1


@st.composite
def solids(draw) -> Shapes:
    number = st.floats(-1, 1, allow_nan=False, width=32)
    builder = ShapeBuilder()
    for _ in range(draw(st.integers(1, 5))):
        kind = ShapeKind(draw(st.integers(0, 3)))
        half = [0.15 + 1.2 * abs(draw(number)) for _ in range(3)]
        if kind in (ShapeKind.CYLINDER, ShapeKind.CAPSULE):
            half[1] = half[0]
        angle = 2 * np.pi * draw(st.floats(0, 1))
        distance = 3.5 + 20 * abs(draw(number))
        centre = (distance * np.cos(angle), distance * np.sin(angle), 5 * draw(number))
        turn = rotation_from_rpy(*(np.pi * draw(number) for _ in range(3)))
        builder.add(kind, centre, half, turn)
    return builder.build()


@settings(max_examples=40, deadline=None)
@given(solids(), st.sampled_from([SPINNING, CAMERA]))
def test_a_ray_is_free_up_to_its_hit_and_blocked_behind_it(shapes, sensor):
    directions = sensor.directions()
    hits = cast(shapes, sensor, directions, np.random.default_rng(0))
    rays = directions.reshape(3, -1).T.astype(float)
    distance = hits.distance.reshape(-1)
    owner = hits.shape.reshape(-1)
    slack = 4e-3
    steps = np.arange(0.5, 32.0, 0.05)
    # Sample along a spread of rays, hits first: all of them would take minutes.
    chosen = np.concatenate([np.flatnonzero(owner >= 0)[:60], np.arange(0, len(rays), 97)])
    for ray in chosen:
        free = steps[steps < min(distance[ray], 40.0) - slack]
        for index in range(len(shapes)):
            assert not inside(shapes, index, free[:, None] * rays[ray], -slack).any()
        if owner[ray] >= 0:
            at = distance[ray] * rays[ray : ray + 1]
            assert inside(shapes, owner[ray], at, slack).all()
            assert not inside(shapes, owner[ray], at, -slack).any()


@settings(max_examples=25, deadline=None)
@given(solids(), st.sampled_from([SPINNING, CAMERA]), st.integers(0, 1000))
def test_culling_changes_no_hit(shapes, sensor, seed):
    # Alone and wide enough for the whole grid: a shape around the sensor makes its window full.
    directions = sensor.directions()
    together = cast(shapes, sensor, directions, np.random.default_rng(seed))
    nearest = np.full(together.distance.shape, np.inf, np.float32)
    for index in range(len(shapes)):
        alone = _cast_without_windows(shapes[index : index + 1], sensor, directions)
        nearest = np.minimum(nearest, alone)
    grazing = np.isfinite(nearest) != np.isfinite(together.distance)
    assert grazing.mean() < 1e-3  # float32 at a tangent ray may fall on either side
    both = np.isfinite(nearest) & np.isfinite(together.distance)
    np.testing.assert_allclose(together.distance[both], nearest[both], rtol=1e-5, atol=1e-4)


def _cast_without_windows(shape: Shapes, sensor: SensorModel, directions) -> np.ndarray:
    from pointata_core.simulation.sensing import ray_casting

    table = ray_casting._table(shape)
    local = ray_casting._to_local(table.matrix[:, 0], directions)
    origin = tuple(table.origin[:, 0])
    rng = np.random.default_rng(0)
    return ray_casting._enter(int(table.kind[0]), table, np.zeros(1, int), origin, local, rng)


def test_a_box_hides_what_stands_behind_it():
    front = one(lambda b: b.box((5, 0, 0), (0.5, 2, 2)))
    behind = one(lambda b: b.box((9, 0, 0), (0.5, 1, 1)))
    for shapes in (concatenate([front, behind]), concatenate([behind, front])):
        hits = cast(shapes, SPINNING, SPINNING.directions(), np.random.default_rng(0))
        hidden = int(np.flatnonzero(shapes.centre[:, 0] == 9)[0])
        assert not (hits.shape == hidden).any()
        assert (hits.shape == 1 - hidden).any()


def test_earlier_hits_are_kept_where_they_are_nearer():
    wall = one(lambda b: b.wall((10, -3), (10, 3), -3, 3))
    hits = HitBuffer.empty(SPINNING)
    hits.distance[:] = 4.0
    cast(wall, SPINNING, SPINNING.directions(), np.random.default_rng(0), hits)
    assert (hits.distance == 4.0).all()
    assert (hits.shape == -1).all()


def test_foliage_lets_through_what_beer_and_lambert_say():
    density, chord = 0.9, 2.0
    ball = one(lambda b: b.ellipsoid((50, 0, 0), (1, 1, 1), surface=Surface.LEAVES, detail=density))
    through = [np.isinf(range_along(ball, (1, 0, 0), seed)) for seed in range(1200)]
    assert np.mean(through) == pytest.approx(np.exp(-density * chord), abs=0.04)


@pytest.mark.parametrize('surface', [Surface.SLATS, Surface.MESH])
def test_fences_cover_the_share_they_are_told_to(surface):
    fence = one(lambda b: b.wall((6, -3), (6, 3), -2, 2, surface=surface, detail=0.15, fill=0.6))
    solid = one(lambda b: b.wall((6, -3), (6, 3), -2, 2))
    fine = SPINNING.with_columns(4000)
    counts = [
        np.isfinite(cast(s, fine, fine.directions(), np.random.default_rng(1)).distance).sum()
        for s in (fence, solid)
    ]
    assert counts[0] / counts[1] == pytest.approx(0.6, abs=0.03)
