# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SemanticKITTI as clips: ego motion taken out, moving classes apart, splits as published."""

from __future__ import annotations

import numpy as np
import pytest
from scene_datasets import LANDMARKS, kitti_pose, write_kitti_sequence
from scipy.spatial import cKDTree

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import dataset_info, open_dataset
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scenes.semantickitti_clips import (
    SPLITS,
    classes_of,
    semantickitti_clips,
    translate,
)
from pointata_core.errors import ConfigError
from pointata_core.taxonomy import IGNORE, SEGMENTATION_CLASSES

THREE = ClipSampling(window='causal', frames=3)


@pytest.fixture
def drive(tmp_path):
    return write_kitti_sequence(tmp_path / '08', scans=5)


def test_every_scan_ends_one_clip(drive):
    dataset = semantickitti_clips(drive, 'all', sampling=THREE)
    assert isinstance(dataset, ClipDataset)
    assert [clip.frames.tolist() for clip in map(dataset.__getitem__, range(5))] == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 4],
    ]
    clip = dataset[4]
    assert dataset.feature_names == ('intensity',)
    for number, features in zip(clip.frames, clip.features, strict=True):
        assert features.tolist() == [[np.float32(number / 10)]] * len(LANDMARKS)
    np.testing.assert_allclose(clip.times_s, [0.2074, 0.3111, 0.4148])


def test_ego_motion_is_taken_out_on_request(drive):
    moving = semantickitti_clips(drive, 'all', sampling=THREE)[4]
    for number, points, pose in zip(moving.frames, moving.points, moving.poses, strict=True):
        np.testing.assert_allclose(pose, kitti_pose(number), atol=1e-9)
        np.testing.assert_allclose(points @ pose[:3, :3].T + pose[:3, 3], LANDMARKS, atol=1e-4)
    still = semantickitti_clips(drive, 'all', sampling=THREE, compensate=True)[4]
    np.testing.assert_array_equal(still.points[-1], moving.points[-1])
    for points in still.points[:-1]:
        np.testing.assert_allclose(points, still.points[-1], atol=1e-4)
    assert not np.allclose(moving.points[0], moving.points[-1], atol=1)
    for pose in still.poses:
        np.testing.assert_array_equal(pose, moving.poses[-1])


def test_schemes_tell_moving_from_standing():
    raw = np.array([10, 252, 31, 253, 16, 256, 257, 259, 18, 258, 60, 44, 52, 0])
    named = {
        'single': 'car car bicyclist bicyclist other-vehicle other-vehicle other-vehicle '
        'other-vehicle truck truck road parking - -',
        'multi': 'car moving-car bicyclist moving-bicyclist other-vehicle moving-other-vehicle '
        'moving-other-vehicle moving-other-vehicle truck moving-truck road parking - -',
        'moving': 'static moving static moving static moving moving moving static moving static '
        'static static -',
        'pointata': 'car car - - car car car car car car road road - -',
    }
    for scheme, text in named.items():
        names = classes_of(scheme)
        found = [names[label] if label != IGNORE else '-' for label in translate(raw, scheme)]
        assert found == text.split(), scheme
    assert [len(classes_of(scheme)) for scheme in ('single', 'multi', 'moving')] == [19, 25, 2]
    assert classes_of('pointata') == SEGMENTATION_CLASSES


@pytest.mark.parametrize('scheme', ['single', 'multi', 'moving', 'pointata'])
def test_every_class_is_reached_by_some_raw_id(scheme):
    every = [0, 1, *range(10, 12), 13, 15, 16, 18, 20, *range(30, 33), 40, 44, 48, 49, 50, 51, 52]
    every += [60, 70, 71, 72, 80, 81, 99, *range(252, 260)]
    labels = set(translate(np.array(every), scheme).tolist()) - {IGNORE}
    outdoors = 11 if scheme == 'pointata' else len(classes_of(scheme))
    assert labels == set(range(outdoors))


@pytest.mark.parametrize('layout', ['dataset/sequences', 'sequences', '.'])
def test_splits_are_those_of_the_development_kit(tmp_path, layout):
    for name in SPLITS['trainval']:
        write_kitti_sequence(tmp_path / layout / name, scans=2)
    write_kitti_sequence(tmp_path / layout / '11', scans=2, labels=False)
    train = open_dataset('semantickitti', tmp_path, 'train')
    assert [recording.name for recording in train.recordings] == [
        '00', '01', '02', '03', '04', '05', '06', '07', '09', '10',
    ]  # fmt: skip
    validation = open_dataset('semantickitti', tmp_path, 'validation')
    assert [recording.name for recording in validation.recordings] == ['08']
    assert len(open_dataset('semantickitti', tmp_path, 'all')) == 24
    some = open_dataset('semantickitti', tmp_path, 'train', sequences=('03', '09'), scans=(1, 2))
    assert [some[index].name for index in range(len(some))] == ['03#0', '09#0']
    with pytest.raises(DataError, match="'08' is not in the split"):
        open_dataset('semantickitti', tmp_path, 'train', sequences=('08',))


