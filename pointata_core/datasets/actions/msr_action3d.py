# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MSR-Action3D: 20 actions of 10 people before a Kinect v1, as depth video.

Li, Zhang, Liu, Action Recognition Based on a Bag of 3D Points, CVPR Workshops 2010. Three forms:
raw ``aAA_sSS_eEE_sdepth.bin`` (uint32, little-endian: frames, width, height, then depth row by
row), ``aAA_sSS_eEE_sdepth.mat`` with ``depth`` (240, 320, F), and what MeteorNet (Liu et al., ICCV
2019) makes of them and later work uses: ``aAA_sSS_eEE_sdepth.npz`` with ``point_clouds``, one
(n, 3) cloud per frame. Subjects 1 to 5 train, 6 to 10 test.

The unit of depth is not published. As millimetres, people are 0.3 m tall; with ``BODY_UNIT_MM``
they are 1.6 to 1.9 m tall.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import damaged
from pointata_core.datasets.files.depth_images import DepthCamera, upright
from pointata_core.datasets.files.listing import list_recordings
from pointata_core.datasets.files.mat_files import array_shape, read_array
from pointata_core.datasets.files.object_arrays import count_clouds, read_clouds
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.sequences import Content, Recording, SequenceClips
from pointata_core.datasets.splits import belongs, held_out

TRAINING_SUBJECTS = (1, 2, 3, 4, 5)
SUBJECTS = range(1, 11)
CLASSES = (
    'high arm wave', 'horizontal arm wave', 'hammer', 'hand catch', 'forward punch', 'high throw',
    'draw x', 'draw tick', 'draw circle', 'hand clap', 'two-hand wave', 'side boxing', 'bend',
    'forward kick', 'side kick', 'jogging', 'tennis swing', 'tennis serve', 'golf swing',
    'pick up and throw',
)  # fmt: skip
FOCAL = 280.0
BODY_UNIT_MM = 5.5
DEFAULT_SAMPLING = ClipSampling(window='sliding', frames=24)
# Public loaders: videos shorter than a clip vanish.
REFERENCE_SAMPLING = ClipSampling(window='sliding', frames=24, short='drop', points=2048)

_KEY = 'point_clouds'
_FIELD = 'depth'
_HEADER_BYTES = 12
_NAME = re.compile(r'a(\d\d)_s(\d\d)_e(\d\d)(?:_sdepth)?')
_LAYOUT = 'files aAA_sSS_eEE_sdepth.bin, .mat or .npz'


def msr_action3d(
    root: Path,
    split: str = 'train',
    *,
    sampling: ClipSampling = DEFAULT_SAMPLING,
    unit_mm: float = 1.0,
    z_up: bool = False,
    strict: bool = True,
) -> SequenceClips:
    """Open MSR-Action3D.

    Args:
        root: Folder of the files, or the one that holds it as ``Depth``; of a video in several
            forms the raw one is read, else the ``.mat``.
        split: ``train`` (subjects 1 to 5), ``test`` (6 to 10), ``fit`` (1 to 4), ``validation``.
        sampling: How videos become clips; ``REFERENCE_SAMPLING`` gives the 4,478 and 5,356 clips
            of public loaders.
        unit_mm: Millimetres that depth 1 stands for; 1 is what public code assumes.
        z_up: Points are x forward, y left, z up, as a LiDAR's and as shapes of pre-training; else x
            right, y down, z forward.
        strict: Raise if a file is damaged or none is there, rather than leave it to ``verify``.

    Raises:
        DataError: See ``strict``.
    """
    validation = held_out(TRAINING_SUBJECTS)
    wanted = [
        subject
        for subject in SUBJECTS
        if belongs(split, training=subject in TRAINING_SUBJECTS, validation=subject in validation)
    ]
    found = {}
    folder = root / 'Depth' if (root / 'Depth').is_dir() else root
    # Raw files come last and so replace converted ones.
    for path in (path for kind in ('npz', 'mat', 'bin') for path in folder.glob(f'*.{kind}')):
        match = _NAME.fullmatch(path.stem)
        if match and int(match[2]) in wanted:
            found[int(match[1]), int(match[2]), int(match[3])] = path
    recordings, problems = list_recordings(
        {path: key for key, path in sorted(found.items())},
        _describe,
        folder,
        f'{_LAYOUT} of subjects {wanted}',
        strict=strict,
    )
    return SequenceClips(
        'msr_action3d',
        split,
        CLASSES,
        recordings,
        partial(read_recording, unit_mm=unit_mm, z_up=z_up),
        sampling,
        damaged=problems,
    )


def read_recording(recording: Recording, unit_mm: float = 1.0, z_up: bool = False) -> Content:
    """Read a video as points in the camera's optical frame, or in one with z up.

    Raises:
        DataError: The file is damaged.
    """
    if recording.path.suffix == '.npz':
        clouds = read_clouds(recording.path, _KEY, scale=unit_mm / 1000)
        return Content(points=[upright(cloud) for cloud in clouds] if z_up else clouds)
    depth = read_depth(recording.path)
    height, width = depth.shape[1:]
    camera = DepthCamera(FOCAL, FOCAL, width / 2, height / 2, unit_mm / 1000)
    points = [camera.points(frame) for frame in depth]
    return Content(points=[upright(cloud) for cloud in points] if z_up else points)


def read_depth(path: Path) -> NDArray:
    """Read a depth video.

    Args:
        path: An ``_sdepth.bin`` or ``.mat`` file.

    Returns:
        (F, H, W) depth; 0 = background.

    Raises:
        DataError: The file is cut.
    """
    frames, height, width = _shape(path)
    if path.suffix == '.mat':
        return np.moveaxis(read_array(path, _FIELD), 2, 0)
    depth = np.fromfile(path, '<u4', offset=_HEADER_BYTES)
    return depth.reshape(frames, height, width)


def _describe(path: Path, key: tuple[int, int, int]) -> Recording:
    action, subject, _ = key
    if not 1 <= action <= len(CLASSES):
        raise damaged(path, f'action {action}', f'one of 1 to {len(CLASSES)}', 'Rename it')
    length = count_clouds(path, _KEY) if path.suffix == '.npz' else _shape(path)[0]
    if not length:
        raise damaged(path, 'no frames', 'at least one')
    name = path.stem.removesuffix('_sdepth')
    return Recording(name, path, length, action - 1, subject=str(subject))


def _shape(path: Path) -> tuple[int, int, int]:
    """Frames, height and width."""
    if path.suffix != '.mat':
        return _raw_shape(path)
    shape = array_shape(path, _FIELD)
    if len(shape) != 3:
        raise damaged(path, f'{_FIELD} of shape {shape}', '(height, width, frames)')
    height, width, frames = shape
    return frames, height, width


def _raw_shape(path: Path) -> tuple[int, int, int]:
    """Frames, height and width; the header has the width before the height."""
    size = path.stat().st_size
    header = np.fromfile(path, '<u4', count=3).astype(np.int64)
    if len(header) < 3:
        raise damaged(path, f'{size} bytes', f'a header of {_HEADER_BYTES} bytes')
    frames, width, height = (int(value) for value in header)
    expected = _HEADER_BYTES + 4 * frames * width * height
    if size != expected:
        raise damaged(
            path, f'{size} bytes', f'{expected} for {frames} frames of {width} x {height} pixels'
        )
    return frames, height, width
