# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenes that are simulated when they are read: what a recipe names, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from scene_datasets import write_kitti_sequence

from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError
from pointata_core.simulation import simulate
from pointata_core.taxonomy import (
    ACTION_CLASSES,
    IGNORE,
    SEGMENTATION_CLASSES,
    SEMANTICKITTI_TO_OURS,
    or_ignored,
)

MIXES = {
    'fit': [
        {'scene': 'yard', 'sensor': 'vlp16', 'seeds': [4, 6], 'frames': 3},
        {'scene': 'indoor', 'sensor': 'kinect', 'seeds': [7, 8], 'frames': 2},
    ]
}


def test_clips_are_what_the_simulator_gives_for_these_seeds() -> None:
    clips = open_dataset('simulated_scenes', '.', 'fit', mixes=MIXES)
    assert isinstance(clips, ClipDataset)
    assert (len(clips), clips.classes, clips.action_classes) == (
        3, SEGMENTATION_CLASSES, ACTION_CLASSES,
    )  # fmt: skip
    assert clips.clip_kinds == ('yard/vlp16', 'yard/vlp16', 'indoor/kinect')
    clip = clips[1]
    frames = list(simulate('yard', 'vlp16', 5, 0.3))
    for t, frame in enumerate(frames):
        np.testing.assert_array_equal(clip.points[t], frame.points)
        np.testing.assert_array_equal(clip.labels[t], or_ignored(frame.label))
        assert clip.actions[t] == frame.action


def test_sampling_cuts_recordings_into_clips() -> None:
    clips = open_dataset(
        'simulated_scenes', '.', 'fit', mixes=MIXES, sampling=ClipSampling('sliding', 1, hop=2)
    )
    assert [len(clips[number]) for number in range(len(clips))] == [1] * 5
    assert list(clips.clip_recordings) == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ('split', 'changes', 'named'),
    [
        ('test', {}, "no 'test'"),
        ('fit', {'seeds': [3, 3]}, 'seeds'),
        ('fit', {'frames': 0}, 'frames'),
        ('fit', {'rings': 4}, 'rings'),
        ('fit', {'seeds': None}, 'mix'),
    ],
)
def test_wrong_mixes_are_named(split, changes, named) -> None:
    mixes = {'fit': [{**MIXES['fit'][0], **changes}]}
    with pytest.raises(ConfigError, match=named):
        open_dataset('simulated_scenes', '.', split, mixes=mixes)


def test_recorded_drives_are_mixed_in_with_their_labels_and_without_actions(tmp_path) -> None:
    for name in ('00', '03', '05'):
        write_kitti_sequence(tmp_path / 'sequences' / name, scans=3, raw=(40, 10, 50))
    mixes = {'fit': [{'recorded': 'semantickitti', 'without': ['03']}, MIXES['fit'][1]]}
    clips = open_dataset('simulated_scenes', tmp_path, 'fit', mixes=mixes)
    assert clips.clip_kinds == ('recorded/hdl64', 'recorded/hdl64', 'indoor/kinect')
    clip = clips[1]
    assert (len(clip), clip.sequence) == (3, 'recorded/hdl64/05')
    wanted = [SEMANTICKITTI_TO_OURS[raw] for raw in (40, 10, 50)]
    np.testing.assert_array_equal(clip.labels[0], np.resize(wanted, len(clip.labels[0])))
    assert (clip.actions == IGNORE).all() and clip.poses is not None
    assert clip.features[1].shape == (len(clip.points[1]), 1)


def test_classes_that_a_person_added_come_behind_ours_in_recorded_drives(tmp_path) -> None:
    write_kitti_sequence(tmp_path / 'sequences' / '00', scans=1, raw=(40, 1011, 1015, 1016))
    mixes = {'fit': [{'recorded': 'semantickitti'}, MIXES['fit'][1]]}
    clips = open_dataset('simulated_scenes', tmp_path, 'fit', mixes=mixes)
    assert set(clips[0].labels[0]) == {0, 11, IGNORE} and clips.classes == SEGMENTATION_CLASSES
    clips = open_dataset(
        'simulated_scenes', tmp_path, 'fit', mixes=mixes, extra_classes=['trolley']
    )
    assert clips.classes == (*SEGMENTATION_CLASSES, 'trolley')
    assert set(clips[0].labels[0]) == {0, 11, 15, IGNORE}
    assert clips[1].labels[0].max() < 15


@pytest.mark.parametrize(
    ('mix', 'named'),
    [
        ({'recorded': 'nuscenes'}, 'nuscenes'),
        ({'recorded': 'semantickitti', 'drives': ['00']}, 'drives'),
        ({'recorded': 'semantickitti', 'without': ['00']}, 'no drive is left'),
    ],
)
def test_wrong_mixes_of_recorded_drives_are_named(tmp_path, mix, named) -> None:
    write_kitti_sequence(tmp_path / 'sequences' / '00')
    with pytest.raises(ConfigError, match=named):
        open_dataset('simulated_scenes', tmp_path, 'fit', mixes={'fit': [mix]})
