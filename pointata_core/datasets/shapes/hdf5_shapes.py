# SPDX-License-Identifier: Apache-2.0
"""Shapes in HDF5 files with ``data`` (n, N, 3) and ``label`` (n,) or (n, 1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.files.hdf5_files import Hdf5Rows, finite_points, labels_within
from pointata_core.datasets.protocol import Frame


class Hdf5Shapes:
    """Shapes of several files, one after the other.

    Args:
        paths: The files.
        classes: Number of classes.

    Attributes:
        categories: (S,) int64 class of every shape; labels are small, so all are read at once.

    Raises:
        DataError: A file is missing or cut, arrays are of another shape, or a label out of range.
    """

    def __init__(self, paths: Sequence[Path], classes: int) -> None:
        self._files = [_open(path) for path in paths]
        self.categories = np.concatenate(
            [
                labels_within(file.read('label', slice(None)).reshape(-1), classes, file.path)
                for file in self._files
            ]
        )
        self._starts = np.concatenate([[0], np.cumsum([len(file) for file in self._files])])

    def frame(self, index: int, split: str) -> Frame:
        """Read one shape.

        Raises:
            IndexError: There is no such shape.
            DataError: Its bytes cannot be read or are not finite.
        """
        if not 0 <= index < len(self.categories):
            raise IndexError(f'shape {index} of {len(self.categories)}')
        number = int(np.searchsorted(self._starts, index, side='right')) - 1
        file, row = self._files[number], index - int(self._starts[number])
        return Frame(
            points=finite_points(file.read('data', row), file.path, f'shape {row}'),
            name=f'{file.path.stem}/{row:05d}',
            category=int(self.categories[index]),
            split=split,
        )


def _open(path: Path) -> Hdf5Rows:
    try:
        return Hdf5Rows(path, {'data': (None, 3), 'label': ()})
    except DataError:
        return Hdf5Rows(path, {'data': (None, 3), 'label': (1,)})
