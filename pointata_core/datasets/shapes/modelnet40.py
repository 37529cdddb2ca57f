# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ModelNet40 in PointNet++'s form: text files of points with normals.

Wu et al., 3D ShapeNets: A Deep Representation for Volumetric Shapes, CVPR 2015. The folder
``modelnet40_normal_resampled`` holds ``CLASS/NAME.txt`` with rows ``x,y,z,nx,ny,nz``, the lists
``modelnet40_train.txt`` and ``modelnet40_test.txt`` of names, and the classes in
``modelnet40_shape_names.txt``. The ``.dat`` caches of some projects are pickles and not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pointata_core.datasets.errors import damaged, named_folder, require_file
from pointata_core.datasets.files.text_rows import read_rows
from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.shapes.shape_split import ShapeSplit, absent_files

SPLITS = ('train', 'test')
CLASS_COUNT = 40


class ModelNet40Text(ShapeSplit):
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
        super().__init__('ModelNet40', split, SPLITS)
        self._home = named_folder(root, 'modelnet40_normal_resampled')
        self.classes = class_names(self._home / 'modelnet40_shape_names.txt')
        listed = require_file(
            self._home / f'modelnet40_{split}.txt', 'a list of shapes, such as airplane_0001'
        )
        self._names = [line.strip() for line in listed.read_text().splitlines() if line.strip()]
        self.categories = np.array([self._label(name, listed) for name in self._names], np.int64)

    def _read(self, index: int) -> Frame:
        rows = read_rows(self._path(index), 6, 'rows x,y,z,nx,ny,nz of finite numbers', ',')
        return Frame(
            points=np.ascontiguousarray(rows[:, :3]),
            name=self._names[index],
            features=np.ascontiguousarray(rows[:, 3:]),
            category=int(self.categories[index]),
            split=self.split,
        )

    def _absent(self) -> dict[int, str]:
        return absent_files(self._home, [self._path(index) for index in range(len(self))])

    def _path(self, index: int) -> Path:
        name = self._names[index]
        return self._home / name.rpartition('_')[0] / f'{name}.txt'

    def _label(self, name: str, listed: Path) -> int:
        # Names of classes contain underscores, too: flower_pot_0001.
        category = name.rpartition('_')[0]
        if category not in self.classes:
            raise damaged(listed, f'{name!r}', 'CLASS_NNNN of a class in the names file')
        return self.classes.index(category)


def class_names(path: Path) -> tuple[str, ...]:
    """Read the names of the 40 classes, one in each line.

    Raises:
        DataError: The file is missing or holds another number of names.
    """
    require_file(path, f'the names of {CLASS_COUNT} classes, one in each line')
    names = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    if len(set(names)) != CLASS_COUNT or len(names) != CLASS_COUNT:
        raise damaged(path, f'{len(set(names))} names', f'{CLASS_COUNT} of them')
    return names
