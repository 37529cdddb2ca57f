# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Meshes of real things: rays meet their triangles, and scenes are made of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.errors import ConfigError
from pointata_core.simulation import simulate
from pointata_core.simulation.objects import library, vehicles
from pointata_core.simulation.objects.library import models, share_of_meshes
from pointata_core.simulation.sensing.ray_casting import cast, first_hits
from pointata_core.simulation.sensing.sensors import SensorModel
from pointata_core.simulation.solids import (
    Mesh,
    ShapeBuilder,
    ShapeKind,
    Shapes,
    Surface,
    concatenate,
    mesh_shape,
    rotation_from_rpy,
)
from pointata_core.taxonomy import class_id

pytest.importorskip('embreex', reason='the extra `simulate`')

ROOT = Path(__file__).resolve().parents[1]
SPINNING = SensorModel('small', tuple(np.tan(np.linspace(-0.5, 0.5, 24))), 120, 60.0)
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
_SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
CUBE = Mesh(
    _CORNERS, np.array([f for a, b, c, d in _SIDES for f in ((a, b, c), (a, c, d))], np.int32)
)


def box(centre, half, rotation, kind: ShapeKind, **more) -> Shapes:
    builder = ShapeBuilder()
    mesh = CUBE if kind == ShapeKind.MESH else None
    builder.add(kind, centre, half, rotation, mesh=mesh, **more)
    return builder.build()


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.floats(-15, 15)] * 3).filter(lambda c: np.linalg.norm(c) > 6),
    st.tuples(*[st.floats(0.3, 2.5)] * 3),
    st.tuples(*[st.floats(-3, 3)] * 3),
)
def test_a_box_of_triangles_is_met_where_the_box_is(centre, half, angles):
    turn = rotation_from_rpy(*angles)
    solid, mesh = (box(centre, half, turn, kind) for kind in (ShapeKind.BOX, ShapeKind.MESH))
    rays = SPINNING.directions()
    expected, got = (cast(s, SPINNING, rays, np.random.default_rng(0)) for s in (solid, mesh))
    both = np.isfinite(expected.distance) & np.isfinite(got.distance)
    # Rays along an edge may meet one and miss the other.
    assert np.count_nonzero(np.isfinite(expected.distance) != np.isfinite(got.distance)) <= 2
    np.testing.assert_allclose(got.distance[both], expected.distance[both], atol=2e-3)
    # The normal of a face turned with the box is one of its axes.
    ray = np.flatnonzero(np.isfinite(got.distance.reshape(-1)))
    along = np.abs(turn.T @ got.normals(ray))
    np.testing.assert_allclose(along.max(0, initial=1.0 if not len(ray) else 0.0), 1.0, atol=1e-3)
    single, owner = first_hits(
        mesh, rays.reshape(3, -1), np.full(rays[0].size, 60.0), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(single, got.distance.reshape(-1))
    np.testing.assert_array_equal(owner, got.shape.reshape(-1))


def test_what_stands_before_a_mesh_hides_it_and_what_stands_behind_is_hidden():
    def hit(*distances: float) -> tuple[float, int]:
        kinds = (ShapeKind.BOX, ShapeKind.MESH)
        shapes = [box((d, 0, 0), (1, 5, 5), np.eye(3), k) for d, k in zip(distances, kinds)]
        hits = cast(concatenate(shapes), SPINNING, SPINNING.directions(), np.random.default_rng(0))
        return float(hits.distance[12, 60]), int(hits.shape[12, 60])

    assert hit(5, 10) == (pytest.approx(4, rel=0.01), 0)
    assert hit(20, 10) == (pytest.approx(9, rel=0.01), 1)


def test_glass_lets_its_share_through_to_what_is_inside():
    pane = {'surface': Surface.MESH, 'fill': 0.4}
    shapes = concatenate(
        [
            box((10, 0, 0), (2, 5, 5), np.eye(3), ShapeKind.MESH, **pane),
            box((10, 0, 0), (0.5, 5, 5), np.eye(3), ShapeKind.MESH),
        ]
    )
    grid = SensorModel('dense', tuple(np.tan(np.linspace(-0.2, 0.2, 200))), 1000, 60.0)
    hits = cast(shapes, grid, grid.directions(), np.random.default_rng(1))
    ahead = hits.shape[:, 450:550].reshape(-1)
    assert set(np.unique(ahead)) == {0, 1}
    assert np.mean(ahead == 0) == pytest.approx(0.4, abs=0.03)


def test_models_are_metric_closed_to_rays_and_named():
    by_kind = models()
    assert {'car', 'van', 'truck', 'bus', 'bicycle', 'motorcycle'} <= set(by_kind)
    assert len(by_kind['car']) >= 10
    notice = (ROOT / 'NOTICE').read_text()
    for kind, group in by_kind.items():
        for model in group:
            low, high = model.box
            assert abs(low[2]) < 0.01, model.name  # stands on the ground
            assert f'{model.name}: {model.author} (' in notice
            assert model.licence.startswith('CC')
            faces = sum(len(part.mesh.faces) for part in model.parts)
            assert 8 <= faces <= 6000, (model.name, faces)
            for part in model.parts:
                assert part.mesh.faces.max() < len(part.mesh.vertices)
                assert np.abs(part.mesh.vertices).max() <= 1.0
            if kind == 'car':
                length, width, height = high - low
                assert 2.3 < length < 5.2
                assert 1.5 < width < 2.3
                assert 1.1 < height < 2.1


def test_a_car_faces_forward():
    """Bonnet and windscreen lie in front: the front is lower than the middle of the car."""
    for model in models()['car']:
        points = np.concatenate(
            [part.centre + part.mesh.vertices * part.half for part in model.parts]
        )
        x = points[:, 0] / np.abs(points[:, 0]).max()
        front, rear = points[x > 0.55, 2].max(), points[x < -0.55, 2].max()
        assert front < rear + 0.12, model.name


def test_share_chooses_between_meshes_and_solids():
    def kinds(share: float | None) -> set[int]:
        with share_of_meshes(share):
            rng = np.random.default_rng(0)
            cars = [vehicles.car(rng, n) for n in range(1, 30)]
            cars += [vehicles.two_wheeler(rng, n) for n in range(30, 40)]
        return {int(kind) for shapes in cars for kind in np.unique(shapes.kind)}

    assert kinds(1.0) == {ShapeKind.MESH}
    assert ShapeKind.MESH not in kinds(0.0)
    assert {ShapeKind.MESH, ShapeKind.BOX} <= kinds(None)


def test_streets_hold_cars_of_triangles_and_repeat_bit_for_bit():
    frames = [next(iter(simulate('street', 'vlp16', 3, 0.1, meshes=m))) for m in (1.0, 1.0, 0.0)]
    np.testing.assert_array_equal(frames[0].points, frames[1].points)
    np.testing.assert_array_equal(frames[0].intensity, frames[1].intensity)
    assert np.count_nonzero(frames[0].label == class_id('car')) > 50
    assert not np.array_equal(frames[0].points[:1000], frames[2].points[:1000])


def test_without_embree_meshes_are_refused_by_name_and_left_out_by_default(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == 'embreex' else find(name)
    )
    library.default_share.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r'embreex is not installed') as caught:
            simulate('street', 'vlp16', 3, 0.1, meshes=0.5)
        assert 'pointata_ros[simulate]' in caught.value.fix
        with pytest.warns(UserWarning, match=r'pointata_ros\[simulate\]'):
            frame = next(iter(simulate('street', 'vlp16', 3, 0.1)))
    finally:
        library.default_share.cache_clear()
    plain = next(iter(simulate('street', 'vlp16', 3, 0.1, meshes=0.0)))
    np.testing.assert_array_equal(frame.points, plain.points)


def test_mesh_shape_keeps_its_vertices():
    vertices = np.random.default_rng(0).normal(size=(20, 3)) * [1, 2, 3] + [4, 5, 6]
    faces = np.arange(18, dtype=np.int32).reshape(-1, 3)
    shape = mesh_shape(vertices, faces, label=3, instance=7, reflectivity=0.3)
    back = shape.mesh[0].vertices * shape.half[0] + shape.centre[0]
    np.testing.assert_allclose(back, vertices, atol=1e-5)
    assert (shape.label[0], shape.instance[0]) == (3, 7)
