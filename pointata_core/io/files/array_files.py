# SPDX-License-Identifier: Apache-2.0
"""Clouds as bare arrays: KITTI's and nuScenes' ``.bin``, NumPy's ``.npy`` and ``.npz``.

Bare arrays name no columns. The first four are x, y, z, intensity by convention; nuScenes adds the
ring (its files end in ``.pcd.bin``). Columns beyond the known names are called ``column_5`` ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

KITTI_COLUMNS = ('x', 'y', 'z', 'intensity')
NUSCENES_COLUMNS = (*KITTI_COLUMNS, 'ring')


def read_bin(path: Path, max_points: int, names: Sequence[str] | None = None) -> dict[str, NDArray]:
    """Read little-endian float32 rows.

    Args:
        path: The file.
        max_points: Largest accepted number of rows.
        names: Columns of a row; None takes nuScenes' for ``.pcd.bin``, else KITTI's.

    Raises:
        ValueError: The size is no multiple of a row, or too large.
    """
    if names is None:
        names = NUSCENES_COLUMNS if path.name.endswith('.pcd.bin') else KITTI_COLUMNS
    size, row = path.stat().st_size, 4 * len(names)
    if size % row:
        fitting = [n for n in (3, 4, 5, 6) if size % (4 * n) == 0 and n != len(names)]
        hint = f'; rows of {" or ".join(map(str, fitting))} floats would fit' if fitting else ''
        raise ValueError(
            f'its size of {size} bytes is not a multiple of {row}, {len(names)} floats '
            f'({" ".join(names)}){hint}'
        )
    if size // row > max_points:
        raise ValueError(f'it holds {size // row} points, at most {max_points} are accepted')
    rows = np.fromfile(path, dtype='<f4').reshape(-1, len(names))
    return {name: rows[:, index] for index, name in enumerate(names)}


def read_npy(path: Path, max_points: int) -> dict[str, NDArray]:
    """Read an array (N, 3 or more), or a structured one with x, y, z; nothing is ever unpickled.

    Raises:
        ValueError: Not such an array.
    """
    # Mapping first: a shape is checked before memory is taken for it.
    array = np.load(path, mmap_mode='r', allow_pickle=False)
    return {name: np.array(values) for name, values in _columns(array, max_points).items()}


def read_npz(path: Path, max_points: int, max_bytes: int) -> dict[str, NDArray]:
    """Read ``points`` (or the only two-dimensional array) and its fellow columns of length N.

    Raises:
        ValueError: There is no such array, more than one to choose from, or too many bytes.
    """
    with ZipFile(path) as archive:
        # A compressed archive may be far larger than its file.
        size = sum(entry.file_size for entry in archive.infolist())
        if size > max_bytes:
            raise ValueError(f'it unpacks to {size} bytes, at most {max_bytes} are accepted')
    with np.load(path, allow_pickle=False) as arrays_by_name:
        arrays = {name: arrays_by_name[name] for name in arrays_by_name.files}
    candidates = [name for name, array in arrays.items() if array.ndim == 2]
    if 'points' in arrays:
        chosen = 'points'
    elif len(candidates) == 1:
        chosen = candidates[0]
    else:
        raise ValueError(
            f"there is no array 'points' among {', '.join(arrays) or '(none)'}, "
            f'and {len(candidates)} arrays are two-dimensional'
        )
    columns = _columns(arrays.pop(chosen), max_points)
    count = len(columns['x'])
    for name, array in arrays.items():
        if array.shape == (count,) and array.dtype.kind in 'iufb' and name not in columns:
            columns[name] = array
    return columns


def write_npy(path: Path, columns: Mapping[str, NDArray]) -> None:
    """Write columns (N,) as one structured array, which keeps names and datatypes."""
    rows = np.empty(
        len(next(iter(columns.values()))), [(name, v.dtype) for name, v in columns.items()]
    )
    for name, values in columns.items():
        rows[name] = values
    with path.open('wb') as file:  # np.save would append a suffix to a name that lacks it
        np.save(file, rows, allow_pickle=False)


def _columns(array: NDArray, max_points: int) -> dict[str, NDArray]:
    if array.ndim == 1 and array.dtype.names:
        columns = {name: array[name] for name in array.dtype.names}
    elif array.ndim == 2 and array.shape[1] >= 3:
        names = [*KITTI_COLUMNS, *(f'column_{n}' for n in range(5, array.shape[1] + 1))]
        columns = {name: array[:, n] for n, name in enumerate(names[: array.shape[1]])}
    else:
        raise ValueError(
            f'the array has shape {array.shape}, expected (N, 3 or more) or named columns'
        )
    for name, values in columns.items():
        if values.dtype.kind not in 'iufb' or values.ndim != 1:
            raise ValueError(f'column {name!r} is {values.dtype}, expected numbers')
    if len(array) > max_points:
        raise ValueError(f'it holds {len(array)} points, at most {max_points} are accepted')
    return columns
