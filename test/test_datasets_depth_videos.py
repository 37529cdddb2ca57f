# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""UTD-MHAD, MSR-Action3D and NTU RGB+D: right points, right splits, plain words about bad files."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_samples import depth_video, write_clouds, write_msr_mat, write_msr_raw, write_utd
from PIL import Image
from scipy.io import savemat

from pointata_core.datasets.actions import ntu_rgbd
from pointata_core.datasets.actions.msr_action3d import (
    BODY_UNIT_MM,
    REFERENCE_SAMPLING,
    msr_action3d,
    read_depth,
)
from pointata_core.datasets.actions.ntu_classes import NTU_CLASSES
from pointata_core.datasets.actions.utd_mhad import utd_mhad
from pointata_core.datasets.errors import DataError
from pointata_core.datasets.files.mat_files import array_shape
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError

WHOLE = ClipSampling('whole')


def rows_of(cloud):
    return [tuple(row) for row in np.asarray(cloud, np.float64).round(5).tolist()]


# UTD-MHAD


@pytest.fixture
def utd(tmp_path):
    for number, subject in enumerate((1, 2, 3, 5, 7, 8)):
        write_utd(tmp_path, (number + 3, subject, 1), depth_video(2 + number, 240, 320, number))
    return tmp_path


def test_utd_points_are_those_of_a_pinhole_camera(tmp_path):
    video = np.zeros((2, 240, 320), np.uint16)
    video[0, 10, 300] = 2000
    video[0, 130, 30] = 1500
    write_utd(tmp_path, (1, 1, 1), video)
    clip = utd_mhad(tmp_path, sampling=WHOLE)[0]
    expected = [
        (140 * 2 / 285.63, -110 * 2 / 285.63, 2.0),
        (-130 * 1.5 / 285.63, 10 * 1.5 / 285.63, 1.5),
    ]
    np.testing.assert_allclose(clip.points[0], expected, rtol=1e-6)
    assert clip.points[1].shape == (0, 3)
    assert (clip.action, clip.subject) == (0, '1')
    np.testing.assert_allclose(clip.times_s, [0, 1 / 30])


def test_videos_with_z_up_show_the_same_points_in_the_axes_of_a_lidar(tmp_path):
    """What was to the right, below and ahead has a negative y, a negative z and a positive x."""
    utd, msr = tmp_path / 'utd', tmp_path / 'msr'
    utd.mkdir(), msr.mkdir()
    write_utd(utd, (1, 1, 1), depth_video(2, 240, 320, 3))
    write_msr_raw(msr, 'a01_s01_e01', depth_video(2, 240, 320, 4))
    for openly, folder in ((utd_mhad, utd), (msr_action3d, msr)):
        plain = openly(folder, sampling=WHOLE)[0].points
        turned = openly(folder, sampling=WHOLE, z_up=True)[0].points
        for before, after in zip(plain, turned, strict=True):
            assert len(before) and after.dtype == np.float32
            np.testing.assert_array_equal(
                after, np.stack([before[:, 2], -before[:, 0], -before[:, 1]], 1)
            )


def test_utd_splits_go_by_subject(utd):
    subjects = {
        split: sorted(int(r.subject) for r in utd_mhad(utd, split).recordings)
        for split in ('train', 'test', 'fit', 'validation')
    }
    assert subjects == {
        'train': [1, 3, 5, 7], 'test': [2, 8], 'fit': [1, 3, 5], 'validation': [7],
    }  # fmt: skip
    assert [r.length for r in utd_mhad(utd, 'train').recordings] == [2, 4, 5, 6]


def test_utd_settings_can_be_chosen_on_a_training_subject_that_judges_nothing_else(utd):
    splits = {
        split: sorted(int(r.subject) for r in utd_mhad(utd, split, subjects=[1, 3, 5]).recordings)
        for split in ('train', 'test', 'fit', 'validation')
    }
    assert splits == {
        'train': [1, 3, 5], 'test': [2, 8], 'fit': [1, 3], 'validation': [5],
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r'subjects are \[1, 2\]'):
        utd_mhad(utd, subjects=[1, 2])


