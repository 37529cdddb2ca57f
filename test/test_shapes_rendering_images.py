# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered depth and shading against analytic spheres and boxes."""

from __future__ import annotations

import numpy as np
import pytest

from pointata_core.shapes.procedural.primitives import box, superquadric
from pointata_core.shapes.rendering import RayCaster, RenderSettings, cameras_around, render
from pointata_core.shapes.rendering.shading import corner_normals
from pointata_core.shapes.shape import Shape, face_normals

pytest.importorskip('embreex', reason='ray casting needs the extra `pretrain`')

SETTINGS = RenderSettings(views=20, size=64)


def shape_of(solid):
    faces = solid.faces
    part = np.zeros(len(faces), np.uint8)
    return Shape(solid.vertices.astype(np.float32), faces, part, ('a',), 'solid', 'solid')


def rays_of(cameras, view):
    rows, columns = np.mgrid[: cameras.size, : cameras.size]
    rays = cameras.pixel_rays(view, rows.ravel(), columns.ravel())
    return rays.reshape(cameras.size, cameras.size, 3)


def sphere_depth(eye, rays, radius):
    a, b = (rays**2).sum(-1), rays @ eye
    root = b**2 - a * (eye @ eye - radius**2)
    with np.errstate(invalid='ignore'):
        return np.where(root > 0, (-b - np.sqrt(root)) / a, np.inf)


def box_depth(eye, rays, half):
    with np.errstate(divide='ignore'):
        first, second = (-half - eye) / rays, (half - eye) / rays
    near = np.minimum(first, second).max(-1)
    far = np.maximum(first, second).min(-1)
    return np.where(near <= far, near, np.inf)


def test_depth_of_a_sphere_is_the_analytic_one():
    cameras = cameras_around(SETTINGS)
    found = render(shape_of(superquadric(0.9, 0.9, 0.9, detail=128)), cameras, SETTINGS)
    for view, eye in enumerate(cameras.eyes):
        rays = rays_of(cameras, view)
        outer, inner = sphere_depth(eye, rays, 0.9), sphere_depth(eye, rays, 0.89)
        # A polyhedron lies between two spheres; only at the rim may either be missed.
        surely, maybe = np.isfinite(inner), np.isfinite(outer)
        assert np.isfinite(found.depth[view][surely]).all()
        assert np.isinf(found.depth[view][~maybe]).all()
        seen = found.depth[view]
        assert (seen[surely] >= outer[surely] - 1e-4).all()
        assert (seen[surely] <= inner[surely] + 1e-4).all()


def test_depth_of_a_box_is_the_analytic_one():
    half = np.array([0.6, 0.4, 0.3])
    cameras = cameras_around(SETTINGS)
    found = render(shape_of(box(*(2 * half))), cameras, SETTINGS)
    for view, eye in enumerate(cameras.eyes):
        expected = box_depth(eye, rays_of(cameras, view), half)
        both = np.isfinite(expected) & np.isfinite(found.depth[view])
        np.testing.assert_allclose(found.depth[view][both], expected[both], atol=2e-5)
        # Rounding may decide a ray through the very silhouette, no more.
        assert (np.isfinite(expected) != np.isfinite(found.depth[view])).sum() <= 2
        assert both.sum() > 100


def test_face_depth_and_grey_agree_on_what_is_background():
    cameras = cameras_around(SETTINGS)
    found = render(shape_of(box(1, 0.5, 0.7)), cameras, SETTINGS)
    empty = np.isinf(found.depth)
    np.testing.assert_array_equal(found.face == -1, empty)
    assert (found.images[empty] == 255).all()
    assert (found.images[~empty] < 255).all()


def test_a_surface_that_faces_the_camera_is_brightest_and_others_follow_the_cosine():
    settings = RenderSettings(views=6, size=65, albedo=0.8, ambient=0.25, crease_degrees=0)
    cameras = cameras_around(settings)
    found = render(shape_of(box(1, 1, 1)), cameras, settings)
    normals = face_normals(shape_of(box(1, 1, 1)).triangles)
    assert (found.images[:, 32, 32] == round(255 * 0.8)).all()
    for view in range(6):
        seen = found.face[view] >= 0
        rays = rays_of(cameras, view)[seen]
        cosine = np.abs((normals[found.face[view][seen]] * rays).sum(-1))
        cosine /= np.linalg.norm(rays, axis=-1)
        expected = 255 * 0.8 * (0.25 + 0.75 * cosine)
        np.testing.assert_allclose(found.images[view][seen], expected, atol=0.51)


def test_meshes_turned_inside_out_look_the_same():
    solid = superquadric(0.8, 0.6, 0.9, 0.5, 0.7)
    shape = shape_of(solid)
    inside_out = Shape(
        shape.vertices, shape.faces[:, ::-1], shape.face_part, ('a',), 'solid', 'solid'
    )
    cameras = cameras_around(SETTINGS)
    first, second = (render(s, cameras, SETTINGS).images for s in (shape, inside_out))
    assert np.abs(first.astype(int) - second).max() <= 1


def test_round_surfaces_are_shaded_round_and_edges_stay_sharp():
    ball = shape_of(superquadric(1, 1, 1, detail=32))
    smooth = corner_normals(ball, 40)
    np.testing.assert_allclose(np.linalg.norm(smooth, axis=-1), 1, atol=1e-5)
    true = ball.vertices[ball.faces]
    agreement = np.einsum('fkd,fkd->fk', smooth, true)
    assert agreement.min() > np.cos(np.radians(4))
    flat = np.einsum('fd,fkd->fk', face_normals(ball.triangles), true)
    assert flat.min() < agreement.min()
    cube = shape_of(box(1, 1, 1))
    expected = np.repeat(face_normals(cube.triangles)[:, None], 3, axis=1)
    np.testing.assert_allclose(corner_normals(cube, 40), expected, atol=1e-6)
    # With everything joined, a cube's corner points along its diagonal.
    joined = corner_normals(cube, 180)
    corner = np.abs(cube.triangles).min(-1) > 0.4
    assert (np.abs(joined[corner]).min(-1) > 0.3).all()


def test_a_caster_answers_rays_of_any_length_and_misses():
    caster = RayCaster(shape_of(box(2, 2, 2)))
    origins = np.array([(5.0, 0, 0), (5, 0, 0), (5, 0, 0)])
    hits = caster.cast(origins, np.array([(-1.0, 0, 0), (-2, 0, 0), (0, 1, 0)]))
    np.testing.assert_allclose(hits.distance, [4, 2, np.inf], atol=1e-5)
    assert (hits.face >= 0).tolist() == [True, True, False]
    np.testing.assert_allclose(hits.corner_weights[:2].sum(axis=1), 1, atol=1e-6)
    assert len(caster.cast(np.empty((0, 3)), np.empty((0, 3))).distance) == 0
