# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes in HDF5 files with ``data`` (n, N, 3) and ``label`` (n,) or (n, 1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.files.hdf5_files import Hdf5Rows, finite_points, labels_within
from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.shapes.shape_split import ShapeSplit


class Hdf5Shapes(ShapeSplit):
    """Shapes of several files, one after the other."""

    def _open(self, paths: Sequence[Path], classes: int) -> None:
        """Open the files and read all labels, which are small.

        Raises:
            DataError: A file is missing or cut, an array has another shape, or a label is out of
                range.
        """
        self._files = [_open(path) for path in paths]
        self.categories = np.concatenate(
            [
                labels_within(file.read('label', slice(None)).reshape(-1), classes, file.path)
                for file in self._files
            ]
        )
        self._starts = np.concatenate([[0], np.cumsum([len(file) for file in self._files])])

    def _read(self, index: int) -> Frame:
        number = int(np.searchsorted(self._starts, index, side='right')) - 1
        file, row = self._files[number], index - int(self._starts[number])
        return Frame(
            points=finite_points(file.read('data', row), file.path, f'shape {row}'),
            name=f'{file.path.stem}/{row:05d}',
            category=int(self.categories[index]),
            split=self.split,
        )


def _open(path: Path) -> Hdf5Rows:
    try:
        return Hdf5Rows(path, {'data': (None, 3), 'label': ()})
    except DataError:
        return Hdf5Rows(path, {'data': (None, 3), 'label': (1,)})
