# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames are reproducible, and their labels, poses and actions agree with the geometry."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from pointata_core.errors import ConfigError
from pointata_core.simulation import NO_CLASS, SCENES, SENSORS, SensorModel, simulate
from pointata_core.simulation.scanning import ACTOR_RANGE, scan
from pointata_core.simulation.solids import ShapeKind
from pointata_core.taxonomy import ACTION_CLASSES, PERSON_ACTIONS, SEGMENTATION_CLASSES, class_id

COARSE = SENSORS['hdl64'].with_columns(360)
EXACT = replace(COARSE, range_noise=0.0, dropout=0.0)


def in_map(frame) -> np.ndarray:
    return frame.points @ frame.pose[:3, :3].T + frame.pose[:3, 3]


@pytest.mark.parametrize('scene', SCENES)
@pytest.mark.parametrize('sensor', ['vlp16', 'kinect'])
def test_same_seed_gives_the_same_frames_and_another_seed_others(scene, sensor):
    first, again, other = (list(simulate(scene, sensor, s, 0.3)) for s in (4, 4, 5))
    assert len(first) == 3
    for one, two in zip(first, again):
        for field in fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
    assert not np.array_equal(first[0].points, other[0].points)


@pytest.mark.parametrize('scene', SCENES)
@pytest.mark.parametrize('sensor', list(SENSORS))
def test_a_frame_is_what_its_sensor_can_see(scene, sensor):
    model = SENSORS[sensor]
    frame = next(iter(simulate(scene, sensor, 2, 0.1)))
    count = len(frame.points)
    assert 0 < count <= model.rays
    assert frame.points.dtype == np.float32
    for name, dtype in (
        ('intensity', np.float32),
        ('ring', np.uint16),
        ('label', np.uint8),
        ('instance', np.uint16),
    ):
        column = getattr(frame, name)
        assert column.shape == (count,)
        assert column.dtype == dtype
    distance = np.linalg.norm(frame.points, axis=1)
    assert np.isfinite(frame.points).all()
    assert distance.min() > model.min_range - 1e-3
    assert distance.max() < model.max_range + 1e-3
    assert 0 <= frame.intensity.min() <= frame.intensity.max() <= 1
    assert frame.label[frame.label != NO_CLASS].max() < len(SEGMENTATION_CLASSES)
    if model.projection == 'rosette':
        return
    # A ring is a cone (an image row a plane): its points share one slope.
    reach = frame.points[:, 0] if model.is_camera else np.hypot(*frame.points[:, :2].T)
    np.testing.assert_allclose(
        (frame.points[:, 2] - model.rise) / reach, np.asarray(model.rows)[frame.ring], atol=1e-3
    )
    np.testing.assert_allclose(frame.pose[:3, :3] @ frame.pose[:3, :3].T, np.eye(3), atol=1e-12)


def test_stamps_follow_the_rate():
    stamps = [frame.stamp_ns for frame in simulate('indoor', 'kinect', 0, 1.0, 5.0)]
    np.testing.assert_array_equal(np.diff(stamps), 200_000_000)
    assert len(stamps) == 5


def test_floor_lies_at_zero_and_ceiling_above_everything_else():
    for seed in range(4):
        frame = next(iter(simulate('indoor', EXACT, seed, 0.1)))
        z = in_map(frame)[:, 2]
        floor, ceiling = (frame.label == class_id(name) for name in ('floor', 'ceiling'))
        np.testing.assert_allclose(z[floor], 0.0, atol=5e-3)
        assert z[frame.label != NO_CLASS].min() > -0.01
        if ceiling.any():
            assert z[ceiling].min() > z[~ceiling].max() - 0.15


def test_road_is_low_and_vehicles_stand_on_it():
    for seed in range(3):
        frame = next(iter(simulate('street', EXACT, seed, 0.1)))
        near = np.linalg.norm(frame.points[:, :2], axis=1) < 15
        z = in_map(frame)[:, 2]
        road = z[near & (frame.label == class_id('road'))]
        assert np.ptp(road) < 1.2  # slope and relief only
        solid = np.isin(frame.label, [class_id('car'), class_id('building'), class_id('pole')])
        assert z[near & solid].min() > road.min() - 0.6


