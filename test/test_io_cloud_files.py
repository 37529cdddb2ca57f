# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds on disk: what is written is read, and every malformed file is named with a fix."""

from __future__ import annotations

import pickle
import random
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.errors import CloudFileError
from pointata_core.io.cloud import CloudLimits
from pointata_core.io.files.cloud_files import WRITABLE, read_cloud, write_cloud
from pointata_core.io.files.lzf import decompress
from pointata_core.io.files.pcd_files import write_pcd

# How long an example takes depends on who else uses the machine.
settings.register_profile('untimed', deadline=None)
settings.load_profile('untimed')

POINTS = np.array([[1.5, -2, 3], [0.1, 1e-7, -3e5], [np.nan, 0, np.inf]], np.float32)
COLUMNS = {
    'intensity': np.array([0.25, 0.5, 1], np.float32),
    'class_id': np.array([0, 65535, 7], np.uint16),
}


def compress(data: bytes) -> bytes:
    """A slow LZF compressor with literals, short, long and overlapping references."""
    out, literals, position = bytearray(), bytearray(), 0
    seen: dict[bytes, int] = {}

    def flush() -> None:
        for start in range(0, len(literals), 32):
            run = literals[start : start + 32]
            out.append(len(run) - 1)
            out.extend(run)
        literals.clear()

    while position < len(data):
        key = data[position : position + 3]
        match = seen.get(key, -1) if len(key) == 3 else -1
        seen[key] = position
        distance = position - match - 1
        if match < 0 or distance >= 8192:
            literals.append(data[position])
            position += 1
            continue
        length = 3
        while (
            length < 264
            and position + length < len(data)
            and data[match + length] == data[position + length]
        ):
            length += 1
        flush()
        code = length - 2
        out.append(min(code, 7) << 5 | distance >> 8)
        if code >= 7:
            out.append(code - 7)
        out.append(distance & 255)
        position += length
    flush()
    return bytes(out)


def pcd_text(data: str = '1 2 3 0.5\n4 5 6 0.25\n', **changes: str | None) -> bytes:
    lines = {
        'VERSION': '0.7',
        'FIELDS': 'x y z intensity',
        'SIZE': '4 4 4 4',
        'TYPE': 'F F F F',
        'COUNT': '1 1 1 1',
        'WIDTH': '2',
        'HEIGHT': '1',
        'VIEWPOINT': '0 0 0 1 0 0 0',
        'POINTS': '2',
        'DATA': 'ascii',
    } | changes
    header = [f'{key} {value}' for key, value in lines.items() if value is not None]
    return '\n'.join(['# .PCD v0.7', *header, data]).encode()


def error_of(path, **options) -> CloudFileError:
    with pytest.raises(CloudFileError) as caught:
        read_cloud(path, **options)
    assert str(path) in caught.value.message
    assert caught.value.fix
    return caught.value


# --- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize('suffix', [*WRITABLE, '.PCD'])
def test_what_is_written_is_read(tmp_path, suffix):
    path = tmp_path / f'cloud{suffix}'
    write_cloud(path, POINTS, COLUMNS)
    cloud = read_cloud(path)
    np.testing.assert_array_equal(cloud.points, POINTS)
    assert cloud.points.dtype == np.float32
    assert cloud.points.flags.c_contiguous
    assert cloud.finite.tolist() == [True, True, False]
    assert cloud.fields == ('x', 'y', 'z', 'intensity', 'class_id')
    assert cloud.features.keys() == COLUMNS.keys()
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(cloud.features[name], values.astype(np.float32))
    assert (cloud.width, cloud.height, cloud.stamp_ns, cloud.frame_id) == (3, 1, 0, '')


@pytest.mark.parametrize('suffix', WRITABLE)
def test_cloud_without_points_survives(tmp_path, suffix):
    write_cloud(tmp_path / f'empty{suffix}', POINTS[:0], {'class_id': np.empty(0, np.uint16)})
    cloud = read_cloud(tmp_path / f'empty{suffix}')
    assert cloud.points.shape == (0, 3)
    assert cloud.features['class_id'].shape == (0,)


