# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sensors of many kinds: patterns, fields of view, mounts, and scans distorted by motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pointata_core.datasets.registry import open_dataset
from pointata_core.errors import ConfigError
from pointata_core.simulation import NO_CLASS, SENSORS, Mount, SensorModel, simulate
from pointata_core.simulation.scanning import scan
from pointata_core.simulation.scenes.world import EgoPath, World
from pointata_core.simulation.sensing.artefacts import shadowed
from pointata_core.simulation.sensing.ray_casting import cast
from pointata_core.simulation.solids import ShapeBuilder
from pointata_core.taxonomy import class_id

ROSETTES = [name for name, sensor in SENSORS.items() if sensor.projection == 'rosette']


def degrees(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation of all rays."""
    x, y, z = directions.reshape(3, -1).astype(float)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z))


@pytest.mark.parametrize(
    ('name', 'low', 'high', 'width'),
    [
        ('hdl32e', -30.67, 10.67, 360),
        ('vls128', -25, 15, 360),
        ('os0_128', -45, 45, 360),
        ('os1_64', -22.5, 22.5, 360),
        ('os1_128', -22.5, 22.5, 360),
        ('xt16', -15, 15, 360),
        ('xt32', -16, 15, 360),
        ('qt64', -52.1, 52.1, 360),
        ('rs_m1', -12.5, 12.5, 120),
        ('mid360', -7, 52, 360),
        ('avia', -38.6, 38.6, 70.4),
        ('unitree_l1', 0, 90, 360),
    ],
)
def test_fields_of_view_are_those_of_the_data_sheets(name, low, high, width):
    azimuth, elevation = degrees(SENSORS[name].directions())
    assert elevation.min() == pytest.approx(low, abs=1.5)
    assert elevation.max() == pytest.approx(high, abs=1.5)
    assert np.ptp(azimuth) == pytest.approx(width, abs=2.5)
    assert np.isfinite(azimuth).all()


@pytest.mark.parametrize('name', ROSETTES)
def test_rosettes_fill_their_view_with_other_rays_in_every_frame(name):
    sensor = SENSORS[name]
    cells = set()
    grown = []
    for frame in range(6):
        azimuth, elevation = degrees(sensor.directions(frame))
        cells |= set(
            zip((azimuth // 4).astype(int).tolist(), (elevation // 4).astype(int).tolist())
        )
        grown.append(len(cells))
    assert not np.array_equal(sensor.directions(0), sensor.directions(1))
    assert grown[-1] > grown[0] or name != 'unitree_l1'
    np.testing.assert_allclose(np.linalg.norm(sensor.directions(2), axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize('name', [*ROSETTES, 'rs_m1'])
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_windows_of_sensors_without_a_full_grid_lose_no_hit(name, seed):
    rng = np.random.default_rng(seed)
    builder = ShapeBuilder()
    for _ in range(40):
        angle, away = rng.uniform(-np.pi, np.pi), rng.uniform(2, 12)
        centre = (away * np.cos(angle), away * np.sin(angle), rng.uniform(-1, 5))
        builder.ellipsoid(centre, rng.uniform(0.1, 0.9, 3), rng.uniform(0, np.pi))
    shapes = builder.build()
    sensor = SENSORS[name]
    directions = sensor.directions(seed)
    found = cast(shapes, sensor, directions, np.random.default_rng(0)).distance
    rays = directions.reshape(3, -1).T.astype(float)
    nearest = np.full(len(rays), np.inf)
    for index in range(len(shapes)):
        turn, half = shapes.rotation[index], shapes.half[index]
        o, d = -(shapes.centre[index] @ turn) / half, (rays @ turn) / half
        a, b, c = (d * d).sum(1), d @ o, o @ o - 1
        root = b * b - a * c
        t = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
        nearest = np.minimum(nearest, np.where(t > 0, t, np.inf))
    hit, expected = np.isfinite(found.ravel()), np.isfinite(nearest)
    assert expected.sum() > 20
    assert np.mean(hit != expected) < 2e-3  # float32 at tangent rays
    both = hit & expected
    np.testing.assert_allclose(found.ravel()[both], nearest[both], atol=5e-3)


def wall_in_front(speed: float) -> World:
    """A long wall at x = 20 and one at y = -20, and a sensor that drives along x."""
    builder = ShapeBuilder(class_id('building'))
    builder.box((20.5, 0, 0), (0.5, 60, 20))
    builder.box((0, -20.5, 0), (60, 0.5, 20))
    samples = np.stack([speed * 0.1 * (np.arange(20) - 5), np.zeros(20), np.zeros(20)], 1)
    ego = EgoPath(samples, 0.1, 1.5, 0.0, 0.0, np.zeros(4))
    return World('test', builder.build(), None, (), (), ego)


def test_a_turning_scan_gives_each_point_in_the_frame_of_its_instant():
    sensor = replace(SENSORS['vlp16'], range_noise=0.0, turn_s=0.1)
    frame = scan(wall_in_front(10.0), sensor, sensor.directions(), 0.5, np.random.default_rng(0))
    assert (np.diff(frame.ring.astype(int)) >= 0).all()
    azimuth = np.degrees(np.arctan2(frame.points[:, 1], frame.points[:, 0]))
    ahead = (np.abs(azimuth) < 60) & (frame.points[:, 0] > 10)
    early, late = (frame.points[ahead & part, 0] for part in (azimuth < -5, azimuth > 5))
    # At 10 m/s the wall is nearer by 1 m at the end of a turn, by half of it across the front.
    assert 0.1 < np.median(early) - np.median(late) < 0.6
    still = scan(wall_in_front(0.0), sensor, sensor.directions(), 0.5, np.random.default_rng(0))
    front = np.abs(np.arctan2(still.points[:, 1], still.points[:, 0])) < 0.7
    front &= still.label != NO_CLASS
    np.testing.assert_allclose(still.points[front, 0], 20, atol=1e-2)


def test_turning_keeps_the_number_of_rays_and_the_pose_of_the_frame():
    plain, turning = (
        next(iter(simulate('street', 'vlp16', 3, 0.1, turning=value))) for value in (False, True)
    )
    np.testing.assert_array_equal(plain.pose, turning.pose)
    assert len(turning.points) == pytest.approx(len(plain.points), rel=0.1)


def test_a_mount_sets_height_and_attitude():
    mount = Mount(height=(0.3, 0.4), pitch_deg=20, roll_deg=180)
    frame = next(iter(simulate('street', 'os1_32', 4, 0.1, mount=mount)))
    usual = next(iter(simulate('street', 'os1_32', 4, 0.1)))
    assert frame.pose[2, 2] < -0.8 < 0.9 < usual.pose[2, 2]
    assert np.degrees(np.arcsin(-frame.pose[2, 0])) == pytest.approx(20, abs=8)
    ground = frame.label <= class_id('terrain')
    assert np.median(frame.points[ground, 2]) > 0.1  # above the sensor in its own frame
    upright = frame.points[ground] @ frame.pose[:3, :3].T
    assert -1.2 < np.median(upright[:, 2]) < 0


def test_mixes_of_scenes_name_mounts_and_turning():
    mix = {'scene': 'yard', 'sensor': 'vlp16', 'seeds': [5, 6], 'frames': 1, 'turning': True}
    mix['mount'] = {'height': [0.3, 0.31], 'roll_deg': 180}
    clips = open_dataset('simulated_scenes', '.', 'fit', mixes={'fit': [mix]})
    mount = Mount(height=(0.3, 0.31), roll_deg=180)
    frame = next(iter(simulate('yard', 'vlp16', 5, 0.1, mount=mount, turning=True)))
    np.testing.assert_array_equal(clips[0].points[0], frame.points)
    with pytest.raises(ConfigError, match='tilt'):
        open_dataset('simulated_scenes', '.', 'fit', mixes={'fit': [{**mix, 'mount': {'tilt': 1}}]})


def test_the_roof_under_the_sensor_blocks_the_lowest_rays_ahead_and_behind():
    sensor = SENSORS['hdl64']
    blocked = shadowed(sensor.directions(), (0.45, 1.2, 0.7)).reshape(64, -1)
    assert blocked[:3].mean() > 0.3
    assert not blocked[20:].any()
    azimuth, _ = degrees(sensor.directions()[:, :1])
    assert blocked[0][np.abs(azimuth) < 10].all()
    assert not blocked[0][np.abs(np.abs(azimuth) - 90) < 5].any()


def test_a_pattern_without_a_name_is_refused():
    with pytest.raises(ConfigError, match='mid360'):
        SensorModel('x', (0.0, 1.0), 10, 50.0, projection='rosette')
