# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SemanticKITTI sequences: labels stay with their points, poses become those of the LiDAR."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.errors import CloudFileError

CALIBRATION = np.eye(4)
CALIBRATION[:3, :3] = Rotation.from_euler('xyz', [92, -89, 1], degrees=True).as_matrix()
CALIBRATION[:3, 3] = [0.01, -0.07, -0.27]


def lidar_pose(index):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler('z', 5 * index, degrees=True).as_matrix()
    pose[:3, 3] = [index, 0.1 * index, 0]
    return pose


def rows_text(matrices):
    return '\n'.join(' '.join(f'{value:.12e}' for value in m[:3].ravel()) for m in matrices) + '\n'


@pytest.fixture
def sequence(tmp_path):
    folder = tmp_path / '08'
    for name in ('velodyne', 'labels'):
        (folder / name).mkdir(parents=True)
    for index in range(3):
        count = 10 + index
        rows = np.arange(4 * count, dtype='<f4') + index
        (folder / 'velodyne' / f'{index:06d}.bin').write_bytes(rows.tobytes())
        packed = np.arange(count, dtype='<u4') | (index + 1) << 16
        (folder / 'labels' / f'{index:06d}.label').write_bytes(packed.tobytes())
    camera = [CALIBRATION @ lidar_pose(i) @ np.linalg.inv(CALIBRATION) for i in range(3)]
    (folder / 'poses.txt').write_text(rows_text(camera))
    (folder / 'calib.txt').write_text(f'P0: 1 0 0\nTr: {rows_text([CALIBRATION])}')
    (folder / 'times.txt').write_text('0.0\n1.04e-1\n2.05e-1\n')
    return folder


def test_points_labels_and_instances_stay_together(sequence):
    for index, scan in enumerate(SemanticKittiSequence(sequence)):
        rows = (np.arange(4 * (10 + index)) + index).reshape(-1, 4)
        np.testing.assert_array_equal(scan.points, rows[:, :3])
        np.testing.assert_array_equal(scan.intensity, rows[:, 3])
        assert scan.label.tolist() == list(range(10 + index))
        assert set(scan.instance) == {index + 1}
        assert scan.points.flags.c_contiguous
        assert scan.name == f'{index:06d}'
    assert len(SemanticKittiSequence(sequence)) == 3


def test_camera_poses_become_lidar_poses(sequence):
    scans = list(SemanticKittiSequence(sequence))
    for index, scan in enumerate(scans):
        np.testing.assert_allclose(scan.pose, lidar_pose(index), atol=1e-9)
    assert [scan.stamp_ns for scan in scans] == [0, 104_000_000, 205_000_000]


def test_optional_files_may_be_absent(sequence):
    for name in ('poses.txt', 'calib.txt', 'times.txt'):
        (sequence / name).unlink()
    for file in (sequence / 'labels').iterdir():
        file.unlink()
    (sequence / 'labels').rmdir()
    reader = SemanticKittiSequence(sequence)
    assert not reader.has_labels
    assert (reader[1].label, reader[1].instance, reader[1].pose) == (None, None, None)
    assert [scan.stamp_ns for scan in reader] == [0, 100_000_000, 200_000_000]


def test_excerpt_of_a_sequence_may_have_poses_of_all_of_it(sequence):
    (sequence / 'velodyne' / '000002.bin').unlink()
    np.testing.assert_allclose(SemanticKittiSequence(sequence).poses[1], lidar_pose(1), atol=1e-9)


def test_label_count_mismatch_names_both_files(sequence):
    (sequence / 'labels' / '000001.label').write_bytes(bytes(4 * 10))
    with pytest.raises(CloudFileError) as error:
        SemanticKittiSequence(sequence)[1]
    for part in ('000001.label', '000001.bin', '10 labels', '11 points'):
        assert part in error.value.message
    assert error.value.fix


@pytest.mark.parametrize(
    ('file', 'content', 'words'),
    [
        ('velodyne/000000.bin', bytes(17), '17 bytes'),
        ('labels/000000.label', bytes(3), '3 bytes'),
        ('labels/000000.label', None, 'no labels'),
    ],
)
def test_damaged_files_are_named(sequence, file, content, words):
    path = sequence / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CloudFileError, match=words) as error:
        list(SemanticKittiSequence(sequence))
    assert path.name in str(error.value)


@pytest.mark.parametrize(
    ('file', 'content', 'words'),
    [
        ('poses.txt', b'1 0 0 0\n', 'expected 3 scans of 12'),
        ('poses.txt', b'one two\n', 'poses.txt'),
        ('poses.txt', rows_text([np.eye(4)]).encode(), '1 rows'),
        ('poses.txt', (rows_text([np.eye(4) * np.nan] * 3)).encode(), 'finite'),
        ('times.txt', b'0\n1\n', 'expected 3 scans'),
        ('calib.txt', b'Tr: 1 2 3\n', 'Tr'),
        ('calib.txt', b'P0: 1 2 3\n', 'no line Tr'),
    ],
)
def test_optional_files_that_do_not_fit_are_gone_on_without_and_named(
    sequence, file, content, words
):
    (sequence / file).write_bytes(content)
    reader = SemanticKittiSequence(sequence)
    assert len(list(reader)) == 3
    (note,) = reader.notes
    assert words in note
    assert file in note
    if file == 'poses.txt':
        assert reader.poses is None
    if file == 'times.txt':
        assert [scan.stamp_ns for scan in reader] == [0, 100_000_000, 200_000_000]
    if file == 'calib.txt':
        assert 'data_odometry_calib.zip' in note
        assert reader.poses is not None


def test_hidden_files_are_no_scans(sequence):
    (sequence / 'velodyne' / '._000000.bin').write_bytes(b'\x00\x05\x16\x07')
    assert len(SemanticKittiSequence(sequence)) == 3


def test_folder_without_scans_is_named(tmp_path):
    with pytest.raises(CloudFileError, match='velodyne'):
        SemanticKittiSequence(tmp_path)


def test_real_sequence_is_labelled_and_its_poses_align_the_scans(data_root):
    folder = data_root / 'semantickitti00_range_21f'
    if not folder.is_dir():
        pytest.skip(f'no sequence {folder}')
    reader = SemanticKittiSequence(folder)
    first, last = reader[0], reader[20]
    assert len(reader) == 21
    assert {10, 40, 48, 50, 70} <= set(np.unique(first.label).tolist())
    assert len(first.label) == len(first.points) > 50_000
    # Poses are right if they bring upright parts of a static world together; the rings on the
    # ground travel with the car.
    upright = [50, 71, 80]
    there = last.points[np.isin(last.label, upright)][::10]
    tree = cKDTree(first.points[np.isin(first.label, upright)])
    aligned = there @ last.pose[:3, :3].T + last.pose[:3, 3]
    assert np.median(tree.query(aligned)[0]) < 0.5 * np.median(tree.query(there)[0])