def test_writing_replaces_a_file_as_a_whole_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / 'cloud.ply'
    path.write_bytes(b'something else')
    write_cloud(path, POINTS)
    assert len(read_cloud(path)) == 3
    assert [file.name for file in tmp_path.iterdir()] == ['cloud.ply']


@pytest.mark.parametrize(
    ('name', 'points', 'columns'),
    [
        ('cloud.xyz', POINTS, {}),
        ('cloud.pcd', POINTS[:, :2], {}),
        ('cloud.pcd', POINTS, {'a': np.zeros(2)}),
        ('cloud.pcd', POINTS, {'x': np.zeros(3)}),
        ('cloud.pcd', POINTS, {'two words': np.zeros(3)}),
        ('cloud.pcd', POINTS, {'flag': np.zeros(3, bool)}),
        ('cloud.ply', POINTS, {'name': np.array(['a', 'b', 'c'])}),
        ('absent/cloud.ply', POINTS, {}),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_no_file(tmp_path, name, points, columns):
    with pytest.raises(CloudFileError) as error:
        write_cloud(tmp_path / name, points, columns)
    assert error.value.fix
    assert not list(tmp_path.iterdir())


# --- PCD -----------------------------------------------------------------------------------------


def test_ascii_pcd_keeps_every_float(tmp_path):
    path = tmp_path / 'cloud.pcd'
    columns = {axis: POINTS[:, index] for index, axis in enumerate('xyz')} | COLUMNS
    write_pcd(path, columns, ascii_text=True)
    cloud = read_cloud(path)
    np.testing.assert_array_equal(cloud.points, POINTS)
    np.testing.assert_array_equal(cloud.features['class_id'], COLUMNS['class_id'])


def test_compressed_pcd_holds_columns_one_after_another(tmp_path):
    count = 3000
    points = np.random.default_rng(0).normal(size=(count, 3)).astype('<f4').round(1)
    ring = (np.arange(count) % 16).astype('<u2')
    body = b''.join(points[:, axis].tobytes() for axis in range(3)) + ring.tobytes()
    compressed = compress(body)
    assert len(compressed) < len(body)
    path = tmp_path / 'cloud.pcd'
    header = pcd_text(
        '', FIELDS='x y z ring', SIZE='4 4 4 2', TYPE='F F F U', WIDTH='1000', HEIGHT='3',
        POINTS='3000', DATA='binary_compressed',
    )  # fmt: skip
    path.write_bytes(header + struct.pack('<II', len(compressed), len(body)) + compressed)
    cloud = read_cloud(path)
    np.testing.assert_array_equal(cloud.points, points)
    np.testing.assert_array_equal(cloud.features['ring'], ring)
    assert (cloud.width, cloud.height) == (1000, 3)
    path.write_bytes(path.read_bytes()[:-1])
    assert 'compressed' in error_of(path).message


@given(st.binary(max_size=3000), st.integers(1, 40), st.integers(0, 2**32))
def test_lzf_restores_any_bytes(data, alphabet, seed):
    repetitive = bytes(random.Random(seed).choices(range(alphabet), k=2000))
    for original in (data, data * 3, repetitive, b'\0' * 5000, b''):
        assert decompress(compress(original), len(original)) == original


@given(st.binary(max_size=200), st.integers(0, 300))
def test_lzf_of_noise_is_an_error_or_the_announced_size(data, size):
    try:
        assert len(decompress(data, size)) == size
    except ValueError as error:
        assert str(error)


def test_binary_pcd_with_padding_double_and_vector_fields(tmp_path):
    row = struct.Struct('<4xdff3fB3x')
    body = row.pack(1, 2, 3, 7, 8, 9, 200) + row.pack(4, 5, 6, 70, 80, 90, 100)
    path = tmp_path / 'cloud.pcd'
    header = pcd_text(
        '', FIELDS='_ x y z normal intensity _', SIZE='1 8 4 4 4 1 1', TYPE='U F F F F U U',
        COUNT='4 1 1 1 3 1 3', DATA='binary',
    )  # fmt: skip
    path.write_bytes(header + body)
    cloud = read_cloud(path)
    assert cloud.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.features['intensity'].tolist() == [200, 100]
    assert cloud.features['normal_2'].tolist() == [9, 90]
    assert cloud.fields == ('x', 'y', 'z', 'normal_0', 'normal_1', 'normal_2', 'intensity')


def test_pcd_of_old_versions_may_lack_count_height_and_points(tmp_path):
    path = tmp_path / 'cloud.pcd'
    path.write_bytes(pcd_text(VERSION='.5', COUNT=None, HEIGHT=None, POINTS=None, VIEWPOINT=None))
    assert read_cloud(path).points.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', 'no DATA line'),
        (b'noise \xff' * 500, 'no DATA line'),
        (pcd_text(FIELDS=None), 'FIELDS'),
        (pcd_text(FIELDS='x y q intensity'), "'z'"),
        (pcd_text(FIELDS='x y z x'), 'twice'),
        (pcd_text(SIZE='4 4 4'), 'SIZE'),
        (pcd_text(SIZE='4 4 3 4'), "'z'"),
        (pcd_text(TYPE='F F Q F'), "'z'"),
        (pcd_text(COUNT='1 1 1 x'), 'COUNT'),
        (pcd_text(WIDTH=None, POINTS=None), 'WIDTH'),
        (pcd_text(WIDTH='-2'), 'WIDTH'),
        (pcd_text(WIDTH='3', POINTS='4'), 'POINTS'),
        (pcd_text(WIDTH='99999999999', POINTS='99999999999'), 'at most'),
        (pcd_text(DATA='carved in stone'), 'DATA'),
        (pcd_text(DATA='binary'), 'bytes follow DATA'),
        (pcd_text(DATA='binary_compressed', data=''), 'ends before'),
        (pcd_text(data='1 2 3 4\n'), 'lines follow'),
        (pcd_text(data='1 2 3\n4 5 6\n'), '3 numbers'),
        (pcd_text(data='1 2 3 4\n5 6 seven 8\n'), 'seven'),
    ],
)
def test_malformed_pcd_names_the_field(tmp_path, content, words):
    path = tmp_path / 'cloud.pcd'
    path.write_bytes(content)
    assert words in error_of(path).message


