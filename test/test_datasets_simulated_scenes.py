# SPDX-License-Identifier: Apache-2.0
"""Scenes that are simulated when they are read: what a recipe names, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError
from pointata_core.simulation import simulate
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES, or_ignored

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
