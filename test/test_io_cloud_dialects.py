# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cloud files in the spellings of other programs, and files that are not what they seem."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.robustness.cloud_dialects import cloud_file, damaged
from benchmarks.robustness.spellings import spellings
from pointata_core.errors import CloudFileError
from pointata_core.io.files.bin_layout import KITTI_COLUMNS, UnclearLayout, find_layout
from pointata_core.io.files.cloud_files import READABLE, read_cloud
from pointata_core.io.files.folders import list_clouds, natural_order

POINTS = np.array([[1.5, -2, 3], [4, 5.25, -6]], np.float32)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def message_of(path: Path) -> str:
    with pytest.raises(CloudFileError) as caught:
        read_cloud(path)
    assert caught.value.fix
    return str(caught.value)


# ---------------------------------------------------------------------------- all dialects at once


@pytest.mark.parametrize('start', range(0, 1200, 300))
def test_files_of_every_dialect_give_their_points(tmp_path, start):
    for seed in range(start, start + 300):
        file = cloud_file(seed)
        try:
            cloud = read_cloud(written(tmp_path, file.name, file.data))
        except CloudFileError as error:
            raise AssertionError(f'cloud_file({seed}) is refused') from error
        np.testing.assert_array_equal(cloud.points, file.points, f'cloud_file({seed})')
        found = {name.casefold() for name in cloud.fields}
        assert {name.casefold() for name in file.extras} <= found
        if 'intensity' in file.extras:
            np.testing.assert_array_equal(cloud.features['intensity'], file.extras['intensity'])


@pytest.mark.parametrize('spelling', spellings(), ids=lambda one: f'{one.format}, {one.what}')
def test_every_spelling_gives_its_points(tmp_path, spelling):
    cloud = read_cloud(written(tmp_path, spelling.name, spelling.data))
    np.testing.assert_array_equal(cloud.points, spelling.points)


@given(st.integers(0, 2**40))
@settings(deadline=None, max_examples=300)
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path_factory, seed):
    file = cloud_file(seed)
    path = written(tmp_path_factory.getbasetemp(), f'damaged_{file.name}', damaged(file, seed))
    try:
        cloud = read_cloud(path)
    except CloudFileError as error:
        assert str(path) in error.message
        assert error.fix
    else:
        assert cloud.points.shape == (cloud.width * cloud.height, 3)
        assert all(values.shape == (len(cloud),) for values in cloud.features.values())


# --------------------------------------------------------------------------------------------- PCD

PCD = """# .PCD v0.7
VERSION 0.7
FIELDS x y z
SIZE 4 4 4
TYPE F F F
COUNT 1 1 1
WIDTH 2
HEIGHT 1
POINTS 2
DATA ascii
1.5 -2 3
4 5.25 -6
"""


def test_fields_without_bytes_and_of_unknown_types_are_skipped(tmp_path):
    head = """VERSION 0.7
FIELDS x _ y z tag intensity intensity
SIZE 4 1 4 4 16 2 2
TYPE F U F F Q U U
COUNT 1 0 1 1 1 1 1
WIDTH 2
HEIGHT 1
POINTS 2
DATA binary
"""
    body = b''.join(struct.pack('<fff16sHH', *row, b'tag', 7, 9) for row in POINTS.tolist())
    cloud = read_cloud(written(tmp_path, 'cloud.pcd', head.encode() + body))
    np.testing.assert_array_equal(cloud.points, POINTS)
    assert cloud.features['intensity'].tolist() == [7, 7]


def test_compressed_fields_of_several_elements_are_stored_point_by_point(tmp_path):
    normals = np.arange(6, dtype='<f4').reshape(2, 3)
    head = """VERSION 0.7
FIELDS x y z normal ring
SIZE 4 4 4 4 2
TYPE F F F F U
COUNT 1 1 1 3 1
WIDTH 2
HEIGHT 1
POINTS 2
DATA binary_compressed
"""
    rings = np.array([3, 4], '<u2').tobytes()
    raw = POINTS.T.astype('<f4').tobytes() + normals.tobytes() + rings
    packed = b''.join(bytes([len(raw[i : i + 32]) - 1]) + raw[i : i + 32] for i in range(0, 60, 32))
    content = head.encode() + struct.pack('<II', len(packed), len(raw)) + packed
    cloud = read_cloud(written(tmp_path, 'cloud.pcd', content))
    np.testing.assert_array_equal(cloud.points, POINTS)
    np.testing.assert_array_equal(
        np.stack([cloud.features[f'normal_{i}'] for i in range(3)], axis=1), normals
    )


