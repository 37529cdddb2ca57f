# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SHREC'17 track on hand gestures: 14 gestures, with one finger or the whole hand, as depth video.

De Smedt et al., SHREC'17 Track: 3D Hand Gesture Recognition Using a Depth and Skeletal Dataset,
3DOR 2017, prepared by PointLSTM's scripts (see ``gesture_points``): beside the released folder one
with ``Processed_`` before its name, and in it
``gesture_G/finger_F/subject_S/essai_E/pts_label.npy``. ``train_gestures.txt`` and
``test_gestures.txt`` give gesture, finger, subject, essai, label of 14, label of 28, frames a line.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from pointata_core.datasets.actions.gesture_points import (
    COLUMN,
    DEPTH,
    KEY_FRAMES,
    ROW,
    TIME_FEATURE,
    normalised_content,
    read_hands,
)
from pointata_core.datasets.actions.shrec17_raw import BOXES, read_gesture
from pointata_core.datasets.errors import DataError, damaged, missing, require_file
from pointata_core.datasets.files.depth_images import DepthCamera
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.sequences import Content, Recording, SequenceClips
from pointata_core.datasets.splits import belongs, held_out

GESTURES = (
    'grab', 'tap', 'expand', 'pinch', 'rotate clockwise', 'rotate counter clockwise',
    'swipe right', 'swipe left', 'swipe up', 'swipe down', 'swipe x', 'swipe plus', 'swipe v',
    'shake',
)  # fmt: skip
FINGERS = ('one finger', 'whole hand')
POINTS = 256
CAMERA = DepthCamera(focal_x=463.889, focal_y=463.889, centre_x=320, centre_y=240)
DEFAULT_SAMPLING = ClipSampling(window='whole')

_PREFIX = 'Processed_'


def shrec17(
    root: Path,
    split: str = 'train',
    *,
    gestures: int = 28,
    coordinates: str = 'metric',
    sampling: ClipSampling = DEFAULT_SAMPLING,
    strict: bool = True,
) -> SequenceClips:
    """Open SHREC'17.

    Args:
        root: The released folder with the two lists (the prepared one lies beside it), or a folder
            that holds lists and prepared files. A gesture that is not prepared is taken out of the
            released images, slowly and with all points of the hand.
        split: ``train`` or ``test`` as published, ``fit`` or ``validation`` (the last fifth of the
            training subjects).
        gestures: 28, or 14 without regard to fingers.
        coordinates: ``metric`` gives metres in the camera's optical frame, without the points of
            empty frames; ``reference`` what public loaders feed to networks.
        sampling: Which of the 32 key frames and 256 points are taken.
        strict: Raise if a file is missing or damaged, rather than leave it to ``verify``.

    Raises:
        DataError: See ``strict``; also if a list is missing or damaged, or a choice unknown.
    """
    if gestures not in (14, 28) or coordinates not in ('metric', 'reference'):
        raise DataError(
            f"SHREC'17 with gestures {gestures} and coordinates '{coordinates}'",
            'Choose 14 or 28 gestures, and metric or reference coordinates',
        )
    lists, prepared = _folders(root)
    rows = _read_list(lists / f'{"test" if split == "test" else "train"}_gestures.txt')
    validation = held_out(row[2] for row in rows)
    found, absent = [], []
    reader = MetricReader()
    for row in rows:
        if not belongs(split, training=split != 'test', validation=row[2] in validation):
            continue
        recording = _recording(prepared, row, gestures)
        released = lists / recording.name
        if recording.path.is_file():
            found.append(recording)
        elif coordinates == 'metric' and (released / BOXES).is_file():
            reader.lengths[recording.name] = row[6]
            found.append(replace(recording, path=released))
        elif strict:
            raise missing(
                recording.path, f'integers {KEY_FRAMES, POINTS, 8}', "Use PointLSTM's scripts"
            )
        else:
            absent.append(str(recording.path.relative_to(prepared)))
    return SequenceClips(
        'shrec17' if gestures == 28 else 'shrec17_14',
        split,
        GESTURES if gestures == 14 else _names_of_28(),
        found,
        reader if coordinates == 'metric' else read_reference,
        sampling,
        feature_names=() if coordinates == 'metric' else TIME_FEATURE,
        missing=absent,
    )


shrec17_14 = partial(shrec17, gestures=14)


class MetricReader:
    """Points in metres, out of prepared or released files; frames without a hand are empty.

    Attributes:
        lengths: Frames of every gesture that is read from released images, by name.
    """

    def __init__(self) -> None:
        self.lengths: dict[str, int] = {}

    def __call__(self, recording: Recording) -> Content:
        """Read one gesture.

        Raises:
            DataError: A file is missing or damaged.
        """
        if recording.name in self.lengths:
            length = self.lengths[recording.name]
            return Content(points=read_gesture(recording.path, length, CAMERA))
        clouds = []
        for frame in read_hands(recording.path, POINTS):
            seen = frame[frame[:, DEPTH] > 0]
            clouds.append(CAMERA.points_at(seen[:, ROW], seen[:, COLUMN], seen[:, DEPTH]))
        return Content(points=clouds)


def read_reference(recording: Recording) -> Content:
    """Pixels and depth, normalised as by public loaders.

    Raises:
        DataError: The file is damaged.
    """
    return normalised_content(read_hands(recording.path, POINTS), 'deviation', keep_empty=True)


def _names_of_28() -> tuple[str, ...]:
    return tuple(f'{gesture}, {fingers}' for gesture in GESTURES for fingers in FINGERS)


def _folders(root: Path) -> tuple[Path, Path]:
    """Where the lists lie, and where the prepared files do."""
    released = root.parent / root.name.removeprefix(_PREFIX)
    lists = next(
        (folder for folder in (root, released) if (folder / 'train_gestures.txt').is_file()), root
    )
    beside = root.parent / f'{_PREFIX}{root.name}'
    return lists, beside if beside.is_dir() else root


def _read_list(path: Path) -> list[tuple[int, ...]]:
    require_file(path, 'the list of one split', "Download SHREC'17")
    rows = []
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 7 or not all(word.isdecimal() for word in words):
            raise damaged(
                path,
                f"'{line}' in line {number}",
                'seven numbers: gesture, finger, subject, essai, label of 14, label of 28, frames',
            )
        row = tuple(int(word) for word in words)
        if not (1 <= row[4] <= 14 and 1 <= row[5] <= 28):
            raise damaged(path, f'labels {row[4]} and {row[5]} in line {number}', '1-14 and 1-28')
        if not row[6]:
            raise damaged(path, f'0 frames in line {number}', 'at least 1')
        rows.append(row)
    return rows


def _recording(prepared: Path, row: tuple[int, ...], gestures: int) -> Recording:
    gesture, finger, subject, essai, of_14, of_28, _ = row
    name = f'gesture_{gesture}/finger_{finger}/subject_{subject}/essai_{essai}'
    action = (of_14 if gestures == 14 else of_28) - 1
    path = prepared / name / 'pts_label.npy'
    return Recording(name, path, KEY_FRAMES, action, subject=str(subject))
