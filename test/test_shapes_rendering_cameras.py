# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Viewpoints are regular; projection agrees with hand calculation and with the pixels' rays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.errors import ConfigError
from pointata_core.shapes.rendering import (
    Cameras,
    RenderSettings,
    cameras_around,
    look_at,
    perspective,
    viewpoints,
)


def camera_at(eye, size=100, fov=50.0):
    return Cameras(look_at(eye)[None], perspective(fov, 0.1, 10), size)


@pytest.mark.parametrize(
    ('count', 'neighbours', 'degrees'),
    [(6, 4, 90.0), (12, 5, 63.43), (20, 3, 41.81), (30, 4, 36.0)],
)
def test_regular_viewpoints_are_the_vertices_of_their_solids(count, neighbours, degrees):
    points = viewpoints(count)
    assert points.shape == (count, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    angles = np.degrees(np.arccos(np.clip(points @ points.T, -1, 1)))
    np.fill_diagonal(angles, 360)
    assert angles.min() == pytest.approx(degrees, abs=0.01)
    assert ((angles < degrees + 0.01).sum(axis=1) == neighbours).all()
    # Every viewpoint has one opposite to it.
    np.testing.assert_allclose(angles.max(axis=1, where=angles < 360, initial=0), 180, atol=1e-4)


@pytest.mark.parametrize('count', [1, 5, 10, 40])
def test_other_numbers_of_viewpoints_spread_evenly(count):
    points = viewpoints(count)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    if count >= 5:
        assert np.linalg.norm(points.mean(axis=0)) < 0.15
        distance = np.linalg.norm(points[:, None] - points, axis=-1) + 9 * np.eye(count)
        # As close as `count` caps that cover half of the sphere would be, at least.
        assert distance.min() > np.sqrt(2 * 4 / count) * 0.7


@pytest.mark.parametrize('count', [6, 20, 30, 7])
def test_views_are_rigid_and_look_at_the_origin(count):
    cameras = cameras_around(RenderSettings(views=count))
    turn = cameras.view[:, :3, :3]
    np.testing.assert_allclose(
        turn @ turn.transpose(0, 2, 1), np.tile(np.eye(3), (count, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(turn), 1)
    np.testing.assert_allclose(cameras.eyes, 2.5 * viewpoints(count), atol=1e-12)
    uv, depth = cameras.project(np.zeros((1, 3)))
    np.testing.assert_allclose(uv, 112)
    np.testing.assert_allclose(depth, 2.5)


def test_known_points_project_where_geometry_says():
    # From the front (+x) at distance 2.5; a focal length of 1 / tan(25 degrees) half images.
    cameras = camera_at((2.5, 0, 0))
    focal = 50 / np.tan(np.radians(25))
    uv, depth = cameras.project([(0, 0.5, 0), (0, 0, 0.5), (0.5, 0.5, 0.5), (-0.5, 0, -0.5)])
    expected = [
        (50 + focal * 0.5 / 2.5, 50),  # the shape's left is seen on the right
        (50, 50 - focal * 0.5 / 2.5),  # up is up
        (50 + focal * 0.5 / 2, 50 - focal * 0.5 / 2),  # nearer is larger
        (50, 50 + focal * 0.5 / 3),
    ]
    np.testing.assert_allclose(uv[0], expected)
    np.testing.assert_allclose(depth[0], [2.5, 2.5, 2, 3])


def test_from_straight_above_the_front_is_up():
    uv, _ = camera_at((0, 0, 2.5)).project([(0.5, 0, 0), (0, 0.5, 0)])
    assert uv[0, 0, 1] < 50 and uv[0, 0, 0] == pytest.approx(50)
    assert uv[0, 1, 0] < 50 and uv[0, 1, 1] == pytest.approx(50)


@given(
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1),
    st.integers(0, 99),
    st.integers(0, 99),
    st.floats(0.5, 5),
)
def test_pixel_rays_come_back_to_the_centres_of_their_pixels(direction, row, column, depth):
    eye = 2.5 * np.array(direction) / np.linalg.norm(direction)
    cameras = camera_at(eye)
    (ray,) = cameras.pixel_rays(0, np.array([row]), np.array([column]))
    uv, found = cameras.project((eye + depth * ray)[None])
    np.testing.assert_allclose(uv[0, 0], (column + 0.5, row + 0.5), atol=1e-6)
    assert found[0, 0] == pytest.approx(depth)


def test_moving_points_and_view_together_changes_nothing():
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (20, 3))
    transform = np.eye(4)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    transform[:3, :3], transform[:3, 3] = 0.9 * turn, (0.1, -0.2, 0.05)
    cameras = cameras_around(RenderSettings(views=6))
    moved = Cameras(cameras.view @ np.linalg.inv(transform), cameras.projection, cameras.size)
    uv, _ = cameras.project(points)
    again, _ = moved.project(points @ transform[:3, :3].T + transform[:3, 3])
    np.testing.assert_allclose(again, uv, atol=1e-9)


def test_the_unit_sphere_fits_into_every_image():
    points = viewpoints(500)
    uv, depth = cameras_around(RenderSettings()).project(points)
    assert (depth > 0).all()
    assert uv.min() > 0 and uv.max() < 224


@pytest.mark.parametrize(
    'values',
    [
        {'views': 0},
        {'size': 4},
        {'points': 0},
        {'radius': 1.0},
        {'fov_degrees': 40.0},
        {'near': 2.0},
        {'far': 3.0},
        {'albedo': 0.0},
        {'ambient': 1.5},
        {'tolerance': 0.0},
        {'seed': -1},
        {'crease_degrees': 200.0},
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(values):
    (name,) = values
    with pytest.raises(ConfigError, match=name):
        RenderSettings(**values)
