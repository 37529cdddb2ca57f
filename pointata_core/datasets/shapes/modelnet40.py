# SPDX-License-Identifier: Apache-2.0
"""ModelNet40: 3D shapes of 40 categories, in its two public forms.

Wu et al., 3D ShapeNets: A Deep Representation for Volumetric Shapes, CVPR 2015.

* ``modelnet40_normal_resampled`` (PointNet++): ``CLASS/NAME.txt`` with rows ``x,y,z,nx,ny,nz``, the
  lists ``modelnet40_train.txt`` and ``modelnet40_test.txt`` of names, the classes in
  ``modelnet40_shape_names.txt``. The ``.dat`` caches of some projects are pickles and not read.
* ``modelnet40_ply_hdf5_2048`` (PointNet): ``ply_data_train0.h5`` ... with ``data`` (n, 2048, 3) and
  ``label`` (n, 1), files listed in ``train_files.txt`` and ``test_files.txt``, the classes in
  ``shape_names.txt``. It holds three training shapes less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError, damaged, missing, require_file
from pointata_core.datasets.protocol import Description, Frame

SPLITS = ('train', 'test')
CLASS_COUNT = 40


class ModelNet40Text:
    """The resampled form: 10,000 points with normals for each shape.

    Args:
        root: ``modelnet40_normal_resampled``, or the folder that holds it.
        split: ``train`` or ``test``.

    Attributes:
        categories: (S,) class of every shape.

    Raises:
        DataError: A list is missing or names a shape of no class.
    """

    name = 'modelnet40'
    feature_names = ('normal_x', 'normal_y', 'normal_z')

    def __init__(self, root: str | Path, split: str = 'train') -> None:
        self.split = _known(split)
        self._home = _home(Path(root), 'modelnet40_normal_resampled')
        self.classes = _class_names(self._home / 'modelnet40_shape_names.txt')
        listed = require_file(
            self._home / f'modelnet40_{split}.txt', 'a list of shapes, such as airplane_0001'
        )
        self._names = [line.strip() for line in listed.read_text().splitlines() if line.strip()]
        self.categories = np.array([self._label(name, listed) for name in self._names], np.int64)

    def __len__(self) -> int:
        """Number of listed shapes."""
        return len(self._names)

    def __getitem__(self, index: int) -> Frame:
        """Read one shape.

        Raises:
            DataError: Its file is missing, cut, or holds something else.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'shape {index} of {len(self)}')
        path, expected = self._path(index), 'rows x,y,z,nx,ny,nz of finite numbers'
        if not path.is_file():
            raise missing(path, expected)
        try:
            rows = np.loadtxt(path, np.float32, delimiter=',', ndmin=2)
        except (ValueError, UnicodeDecodeError) as error:
            raise damaged(path, str(error), expected) from error
        if rows.shape[1] != 6 or not len(rows) or not np.isfinite(rows).all():
            raise damaged(path, f'{rows.shape[0]} rows of {rows.shape[1]} numbers', expected)
        return Frame(
            points=np.ascontiguousarray(rows[:, :3]),
            name=self._names[index],
            features=np.ascontiguousarray(rows[:, 3:]),
            category=int(self.categories[index]),
            split=self.split,
        )

    def describe(self) -> Description:
        """Count listed shapes that are there."""
        there = [self._path(index).is_file() for index in range(len(self))]
        absent = [self._path(index) for index, found in enumerate(there) if not found]
        return _description(
            self,
            self.categories[np.array(there, bool)],
            missing=[path.relative_to(self._home).as_posix() for path in absent],
        )

    def verify(self) -> Iterator[DataError | None]:
        """Read every listed shape."""
        yield from _verify(self)

    def _path(self, index: int) -> Path:
        name = self._names[index]
        return self._home / name.rpartition('_')[0] / f'{name}.txt'

    def _label(self, name: str, listed: Path) -> int:
        # Names of classes contain underscores, too: flower_pot_0001.
        category = name.rpartition('_')[0]
        if category not in self.classes:
            raise damaged(listed, f'{name!r}', 'CLASS_NNNN of a class in the names file')
        return self.classes.index(category)


class ModelNet40Hdf5:
    """The HDF5 form: 2048 points for each shape.

    Args:
        root: ``modelnet40_ply_hdf5_2048``, or the folder that holds it.
        split: ``train`` or ``test``.

    Attributes:
        categories: (S,) class of every shape.

    Raises:
        DataError: A file is missing, cut, or holds something else.
    """

    name = 'modelnet40_hdf5'
    feature_names: tuple[str, ...] = ()

    def __init__(self, root: str | Path, split: str = 'train') -> None:
        # Only here: the other form needs no HDF5.
        from pointata_core.datasets.shapes.hdf5_shapes import Hdf5Shapes

        self.split = _known(split)
        home = _home(Path(root), 'modelnet40_ply_hdf5_2048')
        self.classes = _class_names(home / 'shape_names.txt')
        listed = require_file(home / f'{split}_files.txt', 'a list of HDF5 files')
        # The list gives paths as seen from PointNet's own folder; their last part is the file.
        names = [line.strip().rpartition('/')[2] for line in listed.read_text().splitlines()]
        paths = [home / name for name in names if name]
        if not paths:
            raise damaged(listed, 'no lines', 'a list of HDF5 files')
        self._shapes = Hdf5Shapes(paths, CLASS_COUNT)
        self.categories = self._shapes.categories

    def __len__(self) -> int:
        """Number of shapes in the files."""
        return len(self.categories)

    def __getitem__(self, index: int) -> Frame:
        """Read one shape.

        Raises:
            DataError: Its bytes cannot be read or are not finite.
        """
        return self._shapes.frame(index, self.split)

    def describe(self) -> Description:
        """Count the shapes in the headers of the files."""
        return _description(self, self.categories, missing=[])

    def verify(self) -> Iterator[DataError | None]:
        """Read every shape."""
        yield from _verify(self)


def _home(root: Path, folder: str) -> Path:
    return root / folder if (root / folder).is_dir() else root


def _known(split: str) -> str:
    if split not in SPLITS:
        raise DataError(f"ModelNet40 has no split '{split}'", f'Choose one of {", ".join(SPLITS)}')
    return split


def _class_names(path: Path) -> tuple[str, ...]:
    require_file(path, f'the names of {CLASS_COUNT} classes, one in each line')
    names = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    if len(set(names)) != CLASS_COUNT or len(names) != CLASS_COUNT:
        raise damaged(path, f'{len(set(names))} names', f'{CLASS_COUNT} of them')
    return names


def _description(
    dataset: ModelNet40Text | ModelNet40Hdf5, found: NDArray[np.int64], missing: list[str]
) -> Description:
    per_class = Counter(found.tolist())
    return Description(
        dataset.name,
        {dataset.split: {'shapes': len(found)}},
        {dataset.split: {name: per_class[label] for label, name in enumerate(dataset.classes)}},
        missing=tuple(missing),
    )


def _verify(dataset: ModelNet40Text | ModelNet40Hdf5) -> Iterator[DataError | None]:
    for index in range(len(dataset)):
        try:
            dataset[index]
        except DataError as error:
            yield error
        else:
            yield None