def test_utd_is_also_found_in_the_folder_of_the_release(utd, tmp_path):
    (utd / 'Depth').mkdir()
    for path in list(utd.glob('*.mat')):
        path.rename(utd / 'Depth' / path.name)
    assert utd_mhad(utd).describe().counts['train']['videos'] == 4


def test_utd_tells_what_is_missing_but_not_what_was_never_released(utd):
    missing = utd_mhad(utd, 'train').describe().missing
    assert len(missing) == 431 - 4
    assert 'a27_s7_t4_depth.mat' in missing
    assert 'a8_s1_t4_depth.mat' not in missing
    assert len(utd_mhad(utd, 'test').describe().missing) == 430 - 2


@pytest.mark.parametrize('compress', [True, False])
@pytest.mark.parametrize('name', ['d_depth', 'abc', 'four'])
def test_shape_of_a_matlab_array_is_read_from_its_header(tmp_path, compress, name):
    path = tmp_path / 'file.mat'
    arrays = {'first': np.arange(5000.0), name: np.zeros((3, 4, 5), np.uint16)}
    savemat(path, arrays, do_compression=compress)
    assert array_shape(path, name) == (3, 4, 5)


@pytest.mark.parametrize(
    ('damage', 'words'),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), 'bytes, expected'),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), 'no MATLAB 5 header'),
        (lambda path: savemat(path, {'depth': np.zeros((240, 320, 2))}), 'no array of that name'),
        (lambda path: savemat(path, {'d_depth': np.zeros((320, 240, 2))}), '320, 240, 2'),
        (lambda path: savemat(path, {'d_depth': np.zeros((240, 320))}), r'\(240, 320\)'),
    ],
    ids=['cut', 'header', 'name', 'turned', 'flat'],
)
def test_damaged_utd_files_are_named(utd, damage, words):
    path = utd / 'a5_s3_t1_depth.mat'
    damage(path)
    with pytest.raises(DataError, match=words) as error:
        utd_mhad(utd)
    assert str(path) in error.value.message
    assert error.value.fix
    tolerant = utd_mhad(utd, strict=False)
    assert len(tolerant.recordings) == 3
    assert [e.path for e in tolerant.verify() if e is not None] == [path]


def test_a_utd_file_damaged_within_is_found_by_reading_it(utd):
    path = utd / 'a5_s3_t1_depth.mat'
    content = bytearray(path.read_bytes())
    content[-40:-20] = bytes(20)
    path.write_bytes(content)
    problems = [error for error in utd_mhad(utd).verify() if error is not None]
    assert [error.path for error in problems] == [path]


def test_an_empty_split_is_refused(tmp_path):
    write_utd(tmp_path, (1, 1, 1), depth_video(1, 240, 320))
    with pytest.raises(DataError, match=r'\[2, 4, 6, 8\]'):
        utd_mhad(tmp_path, 'test')


def test_real_utd_videos_show_people_at_a_few_metres(data_root):
    root = data_root / 'utd_mhad_train'
    if not root.is_dir():
        pytest.skip(f'no data set {root}')
    dataset = utd_mhad(root, 'validation')
    assert dataset.describe().counts['validation']['videos'] == 108
    clip = dataset[40]
    cloud = clip.points[0]
    assert len(clip) == 24
    assert 1000 < len(cloud) < 20_000
    low, high = np.percentile(cloud, [1, 99], axis=0)
    assert 2 < low[2] < high[2] < 4
    assert 1.2 < high[1] - low[1] < 2.2


# MSR-Action3D


