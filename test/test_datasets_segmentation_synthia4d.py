# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Synthia 4D: clips in order of time, halves that score each point of a scene once."""

from __future__ import annotations

import numpy as np
import pytest
from scene_datasets import write_synthia

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.scenes.synthia4d import (
    CLASSES,
    PUBLISHED_FREQUENCIES,
    Synthia4d,
    class_weights,
    labels_from_raw,
)
from pointata_core.errors import ConfigError
from pointata_core.taxonomy import IGNORE

RAIN, FOG = 'SYNTHIA-SEQS-04-RAINNIGHT', 'SYNTHIA-SEQS-05-FOG'
FRAMES = [(RAIN, 614), (RAIN, 615), (RAIN, 616), (RAIN, 620), (FOG, 3), (FOG, 4)]


@pytest.fixture
def root(tmp_path):
    return write_synthia(tmp_path, 'train_raw.txt', FRAMES)


def stored(root, sequence, number):
    return np.load(root / 'pc' / f'{sequence}-{number:06d}.npz')


def test_a_clip_is_a_frame_and_its_predecessors_oldest_first(root):
    dataset = open_dataset('synthia4d', root, 'train')
    assert isinstance(dataset, ClipDataset)
    clips = {clip.name: clip for clip in map(dataset.__getitem__, range(len(dataset)))}
    assert len(clips) == len(FRAMES)
    clip = clips[f'{RAIN}-000616']
    assert clip.frames.tolist() == [614, 615, 616]
    for number, points, colours in zip(clip.frames, clip.points, clip.features, strict=True):
        np.testing.assert_array_equal(points, stored(root, RAIN, number)['pc'])
        np.testing.assert_allclose(colours, stored(root, RAIN, number)['rgb'], atol=1e-6)
    assert clip.sequence == RAIN


def test_the_last_frame_found_stands_in_for_a_missing_one(root):
    dataset = Synthia4d(root)
    frames = {dataset[index].name: dataset[index].frames.tolist() for index in range(len(dataset))}
    assert frames[f'{RAIN}-000620'] == [620, 620, 620]
    assert frames[f'{RAIN}-000615'] == [614, 614, 615]
    assert frames[f'{FOG}-000003'] == [3, 3, 3]


def test_a_gap_within_a_clip_is_bridged_from_the_newer_side(tmp_path):
    root = write_synthia(tmp_path, 'val_raw.txt', [(FOG, 1), (FOG, 3)])
    newest = Synthia4d(root, 'validation')[1]
    # 2 is missing, so 3 stands in for it; 1 is there again.
    assert newest.frames.tolist() == [1, 3, 3]


def test_raw_ids_become_the_twelve_classes():
    names = ['void', 'sky', 'building', 'road', 'sidewalk', 'fence', 'vegetation', 'pole', 'car']
    names += ['traffic sign', 'pedestrian', 'bicycle', 'lane marking', None, None, 'traffic light']
    labels = labels_from_raw(np.arange(16))
    for raw, name in enumerate(names):
        expected = CLASSES.index(name) if name in CLASSES else IGNORE
        assert labels[raw] == expected, name


def test_weights_favour_rare_classes():
    weights = class_weights()
    assert weights.min() == 1
    assert np.argmin(weights) == CLASSES.index('building')
    assert np.argmax(weights) == CLASSES.index('bicycle')
    assert np.all(np.diff(weights[np.argsort(PUBLISHED_FREQUENCIES)]) <= 0)
    assert sum(PUBLISHED_FREQUENCIES) == pytest.approx(1, abs=1e-4)


def test_halves_share_the_points_of_a_scene_between_them(root):
    whole = Synthia4d(root)
    halves = Synthia4d(root, mode='reference', points=200)
    assert len(halves) == 2 * len(whole)
    for index in range(len(whole)):
        scene = whole[index]
        counted = [set(), set()]
        for half in range(2):
            clip = halves[2 * index + half]
            assert [len(points) for points in clip.points] == [200] * 3
            towards = 1 if half == 0 else -1
            for points, labels in zip(clip.points, clip.labels, strict=True):
                ahead = towards * (points[:, 2] - 10)
                assert ahead.min() > -1
                assert np.all(labels[ahead <= 0] == IGNORE)
                counted[half] |= set(map(tuple, points[labels != IGNORE]))
        every = [
            points[labels != IGNORE]
            for points, labels in zip(scene.points, scene.labels, strict=True)
        ]
        assert counted[0] | counted[1] == set(map(tuple, np.concatenate(every)))
        assert not counted[0] & counted[1]


def test_sampling_is_reproducible_and_differs_between_epochs(root):
    first, second = (Synthia4d(root, mode='reference', points=10) for _ in range(2))
    for index in range(len(first)):
        for a, b in zip(first[index].points, second[index].points, strict=True):
            np.testing.assert_array_equal(a, b)
    second.epoch = 1
    assert any(not np.array_equal(first[i].points[0], second[i].points[0]) for i in range(4))


def test_missing_frames_are_counted_and_named(root):
    (root / 'pc' / f'{RAIN}-000615.npz').unlink()
    dataset = Synthia4d(root)
    description = dataset.describe()
    assert description.counts == {'train': {'sequences': 2, 'frames': 5}}
    assert description.missing == (f'{RAIN}-000615.npz',)
    errors = [error for error in dataset.verify() if error is not None]
    assert len(errors) == 1
    assert '000615.npz is missing' in errors[0].message


def damage(path, **change):
    arrays = dict(np.load(path)) | change
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'semantic': None}, 'semantic'),
        ({'rgb': np.zeros((3, 3))}, r'rgb \(3, 3\)'),
        ({'pc': np.zeros(5)}, r'pc \(5,\)'),
        ({'center': np.zeros(2)}, r'center \(2,\)'),
        ({'semantic': np.full(64, 16)}, 'ids 0 .. 15'),
        ({'pc': np.full((64, 3), np.inf)}, 'infinity'),
        ({'pc': np.array([object()])}, 'allow_pickle'),
    ],
)
def test_damaged_frames_are_named(root, change, words):
    path = root / 'pc' / f'{FOG}-000003.npz'
    damage(path, **change)
    with pytest.raises(DataError, match=words) as error:
        Synthia4d(root)[len(FRAMES) - 1]
    assert error.value.path == path


def test_truncated_frames_are_named(root):
    path = root / 'pc' / f'{FOG}-000004.npz'
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r'000004\.npz.*expected arrays pc'):
        Synthia4d(root)[len(FRAMES) - 1]


def test_lists_are_checked(root):
    with pytest.raises(DataError, match=r'val_raw\.txt is missing'):
        Synthia4d(root, 'validation')
    (root / 'val_raw.txt').write_text('SYNTHIA-SEQS-05-FOG\n')
    with pytest.raises(DataError, match='line 1'):
        Synthia4d(root, 'validation')
    (root / 'val_raw.txt').write_text('\n')
    with pytest.raises(DataError, match='no lines'):
        Synthia4d(root, 'validation')
    with pytest.raises(DataError, match="no split 'val'"):
        Synthia4d(root, 'val')
    with pytest.raises(ConfigError, match='mode'):
        Synthia4d(root, mode='other')


def test_frames_may_lie_beside_the_lists(root):
    for path in (root / 'pc').iterdir():
        path.rename(root / path.name)
    (root / 'pc').rmdir()
    assert len(Synthia4d(root)[2].points[2]) == 64
