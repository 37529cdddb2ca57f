# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One split of a data set of shapes: counting by category and reading, whatever the files are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError, damaged_items, require_split
from pointata_core.datasets.protocol import Description, Frame


class ShapeSplit(ABC):
    """A map-style data set of shapes; see ``FrameDataset``.

    Args:
        title: Name in prose, for errors.
        split: The split.
        splits: Splits of the data set.

    Attributes:
        categories: (S,) int64 category of every shape.

    Raises:
        DataError: The data set has no such split.
    """

    name: str
    classes: tuple[str, ...]
    feature_names: tuple[str, ...] = ()

    def __init__(self, title: str, split: str, splits: Sequence[str]) -> None:
        self.split = require_split(title, split, splits)
        self.categories: NDArray[np.int64] = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Number of shapes."""
        return len(self.categories)

    def __getitem__(self, index: int) -> Frame:
        """Read one shape.

        Raises:
            IndexError: There is no such shape.
            DataError: Its file is missing, cut, or holds something else.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'shape {index} of {len(self)}')
        return self._read(index)

    @property
    def category_names(self) -> tuple[str, ...]:
        """Names of the categories: the classes, unless these are parts of shapes."""
        return self.classes

    def describe(self) -> Description:
        """Count the shapes whose files exist."""
        absent = self._absent()
        per_class = Counter(np.delete(self.categories, list(absent)).tolist())
        return Description(
            self.name,
            {self.split: {'shapes': len(self) - len(absent)}},
            {self.split: {name: per_class[i] for i, name in enumerate(self.category_names)}},
            missing=tuple(absent.values()),
        )

    def verify(self) -> Iterator[DataError | None]:
        """Read every shape."""
        yield from damaged_items(self._read, range(len(self)))

    @abstractmethod
    def _read(self, index: int) -> Frame: ...

    def _absent(self) -> dict[int, str]:
        """Numbers of shapes without a file, and the names of these files."""
        return {}


def absent_files(home: Path, paths: Sequence[Path]) -> dict[int, str]:
    """Numbers of the ``paths`` that are no files, with their places below ``home``."""
    return {
        index: path.relative_to(home).as_posix()
        for index, path in enumerate(paths)
        if not path.is_file()
    }