def test_msr_header_has_the_width_first_and_pixels_become_points(tmp_path):
    video = np.zeros((2, 24, 32), np.uint32)
    video[1, 20, 3] = 70_000  # more than 16 bits hold
    video[1, 2, 30] = 2800
    path = write_msr_raw(tmp_path, 'a07_s03_e02', video)
    assert np.fromfile(path, '<u4', 3).tolist() == [2, 32, 24]
    np.testing.assert_array_equal(read_depth(path), video)
    clip = msr_action3d(tmp_path, sampling=WHOLE)[0]
    assert rows_of(clip.points[1]) == [(0.14, -0.1, 2.8), (-3.25, 2.0, 70.0)]
    assert len(clip.points[0]) == 0
    assert (clip.action, clip.subject) == (6, '3')


def test_raw_and_converted_msr_give_the_same_points(tmp_path):
    video = depth_video(4, 24, 32)
    for kind in ('raw', 'converted'):
        (tmp_path / kind).mkdir()
    write_msr_raw(tmp_path / 'raw', 'a01_s01_e01', video)
    clouds = []
    for frame in video:
        row, column = np.nonzero(frame)
        z = frame[row, column].astype(float)
        clouds.append(np.stack([(column - 16) / 280 * z, (row - 12) / 280 * z, z], axis=1))
    for name in ('a01_s01_e01_sdepth', 'a01_s01_e02'):  # as MeteorNet and as DiMP name them
        write_clouds(tmp_path / 'converted' / f'{name}.npz', 'point_clouds', clouds)
    raw = msr_action3d(tmp_path / 'raw', sampling=WHOLE)[0]
    converted = msr_action3d(tmp_path / 'converted', sampling=WHOLE)
    assert len(converted) == 2
    for clip in converted:
        for ours, theirs in zip(raw.points, clip.points, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_raw_and_matlab_msr_give_the_same_points(tmp_path):
    video = depth_video(4, 24, 32)
    for kind in ('raw', 'matlab/Depth'):
        (tmp_path / kind).mkdir(parents=True)
    write_msr_raw(tmp_path / 'raw', 'a01_s01_e01', video)
    write_msr_mat(tmp_path / 'matlab/Depth', 'a01_s01_e01', video)
    raw, matlab = (msr_action3d(tmp_path / kind, sampling=WHOLE) for kind in ('raw', 'matlab'))
    assert [e for e in matlab.verify() if e] == []
    assert raw.describe() == matlab.describe()
    for ours, theirs in zip(raw[0].points, matlab[0].points, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ('damage', 'words'),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), 'bytes, expected'),
        (lambda path: savemat(path, {'d_depth': np.zeros((4, 8, 2))}), 'no array of that name'),
        (lambda path: savemat(path, {'depth': np.zeros((4, 8))}), r'\(4, 8\)'),
    ],
    ids=['cut', 'name', 'flat'],
)
def test_damaged_msr_matlab_files_are_named(tmp_path, damage, words):
    path = write_msr_mat(tmp_path, 'a01_s01_e01', depth_video(3, 24, 32))
    damage(path)
    with pytest.raises(DataError, match=words) as error:
        msr_action3d(tmp_path)
    assert error.value.path == path


def test_real_msr_videos_show_people_at_a_few_metres(data_root):
    root = data_root / 'msr_action3d_train'
    if not root.is_dir():
        pytest.skip(f'no data set {root}')
    dataset = msr_action3d(root, 'validation', unit_mm=BODY_UNIT_MM)
    assert {recording.subject for recording in dataset.recordings} == {'5'}
    assert msr_action3d(root).describe().counts['train']['videos'] == 266
    clip = dataset[40]
    assert 1000 < len(clip.points[0]) < 30_000
    low, high = np.percentile(clip.points[0], [1, 99], axis=0)
    assert 2.3 < low[2] < high[2] < 3
    assert 1.5 < high[1] - low[1] < 1.9


