# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulator as a data set: shards are clips, and a seed belongs to one split for ever."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scenes.simulated_clips import (
    MOVABLE_CLASSES,
    simulated_clips,
    split_of_seed,
)
from pointata_core.errors import ConfigError
from pointata_core.simulation import ShardJob, simulate, write_shards
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES

JOBS = [ShardJob('indoor', 'kinect', seed, 0.3) for seed in (7, 8, 9, 17)]
TWO = ClipSampling(window='causal', frames=2)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    write_shards(folder, JOBS, progress=False)
    return folder


def test_clips_are_the_simulated_frames(root):
    dataset = open_dataset('simulated', root, 'validation', sampling=TWO)
    assert isinstance(dataset, ClipDataset)
    frames = list(simulate('indoor', 'kinect', 8, 0.3))
    assert len(dataset) == 3
    clip = dataset[2]
    for number, points, labels, pose in zip(
        clip.frames, clip.points, clip.labels, clip.poses, strict=True
    ):
        np.testing.assert_allclose(points, frames[number].points, atol=0.0026)
        np.testing.assert_array_equal(labels, frames[number].label)
        np.testing.assert_array_equal(pose, frames[number].pose)
    assert clip.actions.tolist() == [frames[number].action for number in clip.frames]
    np.testing.assert_allclose(clip.times_s, [0.1, 0.2])
    assert dataset.classes == SEGMENTATION_CLASSES
    assert simulated_clips(root, 'all', task='action').classes == ACTION_CLASSES


def test_ego_motion_keeps_still_things_still(tmp_path):
    job = ShardJob('street', 'hdl64_lite', 21, 0.8)
    drive = simulated_clips(tmp_path, 'all', jobs=[job], sampling=ClipSampling('causal', 8))[7]
    still = simulated_clips(tmp_path, 'all', sampling=ClipSampling('causal', 8), compensate=True)[7]
    for number, (before, after) in enumerate(zip(drive.points, still.points, strict=True)):
        in_map = before @ drive.poses[number, :3, :3].T + drive.poses[number, :3, 3]
        back = after @ still.poses[number, :3, :3].T + still.poses[number, :3, 3]
        np.testing.assert_allclose(in_map, back, atol=2e-3)
    np.testing.assert_array_equal(still.poses, np.broadcast_to(drive.poses[-1], (8, 4, 4)))


def test_seeds_never_change_their_split(root):
    shares = Counter(split_of_seed(seed) for seed in range(1000))
    assert shares == {'train': 800, 'validation': 100, 'test': 100}
    names = {
        split: {recording.name for recording in simulated_clips(root, split).recordings}
        for split in ('train', 'validation', 'test', 'all')
    }
    assert names['train'] == {'indoor-kinect-00000007', 'indoor-kinect-00000017'}
    assert names['train'] | names['validation'] | names['test'] == names['all']
    assert sum(map(len, names.values())) == 2 * len(JOBS)


def test_missing_recordings_are_simulated_on_request(tmp_path):
    with pytest.raises(DataError, match=r'train \(0 are there\).*pointata simulate'):
        simulated_clips(tmp_path, 'train')
    dataset = simulated_clips(tmp_path, 'train', jobs=JOBS[:1])
    assert dataset.describe().counts == {'train': {'sequences': 1, 'scans': 3, 'clips': 3}}
    stamp = next(tmp_path.glob('*.npz')).stat().st_mtime_ns
    simulated_clips(tmp_path, 'train', jobs=JOBS[:1])
    assert next(tmp_path.glob('*.npz')).stat().st_mtime_ns == stamp


def test_truncated_shards_are_named(tmp_path):
    (path,) = write_shards(tmp_path, JOBS[:1], progress=False)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r'00000007\.npz is not a shard'):
        simulated_clips(tmp_path, 'all')


def test_damage_inside_a_shard_is_found_by_verify(tmp_path):
    (path,) = write_shards(tmp_path, JOBS[:1], progress=False)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF  # within an array: its checksum no longer fits
    path.write_bytes(bytes(content))
    errors = [error for error in simulated_clips(tmp_path, 'all').verify() if error is not None]
    assert len(errors) == 3
    assert path.name in errors[0].message


def test_data_sets_go_to_worker_processes(root):
    dataset = simulated_clips(root, 'train', sampling=ClipSampling('causal', 2, points=64))
    first = dataset[4]
    again = pickle.loads(pickle.dumps(dataset))[4]
    np.testing.assert_array_equal(np.stack(again.points), np.stack(first.points))
    np.testing.assert_array_equal(np.stack(again.labels), np.stack(first.labels))
    assert np.stack(first.points).shape == (2, 64, 3)


def test_settings_are_checked(root):
    with pytest.raises(ConfigError, match='task'):
        simulated_clips(root, task='detection')
    with pytest.raises(DataError, match="no split 'val'"):
        simulated_clips(root, 'val')
    assert set(MOVABLE_CLASSES) <= set(SEGMENTATION_CLASSES)
