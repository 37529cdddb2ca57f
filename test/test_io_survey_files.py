# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LAS, LAZ and E57, written by the libraries that read them, and refused where those are absent."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pointata_core.errors import CloudFileError
from pointata_core.io.cloud import CloudLimits
from pointata_core.io.files.cloud_files import read_cloud

POINTS = np.array([[1.25, -2, 3.5], [4, 5.25, -6], [7, 8, 9]], np.float64)


def write_las(path, offset=(0.0, 0.0, 0.0)):
    laspy = pytest.importorskip('laspy')
    header = laspy.LasHeader(point_format=3, version='1.2')
    header.scales, header.offsets = np.full(3, 0.001), np.array(offset)
    las = laspy.LasData(header)
    las.x, las.y, las.z = (POINTS + offset).T
    las.intensity = np.array([7, 8, 9], np.uint16)
    las.classification = np.array([2, 5, 6], np.uint8)
    las.gps_time = np.array([400_000.0, 400_000.05, 400_000.1])
    las.write(path)
    return path


@pytest.mark.parametrize('ending', ['.las', '.laz', '.LAS'])
def test_las_gives_scaled_points_and_all_dimensions(tmp_path, ending):
    if ending == '.laz':
        pytest.importorskip('lazrs')
    cloud = read_cloud(write_las(tmp_path / f'cloud{ending}'))
    np.testing.assert_allclose(cloud.points, POINTS, atol=1e-6)
    assert cloud.features['intensity'].tolist() == [7, 8, 9]
    assert cloud.features['classification'].tolist() == [2, 5, 6]
    np.testing.assert_allclose(cloud.features['time'], [0, 0.05, 0.1], atol=1e-5)
    assert not cloud.notes


def test_coordinates_of_a_map_are_moved_to_the_origin_with_a_note(tmp_path):
    cloud = read_cloud(write_las(tmp_path / 'cloud.las', offset=(4_321_000.0, 567_000.0, 100.0)))
    np.testing.assert_allclose(np.diff(cloud.points, axis=0), np.diff(POINTS, axis=0), atol=1e-4)
    assert np.abs(cloud.points[:, :2]).max() < 10
    assert '(4321004, 567005, 0) m are subtracted' in cloud.notes[0]


def test_e57_gives_all_scans_in_their_common_frame(tmp_path):
    pye57 = pytest.importorskip('pye57')
    path = tmp_path / 'cloud.e57'
    file = pye57.E57(str(path), mode='w')
    raw = {f'cartesian{axis.upper()}': POINTS[:, at].copy() for at, axis in enumerate('xyz')}
    raw['intensity'] = np.array([0.25, 0.5, 1])
    file.write_scan_raw(raw)
    file.write_scan_raw(raw, translation=np.array([0.0, 0.0, 100.0]))
    file.close()
    cloud = read_cloud(path)
    expected = np.concatenate([POINTS, POINTS + [0, 0, 100]])
    np.testing.assert_allclose(cloud.points, expected, atol=1e-5)
    assert cloud.features['intensity'].tolist() == [0.25, 0.5, 1] * 2
    assert cloud.notes == ('its 2 scans are read as one cloud',)
    with pytest.raises(CloudFileError, match='at most 5'):
        read_cloud(path, limits=CloudLimits(max_points=5))


@pytest.mark.parametrize('ending', ['.las', '.laz', '.e57'])
def test_damaged_files_are_refused(tmp_path, ending):
    pytest.importorskip({'.las': 'laspy', '.laz': 'lazrs', '.e57': 'pye57'}[ending])
    path = tmp_path / f'cloud{ending}'
    path.write_bytes((b'ASTM-E57' if ending == '.e57' else b'LASF') + bytes(500))
    with pytest.raises(CloudFileError, match=path.name):
        read_cloud(path)
    if ending != '.e57':
        whole = write_las(tmp_path / f'whole{ending}').read_bytes()
        path.write_bytes(whole[: len(whole) - 30])
        with pytest.raises(CloudFileError, match=path.name):
            read_cloud(path)


def test_numbers_of_records_that_cannot_be_true_are_not_believed(tmp_path):
    path = write_las(tmp_path / 'cloud.las')
    content = bytearray(path.read_bytes())
    content[100:104] = b'\xff\xff\xff\xff'
    path.write_bytes(content)
    with pytest.raises(CloudFileError, match='announces 4294967295 records'):
        read_cloud(path)


@pytest.mark.parametrize(('ending', 'library'), [('.las', 'laspy'), ('.e57', 'pye57')])
def test_the_extra_is_named_where_the_library_is_absent(tmp_path, monkeypatch, ending, library):
    monkeypatch.setitem(sys.modules, library, None)
    path = tmp_path / f'cloud{ending}'
    path.write_bytes(b'LASF')
    with pytest.raises(CloudFileError, match=library) as error:
        read_cloud(path)
    assert 'pointata_ros[survey]' in error.value.fix