def test_published_counts_fit_together():
    published = dataset_info('semantickitti').published
    assert published['trainval']['scans'] == (
        published['train']['scans'] + published['validation']['scans']
    )
    for split, sequences in SPLITS.items():
        assert published[split]['sequences'] == len(sequences)


def test_the_hidden_test_has_no_labels(tmp_path):
    for name in SPLITS['test']:
        write_kitti_sequence(tmp_path / name, scans=1, labels=False)
    dataset = open_dataset('semantickitti', tmp_path, 'test')
    assert len(dataset) == 11
    assert dataset[0].labels is None


def test_missing_sequences_are_named_or_counted(tmp_path):
    write_kitti_sequence(tmp_path / 'sequences' / '00', scans=2)
    with pytest.raises(DataError, match=r'sequences/01/velodyne is missing'):
        open_dataset('semantickitti', tmp_path, 'train')
    partial = open_dataset('semantickitti', tmp_path, 'train', strict=False).describe()
    assert partial.counts == {'train': {'sequences': 1, 'scans': 2, 'clips': 2}}
    assert len(partial.missing) == 9
    with pytest.raises(DataError, match='no split'):
        open_dataset('semantickitti', tmp_path, 'val')


def test_missing_labels_poses_and_scans_are_named(drive):
    (drive / 'poses.txt').unlink()
    with pytest.raises(DataError, match='no poses'):
        semantickitti_clips(drive, 'all', compensate=True)
    assert semantickitti_clips(drive, 'all')[0].poses is None
    for path in (drive / 'labels').iterdir():
        path.unlink()
    (drive / 'labels').rmdir()
    with pytest.raises(DataError, match=r'08/labels is missing'):
        semantickitti_clips(drive, 'validation')
    for path in (drive / 'velodyne').iterdir():
        path.unlink()
    with pytest.raises(DataError, match='velodyne holds no'):
        semantickitti_clips(drive, 'validation')


@pytest.mark.parametrize(
    ('file', 'content', 'words'),
    [
        ('velodyne/000002.bin', bytes(17), r'000002\.bin has 17 bytes'),
        ('velodyne/000002.bin', bytes(16), r'000002\.label holds 20 labels.*holds 1 points'),
        ('labels/000002.label', None, r'000002\.label is absent'),
        ('labels/000002.label', np.full(20, 5, '<u4').tobytes(), r'000002\.label: found raw class'),
    ],
)
def test_damaged_scans_are_found_by_verify(drive, file, content, words):
    path = drive / file
    path.unlink() if content is None else path.write_bytes(content)
    found = list(semantickitti_clips(drive, 'all').verify())
    assert [error is None for error in found] == [True, True, False, True, True]
    with pytest.raises(DataError, match=words):
        raise found[2]


def test_a_part_of_a_sequence_keeps_its_poses_and_names(drive):
    part = semantickitti_clips(drive, 'all', sampling=THREE, scans=(3, 5))
    assert len(part) == 2
    np.testing.assert_allclose(part[1].poses[-1], kitti_pose(4), atol=1e-9)
    assert part[1].frames.tolist() == [0, 0, 1]
    with pytest.raises(ConfigError, match=r'3 \.\. 6'):
        semantickitti_clips(drive, 'all', scans=(3, 6))
    with pytest.raises(ConfigError, match='label scheme'):
        semantickitti_clips(drive, 'all', labels='coarse')


def test_points_are_sampled_together_with_their_labels(drive):
    sampling = ClipSampling(window='causal', frames=2, points=7)
    whole = semantickitti_clips(drive, 'all')
    clip = semantickitti_clips(drive, 'all', sampling=sampling)[4]
    place = {tuple(p): int(label) for p, label in zip(whole[4].points[-1], whole[4].labels[-1])}
    assert [len(points) for points in clip.points] == [7, 7]
    assert [place[tuple(point)] for point in clip.points[-1]] == clip.labels[-1].tolist()


def test_real_scans_fall_into_place(data_root):
    folder = data_root / 'semantickitti00_range_21f'
    if not folder.is_dir():
        pytest.skip(f'no sequence {folder}')
    train = semantickitti_clips(folder, 'all', scans=(0, 14), compensate=True, labels='pointata')
    test = semantickitti_clips(folder, 'all', scans=(16, 21), labels='single')
    assert (len(train), len(test)) == (14, 5)
    clip = train[13]
    upright = [SEGMENTATION_CLASSES.index(name) for name in ('building', 'pole', 'trunk')]
    first, last = (clip.points[t][np.isin(clip.labels[t], upright)] for t in (0, -1))
    tree = cKDTree(last)
    moving = semantickitti_clips(folder, 'all', scans=(0, 14), labels='pointata')[13].points[0]
    moving = moving[np.isin(clip.labels[0], upright)]
    assert np.median(tree.query(first[::10])[0]) < 0.5 * np.median(tree.query(moving[::10])[0])
    names = [classes_of('single')[label] for label in np.unique(test[4].labels[-1]) if label >= 0]
    assert {'car', 'road', 'sidewalk', 'building', 'vegetation'} <= set(names)