# --- PLY -----------------------------------------------------------------------------------------

PLY_HEADER = """ply
format {form} 1.0
comment made by hand
element vertex 2
property double x
property float y
property float z
property uchar red
property list uchar int neighbours
element face 1
property list uchar int vertex_indices
end_header
"""


@pytest.mark.parametrize('form', ['ascii', 'binary_little_endian', 'binary_big_endian'])
def test_ply_of_every_encoding_with_lists_and_faces(tmp_path, form):
    path = tmp_path / 'cloud.ply'
    content = PLY_HEADER.format(form=form).encode()
    if form == 'ascii':
        content += b'1 2 3 255 1 9\n4 5 6 0 2 8 7\n3 0 1 0\n'
    else:
        order = '<' if 'little' in form else '>'
        content += struct.pack(f'{order}dffBBi', 1, 2, 3, 255, 1, 9)
        content += struct.pack(f'{order}dffBBii', 4, 5, 6, 0, 2, 8, 7)
        content += struct.pack(f'{order}Biii', 3, 0, 1, 0)
    path.write_bytes(content)
    cloud = read_cloud(path)
    assert cloud.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.features['red'].tolist() == [255, 0]
    assert 'neighbours' not in cloud.features


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', "not 'ply'"),
        (b'ply\nformat ascii 1.0\n', 'end_header'),
        (b'ply\nformat ascii 1.0\nelement face 0\nend_header\n', 'no element vertex'),
        (b'ply\nformat ascii 1.0\nelement vertex 999999999999\nend_header\n', 'at most'),
        (
            b'ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\n',
            '1 numbers',
        ),
        (
            b'ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n',
            "'y'",
        ),
        (b'ply\nformat runes 1.0\nelement vertex 1\nend_header\n', 'format'),
    ],
)
def test_malformed_ply_says_what_is_wrong(tmp_path, content, words):
    path = tmp_path / 'cloud.ply'
    path.write_bytes(content)
    assert words in error_of(path).message


