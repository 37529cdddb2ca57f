# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ScanObjectNN: real scans of indoor objects, 15 classes.

Uy et al., Revisiting Point Cloud Classification: A New Benchmark Dataset and Classification Model
on Real-World Data, ICCV 2019. HDF5 files with ``data`` (n, 2048, 3) and ``label`` (n,) in
``main_split`` and ``main_split_nobg``, below ``h5_files`` or the root folder. Three variants:

* ``pb_t50_rs``: the hardest, shifted, rotated and scaled boxes: ``*_augmentedrot_scale75.h5``
* ``obj_bg``: objects with their background
* ``obj_only``: objects alone
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pointata_core.datasets.errors import require_folder
from pointata_core.datasets.shapes.hdf5_shapes import Hdf5Shapes
from pointata_core.errors import ConfigError

CLASSES = (
    'bag', 'bin', 'box', 'cabinet', 'chair', 'desk', 'display', 'door', 'shelf', 'table', 'bed',
    'pillow', 'sink', 'sofa', 'toilet',
)  # fmt: skip
SPLITS = ('train', 'test')
VARIANTS = {
    'pb_t50_rs': ('main_split', '_augmentedrot_scale75'),
    'obj_bg': ('main_split', ''),
    'obj_only': ('main_split_nobg', ''),
}
_FILE_PREFIX = {'train': 'training', 'test': 'test'}


class ScanObjectNN(Hdf5Shapes):
    """Objects of one split and variant, with all their points, neither centred nor scaled.

    Args:
        root: Folder with ``main_split``, or with ``h5_files``.
        split: ``train`` or ``test``.
        variant: See the module.

    Attributes:
        categories: (S,) class of every object.

    Raises:
        DataError: The file is missing, cut, or holds something else.
        ConfigError: The variant is unknown.
    """

    classes = CLASSES

    def __init__(self, root: str | Path, split: str = 'train', variant: str = 'pb_t50_rs') -> None:
        super().__init__('ScanObjectNN', split, SPLITS)
        if variant not in VARIANTS:
            raise ConfigError(f"variant is '{variant}'", f'Choose one of {", ".join(VARIANTS)}')
        self.variant = variant
        self.name = 'scanobjectnn' if variant == 'pb_t50_rs' else f'scanobjectnn_{variant}'
        folder, suffix = VARIANTS[variant]
        home = require_folder(
            [Path(root) / folder, Path(root) / 'h5_files' / folder], 'the HDF5 files'
        )
        path = home / f'{_FILE_PREFIX[split]}_objectdataset{suffix}.h5'
        self._open([path], len(CLASSES))


with_background = partial(ScanObjectNN, variant='obj_bg')
without_background = partial(ScanObjectNN, variant='obj_only')
