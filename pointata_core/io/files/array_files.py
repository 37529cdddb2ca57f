# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds as bare arrays: ``.bin`` of float32, NumPy's ``.npy`` and ``.npz``.

Bare arrays name no columns. The first four are x, y, z, intensity by convention; the others are
called ``column_5`` ... unless the caller names them. For ``.bin`` see ``bin_layout``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.files.bin_layout import (
    KITTI_COLUMNS,
    NUSCENES_COLUMNS,
    UnclearLayout,
    find_layout,
)
from pointata_core.io.files.tables import CloudTable

_CLOUD_NAMES = (
    *('points', 'xyz', 'positions', 'position', 'pcloud_points', 'cloud', 'pointcloud'),
    *('point_cloud', 'pts', 'pc', 'coords', 'coord', 'data', 'arr_0'),
)
_MOST_COLUMNS = 64


def read_bin(path: Path, max_points: int, names: Sequence[str] | None = None) -> CloudTable:
    """Read little-endian float32 rows.

    Args:
        path: The file.
        max_points: Largest accepted number of rows.
        names: Columns of a row; by default found out from name, size and numbers.

    Raises:
        ValueError: The size is no multiple of a row, the rows are too many, or it is not clear how
            many columns they have.
    """
    promised = NUSCENES_COLUMNS if path.name.lower().endswith('.pcd.bin') else KITTI_COLUMNS
    size, row = path.stat().st_size, 4 * len(names or promised)
    wrong_size = (
        f'its size of {size} bytes is not a multiple of {row}, {len(names or promised)} floats '
        f'({" ".join(names or promised)})'
    )
    if size % (row if names else 4):
        raise ValueError(wrong_size)
    if size // row > max_points:
        raise ValueError(f'it holds {size // row} points, at most {max_points} are accepted')
    values = np.fromfile(path, dtype='<f4')
    notes = []
    if names is None:
        try:
            names = find_layout(values, promised)
        except UnclearLayout as error:
            fits = [n for n in (3, 4, 5, 6) if size % (4 * n) == 0 and n != len(promised)]
            hint = f'; rows of {" or ".join(map(str, fits))} floats would fit' if fits else ''
            raise ValueError(f'{wrong_size}{hint}' if size % row else str(error)) from error
        if len(names) != len(promised):
            notes.append(
                f'its numbers are {len(names)} columns, not {len(promised)}; it is read as '
                f'{" ".join(names)}'
            )
    rows = values.reshape(-1, len(names))
    columns = {name: rows[:, index] for index, name in enumerate(names)}
    return CloudTable(columns, len(rows), 1, tuple(notes))


