# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all data sets promise: records that agree with themselves, names that can be looked up."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dataset_samples import depth_video, write_msr_raw

from pointata_core.datasets.actions.msr_action3d import msr_action3d
from pointata_core.datasets.errors import DataError, require_folder
from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.protocol import Clip, ClipDataset, Frame
from pointata_core.datasets.registry import dataset_info, datasets, open_dataset
from pointata_core.datasets.sampling import ClipSampling

ROOT = Path(__file__).resolve().parents[1]
CLOUD = np.zeros((4, 3), np.float32)


@pytest.fixture
def videos(tmp_path):
    for subject, length in ((1, 5), (2, 7), (5, 3), (6, 4)):
        video = depth_video(length, 24, 32, seed=subject)
        write_msr_raw(tmp_path, f'a0{subject}_s{subject:02d}_e01', video)
    return tmp_path


@pytest.mark.parametrize(
    'fields',
    [
        {'points': [CLOUD.astype(np.float64)]},
        {'points': [CLOUD[:, :2]]},
        {'points': [CLOUD], 'features': [CLOUD[:3]]},
        {'points': [CLOUD], 'labels': [np.arange(4), np.arange(4)]},
        {'points': [CLOUD], 'actions': np.arange(2)},
        {'points': [CLOUD], 'poses': np.zeros((2, 4, 4))},
    ],
)
def test_clips_that_contradict_themselves_are_refused(fields):
    with pytest.raises(ValueError, match=r'points|features|labels|actions|poses'):
        Clip(name='clip', **fields)


@pytest.mark.parametrize('fields', [{'features': CLOUD[:1]}, {'labels': np.arange(5)}])
def test_frames_that_contradict_themselves_are_refused(fields):
    with pytest.raises(ValueError, match='for 4 points'):
        Frame(points=CLOUD, name='frame', **fields)


@pytest.mark.parametrize(
    'info', [i for i in datasets().values() if i.published], ids=lambda info: info.name
)
def test_every_entry_is_complete_and_its_loader_exists(info, tmp_path):
    assert info.layout
    assert info.download
    assert info.licence
    assert info.citation
    assert set(info.published) <= set(info.splits)
    with pytest.raises(DataError) as error:
        info.open(tmp_path, info.splits[0])
    assert str(tmp_path) in error.value.message
    assert error.value.fix


def test_names_are_unique_and_unknown_ones_are_answered_with_those_there_are():
    with pytest.raises(DataError, match='utd_mhad'):
        dataset_info('imagenet')
    with pytest.raises(DataError, match='train, test'):
        open_dataset('utd_mhad', '.', 'holdout')
    assert all(name == info.name for name, info in datasets().items())


def test_a_missing_root_says_what_it_should_hold_and_where_to_get_it(tmp_path):
    with pytest.raises(DataError) as error:
        open_dataset('msr_action3d', tmp_path / 'nowhere')
    assert 'aAA_sSS_eEE' in error.value.message
    assert 'Depth.rar' in error.value.fix


def test_a_library_that_is_not_installed_is_named(tmp_path):
    info = DatasetInfo(
        'x', 'X', 'clips', 'no_such_library.part:x', ('train',), {}, 1, 'files', 'here', 'free',
        'nobody', library='no_such_library',
    )  # fmt: skip
    with pytest.raises(DataError, match='pip install no_such_library'):
        info.open(tmp_path)


def test_listing_data_sets_imports_no_loader_and_nothing_slow():
    probe = (
        'import sys\n'
        'from pointata_core.datasets.registry import datasets\n'
        'assert datasets()\n'
        'print([m for m in ("torch", "scipy", "h5py", "rosbags", "pointata_core.datasets.'
        'actions.utd_mhad") if m in sys.modules])\n'
    )
    run = subprocess.run(
        [sys.executable, '-c', probe], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert run.stdout.strip() == '[]'


def test_clips_know_where_they_come_from(videos):
    dataset = msr_action3d(videos, 'train', sampling=ClipSampling(frames=4))
    assert isinstance(dataset, ClipDataset)
    assert len(dataset) == 2 + 4 + 1
    clip = dataset[3]
    assert (clip.sequence, clip.split, clip.subject, clip.action) == (
        'a02_s02_e01',
        'train',
        '2',
        1,
    )
    assert clip.name == 'a02_s02_e01#1'
    assert clip.frames.tolist() == [1, 2, 3, 4]
    assert [dataset[i].action for i in range(len(dataset))] == dataset.labels.tolist()
    assert dataset.clip_recordings.tolist() == [0, 0, 1, 1, 1, 1, 2]
    assert len({dataset[i].name for i in range(len(dataset))}) == len(dataset)
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    assert len(list(dataset)) == len(dataset)


def test_points_are_drawn_the_same_whatever_the_order_of_reading_and_anew_every_epoch(videos):
    sampling = ClipSampling(frames=3, points=20, seed=5)
    forwards = msr_action3d(videos, sampling=sampling)
    backwards = pickle.loads(pickle.dumps(msr_action3d(videos, sampling=sampling)))
    order = range(len(forwards))
    first = [forwards[index].points for index in order]
    again = [backwards[index].points for index in reversed(order)][::-1]
    np.testing.assert_array_equal(first, again)
    forwards.epoch = 1
    assert not np.array_equal(first, [forwards[index].points for index in order])
    forwards.epoch = 0
    np.testing.assert_array_equal(first, [forwards[index].points for index in order])


def test_counts_are_told_by_split_and_class(videos):
    train = msr_action3d(videos, 'train', sampling=ClipSampling(frames=4, short='drop'))
    told = train.describe()
    assert told.counts == {'train': {'videos': 3, 'frames': 15, 'clips': 6}}
    present = {name: n for name, n in told.per_class['train'].items() if n}
    assert present == {'high arm wave': 1, 'horizontal arm wave': 1, 'forward punch': 1}
    assert any('1 videos are shorter than the 4 frames' in note for note in told.notes)
    assert list(train.verify()) == [None] * 3


def test_a_folder_under_one_of_several_names_is_found(tmp_path):
    (tmp_path / 'b').mkdir()
    assert require_folder([tmp_path / 'a', tmp_path / 'b'], 'videos') == tmp_path / 'b'
    with pytest.raises(DataError, match='videos') as error:
        require_folder([tmp_path / 'c', tmp_path / 'd'], 'videos')
    assert error.value.path == tmp_path / 'c'
