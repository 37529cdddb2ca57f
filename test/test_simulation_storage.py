# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shards and recordings give back what was simulated, also after an interruption."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from scipy.spatial.transform import Rotation

from pointata_core.errors import BagError, ConfigError
from pointata_core.io.messages.message_types import make_typestore
from pointata_core.simulation import (
    NO_CLASS,
    ShardError,
    ShardJob,
    read_shard,
    simulate,
    write_bag,
    write_shard,
    write_shards,
)
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES, UNLABELLED

JOB = ShardJob('indoor', 'kinect', 3, 0.4)


def test_a_shard_gives_back_its_frames(tmp_path):
    shard = read_shard(write_shard(tmp_path, JOB))
    frames = list(simulate('indoor', 'kinect', 3, 0.4))
    assert len(shard) == len(frames) == 4
    assert shard.metadata['scene'] == 'indoor'
    for stored, frame in zip(shard, frames):
        np.testing.assert_allclose(stored.points, frame.points, atol=0.0026)
        np.testing.assert_allclose(stored.intensity, frame.intensity, atol=0.002)
        for name in ('ring', 'label', 'instance', 'pose', 'action', 'stamp_ns'):
            np.testing.assert_array_equal(getattr(stored, name), getattr(frame, name))
    np.testing.assert_array_equal(shard[-1].points, shard[3].points)
    with pytest.raises(IndexError):
        shard[4]


def test_complete_shards_are_kept_and_damaged_or_other_ones_replaced(tmp_path):
    jobs = [JOB, ShardJob('indoor', 'kinect', 4, 0.2), ShardJob('indoor', 'kinect', 5, 0.2)]
    paths = write_shards(tmp_path, jobs, progress=False)
    stamps = [path.stat().st_mtime_ns for path in paths]
    paths[1].write_bytes(paths[1].read_bytes()[:2000])
    longer = ShardJob('indoor', 'kinect', 5, 0.3)
    time.sleep(0.02)
    assert write_shards(tmp_path, [*jobs[:2], longer], progress=False) == paths
    after = [path.stat().st_mtime_ns for path in paths]
    assert after[0] == stamps[0]
    assert after[1] > stamps[1]
    assert [len(read_shard(path)) for path in paths] == [4, 2, 3]


def test_a_killed_run_leaves_no_half_shard_and_is_resumed(tmp_path):
    code = (
        'from pointata_core.simulation import ShardJob, write_shards\n'
        f"jobs = [ShardJob('indoor', 'kinect', seed, 0.3) for seed in range(500)]\n"
        f'write_shards({str(tmp_path)!r}, jobs, progress=False)\n'
    )
    process = subprocess.Popen([sys.executable, '-c', code], cwd=Path(__file__).parents[1])
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob('*.npz'))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    done = sorted(tmp_path.glob('*.npz'))
    assert 3 <= len(done) < 500
    stamps = [path.stat().st_mtime_ns for path in done]
    jobs = [ShardJob('indoor', 'kinect', seed, 0.3) for seed in range(len(done) + 1)]
    paths = write_shards(tmp_path, jobs, progress=False)
    assert [path.stat().st_mtime_ns for path in done] == stamps
    assert [len(read_shard(path)) for path in paths] == [3] * len(jobs)


def test_several_processes_write_the_same_as_one(tmp_path):
    jobs = [ShardJob('indoor', 'kinect', seed, 0.2) for seed in range(2)]
    alone = write_shards(tmp_path / 'one', jobs, processes=1, progress=False)
    together = write_shards(tmp_path / 'two', jobs, processes=2, progress=False)
    for one, two in zip(alone, together):
        first, second = read_shard(one).arrays, read_shard(two).arrays
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name])


def test_two_jobs_for_one_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match='same shard'):
        write_shards(tmp_path, [JOB, ShardJob('indoor', 'kinect', 3, 9.0)], progress=False)


