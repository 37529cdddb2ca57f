# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""NTU RGB+D 60 and 120: actions of one or two people before three Kinects v2, as depth video.

Shahroudy et al., NTU RGB+D, CVPR 2016; Liu et al., NTU RGB+D 120, TPAMI 2019. Either the masked
depth as released, a folder ``SsssCcccPpppRrrrAaaa`` of 16-bit PNG per video, or what PSTNet (Fan et
al., ICLR 2021) makes of it: ``SsssCcccPpppRrrrAaaa.npz`` with ``data``, one (n, 3) cloud per frame
in units of 65.535 m. ``ntu60.list`` and ``ntu120.list`` give a name and a number of frames a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pointata_core.datasets.actions.ntu_classes import NTU_CLASSES
from pointata_core.datasets.errors import DataError, damaged
from pointata_core.datasets.files.depth_images import DepthCamera, read_depth_image
from pointata_core.datasets.files.listing import list_recordings
from pointata_core.datasets.files.object_arrays import count_clouds, read_clouds
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.sequences import Content, Recording, SequenceClips
from pointata_core.datasets.splits import belongs, held_out
from pointata_core.io.files.folders import visible

NTU60_PERFORMERS = frozenset(
    [1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38]
)
NTU120_PERFORMERS = NTU60_PERFORMERS | frozenset(
    [45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96)]
    + [97, 98, 100, 103]
)
CAMERA = DepthCamera(focal_x=280.0, focal_y=280.0, centre_x=256, centre_y=212)
# The conversion reads 16-bit millimetres as 0 to 1.
METRES_PER_STORED_UNIT = 65.535
DEFAULT_SAMPLING = ClipSampling(window='sliding', frames=24, stride=2, hop=2)
REFERENCE_SAMPLING = ClipSampling(
    window='sliding', frames=24, stride=2, hop=2, short='drop', points=2048
)

_KEY = 'data'
_NAME = re.compile(r'S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})')
_FOLDERS = ('', 'video', 'nturgb+d_depth_masked')
_LAYOUT = 'SsssCcccPpppRrrrAaaa.npz or a folder of that name with PNG files'


def ntu(
    root: Path,
    split: str = 'train',
    *,
    classes: int,
    protocol: str,
    sampling: ClipSampling = DEFAULT_SAMPLING,
    strict: bool = True,
) -> SequenceClips:
    """Open NTU RGB+D; the functions below name the four published protocols.

    Args:
        root: Folder of the videos, or one that holds them in ``video`` or
            ``nturgb+d_depth_masked``; the list beside them is used where it is there.
        split: ``train``, ``test``, ``fit`` or ``validation`` (the last fifth of the performers).
        classes: 60 or 120.
        protocol: ``xsub``, ``xview`` or ``xset``.
        sampling: How videos become clips.
        strict: Raise if a file is missing, damaged, or none is there.

    Raises:
        DataError: See ``strict``.
    """
    performers = NTU60_PERFORMERS if classes == 60 else NTU120_PERFORMERS
    trains: Callable[[tuple[int, ...]], bool] = {
        'xsub': lambda key: key[2] in performers,
        'xview': lambda key: key[1] != 1,
        'xset': lambda key: key[0] % 2 == 0,
    }[protocol]
    validation = held_out(performers)

    def wanted(key: tuple[int, ...]) -> bool:
        return key[4] <= classes and belongs(
            split, training=trains(key), validation=key[2] in validation
        )

    folder = next((root / name for name in _FOLDERS if any(_videos(root / name))), root)
    lengths = _read_list(root, classes)
    present = {path.stem: path for path in _videos(folder)}
    names = {
        name: key
        for name in sorted(present if lengths is None else lengths)
        if (key := _key(name)) is not None and wanted(key)
    }
    absent = [name for name in names if name not in present]
    if strict and absent:
        raise DataError(
            f'{folder} lacks {len(absent)} of {len(names)} videos of the list, such as '
            f'{absent[0]}, expected {_LAYOUT}',
            'Convert them again, or remove the list to use what is there',
            folder,
        )
    recordings, problems = list_recordings(
        {present[name]: key for name, key in names.items() if name in present},
        partial(_describe, lengths=lengths or {}),
        root,
        f'{_LAYOUT} of the split {split}',
        strict=strict,
    )
    return SequenceClips(
        f'ntu{classes}_{protocol}',
        split,
        NTU_CLASSES[:classes],
        recordings,
        read_recording,
        sampling,
        missing=absent,
        damaged=problems,
        notes=() if lengths else (f'no list ntu{classes}.list: lengths come from the videos',),
    )


ntu60_xsub = partial(ntu, classes=60, protocol='xsub')
ntu60_xview = partial(ntu, classes=60, protocol='xview')
ntu120_xsub = partial(ntu, classes=120, protocol='xsub')
ntu120_xset = partial(ntu, classes=120, protocol='xset')


def read_recording(recording: Recording) -> Content:
    """Read a video as points in the camera's optical frame.

    Raises:
        DataError: A file is damaged.
    """
    if recording.path.suffix == '.npz':
        return Content(points=read_clouds(recording.path, _KEY, scale=METRES_PER_STORED_UNIT))
    return Content(
        points=[CAMERA.points(read_depth_image(path)) for path in _images(recording.path)]
    )


def _videos(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.glob('S*C*P*R*A*') if path.suffix == '.npz' or path.is_dir()]


def _images(folder: Path) -> list[Path]:
    return sorted(visible(folder.glob('*.png')))


def _key(name: str) -> tuple[int, ...] | None:
    """Setup, camera, performer, replication and action."""
    match = _NAME.fullmatch(name)
    return tuple(int(number) for number in match.groups()) if match else None


def _describe(path: Path, key: tuple[int, ...], lengths: dict[str, int]) -> Recording:
    length = lengths.get(path.stem)
    if length is None:
        length = count_clouds(path, _KEY) if path.suffix == '.npz' else len(_images(path))
    if not length:
        raise damaged(path, 'no frames', 'at least one')
    return Recording(path.stem, path, length, key[4] - 1, subject=str(key[2]))


def _read_list(root: Path, classes: int) -> dict[str, int] | None:
    path = next(
        (
            p
            for p in (root / f'ntu{classes}.list', root.parent / f'ntu{classes}.list')
            if p.exists()
        ),
        None,
    )
    if path is None:
        return None
    lengths = {}
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not words[1].isdecimal() or _key(words[0]) is None:
            raise damaged(path, f"'{line}' in line {number}", 'a name and a number of frames')
        lengths[words[0]] = int(words[1])
    return lengths
