# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Solids against the formulas of school geometry; deformations against their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.shapes.procedural.deformations import (
    bend,
    bulge,
    random_deformations,
    stretch,
    taper,
    twist,
)
from pointata_core.shapes.procedural.primitives import (
    beam,
    box,
    cylinder,
    ellipsoid,
    limb,
    plate,
    rod,
    superquadric,
    torus,
)
from pointata_core.shapes.procedural.solids import loft, rotation, rotation_to
from pointata_core.shapes.procedural.surfaces import lathe, smooth_curve, sweep, vessel

LENGTH = st.floats(0.1, 3)
ANGLE = st.floats(-360, 360)
GRID = np.random.default_rng(0).uniform(-0.9, 0.9, (400, 3)) / np.sqrt(3)


def polygon_share(segments):
    """Area of a regular polygon against that of its circle."""
    return segments / (2 * np.pi) * np.sin(2 * np.pi / segments)


@given(LENGTH, LENGTH, LENGTH)
def test_box_volume(x, y, z):
    assert box(x, y, z).volume == pytest.approx(x * y * z)
    assert plate((0, 0, 0), (x, y, z)).vertices.min() == pytest.approx(0, abs=1e-12)


@given(LENGTH, LENGTH, LENGTH, st.integers(3, 40))
def test_frustum_volume(low, top, height, segments):
    expected = np.pi * height / 3 * (low**2 + low * top + top**2) * polygon_share(segments)
    assert cylinder(low, height, top, segments).volume == pytest.approx(expected)


@given(LENGTH, ANGLE, ANGLE, st.tuples(LENGTH, LENGTH, LENGTH))
def test_moving_keeps_the_volume_and_scaling_multiplies_it(size, turn, tilt, factors):
    solid = cylinder(size, 1, 0.5 * size)
    moved = solid.turned('z', turn).turned('x', tilt).at(1, -2, 3).mirrored('y')
    assert moved.volume == pytest.approx(solid.volume, rel=1e-6)
    assert solid.scaled(*factors).volume == pytest.approx(solid.volume * np.prod(factors))


@pytest.mark.parametrize(
    ('solid', 'volume', 'tolerance'),
    [
        (ellipsoid(1, 2, 0.5), 4 / 3 * np.pi, 0.04),
        (superquadric(1, 1, 1, 1, 1, detail=80), 4 / 3 * np.pi, 0.004),
        (superquadric(1, 1, 1, 0.05, 0.05, detail=80), 8, 0.1),
        (superquadric(1, 1, 1, 2, 2, detail=80), 4 / 3, 0.01),  # an octahedron
        (torus(1, 0.3), 2 * np.pi**2 * 0.09, 0.05),
        (limb((0, 0, 0), (0, 0, 2), 0.5), np.pi * 0.25 * (2 + 4 / 3 * 0.5), 0.05),
        (lathe([(1, 0), (1, 2)], 64), 2 * np.pi, 0.003),
        (lathe([(1, 0), (2, 0), (2, 1), (1, 1)], 64, closed=True), 3 * np.pi, 0.003),
        (vessel([(1, 0), (1, 2)], 0.1), np.pi * (2 - 0.81 * 1.9), 0.01),
        (sweep([(0, 0, 0), (0, 0, 1), (0, 0, 3)], 0.5), 3 * np.pi * 0.25, 0.05),
        (beam((0, 0, 0), (3, 4, 0), 0.5, 0.2), 0.5, 1e-9),
    ],
)  # fmt: skip
def test_volumes_against_formulas(solid, volume, tolerance):
    assert solid.volume == pytest.approx(volume, rel=tolerance)


def test_a_concave_prism_keeps_its_outline():
    pytest.importorskip('manifold3d', reason='outlines are triangulated by manifold3d')
    from pointata_core.shapes.procedural.surfaces import gear_outline, prism

    letter = [(0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3)]
    solid = prism(letter, 2)
    assert solid.volume == pytest.approx(10)
    assert solid.vertices[:, 2].min() == pytest.approx(-1)
    outline = gear_outline(12, 1.0, 0.2)
    assert set(np.round(np.linalg.norm(outline, axis=1), 9)) == {1.0, 0.8}
    x, y = outline.T
    area = 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    assert prism(outline, 1).volume == pytest.approx(area, rel=1e-5)


