# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ModelNet40 in PointNet's form: HDF5 files of 2048 points for each shape.

The folder ``modelnet40_ply_hdf5_2048`` holds ``ply_data_train0.h5`` ... with ``data`` (n, 2048, 3)
and ``label`` (n, 1), listed in ``train_files.txt`` and ``test_files.txt``, and the classes in
``shape_names.txt``. It has three training shapes fewer than the text form.
"""

from __future__ import annotations

from pathlib import Path

from pointata_core.datasets.errors import damaged, named_folder, require_file
from pointata_core.datasets.shapes.hdf5_shapes import Hdf5Shapes
from pointata_core.datasets.shapes.modelnet40 import CLASS_COUNT, SPLITS, class_names


class ModelNet40Hdf5(Hdf5Shapes):
    """Shapes of one split.

    Args:
        root: ``modelnet40_ply_hdf5_2048``, or the folder that holds it.
        split: ``train`` or ``test``.

    Attributes:
        categories: (S,) class of every shape.

    Raises:
        DataError: A file is missing, cut, or holds something else.
    """

    name = 'modelnet40_hdf5'

    def __init__(self, root: str | Path, split: str = 'train') -> None:
        super().__init__('ModelNet40', split, SPLITS)
        home = named_folder(root, 'modelnet40_ply_hdf5_2048')
        self.classes = class_names(home / 'shape_names.txt')
        listed = require_file(home / f'{split}_files.txt', 'a list of HDF5 files')
        # The list gives paths as seen from PointNet's own folder; their last part is the file.
        names = [line.strip().rpartition('/')[2] for line in listed.read_text().splitlines()]
        paths = [home / name for name in names if name]
        if not paths:
            raise damaged(listed, 'no lines', 'a list of HDF5 files')
        self._open(paths, CLASS_COUNT)
