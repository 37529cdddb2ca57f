# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated camera frames as a data set, and the benchmark that compares methods on them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pointata_core.datasets.camera.class_maps import tasks
from pointata_core.datasets.camera.sample_config import PUBLISHED
from pointata_core.datasets.camera.samples import CameraSamples
from pointata_core.datasets.camera.simulated_camera import (
    ROLES,
    Recording,
    scene_seed,
    simulated_camera,
)
from pointata_core.datasets.errors import DataError
from pointata_core.errors import ConfigError
from pointata_core.simulation.camera.domains import DOMAINS, get_domain
from pointata_core.simulation.camera.frames import simulate_camera
from pointata_core.taxonomy import class_id

REPOSITORY = Path(__file__).parents[1]
TINY = Recording(scenes=2, frames=2, points=120)


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('simulated')
    for split in ('train_day', 'train_night', 'test_night'):
        simulated_camera(folder, split, recording=TINY)
    return folder


def test_frames_hold_what_was_simulated(root):
    frames = simulated_camera(root, 'train_day')
    assert len(frames) == 4 and frames.names[2] == 'train_day/00001/0'
    frame = frames.raw_frame(2, np.random.default_rng(0))
    truth = next(iter(simulate_camera('day', scene_seed('train_day', 1), 2, TINY.rate_hz)))
    assert np.array_equal(frame.image, truth.image)
    assert len(frame.points) == TINY.points
    known = {point.tobytes(): row for row, point in enumerate(truth.lidar.points)}
    rows = [known[point.tobytes()] for point in frame.points]
    assert truth.visible[rows].all()
    np.testing.assert_array_equal(frame.labels, truth.lidar.label[rows])
    np.testing.assert_allclose(frame.pixels, truth.pixels[rows], rtol=1e-6)


def test_labels_are_classes_of_the_task(root):
    frames = simulated_camera(root, 'train_day', 'nuscenes_lidarseg')
    raw, mapped = frames.raw_frame(0, np.random.default_rng(0)), frames[0]
    classes = tasks()['nuscenes_lidarseg'].classes
    for name, ours in (('road', 'driveable_surface'), ('trunk', 'vegetation'), ('car', 'vehicle')):
        assert (mapped.labels[raw.labels == class_id(name)] == classes.index(ours)).all()
    assert (mapped.labels[raw.labels == class_id('person')] == -100).all()
    assert set(np.unique(mapped.labels)) <= {-100, *range(6)}


def test_calibration_lies_beside_the_frames(root):
    camera = get_domain('night').camera
    with np.load(root / 'train_night' / 'scene_00000.npz') as arrays:
        np.testing.assert_array_equal(arrays['camera'], camera.intrinsics)
        np.testing.assert_array_equal(arrays['lidar_to_camera'], camera.extrinsics)
        pixels, _ = camera.project(arrays['points'])
        np.testing.assert_allclose(arrays['pixels'], pixels, atol=1e-3)
        assert arrays['pose'].shape == (2, 4, 4)


def test_a_recording_goes_on_where_it_stopped_with_the_same_scenes(root, tmp_path):
    first = simulated_camera(tmp_path, 'train_day', recording=TINY)
    stamp = (tmp_path / 'train_day' / 'scene_00000.npz').stat().st_mtime_ns
    (tmp_path / 'train_day' / 'scene_00001.npz').unlink()
    told = []
    simulated_camera(tmp_path, 'train_day', progress=lambda *now: told.append(now))
    assert told == [(1, 2), (2, 2)]
    assert (tmp_path / 'train_day' / 'scene_00000.npz').stat().st_mtime_ns == stamp
    for name in ('scene_00000.npz', 'scene_00001.npz'):
        one, other = (np.load(folder / 'train_day' / name) for folder in (root, tmp_path))
        for key in one.files:
            assert np.array_equal(one[key], other[key]), (name, key)
    assert not list((tmp_path / 'train_day').glob('*.part'))
    assert np.array_equal(first[3].image, simulated_camera(root, 'train_day')[3].image)