@pytest.mark.parametrize('counts', [(5, 7, 0, 2), (6, 6, 6)])
def test_ragged_and_equal_clouds_are_both_read(tmp_path, counts):
    clouds = [np.random.default_rng(n).normal(size=(n, 3)) * 1000 for n in counts]
    write_clouds(tmp_path / 'a01_s01_e01_sdepth.npz', 'point_clouds', clouds)
    np.savez(
        tmp_path / 'a01_s01_e02_sdepth.npz',
        point_clouds=np.array([c for c in clouds if len(c)], object),
    )
    first, second = msr_action3d(tmp_path, sampling=WHOLE)
    for cloud, ours in zip(clouds, first.points, strict=True):
        np.testing.assert_allclose(ours, cloud / 1000, rtol=1e-6)
    assert len(second) == sum(map(bool, counts))


def test_msr_splits_go_by_subject_and_short_videos_vanish_as_in_public_loaders(tmp_path):
    for subject, length in enumerate((23, 24, 26, 30, 25, 23, 24), start=1):
        write_msr_raw(tmp_path, f'a01_s{subject:02d}_e01', depth_video(length, 4, 8, subject))
    splits = ('train', 'test', 'fit', 'validation')
    clean = {s: msr_action3d(tmp_path, s) for s in splits}
    assert {s: len(d.recordings) for s, d in clean.items()} == {
        'train': 5, 'test': 2, 'fit': 4, 'validation': 1,
    }  # fmt: skip
    reference = msr_action3d(tmp_path, 'train', sampling=REFERENCE_SAMPLING)
    assert (len(reference), len(clean['train'])) == (0 + 1 + 3 + 7 + 2, 1 + 1 + 3 + 7 + 2)
    assert reference[0].points[0].shape == (2048, 3)


def test_files_that_would_run_code_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / 'ran'), 'w'))

    video = np.empty(2, object)
    video[:] = [Trap(), Trap()]
    np.savez(tmp_path / 'a01_s01_e01_sdepth.npz', point_clouds=video)
    problem = next(msr_action3d(tmp_path).verify())
    assert 'not allowed' in problem.message
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    ('damage', 'words'),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-4]), '3 frames of 8 x 4'),
        (lambda path: path.write_bytes(b'12345'), 'a header of 12 bytes'),
        (lambda path: path.write_bytes(bytes(12)), 'no frames'),
        (lambda path: path.rename(path.with_name('a21_s01_e01_sdepth.bin')), 'one of 1 to 20'),
    ],
    ids=['cut', 'header', 'empty', 'action'],
)
def test_damaged_msr_files_are_named(tmp_path, damage, words):
    path = write_msr_raw(tmp_path, 'a01_s01_e01', depth_video(3, 4, 8))
    damage(path)
    with pytest.raises(DataError, match=words) as error:
        msr_action3d(tmp_path)
    assert '_sdepth.bin' in error.value.message


def test_cut_and_wrong_converted_files_are_named(tmp_path):
    path = write_clouds(tmp_path / 'a01_s01_e01_sdepth.npz', 'clouds', [np.zeros((2, 3))])
    with pytest.raises(DataError, match="'point_clouds'"):
        msr_action3d(tmp_path)
    write_clouds(path, 'point_clouds', [np.zeros((2, 3))] * 3)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=path.name):
        msr_action3d(tmp_path)
    write_clouds(path, 'point_clouds', [np.zeros((2, 4))])
    problem = next(msr_action3d(tmp_path).verify())
    assert '(2, 4)' in problem.message


# NTU RGB+D


def ntu_name(setup, camera, performer, action):
    return f'S{setup:03d}C{camera:03d}P{performer:03d}R001A{action:03d}'


@pytest.fixture
def ntu(tmp_path):
    names = [
        ntu_name(1, 1, 1, 1), ntu_name(1, 2, 3, 60), ntu_name(2, 3, 2, 61),
        ntu_name(18, 1, 103, 100), ntu_name(19, 2, 106, 120), ntu_name(1, 2, 38, 7),
    ]  # fmt: skip
    for length, name in enumerate(names, start=45):
        write_clouds(tmp_path / f'{name}.npz', 'data', [np.full((2, 3), 0.02)] * length)
    return tmp_path


