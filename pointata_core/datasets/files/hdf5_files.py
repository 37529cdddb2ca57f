# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""HDF5 files that hold one row per sequence or shape, read a row at a time.

The challenge files of HOI4D are tens of gigabytes, so nothing is read on opening but names and
shapes. A handle must not be shared between processes: every process that reads opens its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DOWNLOAD_AGAIN, DataError, damaged, require_file

Shape = tuple[int | None, ...]


class Hdf5Rows:
    """Arrays of one file that agree in their first axis.

    Args:
        path: The file.
        columns: Name -> expected shape of one row; None stands for any length.

    Raises:
        DataError: The file is missing, cut, or an array is absent or of another shape; names the
            file and what was expected.
    """

    def __init__(self, path: Path, columns: Mapping[str, Shape]) -> None:
        self.path = path
        self._columns = dict(columns)
        self._file: h5py.File | None = None
        self._owner = 0
        require_file(path, f'an HDF5 file with {self.expected}')
        self._count = self._check()

    @property
    def expected(self) -> str:
        """Arrays and shapes in words."""
        return ', '.join(
            f'{name} {_shape_text((None, *shape))}' for name, shape in self._columns.items()
        )

    def __len__(self) -> int:
        """Number of rows."""
        return self._count

    def row_shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of an array, from the header."""
        return tuple(self._open()[name].shape[1:])

    def read(self, name: str, row: Any) -> NDArray:
        """Read one row, or a part of it by a tuple of indices and slices.

        Raises:
            DataError: The bytes cannot be read.
        """
        try:
            return np.asarray(self._open()[name][row])
        except OSError as error:
            raise damaged(self.path, f'unreadable bytes ({error})', self.expected) from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open file behind: it means nothing to another process."""
        return {**self.__dict__, '_file': None}

    def _open(self) -> h5py.File:
        if self._file is None or self._owner != os.getpid():
            try:
                self._file = h5py.File(self.path, 'r')
            except OSError as error:
                raise damaged(
                    self.path, f'no readable HDF5 file ({error})', self.expected
                ) from error
            self._owner = os.getpid()
        return self._file

    def _check(self) -> int:
        file, counts = self._open(), {}
        for name, expected in self._columns.items():
            array = file.get(name)
            if not isinstance(array, h5py.Dataset):
                found = ', '.join(file) or 'nothing'
                raise damaged(self.path, f'no array {name} among {found}', self.expected)
            if not _fits(array.shape, (None, *expected)):
                raise damaged(self.path, f'{name} {array.shape}', self.expected)
            counts[name] = array.shape[0]
        if len(set(counts.values())) != 1:
            found = ', '.join(f'{count} rows of {name}' for name, count in counts.items())
            raise damaged(self.path, found, 'as many rows of each')
        return next(iter(counts.values()))


def labels_within(
    values: NDArray, classes: int, path: Path, what: str = 'labels'
) -> NDArray[np.int64]:
    """Return labels as int64 if they are whole numbers in [0, classes).

    Raises:
        DataError: One is not.
    """
    labels = np.asarray(values)
    whole = labels.astype(np.int64)
    wrong = (whole != labels) | (whole < 0) | (whole >= classes)
    if wrong.any():
        raise damaged(path, f'{what} {labels[wrong][0]}', f'whole numbers in [0, {classes})')
    return whole


def finite_points(values: NDArray, path: Path, what: str) -> NDArray[np.float32]:
    """Return points as contiguous float32 if all of them are finite.

    Raises:
        DataError: One is not.
    """
    points = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(points).all():
        raise DataError(f'{path}: {what} holds NaN or infinity', DOWNLOAD_AGAIN, path)
    return points


def _fits(found: tuple[int, ...], expected: Shape) -> bool:
    return len(found) == len(expected) and all(
        wanted is None or size == wanted for size, wanted in zip(found, expected, strict=True)
    )


def _shape_text(shape: Shape) -> str:
    return f'({", ".join("n" if size is None else str(size) for size in shape)})'
