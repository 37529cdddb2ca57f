# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""NVIDIA Dynamic Hand Gesture: 25 gestures of a driver's hand, as depth video.

Molchanov et al., Online Detection and Classification of Dynamic Hand Gestures with Recurrent 3D
Convolutional Neural Networks, CVPR 2016, prepared by PointLSTM's scripts (see ``gesture_points``):
``Processed/{train,test}_depth_list.txt`` with "index path label" a line, and beside each listed
``NNNN_depth_label_LL.npy`` the points ``NNNN_depth_label_LL_pts.npy``. Depth is an 8-bit code, not
a length, so the points have no unit.
"""

from __future__ import annotations

import re
from pathlib import Path

from pointata_core.datasets.actions.gesture_points import (
    KEY_FRAMES,
    TIME_FEATURE,
    normalised_content,
    read_hands,
)
from pointata_core.datasets.errors import DataError, damaged, missing, require_file
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.sequences import Content, Recording, SequenceClips
from pointata_core.datasets.splits import belongs, held_out

# Their names are published as images only.
CLASSES = tuple(f'gesture {number}' for number in range(1, 26))
POINTS = 512
DEFAULT_SAMPLING = ClipSampling(window='whole')

_SUBJECT = re.compile(r'subject(\d+)_')


def nvgesture(
    root: Path,
    split: str = 'train',
    *,
    coordinates: str = 'clean',
    sampling: ClipSampling = DEFAULT_SAMPLING,
    strict: bool = True,
) -> SequenceClips:
    """Open NvGesture.

    Args:
        root: Folder ``Nvidia``, which holds ``Processed``.
        split: ``train`` or ``test`` as published, ``fit`` or ``validation`` (the last fifth of the
            training subjects).
        coordinates: ``clean`` leaves frames without a hand empty; ``reference`` keeps the zeros
            that stand in for them, as public loaders do.
        sampling: Which of the 32 key frames and 512 points are taken.
        strict: Raise if a file is missing or damaged, rather than leave it to ``verify``.

    Raises:
        DataError: See ``strict``; also if a list is missing or damaged, or a choice unknown.
    """
    readers = {'clean': read_clean, 'reference': read_reference}
    if coordinates not in readers:
        raise DataError(
            f"NvGesture with coordinates '{coordinates}'", f'Choose {" or ".join(readers)}'
        )
    folder = root if root.name == 'Processed' else root / 'Processed'
    listed = _read_list(folder, 'test' if split == 'test' else 'train')
    validation = held_out(_number(recording) for recording in listed)
    wanted = [
        recording
        for recording in listed
        if belongs(split, training=split != 'test', validation=_number(recording) in validation)
    ]
    absent = [recording for recording in wanted if not recording.path.is_file()]
    if strict and absent:
        raise missing(
            absent[0].path, f'integers {KEY_FRAMES, POINTS, 8}', "Use PointLSTM's scripts"
        )
    return SequenceClips(
        'nvgesture',
        split,
        CLASSES,
        [recording for recording in wanted if recording not in absent],
        readers[coordinates],
        sampling,
        feature_names=TIME_FEATURE,
        missing=[str(recording.path.relative_to(folder)) for recording in absent],
    )


def read_clean(recording: Recording) -> Content:
    """Normalised pixels and depth code; frames without a hand are empty.

    Raises:
        DataError: The file is damaged.
    """
    return normalised_content(read_hands(recording.path, POINTS), 'range', keep_empty=False)


def read_reference(recording: Recording) -> Content:
    """Normalised pixels and depth code, as public loaders have them.

    Raises:
        DataError: The file is damaged.
    """
    return normalised_content(read_hands(recording.path, POINTS), 'range', keep_empty=True)


def _number(recording: Recording) -> int:
    return int(recording.subject or 0)


def _read_list(folder: Path, section: str) -> list[Recording]:
    path = folder / f'{section}_depth_list.txt'
    require_file(path, 'the list of one split', "Prepare the data with PointLSTM's scripts")
    recordings = []
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
        words = line.split()
        if not words:
            continue
        # Paths are those of the machine that prepared the data.
        video = Path(words[1].rpartition('Processed/')[2]) if len(words) == 3 else Path()
        subject = _SUBJECT.search(str(video))
        if not subject or not words[2].isdecimal() or int(words[2]) >= len(CLASSES):
            raise damaged(
                path,
                f"'{line}' in line {number}",
                f'an index, a path with subjectN_ and a label from 0 to {len(CLASSES) - 1}',
            )
        points = folder / video.with_name(f'{video.stem}_pts.npy')
        name = str(video.with_suffix(''))
        recordings.append(
            Recording(name, points, KEY_FRAMES, int(words[2]), subject=str(int(subject[1])))
        )
    return recordings