def test_ntu_protocols_divide_by_performer_camera_and_setup(ntu):
    def names(factory, split):
        return [r.name[:16].replace('R', '') for r in factory(ntu, split, strict=False).recordings]

    assert names(ntu_rgbd.ntu60_xsub, 'train') == ['S001C001P001001', 'S001C002P038001']
    assert names(ntu_rgbd.ntu60_xsub, 'test') == ['S001C002P003001']
    assert names(ntu_rgbd.ntu60_xsub, 'validation') == ['S001C002P038001']
    assert names(ntu_rgbd.ntu60_xview, 'test') == ['S001C001P001001']
    assert names(ntu_rgbd.ntu60_xview, 'train') == ['S001C002P003001', 'S001C002P038001']
    assert [n[8:] for n in names(ntu_rgbd.ntu120_xsub, 'train')] == [
        'P001001', 'P038001', 'P002001', 'P103001',
    ]  # fmt: skip
    assert [n[:4] for n in names(ntu_rgbd.ntu120_xset, 'train')] == ['S002', 'S018']


def test_ntu_units_labels_and_clips(ntu):
    dataset = ntu_rgbd.ntu120_xset(ntu, sampling=WHOLE)
    clip = dataset[1]
    assert dataset.classes[clip.action] == NTU_CLASSES[99] == 'butt kicks'
    np.testing.assert_allclose(clip.points[0], 0.02 * 65.535, rtol=1e-6)
    windows = ntu_rgbd.ntu60_xsub(ntu)
    assert [r.length for r in windows.recordings] == [45, 50]
    assert windows[1].frames.tolist() == list(range(0, 47, 2))
    reference = ntu_rgbd.ntu60_xsub(ntu, sampling=ntu_rgbd.REFERENCE_SAMPLING)
    assert (len(windows), len(reference)) == (3, 2)
    assert len(set(NTU_CLASSES)) == 120
    assert len(ntu_rgbd.NTU120_PERFORMERS) == 53


def test_ntu_lists_say_what_should_be_there(ntu):
    lines = [f'{path.stem} {45 + n}' for n, path in enumerate(sorted(ntu.glob('*.npz')))]
    (ntu / 'ntu60.list').write_text('\n'.join([*lines, f'{ntu_name(3, 1, 5, 9)} 80']) + '\n')
    with pytest.raises(DataError, match='S003C001P005R001A009'):
        ntu_rgbd.ntu60_xsub(ntu)
    told = ntu_rgbd.ntu60_xsub(ntu, strict=False).describe()
    assert told.missing == ('S003C001P005R001A009',)
    (ntu / 'ntu60.list').write_text('S001C001P001R001A001 forty\n')
    with pytest.raises(DataError, match='line 1'):
        ntu_rgbd.ntu60_xsub(ntu)


def test_a_video_of_another_length_than_listed_is_found_by_reading(ntu):
    (ntu / 'ntu60.list').write_text(f'{ntu_name(1, 1, 1, 1)} 46\n')
    problem = next(ntu_rgbd.ntu60_xsub(ntu).verify())
    assert 'found 45 frames, expected 46' in problem.message


def test_masked_depth_of_ntu_is_read_as_released(tmp_path):
    folder = tmp_path / 'nturgb+d_depth_masked' / ntu_name(1, 1, 1, 3)
    folder.mkdir(parents=True)
    for frame in range(3):
        image = np.zeros((424, 512), np.uint16)
        image[212 + 28, 256 - 56] = 1000 * (frame + 1)
        Image.fromarray(image).save(folder / f'MDepth-{frame + 1:08d}.png')
    clip = ntu_rgbd.ntu60_xsub(tmp_path, sampling=WHOLE)[0]
    np.testing.assert_allclose(clip.points[2], [[-0.6, 0.3, 3.0]], rtol=1e-6)
    assert clip.action == 2
    last = folder / 'MDepth-00000003.png'
    last.write_bytes(last.read_bytes()[:40])
    problem = next(ntu_rgbd.ntu60_xsub(tmp_path).verify())
    assert 'MDepth-00000003.png' in problem.message
