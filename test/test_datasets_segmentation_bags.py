# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings as clips: truth in the clouds or beside them, poses, damage, any order of reading."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import small_bags
from small_bags import PERIOD_NS, START_NS

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError
from pointata_core.simulation import simulate
from pointata_core.simulation import write_bag as write_simulated
from pointata_core.taxonomy import ACTION_CLASSES, IGNORE, SEGMENTATION_CLASSES

THREE = ClipSampling(window='causal', frames=3)


def labelled(count=6, points=40):
    frames = small_bags.frames(count, points)
    return [
        replace(frame, labels=((np.arange(points) + number) % 5).astype(np.uint32))
        for number, frame in enumerate(frames)
    ]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_labels_in_the_clouds_stay_with_their_points(tmp_path, storage):
    recorded = labelled()
    bag = small_bags.write_bag(tmp_path / 'bag', recorded, storage)
    dataset = open_dataset('rosbag2', bag, 'all', sampling=THREE, labels_field='label')
    assert isinstance(dataset, ClipDataset)
    assert len(dataset) == 6
    clip = dataset[4]
    for number, points, labels in zip(clip.frames, clip.points, clip.labels, strict=True):
        np.testing.assert_array_equal(points, recorded[number].points)
        np.testing.assert_array_equal(labels, recorded[number].labels)
    assert clip.frames.tolist() == [2, 3, 4]
    np.testing.assert_allclose(clip.times_s, [0.2, 0.3, 0.4])
    assert dataset.classes == tuple(f'class_{number:02d}' for number in range(5))


@pytest.mark.parametrize('delay_ns', [0, 7])
def test_labels_on_their_own_topic_are_matched_by_stamp(tmp_path, delay_ns):
    recorded = labelled()
    bag = small_bags.write_bag(
        tmp_path / 'bag', recorded, labels_topic='/truth', truth_delay_ns=delay_ns
    )
    options = {'topic': '/points', 'labels_topic': '/truth', 'sampling': THREE}
    if delay_ns:
        with pytest.raises(DataError, match='no cloud on /truth has usable labels in a field'):
            open_dataset('rosbag2', bag, 'all', **options)
        return
    clip = open_dataset('rosbag2', bag, 'all', **options)[5]
    for number, labels in zip(clip.frames, clip.labels, strict=True):
        np.testing.assert_array_equal(labels, recorded[number].labels)


def test_clips_may_be_read_in_any_order_and_process(tmp_path):
    bag = small_bags.write_bag(tmp_path / 'bag', labelled(8), labels_topic='/truth')
    options = {'topic': '/points', 'labels_topic': '/truth', 'sampling': THREE}
    forwards = open_dataset('rosbag2', bag, 'all', **options)
    clips = [forwards[index] for index in range(8)]
    shuffled = pickle.loads(pickle.dumps(forwards))
    for index in (5, 1, 7, 0, 6, 6, 2):
        clip = shuffled[index]
        assert clip.frames.tolist() == clips[index].frames.tolist()
        for name in ('points', 'labels'):
            for mine, other in zip(getattr(clip, name), getattr(clips[index], name), strict=True):
                np.testing.assert_array_equal(mine, other)


def test_simulated_recordings_explain_themselves(tmp_path):
    frames = list(simulate('indoor', 'kinect', 3, 0.4))
    write_simulated(tmp_path / 'train' / 'a', frames)
    write_simulated(tmp_path / 'test' / 'b', frames[:2])
    dataset = open_dataset('rosbag2', tmp_path, 'train', fixed_frame='map', sampling=THREE)
    clip = dataset[3]
    assert dataset.classes == SEGMENTATION_CLASSES
    assert dataset.feature_names == ('intensity',)
    for number, points, features, labels, pose in zip(
        clip.frames, clip.points, clip.features, clip.labels, clip.poses, strict=True
    ):
        np.testing.assert_array_equal(points, frames[number].points)
        np.testing.assert_array_equal(features[:, 0], frames[number].intensity)
        np.testing.assert_array_equal(labels, frames[number].label)
        np.testing.assert_allclose(pose, frames[number].pose, atol=1e-9)
    assert clip.actions.tolist() == [frames[number].action for number in clip.frames]
    every = open_dataset('rosbag2', tmp_path, 'all', task='action')
    assert every.classes == ACTION_CLASSES
    assert [recording.name for recording in every.recordings] == ['test/b', 'train/a']
    assert every.describe().counts == {'all': {'sequences': 2, 'scans': 6, 'clips': 6}}
    with pytest.raises(DataError, match='validation is missing'):
        open_dataset('rosbag2', tmp_path, 'validation')


def test_names_lead_recorded_labels_to_the_classes_asked_for(tmp_path):
    frames = list(simulate('indoor', 'kinect', 3, 0.1))
    write_simulated(tmp_path / 'bag', frames)
    wanted = ('wall', 'floor')
    clip = open_dataset('rosbag2', tmp_path / 'bag', 'all', classes=wanted, sampling=THREE)[0]
    names = np.array(SEGMENTATION_CLASSES)[frames[0].label]
    for number, name in enumerate(wanted):
        np.testing.assert_array_equal(clip.labels[-1] == number, names == name)
    np.testing.assert_array_equal(clip.labels[-1] == IGNORE, ~np.isin(names, wanted))