def test_whole_numbers_of_64_bits_keep_their_digits(tmp_path):
    stamps = [1_700_000_000_123_456_789, 1_700_000_000_123_556_789]
    head = PCD.split('1.5')[0].replace('x y z', 'x y z t').replace('4 4 4', '4 4 4 8')
    head = head.replace('F F F', 'F F F U').replace('1 1 1', '1 1 1 1')
    rows = [f'{x} {y} {z} {t}' for (x, y, z), t in zip(POINTS.tolist(), stamps, strict=True)]
    cloud = read_cloud(written(tmp_path, 'cloud.pcd', head + '\n'.join(rows)))
    np.testing.assert_allclose(cloud.features['time'], [0, 1e-4], rtol=1e-5)


@pytest.mark.parametrize('encoding', ['ascii', 'binary'])
def test_sizes_that_disagree_are_settled_by_the_data_with_a_note(tmp_path, encoding):
    content = PCD.replace('WIDTH 2', 'WIDTH 3').encode()
    if encoding == 'binary':
        content = content.split(b'ascii')[0] + b'binary\n' + POINTS.tobytes()
    cloud = read_cloud(written(tmp_path, 'cloud.pcd', content))
    assert cloud.points.tolist() == POINTS.tolist()
    assert 'POINTS is 2, but WIDTH x HEIGHT is 3' in cloud.notes[0]


# --------------------------------------------------------------------------------------------- PLY

PLY = """ply
format ascii 1.0
element vertex 2
property float x
property float y
property float z
end_header
1.5 -2 3
4 5.25 -6
"""


def test_lists_before_and_in_the_points_are_skipped_in_binary_files(tmp_path):
    head = """ply
format binary_big_endian 1.0
element camera 1
property list int float view
element vertex 2
property float x
property list uchar short near
property float y
property float z
end_header
"""
    body = struct.pack('>iff', 2, 8, 9)
    for number, (x, y, z) in enumerate(POINTS.tolist()):
        body += struct.pack(f'>fB{number}hff', x, number, *range(number), y, z)
    cloud = read_cloud(written(tmp_path, 'cloud.ply', head.encode() + body))
    np.testing.assert_array_equal(cloud.points, POINTS)
    written(tmp_path, 'cloud.ply', head.encode() + body[:-1])
    assert 'element vertex' in message_of(tmp_path / 'cloud.ply')


@pytest.mark.parametrize('word', ['1.#QNAN', '-1.#IND', 'nan(ind)', '-nan(ind)', 'NAN', '-nan'])
def test_missing_values_of_every_c_library_are_missing(tmp_path, word):
    cloud = read_cloud(written(tmp_path, 'cloud.ply', PLY.replace('-2', word)))
    assert np.isnan(cloud.points[0, 1])
    assert cloud.finite.tolist() == [False, True]


