# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Riders sit on their vehicles; rooms, streets and yards hold meshes of furniture and bins."""

from __future__ import annotations

import numpy as np
import pytest

from pointata_core.simulation.objects.furniture import ModelPiece, Piece, draw_piece
from pointata_core.simulation.objects.library import models, share_of_meshes
from pointata_core.simulation.objects.riders import rider
from pointata_core.simulation.objects.things import street_thing
from pointata_core.simulation.scenes.indoor import indoor
from pointata_core.simulation.scenes.street import street
from pointata_core.simulation.solids import ShapeBuilder, ShapeKind, Shapes
from pointata_core.taxonomy import class_id

pytest.importorskip('embreex', reason='the extra `simulate`')

PERSON, BICYCLE, FURNITURE = (class_id(n) for n in ('person', 'bicycle', 'furniture'))


def corners(shapes: Shapes) -> np.ndarray:
    return np.concatenate(
        [
            shapes.mesh[k].vertices * shapes.half[k] @ shapes.rotation[k].T + shapes.centre[k]
            for k in range(len(shapes))
        ]
    )


@pytest.mark.parametrize('seed', range(12))
def test_riders_sit_on_the_saddle_with_hands_in_front(seed):
    shapes = rider(np.random.default_rng(seed), 5, 6)
    assert set(shapes.label) == {PERSON, BICYCLE}
    assert set(shapes.instance[shapes.label == PERSON]) == {6}
    assert set(shapes.instance[shapes.label == BICYCLE]) == {5}
    person, vehicle = (
        corners(shapes[shapes.label == PERSON]),
        corners(shapes[shapes.label == BICYCLE]),
    )
    assert vehicle[:, 2].min() == pytest.approx(0.0, abs=0.02)
    assert person[:, 2].min() > 0.02  # feet on the pedals, not on the ground
    assert 1.3 < person[:, 2].max() < 2.2
    assert person[:, 0].max() > 0.1  # the hands reach forward
    assert np.abs(person[:, 1]).max() < 0.55
    hips = person[np.abs(person[:, 0] - np.median(person[:, 0])) < 0.2, 2].min()
    assert hips < vehicle[:, 2].max()


def test_pieces_of_furniture_fill_the_size_they_state():
    rng = np.random.default_rng(3)
    kinds = set()
    for _ in range(60):
        with share_of_meshes(1.0):
            piece = draw_piece(rng)
        assert isinstance(piece, ModelPiece)
        kinds.add(piece.model.kind)
        half_x, half_y = piece.draw_size(rng)
        builder = ShapeBuilder()
        piece.build(builder, np.array([1.0, 2.0]), 0.0, half_x, half_y, rng)
        shapes = builder.build()
        assert set(shapes.label) == {FURNITURE}
        if piece.model.kind != 'table':  # chairs stand around tables
            points = corners(shapes)
            np.testing.assert_allclose(
                np.ptp(points[:, :2], 0), [2 * half_x, 2 * half_y], atol=0.02
            )
            np.testing.assert_allclose(points[:, :2].mean(0), [1.0, 2.0], atol=0.8 * half_x + 0.3)
            assert points[:, 2].min() == pytest.approx(0.0, abs=0.02)
    assert kinds == {'wall', 'seat', 'table', 'street'}
    with share_of_meshes(0.0):
        assert isinstance(draw_piece(rng), Piece)


def test_backs_of_seats_and_sofas_lie_to_the_left():
    """Furniture turned to a wall stands with its back to it."""
    for name in ('armchair', 'oakChair', 'chair2', 'couch', 'winchesterSofa', 'dining-chair'):
        (model,) = (m for kind in ('seat', 'wall') for m in models()[kind] if m.name == name)
        points = corners(model.shapes(FURNITURE, 0, 0.5))
        top = points[points[:, 2] > 0.8 * points[:, 2].max()]
        assert top[:, 1].mean() > points[:, 1].mean(), name


def test_streets_and_rooms_hold_meshes():
    with share_of_meshes(1.0):
        worlds = [street(np.random.default_rng(seed), 1.0) for seed in range(6)]
        rooms = [indoor(np.random.default_rng(seed), 1.0) for seed in range(3)]
    riding = [m for world in worlds for m in world.movers if BICYCLE in m.shapes.label]
    assert riding, 'nobody rides in six streets'
    world = next(w for w in worlds if any(mover is riding[0] for mover in w.movers))
    speed = np.linalg.norm(riding[0].place_at(0.3)[:2] - riding[0].place_at(0.1)[:2]) / 0.2
    if speed > 0.5:  # the rider moves as the vehicle does
        assert set(riding[0].instances) <= set(world.moving_at(0.2))
    assert any(np.any(w.static.label == FURNITURE) for w in worlds)
    for room in rooms:
        furniture = room.static[room.static.label == FURNITURE]
        assert np.count_nonzero(furniture.kind == ShapeKind.MESH) > 3
    with share_of_meshes(0.0):
        assert len(street_thing(np.random.default_rng(0), 1)) == 0
