# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""UTD-MHAD: 27 actions of 8 people before a Kinect v1, as depth video.

Chen, Jafari, Kehtarnavaz, UTD-MHAD: A Multimodal Dataset for Human Action Recognition Utilizing a
Depth Camera and a Wearable Inertial Sensor, ICIP 2015. Files ``aA_sS_tT_depth.mat`` with
``d_depth`` (240, 320, F): millimetres at 30 Hz, 0 = background. Subjects with odd numbers train.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pointata_core.datasets.errors import damaged
from pointata_core.datasets.files.depth_images import DepthCamera, upright
from pointata_core.datasets.files.listing import list_recordings
from pointata_core.datasets.files.mat_files import array_shape, read_array
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.sequences import Content, Recording, SequenceClips
from pointata_core.datasets.splits import belongs, held_out
from pointata_core.errors import ConfigError
from pointata_core.io.files.folders import visible

TRAINING_SUBJECTS = (1, 3, 5, 7)
CLASSES = (
    'swipe left', 'swipe right', 'wave', 'clap', 'throw', 'cross arms', 'basketball shoot',
    'draw x', 'draw circle clockwise', 'draw circle counter clockwise', 'draw triangle', 'bowling',
    'boxing', 'baseball swing', 'tennis swing', 'arm curl', 'tennis serve', 'push', 'knock',
    'catch', 'pick up and throw', 'jog', 'walk', 'sit to stand', 'stand to sit', 'lunge', 'squat',
)  # fmt: skip
CAMERA = DepthCamera(focal_x=285.63, focal_y=285.63, centre_x=160, centre_y=120)
RATE_HZ = 30.0
DEFAULT_SAMPLING = ClipSampling(window='uniform', frames=24, pick='middle')

_FIELD = 'd_depth'
_IMAGE = (240, 320)
_NAME = re.compile(r'a(\d+)_s(\d+)_t(\d+)_depth')
_LAYOUT = 'files aA_sS_tT_depth.mat'
# Damaged when recorded, and in no release.
_NEVER_RELEASED = {(8, 1, 4), (23, 6, 4), (27, 8, 4)}


def utd_mhad(
    root: Path,
    split: str = 'train',
    *,
    sampling: ClipSampling = DEFAULT_SAMPLING,
    subjects: Sequence[int] = TRAINING_SUBJECTS,
    z_up: bool = False,
    strict: bool = True,
) -> SequenceClips:
    """Open UTD-MHAD.

    Args:
        root: Folder of the ``.mat`` files, or the one that holds it as ``Depth``.
        split: ``train`` (subjects 1, 3, 5, 7), ``test`` (2, 4, 6, 8), ``fit`` (1, 3, 5) or
            ``validation`` (7).
        sampling: How videos become clips.
        subjects: Which of the training subjects there are; the last of them is ``validation``, so
            that settings can be chosen on one subject and tested on another.
        z_up: Points are x forward, y left, z up, as a LiDAR's and as shapes of pre-training; else x
            right, y down, z forward.
        strict: Raise if a file is damaged or none is there, rather than leave it to ``verify``.

    Raises:
        ConfigError: ``subjects`` names one that is not for training.
        DataError: See ``strict``.
    """
    if not subjects or not set(subjects) <= set(TRAINING_SUBJECTS):
        raise ConfigError(
            f'utd_mhad: subjects are {list(subjects)}',
            f'Choose among the training subjects {list(TRAINING_SUBJECTS)}',
        )
    folder = root / 'Depth' if (root / 'Depth').is_dir() else root
    validation = held_out(subjects)
    wanted = {
        subject
        for subject in range(1, 9)
        if belongs(split, training=subject in TRAINING_SUBJECTS, validation=subject in validation)
        and (subject in subjects or subject not in TRAINING_SUBJECTS)
    }
    found = {
        key: path
        for path in visible(folder.glob('*_depth.mat'))
        if (key := _key(path)) is not None and key[1] in wanted
    }
    expected = {
        (action, subject, trial)
        for action in range(1, len(CLASSES) + 1)
        for subject in wanted
        for trial in range(1, 5)
    }
    absent = sorted(expected - _NEVER_RELEASED - found.keys())
    recordings, problems = list_recordings(
        {path: key for key, path in sorted(found.items())},
        _describe,
        folder,
        f'{_LAYOUT} of subjects {sorted(wanted)}',
        strict=strict,
    )
    return SequenceClips(
        'utd_mhad',
        split,
        CLASSES,
        recordings,
        partial(read_recording, z_up=z_up),
        sampling,
        missing=[f'a{a}_s{s}_t{t}_depth.mat' for a, s, t in absent],
        damaged=problems,
    )


def read_recording(recording: Recording, z_up: bool = False) -> Content:
    """Read a video as points in the camera's optical frame, or in one with z up.

    Raises:
        DataError: The file is damaged.
    """
    depth = read_array(recording.path, _FIELD)
    _check_shape(recording.path, depth.shape)
    points = [CAMERA.points(depth[:, :, frame]) for frame in range(depth.shape[2])]
    return Content(
        points=[upright(cloud) for cloud in points] if z_up else points,
        times_s=np.arange(depth.shape[2]) / RATE_HZ,
    )


def _key(path: Path) -> tuple[int, int, int] | None:
    match = _NAME.fullmatch(path.stem)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _describe(path: Path, key: tuple[int, int, int]) -> Recording:
    action, subject, _ = key
    if not 1 <= action <= len(CLASSES):
        raise damaged(path, f'action {action}', f'one of 1 to {len(CLASSES)}', 'Rename it')
    shape = array_shape(path, _FIELD)
    _check_shape(path, shape)
    name = path.stem.removesuffix('_depth')
    return Recording(name, path, shape[2], action - 1, subject=str(subject))


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or shape[:2] != _IMAGE or not shape[2]:
        raise damaged(path, f'{_FIELD} of shape {shape}', f'({_IMAGE[0]}, {_IMAGE[1]}, frames)')