@given(st.tuples(ANGLE, ANGLE, ANGLE).filter(lambda v: np.linalg.norm(v) > 1e-3))
def test_rotation_to_takes_z_there(direction):
    matrix = rotation_to(direction)
    np.testing.assert_allclose(matrix @ (0, 0, 1), direction / np.linalg.norm(direction), atol=1e-9)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix) > 0


def test_rotations_are_right_handed():
    for axis, start, end in (('x', 1, 2), ('y', 2, 0), ('z', 0, 1)):
        np.testing.assert_allclose(
            rotation(axis, 90) @ np.eye(3)[start], np.eye(3)[end], atol=1e-12
        )


def test_rods_end_where_they_should():
    start, end = np.array([1.0, 2, 3]), np.array([-1.0, 0, 4])
    solid = rod(start, end, 0.1)
    direction = (end - start) / np.linalg.norm(end - start)
    along = (solid.vertices - start) @ direction
    assert along.min() == pytest.approx(0, abs=1e-9)
    assert along.max() == pytest.approx(np.linalg.norm(end - start))
    across = np.linalg.norm(solid.vertices - start - along[:, None] * direction, axis=1)
    assert across.max() == pytest.approx(0.1)


def test_loft_turns_any_ring_outwards():
    ring = np.array([(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0)], float)
    rings = np.stack([ring, ring + (0, 0, 1)])
    assert loft(rings).volume == pytest.approx(2)
    assert loft(rings[:, ::-1]).volume == pytest.approx(2)
    assert loft(rings[::-1]).volume == pytest.approx(2)


def test_smooth_curves_pass_through_their_knots():
    knots = np.array([(0, 0, 0), (1, 2, 0), (3, 1, 1), (4, 4, 4)], float)
    curve = smooth_curve(knots, 31)
    np.testing.assert_allclose(curve[::10], knots, atol=1e-12)


def test_a_closed_sweep_meets_itself_without_a_twist():
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    path = np.column_stack([np.cos(t), np.sin(t), 0.3 * np.sin(2 * t)])
    solid = sweep(path, 0.1, closed=True)
    rings = solid.vertices.reshape(60, -1, 3)
    steps = np.linalg.norm(np.roll(rings, -1, 0) - rings, axis=-1)
    assert steps.max() < 2 * np.median(steps)


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_twist_keeps_distances_from_its_axis(axis):
    moved = twist(axis, 0.7)(GRID)
    other = [k for k in range(3) if k != axis]
    np.testing.assert_allclose(moved[:, axis], GRID[:, axis])
    before, after = (np.linalg.norm(p[:, other], axis=1) for p in (GRID, moved))
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_taper_scales_sections():
    moved = taper(2, 0.4)(GRID)
    np.testing.assert_allclose(moved[:, :2], GRID[:, :2] * (1 + 0.4 * GRID[:, 2:]))
    np.testing.assert_allclose(moved[:, 2], GRID[:, 2])


def test_bend_rolls_the_axis_to_a_circle_of_the_same_length():
    line = np.column_stack([np.linspace(-1, 1, 201), np.zeros((201, 2))])
    rolled = bend(0, 2, 0.5)(line)
    assert np.linalg.norm(np.diff(rolled, axis=0), axis=1).sum() == pytest.approx(2, rel=1e-4)
    np.testing.assert_allclose(np.linalg.norm(rolled - (0, 0, 2), axis=1), 2)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_deformations_drawn_do_not_turn_space_inside_out(seed):
    step = 1e-5
    for deform in random_deformations(np.random.default_rng(seed), rigid=False):
        jacobian = np.stack(
            [(deform(GRID + step * e) - deform(GRID - step * e)) / (2 * step) for e in np.eye(3)],
            -1,
        )
        assert (np.linalg.det(jacobian) > 0).all()


def test_bulge_moves_along_its_direction_only():
    direction = np.array([3.0, 0, 4.0])
    moved = bulge(direction, 0.3, 0.5)(GRID) - GRID
    np.testing.assert_allclose(np.cross(moved, direction), 0, atol=1e-12)
    assert np.abs(moved).max() > 0.01


def test_rigid_families_are_stretched_at_most():
    for seed in range(30):
        for deform in random_deformations(np.random.default_rng(seed), rigid=True):
            ratio = deform(GRID) / GRID
            np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape))
    np.testing.assert_allclose(stretch(np.array([1, 2, 3]))(np.ones((1, 3))), [[1, 2, 3]])
