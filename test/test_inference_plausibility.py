# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds in a wrong unit, with wrong axes or bytes are noticed, and good ones raise no alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from small_bags import Frame, frames, write_bag

from pointata_core.bundles.bundle import load_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.inference.placement import Placement, parse_placement
from pointata_core.inference.plausibility.check import CLOUDS, PlausibilityCheck
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.cloud import CloudLimits
from pointata_core.io.messages.byte_order import swapped_points
from pointata_core.resources import resource_path
from pointata_core.simulation.scanning import SCENES, _frames, get_sensor

OPTICAL = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])


@pytest.fixture(scope='module')
def manifest() -> Manifest:
    return load_bundle(resource_path('models/default')).manifest


@pytest.fixture(scope='module')
def radar_manifest() -> Manifest:
    return load_bundle(resource_path('models/radhar')).manifest


def yard(height: float = 1.2, count: int = 1500, seed: int = 0) -> np.ndarray:
    """Flat ground of 24 x 24 m, a house front and a few bushes, seen from `height`."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-12, 12, (count, 3))
    points[:, 2] = -height
    front = slice(0, count // 4)
    points[front, 0] = 11.5
    points[front, 2] = rng.uniform(-height, 4 - height, count // 4)
    bush = slice(count // 4, count // 3)
    points[bush, 2] += rng.uniform(0, 1.2, len(points[bush]))
    return (points + rng.normal(0, 0.01, points.shape)).astype(np.float32)


def kinds(manifest, clouds, **details) -> set[str]:
    check = PlausibilityCheck(manifest)
    reported = [one for cloud in clouds for one in check.look(cloud, **details)]
    reported += check.finish()
    assert len({one.kind for one in reported}) == len(reported), 'each kind is reported once'
    assert reported == check.reported
    return {one.kind for one in reported}


def turn(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((points @ matrix.T).astype(np.float32))


def about(axis: str, degrees: float) -> np.ndarray:
    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix()


WRONG = {
    'millimetres': (lambda p: p * 1e3, {'unit'}),
    'centimetres': (lambda p: p * 1e2, {'unit'}),
    'kilometres': (lambda p: p * 1e-3, {'unit'}),
    'far_away': (lambda p: p + np.float32([350_000, 5_800_000, 40]), {'origin'}),
    'beyond_range': (lambda p: p[:300] + np.float32([150, 0, 0]), {'range'}),
    'one_place': (lambda p: np.full_like(p, 3.5), {'one_place'}),
    'all_zero': (lambda p: p * 0, {'zero_points'}),
    'half_zero': (lambda p: np.where(np.arange(len(p))[:, None] % 2, p, 0), {'zero_points'}),
    'upside_down': (lambda p: turn(p, about('x', 180)), {'upside_down'}),
    'pitched': (lambda p: turn(p, about('y', 28)), {'tilted'}),
    'rolled': (lambda p: turn(p, about('x', -40)), {'tilted'}),
    'on_its_side': (lambda p: turn(p, about('x', 90)), {'axes'}),
    'optical_all_around': (lambda p: turn(p, OPTICAL), {'axes'}),
    'optical_camera': (lambda p: turn(p[_ahead(p)], OPTICAL), {'optical_frame'}),
    'optical_in_millimetres': (lambda p: 1e3 * turn(p, OPTICAL), {'unit', 'axes'}),
    'swapped_bytes': (lambda p: p.byteswap(), {'senseless'}),
    'swapped_whole_numbers': (lambda p: np.round(p).byteswap(), {'senseless'}),
}


def _ahead(points: np.ndarray) -> np.ndarray:
    return (points[:, 0] > 0.5) & (np.abs(points[:, 1:]).max(axis=1) < 0.8 * points[:, 0])


@pytest.mark.parametrize('wrong', WRONG)
def test_what_is_wrong_is_noticed_and_named(manifest, wrong):
    change, expected = WRONG[wrong]
    clouds = [np.float32(change(yard(seed=seed))) for seed in range(3)]
    assert kinds(manifest, clouds) == expected


@pytest.mark.parametrize('height', [0.3, 0.8, 1.2, 1.8, 2.5])
@pytest.mark.parametrize('degrees', [0, 5, 10])
def test_mountings_and_slopes_raise_no_alarm(manifest, height, degrees):
    tilted = [turn(yard(height, seed=seed), about('y', degrees)) for seed in range(3)]
    assert kinds(manifest, tilted) == set()


def test_the_suggested_settings_silence_the_suspicion(manifest):
    for change, settings in (
        (lambda p: p * 1e3, (1e-3, '')),
        (lambda p: turn(p, about('x', 180)), (1.0, '0 0 0 3.1416 0 0')),
        (lambda p: turn(p, OPTICAL), (1.0, '0 0 0 -1.5708 0 -1.5708')),
        (lambda p: 1e2 * turn(p, OPTICAL), (1e-2, '0 0 0 -1.5708 0 -1.5708')),
    ):
        clouds = [np.float32(change(yard(seed=seed))) for seed in range(3)]
        frame_id = 'camera_depth_optical_frame'
        placement = parse_placement(*settings)
        assert kinds(manifest, clouds, placement=placement, frame_id=frame_id) <= {'optical_frame'}
        if placement.is_turned:
            assert kinds(manifest, clouds, placement=placement, frame_id=frame_id) == set()


def test_a_frame_called_optical_is_suspected_unless_its_ground_is_below(manifest):
    wall = np.random.default_rng(0).uniform(-1, 1, (400, 3)).astype(np.float32) + [0, 0, 3]
    frame_id = 'head_color_optical_frame'
    assert kinds(manifest, [np.float32(wall)] * 3, frame_id=frame_id) == {'optical_frame'}
    assert kinds(manifest, [yard()] * 3, frame_id=frame_id) == set()


def test_a_few_odd_clouds_among_good_ones_raise_no_alarm(manifest):
    clouds = [yard(seed=seed) for seed in range(CLOUDS)]
    for odd in (0, 4, 5):
        clouds[odd] = turn(clouds[odd], about('x', 180)) * np.float32(1e3)
    assert kinds(manifest, clouds) == set()


def test_only_the_first_clouds_are_looked_at_and_empty_ones_do_not_count(manifest):
    check = PlausibilityCheck(manifest)
    for seed in range(CLOUDS):
        assert check.look(np.empty((0, 3), np.float32)) == []
        assert not check.is_over
        check.look(yard(seed=seed))
    assert check.is_over
    assert check.look(yard() * np.float32(1e3)) == []


def test_fields_out_of_the_range_of_training_are_noticed(radar_manifest):
    rng = np.random.default_rng(0)
    points = rng.uniform(1, 4, (21, 3)).astype(np.float32)
    usual = np.float32(rng.normal(26, 5, 21))
    clouds = [points] * 3
    assert kinds(radar_manifest, clouds, features={'intensity': usual}) == set()
    for odd in (usual * 1000, usual / 1e5, np.full(21, np.nan, np.float32), usual * 0 + 65535):
        features = {'intensity': np.float32(odd), 'velocity': np.zeros(21, np.float32)}
        assert kinds(radar_manifest, clouds, features=features) == {'feature_intensity'}, odd


def test_a_bundle_that_only_reads_actions_takes_any_axes(radar_manifest):
    assert kinds(radar_manifest, [turn(yard(), OPTICAL) * np.float32(0.3)] * 3) == set()


@pytest.mark.parametrize('dtype', ['f4', 'f8', 'i4'])
def test_a_wrong_flag_of_byte_order_is_told_from_nonsense(manifest, dtype):
    from types import SimpleNamespace as Plain

    points = yard() * (1000 if dtype == 'i4' else 1)
    data = points.astype(f'>{dtype}').tobytes()
    size = np.dtype(dtype).itemsize
    code = {'f4': 7, 'f8': 8, 'i4': 5}[dtype]
    message = Plain(
        header=Plain(stamp=Plain(sec=1, nanosec=0), frame_id='lidar'), height=1, width=len(points),
        fields=[Plain(name='xyz', offset=0, datatype=code, count=3)],
        is_bigendian=False, point_step=3 * size, row_step=0, data=data, is_dense=True,
    )  # fmt: skip
    from pointata_core.io.messages.point_cloud2 import decode

    read = decode(message).points
    swapped = lambda: swapped_points(message, CloudLimits())  # noqa: E731
    assert kinds(manifest, [read] * 3, swapped=swapped) == {'byte_order'}
    np.testing.assert_array_equal(swapped(), points.astype(dtype).astype(np.float32))


def test_an_evaluation_reports_what_it_suspects(untrained_bundle, tmp_path):
    recorded = [Frame(1e3 * one.points, one.stamp_ns) for one in frames(3)]
    results = evaluate_bag(write_bag(tmp_path / 'bag', recorded), bundle=untrained_bundle)
    (note,) = results.notes
    assert 'millimetres' in note
    assert 'input_scale (--input-scale) to 0.001' in note
    assert evaluate_bag(write_bag(tmp_path / 'ok', frames(3)), bundle=untrained_bundle).notes == ()


@pytest.mark.parametrize(
    ('scene', 'sensor', 'height'),
    [
        ('street', 'rs16', 1.0), ('street', 'os1_32', 2.5), ('yard', 'vlp16', 0.3),
        ('indoor', 'vlp16', 0.4), ('indoor', 'rs16', 2.3), ('indoor', 'kinect', 0.8),
        ('yard', 'kinect', 1.6),
    ],
)  # fmt: skip
def test_simulated_sensors_raise_no_alarm(manifest, scene, sensor, height):
    world_rng, sensor_rng = np.random.default_rng(3).spawn(2)
    world = SCENES[scene](world_rng, 0.3, height)
    (frame,) = _frames(world, get_sensor(sensor), sensor_rng, 1, 2.0)
    assert kinds(manifest, [frame.points]) == set()


def test_real_clouds_raise_no_alarm(manifest, radar_manifest, data_root: Path):
    for name in ('rs16_indoor_40f_db3', 'semantickitti00_10f_mcap'):
        with BagReader(data_root / name) as reader:
            assert kinds(manifest, [c.points for c in _some(reader)]) == set(), name
    for scan in sorted((data_root / 'semantickitti_10drives').glob('sequences/*/velodyne/*.bin')):
        if scan.stem.endswith(('0', '5')):
            points = np.fromfile(scan, '<f4').reshape(-1, 4)[:, :3]
            assert kinds(manifest, [points]) == set(), scan
    for path in sorted((data_root / 'radhar_train').glob('*.npz'))[::8]:
        recording = np.load(path)
        rows = np.split(recording['points'], recording['frame_start'][1:-1])[:CLOUDS]
        check = PlausibilityCheck(radar_manifest)
        for row in rows:
            check.look(row[:, :3], {'velocity': row[:, 4], 'intensity': row[:, 7]})
        check.finish()
        assert check.reported == [], path


def _some(reader: BagReader):
    from pointata_core.io.messages.point_cloud2 import decode

    topic = reader.select_point_topic(None)
    for number, (_, _, message) in enumerate(reader.messages([topic])):
        if number % 4 == 0:
            yield decode(message)


def test_a_placement_is_part_of_what_is_looked_at(manifest):
    pose = np.eye(4)
    pose[2, 3] = 500.0
    assert kinds(manifest, [yard()] * 3, placement=Placement(1.0, pose)) == set()
