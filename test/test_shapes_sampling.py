# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Surface samples are uniform by area and know normal, face and part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.shapes.procedural.primitives import box, cylinder
from pointata_core.shapes.sampling import sample_surface
from pointata_core.shapes.shape import Shape, face_areas, face_normals


def shape_of(solid, part=None):
    faces = solid.faces
    part = np.zeros(len(faces), np.uint8) if part is None else part
    names = tuple(f'part {k}' for k in range(part.max() + 1))
    return Shape(solid.vertices.astype(np.float32), faces, part, names, 'solid', 'solid')


@given(st.integers(0, 2**32), st.integers(1, 3000))
def test_every_face_gets_its_share_to_within_one_point(seed, count):
    shape = shape_of(cylinder(0.3, 2, 0.6, 7))
    samples = sample_surface(shape, count, np.random.default_rng(seed))
    areas = face_areas(shape.triangles)
    found = np.bincount(samples.face, minlength=len(areas))
    assert found.sum() == count == len(samples.points)
    assert np.abs(found - count * areas / areas.sum()).max() < 1 + 1e-6


def test_points_lie_in_their_faces_with_their_normals_and_parts():
    solid = box(1, 2, 3)
    sides = np.abs(face_normals(solid.vertices[solid.faces])).argmax(axis=1).astype(np.uint8)
    shape = shape_of(solid, sides)
    samples = sample_surface(shape, 5000, np.random.default_rng(1))
    height = np.einsum(
        'md,md->m', samples.points - shape.triangles[samples.face, 0], samples.normals
    )
    np.testing.assert_allclose(height, 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(samples.normals, axis=1), 1, atol=1e-6)
    assert (np.einsum('md,md->m', samples.points, samples.normals) > 0).all(), 'outwards'
    half = np.array([0.5, 1, 1.5])
    on_side = np.abs(samples.points)[np.arange(5000), samples.part]
    np.testing.assert_allclose(on_side, half[samples.part], atol=1e-6)
    expected = np.array([12, 6, 4]) / 22 * 5000
    np.testing.assert_allclose(np.bincount(samples.part), expected, atol=8)


def test_points_are_uniform_inside_a_triangle():
    corners = np.array([(0, 0, 0), (3, 0, 0), (1, 2, 0)], np.float32)
    shape = Shape(corners, np.array([[0, 1, 2]], np.int32), np.zeros(1, np.uint8), ('a',), '', '')
    count = 40_000
    points = sample_surface(shape, count, np.random.default_rng(2)).points.astype(float)
    second, third = np.linalg.solve(
        (corners[1:, :2] - corners[0, :2]).T.astype(float), points[:, :2].T
    )
    weights = np.stack([1 - second - third, second, third])
    assert weights.min() > -1e-6
    # Middle lines cut a triangle into four of equal area: chi-square with three degrees of freedom.
    quarters = np.array([*(weights > 0.5).sum(axis=1), (weights <= 0.5).all(axis=0).sum()])
    assert ((quarters - count / 4) ** 2 / (count / 4)).sum() < 16.3, 'p < 0.001'


def test_points_come_in_random_order_and_from_the_generator_alone():
    shape = shape_of(box(1, 1, 1))
    first = sample_surface(shape, 600, np.random.default_rng(3))
    again = sample_surface(shape, 600, np.random.default_rng(3))
    np.testing.assert_array_equal(first.points, again.points)
    other = sample_surface(shape, 600, np.random.default_rng(4))
    assert not np.array_equal(first.points, other.points)
    # The first hundred of 600 points see all 24 triangles' sides, which sorted ones would not.
    sides = {tuple(normal) for normal in np.rint(first.normals[:100]).astype(int)}
    assert len(sides) == 6


def test_faces_without_area_get_no_point():
    solid = box(1, 1, 1)
    faces = np.concatenate([solid.faces, [[0, 0, 1], [2, 2, 2]]]).astype(np.int32)
    shape = Shape(
        solid.vertices.astype(np.float32), faces, np.zeros(len(faces), np.uint8), ('a',), '', ''
    )
    samples = sample_surface(shape, 4000, np.random.default_rng(5))
    assert samples.face.max() < len(solid.faces)
    assert np.isfinite(samples.normals).all()
    assert samples.points.dtype == np.float32
    assert samples.normals.shape == (4000, 3)
    assert pytest.approx(6.0) == face_areas(shape.triangles).sum()
