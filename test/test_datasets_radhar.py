# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""RadHAR: text and packed form say the same, whole recordings are held out, cut files are named."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_samples import radar_points, write_radar_npz, write_radar_text
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.datasets.actions.radhar import CLASSES, radhar
from pointata_core.datasets.errors import DataError
from pointata_core.datasets.sampling import ClipSampling

COUNTS = (3, 1, 4, 2)
WHOLE = ClipSampling('whole')


@pytest.fixture
def published(tmp_path):
    """Five recordings of one series and one of another to train with, one to test."""
    rows, times = radar_points(COUNTS)
    for number in range(1, 6):
        write_radar_text(tmp_path / f'Train/jump/___20_jump_{number}.txt', COUNTS, rows, times)
    write_radar_text(tmp_path / 'Train/walk/walk_20_11.txt', COUNTS, rows, times)
    write_radar_text(tmp_path / 'Test/boxing/__20_boxing_6.txt', COUNTS, rows, times)
    (tmp_path / 'Train/jump/.DS_Store').write_bytes(b'')
    return tmp_path


@settings(max_examples=20)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(0, 100))
def test_text_and_packed_form_give_the_same_clips(tmp_path_factory, counts, seed):
    folder = tmp_path_factory.mktemp('radhar')
    rows, times = radar_points(counts, seed)
    write_radar_text(folder / 'text/Train/walk/_walk_20_1.txt', counts, rows, times)
    (folder / 'npz').mkdir()
    write_radar_npz(folder / 'npz/Train__walk___walk_20_1.npz', counts, rows, times)
    text, packed = (radhar(folder / form, sampling=WHOLE)[0] for form in ('text', 'npz'))
    assert text.sequence == packed.sequence == 'train/walk/_walk_20_1'
    assert [len(cloud) for cloud in text.points] == counts
    np.testing.assert_array_equal(np.concatenate(text.points), rows[:, :3])
    np.testing.assert_array_equal(np.concatenate(text.features), rows[:, 3:])
    for one, other in zip(text.points + text.features, packed.points + packed.features):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(text.times_s, np.arange(len(counts)) / 32, atol=1e-6)
    np.testing.assert_allclose(packed.times_s, np.arange(len(counts)) / 32, atol=1e-6)


PUBLISHED = """header: 
  seq: 6450
  stamp: 
    secs: 1561686677
    nsecs:  32364584
  frame_id: "ti_mmwave"
point_id: 0
x: 1.62109375
y: -0.0
z: -0.138671875
range: 1.78665578365
velocity: 0.0
doppler_bin: 8
bearing: -0.0
intensity: 29.670797348
---
header: 
  seq: 6451
  stamp: 
    secs: 1561686677
    nsecs:  32376049
  frame_id: "ti_mmwave"
point_id: 1
x: 1.65234375
y: -0.8046875
z: 0.09375
range: 1.96096372604
velocity: -1.22933733463
doppler_bin: 6
bearing: -25.9659729004
intensity: 23.1597042084
---
header: 
  seq: 6452
  stamp: 
    secs: 1561686678
    nsecs:         0
  frame_id: "ti_mmwave"
point_id: 0
x: 1.6875
y: 0.5
z: 0.1
range: 2e-05
velocity: 0.0
doppler_bin: 8
bearing: 16.41
intensity: 30.0
---
"""  # noqa: W291 - rostopic prints blanks after these colons


@pytest.mark.parametrize('ending', ['\n', '\r\n'], ids=['LF', 'CRLF'])
@pytest.mark.parametrize('home', ['', 'Data', 'RadHAR-master/Data'])
def test_text_is_read_as_it_is_published(tmp_path, home, ending):
    """Nanoseconds below 100,000,000 are padded; git for Windows turns line ends."""
    path = tmp_path / home / 'Train/jack/jacks_122s.txt'
    path.parent.mkdir(parents=True)
    path.write_bytes(PUBLISHED.replace('\n', ending).encode())
    (path.parent / '._jacks_122s.txt').write_bytes(b'\0\5\26\7')
    dataset = radhar(tmp_path, sampling=WHOLE)
    clip = dataset[0]
    assert [error for error in dataset.verify() if error] == []
    assert (clip.sequence, dataset.classes[clip.action]) == ('train/jack/jacks_122s', 'jack')
    assert [len(cloud) for cloud in clip.points] == [2, 1]
    np.testing.assert_allclose(clip.points[0][1], [1.65234375, -0.8046875, 0.09375])
    np.testing.assert_allclose(clip.features[1][0, 0], 2e-5)
    np.testing.assert_allclose(clip.times_s, [0, 0.967635416], atol=1e-6)