def test_no_two_splits_share_a_scene():
    seeds = [
        scene_seed(f'{role}_{domain}', scene)
        for role in ROLES
        for domain in DOMAINS
        for scene in (0, 1, 999_999)
    ]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ('call', 'error', 'reason'),
    [
        (lambda root: simulated_camera(root, 'dawn_day'), ConfigError, 'train, val, test'),
        (lambda root: simulated_camera(root, 'train_mars'), ConfigError, 'city_b'),
        (lambda root: simulated_camera(root, 'train_day', 'moon'), ConfigError, 'moon'),
        (
            lambda root: simulated_camera(root, 'train_day', 'a2d2_semantickitti'),
            ConfigError,
            'simulated',
        ),
        (
            lambda root: simulated_camera(root, 'train_day', recording=replace(TINY, frames=3)),
            DataError,
            'Give another root',
        ),
        (lambda root: Recording(scenes=0), ConfigError, 'scenes=0'),
    ],
)
def test_what_cannot_be_opened_says_why(root, call, error, reason):
    with pytest.raises(error, match=reason):
        call(root)


@pytest.mark.parametrize('name', ['scene_00000.npz', 'split.json'])
def test_damage_names_the_file(root, tmp_path, name):
    frames = simulated_camera(tmp_path, 'val_day', recording=Recording(1, 1, points=20))
    path = tmp_path / 'val_day' / name
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=name) as caught:
        frames = simulated_camera(tmp_path, 'val_day')
        frames[0]
    assert caught.value.fix


def test_samples_are_made_without_settings_of_a_data_set(root):
    samples = CameraSamples(simulated_camera(root, 'train_day'), PUBLISHED['simulated'])
    sample = samples[0]
    assert sample.image.shape == (3, 192, 320) and len(sample.labels) == len(sample.pixels)


def small_configuration(tmp_path: Path, root: Path, name: str) -> Path:
    settings = yaml.safe_load((REPOSITORY / 'config' / 'training' / name).read_text())
    for domain in ('source', 'target', 'test'):
        settings[domain]['root'] = str(root)
        settings[domain]['samples'] |= {'resize': [64, 48], 'points': 100}
    settings['training'] |= {
        'steps': 2, 'batch': 2, 'checkpoint_steps': 2, 'width': 8, 'planes': [16, 16]
    }  # fmt: skip
    path = tmp_path / name
    path.write_text(yaml.safe_dump(settings))
    return path


def test_the_command_trains_on_frames_that_it_simulates(root, tmp_path):
    path = small_configuration(tmp_path, root, 'domain_day_to_night.yaml')
    command = [sys.executable, '-m', 'pointata_core.cli.main', 'domain-adapt', '--config']
    command += [str(path), f'output={tmp_path / "run"}', '--json']
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results['first']['points'] > 100
    assert all(0 <= results['first'][k]['miou'] <= 1 for k in ('image', 'cloud', 'ensemble'))


def test_both_configurations_name_splits_that_exist():
    for name in ('domain_day_to_night.yaml', 'domain_city.yaml'):
        settings = yaml.safe_load((REPOSITORY / 'config' / 'training' / name).read_text())
        splits = [settings[domain]['split'] for domain in ('source', 'target', 'test')]
        seeds = {scene_seed(split, 0) for split in splits}
        assert len(seeds) == 3
        assert splits[1].partition('_')[2] == splits[2].partition('_')[2]


def test_the_benchmark_keeps_what_is_finished(root, tmp_path):
    output = tmp_path / 'table.json'

    def call(*more):
        command = [sys.executable, '-m', 'benchmarks', 'domain-adaptation']
        command += ['--pairs', 'night', '--seeds', '1', '--methods', 'source_only', 'target']
        command += ['--root', str(root), '--work', str(tmp_path / 'work'), '--output', str(output)]
        return subprocess.run(
            [*command, *more], cwd=REPOSITORY, capture_output=True, text=True, timeout=240
        )

    done = call('--steps', '1')
    assert done.returncode == 0, done.stderr
    runs = json.loads(output.read_text())['runs']
    assert [run['method'] for run in runs] == ['source_only', 'target']
    for run in runs:
        assert all(0 <= run['miou'][name] <= 1 for name in ('image', 'cloud', 'ensemble'))
    assert runs[0]['miou'] != runs[1]['miou']
    assert call('--steps', '1', '--list').stdout.endswith('2 of 2 runs are there\n')
    other = call('--steps', '2')
    assert other.returncode == 2 and 'training' in other.stderr