def test_raw_semantickitti_ids_are_translated(tmp_path):
    raw = np.resize(np.array([40, 252, 52, 71], np.uint32), 40)
    recorded = [replace(frame, labels=raw) for frame in small_bags.frames(2, 40)]
    bag = small_bags.write_bag(tmp_path / 'bag', recorded)
    dataset = open_dataset(
        'rosbag2', bag, 'all', labels_field='label', label_mapping='semantickitti'
    )
    labels = dataset[1].labels[-1][:4]
    names = ['-' if label == IGNORE else dataset.classes[label] for label in labels]
    assert names == ['road', 'car', '-', 'trunk']


def test_recorded_actions_are_told_by_name(tmp_path):
    recorded = [
        replace(frame, action=action)
        for frame, action in zip(small_bags.frames(3, 30), ('walk', None, 'juggle'))
    ]
    bag = small_bags.write_bag(tmp_path / 'bag', recorded)
    clip = open_dataset('rosbag2', bag, 'all', sampling=THREE)[2]
    assert clip.actions.tolist() == [ACTION_CLASSES.index('walk'), IGNORE, IGNORE]
    assert clip.labels is None
    assert clip.features is None


def test_poses_take_ego_motion_out(tmp_path):
    frames = [
        replace(frame, points=frame.points - np.float32([number, 0, 0]))
        for number, frame in enumerate([small_bags.frames(1, 30)[0]] * 4)
    ]
    frames = [replace(f, stamp_ns=START_NS + n * PERIOD_NS) for n, f in enumerate(frames)]
    poses = [(START_NS + n * PERIOD_NS, float(n)) for n in range(3)]
    bag = small_bags.write_bag(tmp_path / 'bag', frames, poses=poses)
    dataset = open_dataset('rosbag2', bag, 'all', fixed_frame='map', compensate=True)
    assert len(dataset) == 3
    assert 'no_transform' in ' '.join(dataset.describe().notes)
    clip = dataset[2]
    for points in clip.points:
        np.testing.assert_allclose(points, frames[2].points, atol=1e-5)
    with pytest.raises(DataError, match="the frame 'odom'; frames there are: lidar, map"):
        open_dataset('rosbag2', bag, 'all', fixed_frame='odom')
    with pytest.raises(DataError, match='no poses'):
        open_dataset('rosbag2', bag, 'all', compensate=True)


def test_unusable_clouds_and_points_are_left_out_and_told(tmp_path):
    recorded = labelled(5)
    recorded[1] = replace(recorded[1], cut_bytes=9)
    recorded[3].points[::4] = np.nan
    bag = small_bags.write_bag(tmp_path / 'bag', recorded)
    dataset = open_dataset('rosbag2', bag, 'all', labels_field='label', sampling=THREE)
    assert len(dataset) == 4
    assert '1 truncated_data' in ' '.join(dataset.describe().notes)
    clip = dataset[2]
    np.testing.assert_allclose(clip.times_s, [0, 0.2, 0.3])
    kept = np.arange(40) % 4 != 0
    np.testing.assert_array_equal(clip.points[-1], recorded[3].points[kept])
    np.testing.assert_array_equal(clip.labels[-1], recorded[3].labels[kept])


def test_a_truncated_recording_gives_what_is_left_of_it(tmp_path):
    bag = small_bags.write_bag(tmp_path / 'bag', labelled(40, 400))
    (file,) = bag.glob('*.mcap')
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    dataset = open_dataset('rosbag2', bag, 'all', labels_field='label')
    assert 0 < len(dataset) < 40
    assert dataset.describe().notes
    assert list(dataset.verify()) == [None] * len(dataset)


def test_what_is_missing_is_named(tmp_path):
    bag = small_bags.write_bag(tmp_path / 'bags' / 'one', labelled(2))
    with pytest.raises(DataError, match=r'no topic /pints; it has /points'):
        open_dataset('rosbag2', bag, 'all', topic='/pints')
    with pytest.raises(DataError, match="field 'truth'; its fields are x, y, z, label"):
        open_dataset('rosbag2', bag, 'all', labels_field='truth')
    with pytest.raises(DataError, match="no split 'train'"):
        open_dataset('rosbag2', bag, 'train')
    with pytest.raises(ConfigError, match='label_mapping'):
        open_dataset('rosbag2', bag, 'all', label_mapping='cityscapes')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='empty is missing, expected rosbag2 recordings'):
        open_dataset('rosbag2', tmp_path / 'empty', 'all')
    for file in bag.glob('*.mcap'):
        file.write_bytes(b'nonsense')
    with pytest.raises(DataError, match='one'):
        open_dataset('rosbag2', tmp_path / 'bags', 'all')


def test_a_real_recording_has_labels_and_poses(data_root):
    bag = data_root / 'semantickitti00_10f_mcap'
    if not bag.is_dir():
        pytest.skip(f'no recording {bag}')
    dataset = open_dataset(
        'rosbag2',
        bag,
        'all',
        labels_field='label',
        label_mapping='semantickitti',
        fixed_frame='map',
        sampling=THREE,
    )
    clip = dataset[2]
    assert len(dataset) == 10
    assert min(map(len, clip.points)) > 100_000
    assert np.linalg.norm(clip.poses[2, :3, 3] - clip.poses[0, :3, 3]) > 0.5
    counted = clip.labels[-1][clip.labels[-1] != IGNORE]
    assert {'road', 'building', 'car'} <= {dataset.classes[label] for label in np.unique(counted)}