def test_ground_points_lie_on_the_ground_and_grass_stands_on_the_soil():
    kerb_cell = 0.3  # metres beside a kerb, where either height is right
    for name in ('street', 'yard'):
        world = SCENES[name](np.random.default_rng(8), 1.0)
        rng = np.random.default_rng(0)
        frame = scan(world, EXACT, EXACT.directions(), 0.5, rng)
        x, y, z = in_map(frame).T
        around = [
            (dx, dy) for dx in (-kerb_cell, 0, kerb_cell) for dy in (-kerb_cell, 0, kerb_cell)
        ]
        heights = np.stack([world.ground.height(x + dx, y + dy) for dx, dy in around])
        flat = np.ptp(heights, axis=0) < 0.03
        above = z - world.ground.height(x, y)
        # Farther out, a flat ray ends in the grass well before the soil that it points at.
        near = np.linalg.norm(frame.points, axis=1) < 12
        for kind, top in (('road', 0.0), ('sidewalk', 0.0), ('terrain', world.ground.grass)):
            these = flat & near & (frame.label == class_id(kind))
            if these.any():
                assert above[these].min() > -0.03
                assert above[these].max() < top + 0.03


def test_ground_classes_follow_from_the_ray_not_the_other_way_round():
    frame = next(iter(simulate('street', EXACT, 1, 0.1)))
    ground = np.isin(frame.label, [class_id(n) for n in ('road', 'sidewalk', 'terrain')])
    assert (frame.instance[ground] == 0).all()
    assert (frame.instance[frame.label == class_id('car')] > 0).all()
    assert (frame.instance[frame.label == class_id('person')] > 0).all()


def test_an_instance_has_one_class():
    frame = next(iter(simulate('street', COARSE, 3, 0.1)))
    for instance in np.unique(frame.instance[frame.instance > 0]):
        assert len(np.unique(frame.label[frame.instance == instance])) == 1


def off_the_surface(points: np.ndarray, boxes) -> np.ndarray:
    """(N,) distance to the nearest surface of any of the boxes, by the definition of a box."""
    nearest = np.full(len(points), np.inf)
    for centre, rotation, half in zip(boxes.centre, boxes.rotation, boxes.half):
        beyond = np.abs((points - centre) @ rotation) - half
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
        inside = np.minimum(beyond.max(axis=1), 0)
        nearest = np.minimum(nearest, np.abs(outside + inside))
    return nearest


@pytest.mark.parametrize(('scene', 'name'), [('street', 'building'), ('indoor', 'wall')])
def test_what_stands_still_stays_in_place_in_the_map_while_the_sensor_moves(scene, name):
    travelled = 0.0
    for seed in (2, 6, 8):
        world = SCENES[scene](np.random.default_rng(seed), 4.0)
        kind = world.static.label == class_id(name)
        boxes = world.static[kind & (world.static.kind != ShapeKind.CYLINDER)]
        frames = [
            scan(world, EXACT, EXACT.directions(), t, np.random.default_rng(0)) for t in (0.0, 4.0)
        ]
        travelled += np.linalg.norm(frames[1].pose[:3, 3] - frames[0].pose[:3, 3])
        for frame in frames:
            points = in_map(frame)[frame.label == class_id(name)]
            # Behind window panes and on drainpipes a point is off the boxes: a minority.
            assert np.mean(off_the_surface(points, boxes) < 0.01) > 0.75
    assert travelled > 0.5


def test_every_class_and_every_action_occurs():
    labels, actions = set(), set()
    for scene, sensor, seeds, seconds in (
        ('street', COARSE, 5, 0.5),
        ('indoor', 'kinect', 6, 8.0),
        ('indoor', 'vlp16', 2, 0.5),
    ):
        for seed in range(seeds):
            for frame in simulate(scene, sensor, seed, seconds, 2.0):
                labels.update(np.unique(frame.label).tolist())
                actions.add(frame.action)
    assert labels - {NO_CLASS} == set(range(len(SEGMENTATION_CLASSES)))
    assert actions >= set(range(1, len(ACTION_CLASSES)))