# -------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ('name', 'content', 'fields'),
    [
        ('a.xyz', '1.5 -2 3\n4 5.25 -6\n', 'x y z'),
        ('a.txt', '//X Y Z Intensity\n1.5 -2 3 7\n4 5.25 -6 8\n', 'X Y Z Intensity'),
        ('a.csv', 'x,y,z,intensity\n1.5,-2,3,7\n4,5.25,-6,\n', 'x y z intensity'),
        ('a.csv', '"x";"y";"z"\r\n1,5;-2;3\r\n4;5,25;-6\r\n', 'x y z'),
        ('a.csv', ',x,y,z\n0,1.5,-2,3\n1,4,5.25,-6\n', 'column_1 x y z'),  # pandas
        ('a.txt', '"x" "y" "z"\n"1" 1.5 -2 3\n"2" 4 5.25 -6\n', 'index x y z'),  # R
        ('a.txt', 'X Y Z\n1.5 -2 3 7\n4 5.25 -6 8\n', 'X Y Z column_4'),
        ('a.pts', '2\n1.5 -2 3 7 1 2 3\n4 5.25 -6 8 1 2 3\n', 'x y z intensity red green blue'),
        ('a.asc', '# made by hand\n1.5\t-2\t3\n\n4\t5.25\t-6', 'x y z'),
        ('a.txt', '1.5,-2,3,0,0,7\n4,5.25,-6,0,0,8', 'x y z column_4 column_5 column_6'),
    ],
)
def test_text_clouds(tmp_path, name, content, fields):
    cloud = read_cloud(written(tmp_path, name, content))
    assert cloud.points.tolist() == POINTS.tolist()
    assert cloud.fields == tuple(fields.split())


def test_text_that_is_no_cloud_is_named_by_its_line(tmp_path):
    assert 'line 1' in message_of(written(tmp_path, 'a.txt', 'classes of the scene\nroad\n'))
    assert 'line 2' in message_of(written(tmp_path, 'a.xyz', '1 2 3\n1 2\n'))
    assert '4 columns are named' in message_of(written(tmp_path, 'a.csv', 'x,y,z,i\n1,2,3\n'))
    cloud = read_cloud(written(tmp_path, 'a.pts', '3\n1.5 -2 3\n4 5.25 -6\n'))
    assert 'announces 3 points, 2 follow' in cloud.notes[0]


# ------------------------------------------------------------------------------------------ arrays


def scan(columns: int, count: int = 840, seed: int = 0) -> np.ndarray:
    """Rows like those of a spinning sensor: x y z, then intensity, ring and more."""
    numbers = np.random.default_rng(seed)
    angle, range_m = numbers.uniform(0, 6.28, count), numbers.uniform(3, 40, count)
    z = numbers.normal(-1.7, 0.5, count)
    all_columns = [range_m * np.cos(angle), range_m * np.sin(angle), z,
                   numbers.uniform(0, 1, count), numbers.integers(0, 32, count),
                   numbers.uniform(0, 0.1, count), numbers.uniform(0, 0.1, count)]  # fmt: skip
    return np.stack(all_columns[:columns], axis=1).astype('<f4')


@pytest.mark.parametrize('columns', [3, 4, 5, 6, 7])
def test_columns_of_a_bin_are_found_out_from_its_numbers(tmp_path, columns):
    rows = scan(columns)
    cloud = read_cloud(written(tmp_path, 'cloud.bin', rows.tobytes()))
    np.testing.assert_array_equal(cloud.points, rows[:, :3])
    assert len(cloud.fields) == columns
    assert bool(cloud.notes) == (columns != 4)
    by_name = read_cloud(
        written(tmp_path, 'cloud.pcd.bin', rows.tobytes()),
        columns=['x', 'y', 'z', *'abcd'][:columns],
    )
    np.testing.assert_array_equal(by_name.points, rows[:, :3])
    assert not by_name.notes


def test_bin_without_a_clear_layout_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2**32, 8400, np.uint32)
    message = message_of(written(tmp_path, 'cloud.bin', noise.tobytes()))
    assert '--columns' in message
    doubles = scan(4).astype('<f8')
    assert '--columns' in message_of(written(tmp_path, 'cloud.bin', doubles.tobytes()))
    with pytest.raises(UnclearLayout):
        find_layout(noise.view('<f4'), KITTI_COLUMNS)


