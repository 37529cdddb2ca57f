# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""HOI4D's challenge files: sequences counted from the files, only what is asked for is read."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
from scene_datasets import write_hdf5, write_hoi4d_actions, write_hoi4d_semantics

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.scenes.hoi4d import (
    ACTION_FILES,
    SEMANTIC_FILES,
    SEMANTIC_NAMES,
    Hoi4dActions,
    Hoi4dSemantics,
)
from pointata_core.errors import ConfigError
from pointata_core.taxonomy import IGNORE


@pytest.fixture
def actions(tmp_path):
    return write_hoi4d_actions(
        tmp_path, [name for names in ACTION_FILES.values() for name in names]
    )


@pytest.fixture
def semantics(tmp_path):
    rows = dict(zip(SEMANTIC_FILES['train'], (3, 3, 3, 1), strict=True))
    return write_hoi4d_semantics(tmp_path, rows | dict.fromkeys(SEMANTIC_FILES['test'], 2))


def test_a_sequence_of_actions_is_one_clip(actions):
    dataset = open_dataset('hoi4d_actions', actions, 'train')
    assert isinstance(dataset, ClipDataset)
    assert len(dataset) == 8
    clip = dataset[5]
    with h5py.File(actions / 'train3.h5') as file:
        np.testing.assert_array_equal(np.stack(clip.points), file['pcd'][1])
        np.testing.assert_array_equal(clip.actions, file['label'][1])
    assert len(clip) == 150
    assert clip.actions.dtype == np.int64
    assert clip.name == 'train3/00001'
    assert len(dataset.classes) == 19
    assert len({dataset[index].name for index in range(len(dataset))}) == 8
    with pytest.raises(IndexError):
        dataset[8]


def test_splits_hold_what_the_challenge_says(actions):
    counts = {split: len(Hoi4dActions(actions, split)) for split in ACTION_FILES}
    assert counts == {'train': 8, 'test': 4, 'test_unlabelled': 2}
    assert Hoi4dActions(actions, 'test_unlabelled')[0].actions is None
    parts = [
        {clip.name for clip in map(dataset.__getitem__, range(len(dataset)))}
        for dataset in (Hoi4dActions(actions, split) for split in ('fit', 'validation', 'train'))
    ]
    assert parts[0] | parts[1] == parts[2]
    assert not parts[0] & parts[1]
    assert parts[1]


def test_semantic_clips_are_consecutive_frames_of_one_sequence(semantics):
    dataset = open_dataset('hoi4d_semantics', semantics, 'train')
    assert len(dataset) == 10 * 2
    clip = dataset[9]  # the fifth sequence, in the second file
    with h5py.File(semantics / 'train2.h5') as file:
        np.testing.assert_array_equal(np.stack(clip.points), file['pcd'][1, 3:6])
    assert clip.frames.tolist() == [3, 4, 5]
    assert clip.sequence == 'train2/00001'
    assert len(Hoi4dSemantics(semantics, 'test')) == 8
    covered = [
        (clip.sequence, frame)
        for clip in map(dataset.__getitem__, range(len(dataset)))
        for frame in clip.frames
    ]
    assert len(covered) == len(set(covered)) == 60


def test_a_rest_of_frames_is_left_out(semantics):
    dataset = Hoi4dSemantics(semantics, 'train', frames_per_clip=4)
    assert len(dataset) == 10
    assert dataset[3].frames.tolist() == [0, 1, 2, 3]


def test_modes_differ_in_unlabelled_points_only(semantics):
    clean = Hoi4dSemantics(semantics, 'train')[0].labels[0]
    reference = Hoi4dSemantics(semantics, 'train', mode='reference')[0].labels[0]
    assert reference.tolist() == (np.arange(50) % 49).tolist()
    np.testing.assert_array_equal(clean == IGNORE, reference < 2)
    np.testing.assert_array_equal(clean[reference >= 2], reference[reference >= 2])


def test_names_go_with_public_ids():
    named = {47: 'hand', 2: 'chair', 48: 'scissors', 31: 'knife', 10: 'garbage can'}
    assert {number: SEMANTIC_NAMES[number] for number in named} == named
    assert sum(not name.startswith('unused') for name in SEMANTIC_NAMES) == 44


def test_another_packing_is_read_right(tmp_path):
    write_hoi4d_semantics(tmp_path, dict(zip(SEMANTIC_FILES['train'], (1, 4, 2, 3), strict=True)))
    dataset = Hoi4dSemantics(tmp_path, 'train')
    sequences = [dataset[index].sequence for index in range(0, len(dataset), 2)]
    assert sequences == [
        f'train{file}/{row:05d}' for file, rows in enumerate((1, 4, 2, 3), 1) for row in range(rows)
    ]
    assert dataset.describe().counts == {'train': {'sequences': 10, 'clips': 20}}


def test_missing_files_are_named_or_counted(actions):
    (actions / 'train2.h5').unlink()
    with pytest.raises(DataError, match=r'train2\.h5 is missing.*pcd \(n, n, n, 3\)'):
        Hoi4dActions(actions)
    tolerant = Hoi4dActions(actions, strict=False)
    assert len(tolerant) == 6
    assert tolerant.describe().missing == ('train2.h5',)


def test_truncated_files_are_named(actions):
    path = actions / 'train4.h5'
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r'train4\.h5.*truncated'):
        Hoi4dActions(actions)
    tolerant = Hoi4dActions(actions, strict=False)
    (message,) = tolerant.describe().damaged
    assert 'train4.h5' in message
    assert sum(error is not None for error in tolerant.verify()) == 1


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'label': None}, 'no array label among center, pcd'),
        ({'label': np.zeros((3, 150), np.int32)}, '3 rows of label'),
        ({'pcd': np.zeros((2, 150, 8, 4), np.float32)}, r'pcd \(2, 150, 8, 4\)'),
    ],
)
def test_files_of_another_form_are_named(actions, change, words):
    with h5py.File(actions / 'train1.h5') as file:
        arrays = {name: file[name][()] for name in file} | change
    arrays = {name: array for name, array in arrays.items() if array is not None}
    write_hdf5(actions / 'train1.h5', **arrays)
    with pytest.raises(DataError, match=words) as error:
        Hoi4dActions(actions)
    assert error.value.path == actions / 'train1.h5'


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [('label', 19, r'labels 19, expected whole numbers in \[0, 19\)'), ('pcd', np.nan, 'NaN')],
)
def test_impossible_content_is_found_by_verify(actions, key, value, words):
    with h5py.File(actions / 'test2.h5', 'r+') as file:
        file[key][1, 7] = value
    found = list(Hoi4dActions(actions, 'test').verify())
    assert [error is None for error in found] == [True, True, True, False]
    with pytest.raises(DataError, match=words):
        raise found[3]


def test_settings_are_checked(semantics):
    with pytest.raises(ConfigError, match='frames_per_clip'):
        Hoi4dSemantics(semantics, frames_per_clip=0)
    with pytest.raises(ConfigError, match='mode'):
        Hoi4dSemantics(semantics, mode='lenient')
    with pytest.raises(DataError, match="no split 'val'"):
        Hoi4dSemantics(semantics, 'val')


def test_data_sets_go_to_worker_processes(actions):
    dataset = Hoi4dActions(actions)
    first = dataset[0]
    again = pickle.loads(pickle.dumps(dataset))[0]
    np.testing.assert_array_equal(np.stack(again.points), np.stack(first.points))