def test_what_is_no_shard_is_named(tmp_path):
    path = tmp_path / 'x.npz'
    path.write_bytes(b'not a zip')
    with pytest.raises(ShardError, match=r'x\.npz'):
        read_shard(path)
    np.savez(path, points=np.zeros(3))
    with pytest.raises(ShardError, match='no intensity'):
        read_shard(path)
    np.savez(path, points=np.array([{}], dtype=object))
    with pytest.raises(ShardError):
        read_shard(path)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_recording_holds_clouds_transforms_and_truth(tmp_path, storage):
    frames = list(simulate('yard', 'rs16', 0, 0.3))
    path = write_bag(tmp_path / 'bag', iter(frames), sensor='rs16', storage=storage)
    store, problems = make_typestore()
    assert not problems
    messages: dict[str, list] = {}
    with AnyReader([path], default_typestore=store) as reader:
        for connection, stamp, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            messages.setdefault(connection.topic, []).append((stamp, message))
    counts = {topic: len(found) for topic, found in messages.items()}
    assert counts == {
        '/points': 3,
        '/tf': 3,
        '/ground_truth/action': 3,
        '/ground_truth/label_info': 1,
        '/ground_truth/people': 3,
    }
    for frame, (stamp, cloud) in zip(frames, messages['/points']):
        assert stamp == frame.stamp_ns
        assert cloud.header.frame_id == 'lidar'
        assert cloud.header.stamp.sec * 10**9 + cloud.header.stamp.nanosec == frame.stamp_ns
        assert cloud.width * cloud.height == len(frame.points)
        dtype = np.dtype(
            {
                'names': [field.name for field in cloud.fields],
                'formats': [
                    {4: '<u2', 6: '<u4', 7: '<f4'}[field.datatype] for field in cloud.fields
                ],
                'offsets': [field.offset for field in cloud.fields],
                'itemsize': cloud.point_step,
            }
        )
        rows = np.frombuffer(cloud.data.tobytes(), dtype)
        for index, axis in enumerate('xyz'):
            np.testing.assert_array_equal(rows[axis], frame.points[:, index])
        expected = np.where(frame.label == NO_CLASS, UNLABELLED, frame.label.astype(int))
        np.testing.assert_array_equal(rows['label'], expected)
        np.testing.assert_array_equal(rows['ring'], frame.ring)
        np.testing.assert_array_equal(rows['instance'], frame.instance)
        np.testing.assert_allclose(rows['intensity'], frame.intensity * 100, rtol=1e-6)
    for frame, (_, message) in zip(frames, messages['/tf']):
        (transform,) = message.transforms
        assert (transform.header.frame_id, transform.child_frame_id) == ('map', 'lidar')
        turn, move = transform.transform.rotation, transform.transform.translation
        matrix = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
        np.testing.assert_allclose(matrix, frame.pose[:3, :3], atol=1e-12)
        np.testing.assert_allclose([move.x, move.y, move.z], frame.pose[:3, 3])
    for frame, (_, message) in zip(frames, messages['/ground_truth/action']):
        assert [r.class_id for r in message.results] == [ACTION_CLASSES[frame.action]]
        assert message.results[0].score == 1.0
    for frame, (_, message) in zip(frames, messages['/ground_truth/people']):
        assert [one.id for one in message.detections] == [str(p.instance) for p in frame.people]
        for one, person in zip(message.detections, frame.people):
            names = [found.hypothesis.class_id for found in one.results]
            assert names == ['person', person.doing]
            place = one.bbox.center.position
            there = frame.pose[:3, :3] @ [place.x, place.y, place.z] + frame.pose[:3, 3]
            np.testing.assert_allclose(there - [0, 0, 0.9], person.place, atol=1e-9)
    (_, info) = messages['/ground_truth/label_info'][0]
    names = {entry.class_id: entry.class_name for entry in info.class_map}
    assert names == dict(enumerate(SEGMENTATION_CLASSES))


def test_a_recording_never_overwrites_and_knows_its_sensors(tmp_path):
    frames = list(simulate('yard', 'kinect', 0, 0.1))
    write_bag(tmp_path / 'bag', frames)
    with pytest.raises(BagError, match='exists'):
        write_bag(tmp_path / 'bag', frames)
    with pytest.raises(BagError, match='tape'):
        write_bag(tmp_path / 'other', frames, storage='tape')
    with pytest.raises(ConfigError, match='sonar'):
        write_bag(tmp_path / 'third', frames, sensor='sonar')
    assert not (tmp_path / 'third').exists()