def test_real_scans_keep_the_columns_of_their_name(data_root):
    scans = sorted((data_root / 'semantickitti_10drives').glob('sequences/*/velodyne/*.bin'))[::9]
    if not scans:
        pytest.skip(f'no scans in {data_root / "semantickitti_10drives"}')
    for path in scans:
        values = np.fromfile(path, '<f4')
        for count in (len(values), len(values) // 60 * 60):
            assert find_layout(values[:count], KITTI_COLUMNS) == KITTI_COLUMNS
        without = np.ascontiguousarray(values.reshape(-1, 4)[:60000, :3]).ravel()
        assert find_layout(without, KITTI_COLUMNS) == KITTI_COLUMNS[:3]


def test_bytes_behind_the_points_of_a_binary_pcd_are_padding(tmp_path):
    content = PCD.replace('ascii', 'binary').encode().split(b'1.5')[0] + POINTS.tobytes()
    cloud = read_cloud(written(tmp_path, 'cloud.pcd', content + bytes(4096)))
    np.testing.assert_array_equal(cloud.points, POINTS)
    assert not cloud.notes  # PCL writes whole pages


def test_arrays_in_other_shapes(tmp_path):
    rows = scan(4)
    np.save(tmp_path / 'a.npy', rows.T)
    cloud = read_cloud(tmp_path / 'a.npy')
    np.testing.assert_array_equal(cloud.points, rows[:, :3])
    assert 'read as 840 points' in cloud.notes[0]
    np.save(tmp_path / 'b.npy', rows.reshape(10, 84, 4))
    organised = read_cloud(tmp_path / 'b.npy')
    assert (organised.width, organised.height) == (84, 10)
    np.savez(tmp_path / 'c.npz', x=rows[:, 0], y=rows[:, 1], z=rows[:, 2], intensity=rows[:, 3:])
    np.testing.assert_array_equal(read_cloud(tmp_path / 'c.npz').features['intensity'], rows[:, 3])
    joint = np.zeros(840, [('xyz', 'f4', 3), ('i', 'f4')])
    joint['xyz'] = rows[:, :3]
    np.save(tmp_path / 'd.npy', joint)
    np.testing.assert_array_equal(read_cloud(tmp_path / 'd.npy').points, rows[:, :3])


def test_coordinates_of_a_map_keep_their_digits(tmp_path):
    base = np.array([4_321_000.0, 567_000.0, 300.0])
    text = '\n'.join(' '.join(f'{v:.3f}' for v in base + [n * 0.001, 0, n]) for n in range(9))
    cloud = read_cloud(written(tmp_path, 'cloud.xyz', text))
    np.testing.assert_allclose(cloud.points[:, 0], np.arange(9) * 0.001, atol=1e-6)
    assert 'are subtracted' in cloud.notes[0]


# ---------------------------------------------------------------------------- folders, other kinds


def test_numbers_in_names_count(tmp_path):
    def order(*names: str) -> list[str]:
        return [path.name for path in natural_order(map(Path, names))]

    assert order('10.bin', '1.bin', '2.bin') == ['1.bin', '2.bin', '10.bin']
    assert order('s2_10.pcd', 's10_1.pcd', 's2_9.pcd') == ['s2_9.pcd', 's2_10.pcd', 's10_1.pcd']
    assert order('10.5.pcd', '10.25.pcd', '9.75.pcd') == ['9.75.pcd', '10.25.pcd', '10.5.pcd']


def test_hidden_files_and_companions_are_no_frames(tmp_path):
    for name in ('1.bin', '._1.bin', '.hidden.pcd', 'times.txt', '2.BIN', '~$3.bin'):
        written(tmp_path, name, b'')
    assert [path.name for path in list_clouds(tmp_path, READABLE)] == ['1.bin', '2.BIN']
    (tmp_path / 'outer' / 'scans').mkdir(parents=True)
    written(tmp_path / 'outer' / 'scans', '1.xyz', '1 2 3')
    written(tmp_path / 'outer', 'poses.txt', '1 2 3')
    with pytest.raises(CloudFileError, match='sub-folders: scans'):
        list_clouds(tmp_path / 'outer', READABLE)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n', 'git lfs pull'),
        (b'\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X', 'AppleDouble'),
        (b'\x1f\x8b\x08\x00', 'gunzip'),
        (b'\n<!DOCTYPE html><html>', 'web page'),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', 'web page'),
    ],
)
@pytest.mark.parametrize('name', ['cloud.pcd', 'cloud.bin', 'cloud.npy', 'cloud.xyz'])
def test_files_of_another_kind_are_told_as_what_they_are(tmp_path, name, content, words):
    assert words in message_of(written(tmp_path, name, content))