# --- arrays --------------------------------------------------------------------------------------


def test_bin_holds_kitti_columns_unless_told_otherwise(tmp_path):
    rows = np.arange(20, dtype='<f4') / 8
    kitti, nuscenes = tmp_path / 'scan.bin', tmp_path / 'scan.pcd.bin'
    kitti.write_bytes(rows.tobytes())
    nuscenes.write_bytes(rows.tobytes())
    cloud = read_cloud(kitti)
    np.testing.assert_array_equal(cloud.points, rows.reshape(5, 4)[:, :3])
    np.testing.assert_array_equal(cloud.features['intensity'], rows.reshape(5, 4)[:, 3])
    named = read_cloud(kitti, columns=('z', 'y', 'x', 'time', 'ring'))
    np.testing.assert_array_equal(named.points, rows.reshape(4, 5)[:, [2, 1, 0]])
    assert named.features['time'].tolist() == [0, 0.625, 1.25, 1.875]
    by_name = read_cloud(nuscenes)
    np.testing.assert_array_equal(by_name.features['ring'], rows.reshape(4, 5)[:, 4])


def test_bin_of_the_wrong_size_suggests_other_layouts(tmp_path):
    path = tmp_path / 'scan.bin'
    path.write_bytes(bytes(4 * 5 * 3))
    message = error_of(path).message
    assert '60 bytes' in message
    assert '3 or 5 floats would fit' in message


@pytest.mark.parametrize('dtype', ['<f4', '>f8', '<i2'])
@pytest.mark.parametrize('order', ['C', 'F'])
def test_npy_of_any_numbers(tmp_path, dtype, order):
    rows = np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], dtype, order=order)
    np.save(tmp_path / 'cloud.npy', rows)
    cloud = read_cloud(tmp_path / 'cloud.npy')
    assert cloud.points.tolist() == [[1, 2, 3], [6, 7, 8]]
    assert cloud.fields == ('x', 'y', 'z', 'intensity', 'column_5')
    assert cloud.features['column_5'].tolist() == [5, 10]


def test_integer_coordinates_of_files_take_the_scale(tmp_path):
    np.save(tmp_path / 'cloud.npy', np.array([[1000, 2000, -500]], np.int32))
    cloud = read_cloud(tmp_path / 'cloud.npy', limits=CloudLimits(integer_scale_m=0.001))
    np.testing.assert_allclose(cloud.points, [[1, 2, -0.5]], rtol=1e-6)


def test_npz_takes_points_and_columns_of_the_same_length(tmp_path):
    np.savez(
        tmp_path / 'cloud.npz', points=POINTS, labels=COLUMNS['class_id'], other=np.zeros((2, 2)),
        classes=np.array(['road', 'car', 'tree']), frame_start=np.arange(2),
    )  # fmt: skip
    cloud = read_cloud(tmp_path / 'cloud.npz')
    np.testing.assert_array_equal(cloud.points, POINTS)
    assert cloud.features.keys() == {'labels'}
    np.savez(tmp_path / 'single.npz', anything=POINTS)
    np.testing.assert_array_equal(read_cloud(tmp_path / 'single.npz').points, POINTS)


class Bomb:
    def __reduce__(self):
        return (exec, ('raise SystemExit("a pickle was executed")',))


def test_pickles_are_never_executed(tmp_path):
    np.save(tmp_path / 'cloud.npy', np.array([Bomb()], object), allow_pickle=True)
    np.savez(tmp_path / 'cloud.npz', points=np.array([Bomb()], object))
    (tmp_path / 'plain.npy').write_bytes(pickle.dumps(Bomb()))
    for name in ('cloud.npy', 'cloud.npz', 'plain.npy'):
        assert name in error_of(tmp_path / name).message