@pytest.mark.parametrize('stem', ['jacks_122s', 'jacks', '20 jacks (7)', '__20_jacks_7'])
def test_no_name_of_a_recording_is_passed_over(tmp_path, stem):
    rows, times = radar_points(COUNTS)
    write_radar_text(tmp_path / f'Test/jack/{stem}.txt', COUNTS, rows, times)
    names = [r.name for r in radhar(tmp_path, 'test', sampling=WHOLE).recordings]
    assert names == [f'test/jack/{stem}']


def test_files_of_an_unknown_class_are_mentioned(published):
    rows, times = radar_points(COUNTS)
    write_radar_text(published / 'Train/crawl/crawl_1.txt', COUNTS, rows, times)
    notes = radhar(published).describe().notes
    assert any("1 files are not read: their class 'crawl'" in note for note in notes)


def test_a_recording_that_begins_within_a_frame_keeps_that_part(tmp_path):
    rows, times = radar_points(COUNTS)
    write_radar_text(tmp_path / 'Train/walk/walk_1.txt', COUNTS, rows, times, first_id=7)
    clip = radhar(tmp_path, sampling=WHOLE)[0]
    assert [len(cloud) for cloud in clip.points] == list(COUNTS)


def test_train_and_test_are_as_published_and_the_last_of_each_series_is_held_out(published):
    names = {
        split: [r.name for r in radhar(published, split).recordings]
        for split in ('train', 'test', 'fit', 'validation')
    }
    series = [f'train/jump/___20_jump_{n}' for n in range(1, 6)]
    assert names['train'] == [*series, 'train/walk/walk_20_11']
    assert names['test'] == ['test/boxing/__20_boxing_6']
    assert names['validation'] == series[-1:]
    assert names['fit'] == [*series[:-1], 'train/walk/walk_20_11']


def test_windows_are_two_seconds_long_and_begin_every_ten_frames(tmp_path):
    counts = [1] * 85
    write_radar_npz(tmp_path / 'Train__squats__squats_1.npz', counts, *radar_points(counts))
    dataset = radhar(tmp_path)
    assert len(dataset) == 3
    assert dataset[2].frames.tolist() == list(range(20, 80))
    assert dataset.classes[dataset[2].action] == 'squats'
    assert dataset[2].features[0].shape == (1, len(dataset.feature_names))


@pytest.mark.parametrize('cut', [1, 8, 30, 120, 160])
def test_text_cut_within_a_message_is_told_from_a_whole_one(published, cut):
    path = published / 'Train/jump/___20_jump_2.txt'
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - len(b'---\n') - cut])
    problems = [error for error in radhar(published).verify() if error is not None]
    assert [error.path for error in problems] == [path]
    assert 'for 10 points' in problems[0].message or 'for 9 points' in problems[0].message


def test_text_of_something_else_is_named(published):
    path = published / 'Train/jump/___20_jump_2.txt'
    path.write_text('404: Not Found\n')
    with pytest.raises(DataError, match='without a point') as error:
        radhar(published)
    assert error.value.path == path


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'points': np.zeros((10, 7), np.float32)}, r'\(10, 7\)'),
        ({'frame_start': np.array([0, 3, 2, 5])}, 'rising'),
        ({'frame_start': np.array([0, 3, 4, 50])}, 'within'),
        ({'frame_time': np.zeros(3)}, '3 frame_time'),
    ],
)
def test_packed_files_that_contradict_themselves_are_named(tmp_path, change, words):
    path = tmp_path / 'Train__walk__walk_1.npz'
    write_radar_npz(path, COUNTS, *radar_points(COUNTS))
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, **change})
    with pytest.raises(DataError, match=words) as error:
        radhar(tmp_path, sampling=WHOLE)[0]
    assert path.name in error.value.message


def test_a_cut_packed_file_is_named(tmp_path):
    path = write_radar_npz(tmp_path / 'Train__walk__walk_1.npz', COUNTS, *radar_points(COUNTS))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=path.name):
        radhar(tmp_path)
    assert len(radhar(tmp_path, strict=False).describe().damaged) == 1


def test_nothing_of_the_kind_is_said_plainly(tmp_path):
    (tmp_path / 'notes.txt').write_text('hello')
    with pytest.raises(DataError, match=r'Train/CLASS/NAME\.txt'):
        radhar(tmp_path)


def test_real_recordings_have_a_few_points_thirty_times_a_second(data_root):
    root = data_root / 'radhar_train'
    if not root.is_dir():
        pytest.skip(f'no data set {root}')
    fit, validation = radhar(root, 'fit'), radhar(root, 'validation')
    assert len(fit.recordings) + len(validation.recordings) == 131
    assert set(validation.labels) == set(range(len(CLASSES)))
    clip = validation[0]
    assert 10 < np.mean([len(cloud) for cloud in clip.points]) < 40
    assert 1.5 < clip.times_s[-1] - clip.times_s[0] < 2.5
    ranges = np.concatenate([features[:, 0] for features in clip.features])
    distances = np.linalg.norm(np.concatenate(clip.points), axis=1)
    assert np.corrcoef(ranges, distances)[0, 1] > 0.98
