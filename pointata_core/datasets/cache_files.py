# SPDX-License-Identifier: Apache-2.0
"""Recordings as memory-mapped shards: a tenth of the reading, no unpacking, frames on their own.

A shard is a folder of plain arrays: ``points.npy`` (sum of N, 3), ``offsets.npy`` (frames + 1),
where the data set has them ``features.npy`` and ``times.npy``, and ``shard.json``, which says what
these recordings are. It appears under its name by one rename, whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError, damaged, missing
from pointata_core.datasets.protocol import Clip

Encoding = Literal['int16', 'float16', 'float32']
MAKE_AGAIN = 'Delete the cache and make it again'

_LARGEST = np.iinfo(np.int16).max


def encode(points: NDArray[np.float32], encoding: Encoding) -> tuple[NDArray, float]:
    """Make coordinates small.

    Args:
        points: (N, 3) float32, all of one recording.
        encoding: ``int16`` rounds to a 65,534th of the recording's extent (0.1 mm for 4 m),
            ``float16`` to 11 bits (2 mm at 4 m), ``float32`` not at all.

    Returns:
        (N, 3) and the factor that ``decode`` needs.

    Raises:
        ValueError: A coordinate is not finite.
    """
    if not np.isfinite(points).all():
        raise ValueError('coordinates that are not finite')
    if encoding != 'int16':
        return points.astype(encoding), 1.0
    scale = float(np.abs(points).max(initial=0)) / _LARGEST or 1.0
    return np.rint(points.astype(np.float64) / scale).astype(np.int16), scale


def decode(stored: NDArray, scale: float) -> NDArray[np.float32]:
    """The inverse of ``encode``, up to rounding."""
    points = stored.astype(np.float32)
    return points if scale == 1.0 else points * np.float32(scale)


class Frames(Sequence):
    """Clouds of one recording in a shard, each read when asked for.

    Args:
        rows: Memory-mapped (sum of N, C).
        offsets: (T + 1,) where frames of this recording begin and end.
        scale: Factor of ``decode``.
    """

    def __init__(self, rows: NDArray, offsets: NDArray[np.int64], scale: float = 1.0) -> None:
        self._rows, self._offsets, self._scale = rows, offsets, scale

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """Read one frame."""
        return decode(self._rows[self._offsets[index] : self._offsets[index + 1]], self._scale)


def write_shard(
    folder: Path, clips: Sequence[Clip], facts: Mapping[str, Any], encoding: Encoding
) -> None:
    """Write whole recordings as one shard, and let it appear when it is complete.

    Args:
        folder: Name of the shard; its parent exists.
        clips: The recordings.
        facts: Written to ``shard.json`` beside what this function adds per recording.
        encoding: How coordinates are stored.

    Raises:
        DataError: A recording holds what cannot be stored.
    """
    partial = folder.with_name(f'{folder.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    stored, scales, counts = [], [], []
    for clip in clips:
        try:
            rows, scale = encode(np.concatenate(clip.points), encoding)
        except ValueError as error:
            raise DataError(f'{clip.name} holds {error}', 'Leave it out') from error
        stored.append(rows)
        scales.append(scale)
        counts += [len(cloud) for cloud in clip.points]
    arrays = {
        'points': np.concatenate(stored),
        'offsets': np.cumsum([0, *counts], dtype=np.int64),
    }
    if clips[0].features is not None:
        rows = np.concatenate([rows for clip in clips for rows in clip.features])
        arrays['features'] = rows.astype('float32' if encoding == 'float32' else 'float16')
    if clips[0].times_s is not None:
        arrays['times'] = np.concatenate([clip.times_s for clip in clips])
    for name, array in arrays.items():
        np.save(partial / f'{name}.npy', array)
    (partial / 'shard.json').write_text(json.dumps({**facts, 'scales': scales}, indent=1))
    os.replace(partial, folder)


def read_facts(folder: Path) -> dict[str, Any]:
    """What ``shard.json`` says.

    Raises:
        DataError: It is missing or damaged.
    """
    path = folder / 'shard.json'
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise missing(path, 'the description of a shard', MAKE_AGAIN) from error
    except (OSError, ValueError) as error:
        raise damaged(path, error, 'the description of a shard', MAKE_AGAIN) from error


def map_array(folder: Path, name: str, *, optional: bool = False) -> NDArray | None:
    """Map one array of a shard into memory.

    Raises:
        DataError: It is missing and not ``optional``, or cut.
    """
    path = folder / f'{name}.npy'
    if optional and not path.exists():
        return None
    try:
        return np.load(path, mmap_mode='r', allow_pickle=False)
    except FileNotFoundError as error:
        raise missing(path, 'an array of a shard', MAKE_AGAIN) from error
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, error, 'an array of a shard', MAKE_AGAIN) from error