def read_npy(path: Path, max_points: int, names: Sequence[str] | None = None) -> CloudTable:
    """Read an array of points, or a structured one with x, y, z; nothing is ever unpickled.

    Raises:
        ValueError: Not such an array.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # files of Python 2 are as good
        # Mapping first: a shape is checked before memory is taken for it.
        array = np.load(path, mmap_mode='r', allow_pickle=False)
    table = _table(array, max_points, names)
    return table._replace(columns={name: np.array(v) for name, v in table.columns.items()})


def read_npz(
    path: Path, max_points: int, max_bytes: int, names: Sequence[str] | None = None
) -> CloudTable:
    """Read the array of points and its fellow columns of length N.

    The points are ``points`` or another usual name, the only array of two dimensions, or the
    columns ``x``, ``y`` and ``z``.

    Raises:
        ValueError: There is no such array, more than one to choose from, or too many bytes.
    """
    with ZipFile(path) as archive:
        # A compressed archive may be far larger than its file.
        size = sum(entry.file_size for entry in archive.infolist())
        if size > max_bytes:
            raise ValueError(f'it unpacks to {size} bytes, at most {max_bytes} are accepted')
    with np.load(path, allow_pickle=False) as arrays_by_name, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        arrays = {name: arrays_by_name[name] for name in arrays_by_name.files}
    if all(axis in arrays and arrays[axis].ndim == 1 for axis in 'xyz'):
        table = CloudTable({axis: arrays.pop(axis) for axis in 'xyz'}, 0)
        if len({len(values) for values in table.columns.values()}) > 1:
            raise ValueError('its arrays x, y and z differ in length')
        table = table._replace(width=len(table.columns['x']))
    else:
        table = _table(arrays.pop(_choose(arrays)), max_points, names)
    columns, count = table.columns, len(table.columns['x'])
    for name, array in arrays.items():
        if array.shape in ((count,), (count, 1)) and array.dtype.kind in 'iufb':
            columns.setdefault(name, array.ravel())
    return table


def write_npy(path: Path, columns: Mapping[str, NDArray]) -> None:
    """Write columns (N,) as one structured array, which keeps names and datatypes."""
    rows = np.empty(
        len(next(iter(columns.values()))), [(name, v.dtype) for name, v in columns.items()]
    )
    for name, values in columns.items():
        rows[name] = values
    with path.open('wb') as file:  # np.save would append a suffix to a name that lacks it
        np.save(file, rows, allow_pickle=False)


def _choose(arrays: Mapping[str, NDArray]) -> str:
    shaped = [name for name, array in arrays.items() if array.ndim == 2]
    named = [name for name in _CLOUD_NAMES if name in arrays]
    if named and (len(shaped) != 1 or named[0] == 'points'):
        return named[0]
    if len(shaped) == 1:
        return shaped[0]
    raise ValueError(
        f"there is no array 'points' among {', '.join(arrays) or '(none)'}, "
        f'and {len(shaped)} arrays are two-dimensional'
    )


def _table(array: NDArray, max_points: int, names: Sequence[str] | None) -> CloudTable:
    notes: list[str] = []
    width, height = (array.shape[0], 1) if array.ndim else (0, 1)
    if array.dtype.names:
        if array.ndim == 2:
            height, width = array.shape
        if array.ndim not in (1, 2):
            raise ValueError(f'the array has shape {array.shape}, expected rows of named columns')
        columns = _named_columns(array.ravel())
    else:
        if array.ndim == 3 and 3 <= array.shape[2] <= _MOST_COLUMNS:
            height, width = array.shape[:2]
            array = array.reshape(-1, array.shape[2])
        elif array.ndim == 2 and 3 <= array.shape[0] < 9 and array.shape[1] > _MOST_COLUMNS:
            notes.append(f'its shape is {array.shape}; it is read as {array.shape[1]} points')
            array, width = array.T, array.shape[1]
        if array.ndim != 2 or not 3 <= array.shape[1] <= _MOST_COLUMNS:
            raise ValueError(
                f'the array has shape {array.shape}, expected (N, 3 or more) or named columns'
            )
        if names is not None and len(names) != array.shape[1]:
            raise ValueError(
                f'it has {array.shape[1]} columns, {len(names)} are named ({" ".join(names)})'
            )
        usual = [*KITTI_COLUMNS, *(f'column_{n}' for n in range(5, array.shape[1] + 1))]
        columns = {name: array[:, n] for n, name in zip(range(array.shape[1]), names or usual)}
    for name, values in columns.items():
        if values.dtype.kind not in 'iufb' or values.ndim != 1:
            raise ValueError(f'column {name!r} is {values.dtype}, expected numbers')
    if width * height > max_points:
        raise ValueError(f'it holds {width * height} points, at most {max_points} are accepted')
    return CloudTable(columns, width, height, tuple(notes))


def _named_columns(rows: NDArray) -> dict[str, NDArray]:
    """Columns of a structured array; one of three elements beside no ``x`` holds x, y and z."""
    columns: dict[str, NDArray] = {}
    for name in rows.dtype.names or ():
        values = rows[name]
        if values.ndim == 1:
            columns[name] = values
        elif values.ndim == 2:
            is_xyz = (
                values.shape[1] == 3
                and 'x' not in (rows.dtype.names or ())
                and ('x' not in columns)
            )
            parts = 'xyz' if is_xyz else [f'{name}_{n}' for n in range(values.shape[1])]
            columns |= {part: values[:, n] for n, part in enumerate(parts)}
    return columns