def test_an_action_needs_a_person_in_reach_and_a_near_person_has_one():
    person = class_id('person')
    seen = {True: 0, False: 0}
    for scene, seed in (('street', 0), ('street', 1), ('yard', 2), ('yard', 3), ('indoor', 4)):
        for frame in simulate(scene, 'vlp16', seed, 6.0, 1.0):
            distance = np.linalg.norm(frame.points[:, :2], axis=1)[frame.label == person]
            if frame.action:
                assert (distance < ACTOR_RANGE + 2.0).any()
            if np.count_nonzero(distance < ACTOR_RANGE - 2.0) > 60:
                assert frame.action
            seen[frame.action > 0] += 1
    assert min(seen.values()) > 0


def test_dropout_loses_the_share_it_says():
    counts = []
    for dropout in (0.0, 0.3):
        sensor = replace(SENSORS['vlp16'], dropout=dropout, range_noise=0.0)
        counts.append(sum(len(f.points) for f in simulate('indoor', sensor, 1, 0.3)))
    assert counts[1] / counts[0] == pytest.approx(0.7, abs=0.02)


def test_noise_has_the_width_it_says():
    sensor = replace(SENSORS['os1_32'], range_noise=0.05)
    frame = next(iter(simulate('indoor', sensor, 1, 0.1)))
    z = in_map(frame)[:, 2]
    floor = frame.label == class_id('floor')
    slope = np.abs(frame.points[floor, 2]) / np.linalg.norm(frame.points[floor], axis=1)
    assert np.std(z[floor] / slope) == pytest.approx(0.05, rel=0.25)


def test_far_and_dark_returns_are_rarer():
    near = replace(SENSORS['vlp16'], sensitivity=80.0)
    weak = replace(SENSORS['vlp16'], sensitivity=5.0)
    strong, faint = (next(iter(simulate('street', s, 0, 0.1))) for s in (near, weak))
    far = [np.linalg.norm(f.points, axis=1) for f in (strong, faint)]
    assert np.mean(far[1] > 15) < 0.5 * np.mean(far[0] > 15)


@pytest.mark.parametrize(
    ('arguments', 'word'),
    [
        (('moon', 'vlp16', 0, 1.0), 'moon'),
        (('street', 'vlp17', 0, 1.0), 'vlp17'),
        (('street', 'vlp16', 0, 0.0), 'duration_s'),
        (('street', 'vlp16', 0, 1.0, -1.0), 'rate_hz'),
    ],
)
def test_a_wrong_argument_is_named_before_the_first_frame(arguments, word):
    with pytest.raises(ConfigError, match=word):
        simulate(*arguments)


def test_a_sensor_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match='ascend'):
        SensorModel('x', (0.1, 0.0), 100, 50.0)
    with pytest.raises(ConfigError, match='fisheye'):
        SensorModel('x', (0.0, 0.1), 100, 50.0, projection='fisheye')
    with pytest.raises(ConfigError, match='min_range'):
        SensorModel('x', (0.0, 0.1), 100, 0.5)


def test_people_on_a_stage_do_what_scenes_have_no_name_for():
    done = set()
    for seed in range(6):
        for frame in simulate('stage', 'unitree_l1', seed, 12.0, 2.0):
            for person in frame.people:
                done.add(person.doing)
                known = person.doing in ACTION_CLASSES and person.action
                assert known or person.doing in ('sit', 'lie', 'jump', 'kick', 'stand')
    assert done == set(PERSON_ACTIONS)


def test_people_who_are_not_kept_are_in_no_frame():
    frames = [
        next(iter(simulate('stage', 'vlp16', 1, 0.1, keep=keep)))
        for keep in (lambda person: True, lambda person: person.body.instance != 2)
    ]
    numbers = [{person.instance for person in frame.people} for frame in frames]
    assert numbers[0] - numbers[1] == {2}
    assert 2 in frames[0].instance and 2 not in frames[1].instance


def test_a_frame_tells_where_everybody_is_and_what_they_do():
    frames = list(simulate('crowd', 'vlp16', 5, 1.0))
    assert len({person.instance for person in frames[0].people}) == len(frames[0].people) > 1
    for frame in frames:
        points = in_map(frame)
        for person in frame.people:
            mine = points[(frame.instance == person.instance) & (frame.label == class_id('person'))]
            assert len(mine) == person.points
            assert 0 < person.action < len(ACTION_CLASSES)
            if len(mine) >= 20:
                middle = (mine[:, :2].min(0) + mine[:, :2].max(0)) / 2
                assert np.linalg.norm(middle - person.place[:2]) < 1.2
                assert mine[:, 2].min() > person.place[2] - 0.1
