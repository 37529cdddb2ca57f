# SPDX-License-Identifier: Apache-2.0
"""MSR-Action3D: 20 actions of 10 people before a Kinect v1, as depth video.

Li, Zhang, Liu, Action Recognition Based on a Bag of 3D Points, CVPR Workshops 2010. Either the raw
``aAA_sSS_eEE_sdepth.bin`` (uint32, little-endian: frames, width, height, then depth in millimetres,
row by row), or what MeteorNet (Liu et al., ICCV 2019) makes of it and all later work uses:
``aAA_sSS_eEE_sdepth.npz`` with ``point_clouds``, one (n, 3) cloud in millimetres per frame.
Subjects 1 to 5 train, 6 to 10 test.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import damaged
from pointata_core.datasets.files.depth_images import DepthCamera
from pointata_core.datasets.files.listing import list_recordings
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
DEFAULT_SAMPLING = ClipSampling(window='sliding', frames=24)
# Public loaders: videos shorter than a clip vanish.
REFERENCE_SAMPLING = ClipSampling(window='sliding', frames=24, short='drop', points=2048)

_KEY = 'point_clouds'
_HEADER_BYTES = 12
_NAME = re.compile(r'a(\d\d)_s(\d\d)_e(\d\d)(?:_sdepth)?')
_LAYOUT = 'files aAA_sSS_eEE_sdepth.bin or .npz'


def msr_action3d(
    root: Path,
    split: str = 'train',
    *,
    sampling: ClipSampling = DEFAULT_SAMPLING,
    strict: bool = True,
) -> SequenceClips:
    """Open MSR-Action3D.

    Args:
        root: Folder of the raw or the converted files; where both are, the raw ones are read.
        split: ``train`` (subjects 1 to 5), ``test`` (6 to 10), ``fit`` (1 to 4), ``validation``.
        sampling: How videos become clips; ``REFERENCE_SAMPLING`` gives the 4,478 and 5,356 clips
            of public loaders.
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
    # Raw files come last and so replace converted ones.
    for path in [*sorted(root.glob('*.npz')), *sorted(root.glob('*.bin'))]:
        match = _NAME.fullmatch(path.stem)
        if match and int(match[2]) in wanted:
            found[int(match[1]), int(match[2]), int(match[3])] = path
    recordings, problems = list_recordings(
        {path: key for key, path in sorted(found.items())},
        _describe,
        root,
        f'{_LAYOUT} of subjects {wanted}',
        strict=strict,
    )
    return SequenceClips(
        'msr_action3d', split, CLASSES, recordings, read_recording, sampling, damaged=problems
    )


def read_recording(recording: Recording) -> Content:
    """Read a video as points in the camera's optical frame.

    Raises:
        DataError: The file is damaged.
    """
    if recording.path.suffix == '.npz':
        return Content(points=read_clouds(recording.path, _KEY, scale=0.001))
    depth = read_depth(recording.path)
    height, width = depth.shape[1:]
    camera = DepthCamera(FOCAL, FOCAL, width / 2, height / 2)
    return Content(points=[camera.points(frame) for frame in depth])


def read_depth(path: Path) -> NDArray[np.uint32]:
    """Read a raw video.

    Args:
        path: An ``_sdepth.bin`` file.

    Returns:
        (F, H, W) uint32 millimetres; 0 = background.

    Raises:
        DataError: The file is cut.
    """
    frames, height, width = _raw_shape(path)
    depth = np.fromfile(path, '<u4', offset=_HEADER_BYTES)
    return depth.reshape(frames, height, width)


def _describe(path: Path, key: tuple[int, int, int]) -> Recording:
    action, subject, _ = key
    if not 1 <= action <= len(CLASSES):
        raise damaged(path, f'action {action}', f'one of 1 to {len(CLASSES)}', 'Rename it')
    length = count_clouds(path, _KEY) if path.suffix == '.npz' else _raw_shape(path)[0]
    if not length:
        raise damaged(path, 'no frames', 'at least one')
    name = path.stem.removesuffix('_sdepth')
    return Recording(name, path, length, action - 1, subject=str(subject))


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
