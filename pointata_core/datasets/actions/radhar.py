# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""RadHAR: five exercises before a millimetre-wave radar, as sparse point clouds.

Singh, Sandha, Garcia, Srivastava, RadHAR: Human Activity Recognition from Point Clouds Generated
through a Millimeter-wave Radar, mmNets 2019. Public form: ``Train|Test/CLASS/NAME.txt``, printed
messages of one point each; also read: ``Train__CLASS__NAME.npz`` with ``points`` (N, 8),
``frame_start`` and ``frame_time``. Windows of 60 frames (2 s) every 10 are classified.
"""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import damaged
from pointata_core.datasets.files.listing import list_recordings
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.sequences import Content, Recording, SequenceClips
from pointata_core.datasets.splits import belongs, held_out

CLASSES = ('boxing', 'jack', 'jump', 'squats', 'walk')
COLUMNS = ('x', 'y', 'z', 'range', 'velocity', 'doppler_bin', 'bearing', 'intensity')
FEATURES = COLUMNS[3:]
# As published: recordings shorter than a window take no part.
DEFAULT_SAMPLING = ClipSampling(window='sliding', frames=60, hop=10, short='drop')

_SECTIONS = ('train', 'test')
# As rostopic prints: nanoseconds are padded on the left. Line ends may be those of Windows.
_NUMBER = r'^[ \t]*{}:[ \t]*(\S+)[ \t]*\r?$'
_POINT = re.compile(_NUMBER.format('point_id').encode(), re.MULTILINE)
_LAYOUT = 'Train/CLASS/NAME.txt or Train__CLASS__NAME.npz'


class _Key(NamedTuple):
    """What the name of a file tells, in the order of the recordings."""

    section: str
    action: str
    series: str
    number: int
    name: str


def radhar(
    root: Path,
    split: str = 'train',
    *,
    sampling: ClipSampling = DEFAULT_SAMPLING,
    strict: bool = True,
) -> SequenceClips:
    """Open RadHAR.

    Args:
        root: Folder that holds ``Train`` and ``Test``, or the ``.npz`` files.
        split: ``train`` or ``test`` as published, ``fit`` or ``validation``: whole recordings, the
            last fifth of each series of ``train``, as ``test`` holds the last of each as well.
        sampling: How recordings become clips.
        strict: Raise if a file is damaged or none is there, rather than leave it to ``verify``.

    Raises:
        DataError: See ``strict``.
    """
    keys = {path: _key(path) for path in _files(root)}
    files = {path: key for path, key in keys.items() if key is not None}
    others = sorted(path.parent.name for path, key in keys.items() if key is None)
    training = {path: key for path, key in files.items() if key[0] == 'train'}
    validation = _last_of_each_series(training)
    wanted = {
        path: files[path]
        for path in sorted(files, key=lambda path: files[path])
        if belongs(split, training=path in training, validation=path in validation)
    }
    recordings, problems = list_recordings(
        wanted, _describe, root, f'{_LAYOUT} of the split {split}', strict=strict
    )
    return SequenceClips(
        'radhar',
        split,
        CLASSES,
        recordings,
        read_recording,
        sampling,
        feature_names=FEATURES,
        damaged=problems,
        notes=[f'{len(others)} files are not read: their class {others[0]!r} is none of {CLASSES}']
        if others
        else [],
    )


def read_recording(recording: Recording) -> Content:
    """Read a recording; points as recorded: x forward, y to where bearings are positive, z up.

    Raises:
        DataError: The file is damaged.
    """
    read = _read_npz if recording.path.suffix == '.npz' else _read_text
    rows, starts, times = read(recording.path)
    frames = np.split(rows, starts[1:])
    return Content(
        points=[np.ascontiguousarray(frame[:, :3]) for frame in frames],
        features=[np.ascontiguousarray(frame[:, 3:]) for frame in frames],
        times_s=times - times[0],
    )


def _files(root: Path) -> list[Path]:
    packed = [path for path in root.glob('*__*__*.npz') if not path.name.startswith('.')]
    if packed:
        return packed
    return [
        path
        for data in (root, root / 'Data', *root.glob('*/Data'))
        for path in data.glob('*/*/*.txt')
        if path.parent.parent.name.lower() in _SECTIONS and not path.name.startswith('.')
    ]


def _key(path: Path) -> _Key | None:
    """What the name of a file tells; None if it is of no class."""
    if path.suffix == '.npz':
        # Names of the data set begin with up to three underscores of their own.
        section, action, name = path.stem.split('__', 2)
    else:
        section, action, name = path.parent.parent.name, path.parent.name, path.stem
    if section.lower() not in _SECTIONS or action not in CLASSES:
        return None
    # The last number counts within a series: `jacks_20_9`, but also `jacks_122s`.
    match = re.fullmatch(r'(.*?)(\d+)(\D*)', name)
    series, number = (f'{match[1]}#{match[3]}', int(match[2])) if match else (name, 0)
    return _Key(section.lower(), action, series, number, name)


def _last_of_each_series(training: dict[Path, _Key]) -> set[Path]:
    series: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    for path, key in training.items():
        series[key.action, key.series][key.number] = path
    return {
        members[number]
        for members in series.values()
        if len(members) > 1
        for number in held_out(members)
    }


def _describe(path: Path, key: _Key) -> Recording:
    length = _npz_length(path) if path.suffix == '.npz' else _text_length(path)
    name = f'{key.section}/{key.action}/{key.name}'
    return Recording(name, path, length, CLASSES.index(key.action))


def _npz_length(path: Path) -> int:
    return len(_npz_arrays(path, ('frame_start',))[0])


def _read_npz(path: Path) -> tuple[NDArray, NDArray, NDArray]:
    rows, starts, times = _npz_arrays(path, ('points', 'frame_start', 'frame_time'))
    fits = (
        rows.ndim == 2
        and rows.shape[1] == len(COLUMNS)
        and len(starts) == len(times) > 0
        and starts[0] == 0
        and (np.diff(starts) >= 0).all()
        and starts[-1] <= len(rows)
    )
    if not fits:
        raise damaged(
            path,
            f'points {rows.shape}, {len(starts)} frame_start, {len(times)} frame_time',
            'points (N, 8) and rising frame_start within them, as many as frame_time',
        )
    return rows.astype(np.float32), starts.astype(np.int64), times.astype(np.float64)


def _npz_arrays(path: Path, names: tuple[str, ...]) -> list[NDArray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError) as error:
        raise damaged(path, error, f'an .npz with {", ".join(names)}') from error


def _text_length(path: Path) -> int:
    content = path.read_bytes()
    points = _POINT.findall(content)
    if not points:
        raise damaged(path, f'{len(content)} bytes without a point', 'printed radar messages')
    # A recording may begin in the middle of a frame.
    return points.count(b'0') + (points[0] != b'0')


def _read_text(path: Path) -> tuple[NDArray, NDArray, NDArray]:
    text = path.read_text(encoding='utf-8', errors='replace')
    fields = ('secs', 'nsecs', 'point_id', *COLUMNS)
    values = {name: re.findall(_NUMBER.format(name), text, flags=re.MULTILINE) for name in fields}
    counts = {name: len(found) for name, found in values.items()}
    if len(set(counts.values())) != 1 or not text.endswith(('\n', '---')):
        worst = min(counts, key=lambda name: counts[name])
        raise damaged(
            path,
            f"{counts[worst]} '{worst}' for {max(counts.values())} points, or a cut last line",
            f'{len(fields)} numbers for each point: {", ".join(fields)}',
        )
    try:
        rows = np.array([values[name] for name in COLUMNS], dtype=np.float32).T
        seconds = np.array(values['secs'], np.float64) + 1e-9 * np.array(
            values['nsecs'], np.float64
        )
        starts = np.flatnonzero(np.array(values['point_id'], np.int64) == 0)
    except ValueError as error:
        raise damaged(path, error, 'numbers') from error
    starts = np.union1d([0], starts)
    return np.ascontiguousarray(rows), starts, seconds[starts]
