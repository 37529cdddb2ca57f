# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point-to-pixel maps: front seen, back hidden, and the pixel is the right one."""

from __future__ import annotations

import numpy as np
import pytest

from pointata_core.shapes.procedural.primitives import box, superquadric
from pointata_core.shapes.rendering import (
    Cameras,
    RayCaster,
    RenderSettings,
    cameras_around,
    look_at,
    perspective,
    pixel_cells,
    point_pixels,
    render,
    render_shape,
)
from pointata_core.shapes.sampling import sample_surface
from pointata_core.shapes.shape import Shape

pytest.importorskip('embreex', reason='ray casting needs the extra `pretrain`')

SETTINGS = RenderSettings(views=20, size=64, points=1500)
TOLERANCE = SETTINGS.tolerance


def shape_of(*solids):
    offsets = np.cumsum([0, *(len(solid.vertices) for solid in solids)])
    vertices = np.concatenate([solid.vertices for solid in solids]).astype(np.float32)
    faces = np.concatenate([s.faces + o for s, o in zip(solids, offsets, strict=False)])
    part = np.repeat(np.arange(len(solids)), [len(s.faces) for s in solids]).astype(np.uint8)
    names = tuple(f'solid {k}' for k in range(len(solids)))
    return Shape(vertices, faces.astype(np.int32), part, names, 'solids', 'solids-1')


def camera_at(eye, size=100):
    return Cameras(look_at(eye)[None], perspective(50, 0.1, 10), size)


def visible(pixels):
    return pixels[..., 0] >= 0


def test_a_box_shows_the_sides_that_face_the_camera():
    shape = shape_of(box(1, 0.8, 0.6))
    samples = sample_surface(shape, 2000, np.random.default_rng(0))
    cameras = cameras_around(SETTINGS)
    pixels = point_pixels(samples.points, cameras, RayCaster(shape), TOLERANCE)
    towards = cameras.eyes[:, None] - samples.points
    facing = np.einsum('vmd,md->vm', towards, samples.normals)
    # Just behind an edge a point lies within the tolerance of what its ray meets.
    margin = np.sort((0.5, 0.4, 0.3) - np.abs(samples.points), axis=1)[:, 1] > 0.01
    clear = (np.abs(facing) > 0.01) & margin
    assert clear.mean() > 0.8
    np.testing.assert_array_equal(visible(pixels)[clear], facing[clear] > 0)


def test_a_ball_is_seen_up_to_its_horizon():
    shape = shape_of(superquadric(0.8, 0.8, 0.8, detail=96))
    samples = sample_surface(shape, 3000, np.random.default_rng(1))
    cameras = camera_at((2.0, 1.0, 0.5))
    seen = visible(point_pixels(samples.points, cameras, RayCaster(shape), TOLERANCE))[0]
    eye = cameras.eyes[0]
    # Analytic: p . eye = r^2 on the horizon. Facets lean by up to 0.046 against the ball, which
    # moves the horizon by that times r |eye - p|.
    beyond = samples.points @ eye - 0.64
    assert seen[beyond > 0.1].all()
    assert not seen[beyond < -0.1].any()
    assert (np.abs(beyond) < 0.1).mean() < 0.2


def test_of_two_parallel_plates_the_rear_one_is_hidden():
    front, rear = box(0.02, 0.8, 0.8).at(0.4, 0, 0), box(0.02, 0.8, 0.8).at(-0.4, 0, 0)
    shape = shape_of(front, rear)
    samples = sample_surface(shape, 3000, np.random.default_rng(2))
    seen = visible(
        point_pixels(samples.points, camera_at((2.5, 0, 0)), RayCaster(shape), TOLERANCE)
    )[0]
    face_on = samples.normals[:, 0] > 0.9
    assert seen[face_on & (samples.part == 0)].all()
    # In perspective the front plate covers all of the equal one behind it.
    assert not seen[samples.part == 1].any()
    behind = visible(
        point_pixels(samples.points, camera_at((-2.5, 0, 0)), RayCaster(shape), TOLERANCE)
    )[0]
    assert not behind[samples.part == 0].any()