def test_archive_that_unpacks_to_more_than_the_limit_is_refused(tmp_path):
    np.savez_compressed(tmp_path / 'cloud.npz', points=np.zeros((100_000, 3), np.float32))
    assert (tmp_path / 'cloud.npz').stat().st_size < 10_000
    error = error_of(tmp_path / 'cloud.npz', limits=CloudLimits(max_bytes=10_000))
    assert 'unpacks to' in error.message


@pytest.mark.parametrize(
    'array', [np.zeros(4), np.zeros((4, 2)), np.zeros((2, 2, 2)), np.float32(1)]
)
def test_arrays_of_other_shapes_are_refused(tmp_path, array):
    np.save(tmp_path / 'cloud.npy', array)
    assert 'shape' in error_of(tmp_path / 'cloud.npy').message


def test_text_columns_and_ambiguous_archives_are_refused(tmp_path):
    np.save(tmp_path / 'text.npy', np.array([['a', 'b', 'c']]))
    assert 'expected numbers' in error_of(tmp_path / 'text.npy').message
    np.savez(tmp_path / 'two.npz', a=POINTS, b=POINTS)
    assert "'points'" in error_of(tmp_path / 'two.npz').message


@pytest.mark.parametrize('suffix', ['.npy', '.npz', '.bin', '.pcd', '.ply'])
@pytest.mark.parametrize(
    'content', [b'', b'x', b'PK\x03\x04' + bytes(50), b'\x93NUMPY\x01\x00\xff']
)
def test_noise_never_escapes_as_another_exception(tmp_path, suffix, content):
    path = tmp_path / f'noise{suffix}'
    path.write_bytes(content)
    if suffix == '.bin' and not content:
        assert len(read_cloud(path)) == 0
    else:
        error_of(path)


def test_damaged_archive_is_an_error_of_the_file(tmp_path):
    path = tmp_path / 'cloud.npz'
    np.savez(path, points=POINTS)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        offset = archive.infolist()[0].header_offset + 180
    content[offset : offset + 8] = b'\xff' * 8
    path.write_bytes(content)
    assert path.name in error_of(path).message


@pytest.mark.parametrize('suffix', WRITABLE)
def test_point_limit_holds_for_files(tmp_path, suffix):
    path = tmp_path / f'cloud{suffix}'
    write_cloud(path, POINTS)
    assert len(read_cloud(path, limits=CloudLimits(max_points=3))) == 3
    assert 'at most 2' in error_of(path, limits=CloudLimits(max_points=2)).message


def test_absent_file_folder_and_unknown_ending_are_named(tmp_path):
    error_of(tmp_path / 'absent.pcd')
    (tmp_path / 'folder.pcd').mkdir()
    error_of(tmp_path / 'folder.pcd')
    (tmp_path / 'cloud.obj').write_bytes(b'v 1 2 3')
    assert '.pcd' in error_of(tmp_path / 'cloud.obj').fix


def test_columns_get_the_names_the_network_knows(tmp_path):
    path = tmp_path / 'cloud.ply'
    write_cloud(
        path, POINTS, {'reflectivity': COLUMNS['intensity'], 'line': COLUMNS['class_id'],
                       'r': COLUMNS['class_id']},
    )  # fmt: skip
    assert read_cloud(path).features.keys() == {'intensity', 'ring', 'r'}


def test_capital_coordinates_are_coordinates(tmp_path):
    path = tmp_path / 'cloud.pcd'
    path.write_bytes(pcd_text(FIELDS='X Y Z Intensity'))
    cloud = read_cloud(path)
    assert cloud.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.features.keys() == {'intensity'}


def test_real_kitti_scan(data_root):
    path = data_root / 'kitti_raw_10f' / 'velodyne' / '0000000000.bin'
    if not path.is_file():
        pytest.skip(f'no scan {path}')
    cloud = read_cloud(path)
    assert len(cloud) > 100_000
    assert cloud.finite.all()
    assert np.linalg.norm(cloud.points, axis=1).max() < 130
    assert cloud.features['intensity'].max() <= 1