def test_a_thin_sheet_does_not_leak():
    shape = shape_of(box(0.01, 1, 1))
    samples = sample_surface(shape, 2000, np.random.default_rng(3))
    seen = visible(
        point_pixels(samples.points, camera_at((2.5, 0, 0)), RayCaster(shape), TOLERANCE)
    )[0]
    assert seen[samples.normals[:, 0] > 0.9].all()
    assert not seen[samples.normals[:, 0] < -0.9].any()


def test_the_pixel_of_a_known_point():
    shape = shape_of(box(0.2, 0.2, 0.2))
    cameras = camera_at((2.5, 0, 0))
    focal = 50 / np.tan(np.radians(25))
    points = np.array([(0.1, 0.05, -0.08), (0.1, 0, 0)], np.float32)
    pixels = point_pixels(points, cameras, RayCaster(shape), TOLERANCE)
    assert pixels.dtype == np.int16
    expected = (int(50 + focal * 0.08 / 2.4), int(50 + focal * 0.05 / 2.4))
    assert tuple(pixels[0, 0]) == expected
    assert tuple(pixels[0, 1]) == (50, 50)


def test_points_outside_the_image_or_behind_the_camera_have_no_pixel():
    shape = shape_of(box(0.1, 0.1, 0.1))
    points = np.array([(0, 3, 0), (9, 0, 0), (0.05, 0, 0)], np.float32)
    pixels = point_pixels(points, camera_at((2.5, 0, 0)), RayCaster(shape), TOLERANCE)
    assert visible(pixels)[0].tolist() == [False, False, True]
    assert (pixels[0, :2] == -1).all()


def test_the_map_agrees_with_the_image():
    shape = shape_of(superquadric(0.7, 0.5, 0.6, 0.3, 0.8), box(0.3, 1.4, 0.1))
    cameras = cameras_around(SETTINGS)
    shown = render_shape(shape, SETTINGS, cameras)
    rendered = render(shape, cameras, SETTINGS)
    np.testing.assert_array_equal(shown.images, rendered.images)
    _, depth = cameras.project(shown.points)
    for view in range(len(cameras)):
        seen = shown.visible[view]
        rows, columns = shown.pixels[view, seen].T
        at_pixel = rendered.depth[view][rows, columns]
        # A pixel is 0.04 wide here; where the surface faces the camera depths must agree.
        towards = cameras.eyes[view] - shown.points[seen]
        cosine = np.einsum('md,md->m', towards, shown.normals[seen])
        cosine /= np.linalg.norm(towards, axis=1)
        inner = np.isfinite(at_pixel) & (cosine > 0.7)
        close = np.abs(at_pixel[inner] - depth[view, seen][inner]) < 0.05
        assert close.mean() > 0.9
        assert np.isfinite(at_pixel).mean() > 0.9


def test_points_come_from_the_name_and_the_seed():
    shape = shape_of(box(1, 1, 1))
    renamed = Shape(shape.vertices, shape.faces, shape.face_part, shape.part_names, '', 'other')
    small = RenderSettings(views=1, size=16, points=50)
    first, again, other = (render_shape(s, small).points for s in (shape, shape, renamed))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    reseeded = RenderSettings(views=1, size=16, points=50, seed=1)
    assert not np.array_equal(first, render_shape(shape, reseeded).points)


def test_cells_count_row_by_row_and_keep_hidden_points_hidden():
    pixels = np.array([[0, 0], [31, 31], [0, 32], [32, 0], [223, 223], [-1, -1]], np.int16)
    assert pixel_cells(pixels, 32, 224).tolist() == [0, 0, 1, 7, 48, -1]
    assert pixel_cells(pixels, 16, 224).tolist() == [0, 15, 2, 28, 195, -1]
    # 230 is no multiple of 32: the rest joins the last cell.
    assert pixel_cells(np.array([[229, 0]], np.int16), 32, 230).tolist() == [42]
