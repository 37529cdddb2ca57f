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

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pointata_core.datasets.errors import DataError, require_folder
from pointata_core.datasets.protocol import Description, Frame
from pointata_core.datasets.shapes.hdf5_shapes import Hdf5Shapes
from pointata_core.errors import ConfigError

CLASSES = (
    'bag',
    'bin',
    'box',
    'cabinet',
    'chair',
    'desk',
    'display',
    'door',
    'shelf',
    'table',
    'bed',
    'pillow',
    'sink',
    'sofa',
    'toilet',
)
SPLITS = ('train', 'test')
VARIANTS = {
    'pb_t50_rs': ('main_split', '_augmentedrot_scale75'),
    'obj_bg': ('main_split', ''),
    'obj_only': ('main_split_nobg', ''),
}
_FILE_PREFIX = {'train': 'training', 'test': 'test'}


class ScanObjectNN:
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
    feature_names: tuple[str, ...] = ()

    def __init__(self, root: str | Path, split: str = 'train', variant: str = 'pb_t50_rs') -> None:
        if split not in SPLITS:
            raise DataError(
                f"ScanObjectNN has no split '{split}'", f'Choose one of {", ".join(SPLITS)}'
            )
        if variant not in VARIANTS:
            raise ConfigError(f"variant is '{variant}'", f'Choose one of {", ".join(VARIANTS)}')
        self.split, self.variant = split, variant
        self.name = 'scanobjectnn' if variant == 'pb_t50_rs' else f'scanobjectnn_{variant}'
        folder, suffix = VARIANTS[variant]
        home = require_folder(
            [Path(root) / folder, Path(root) / 'h5_files' / folder], 'the HDF5 files'
        )
        path = home / f'{_FILE_PREFIX[split]}_objectdataset{suffix}.h5'
        self._shapes = Hdf5Shapes([path], len(CLASSES))
        self.categories = self._shapes.categories

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.categories)

    def __getitem__(self, index: int) -> Frame:
        """Read one object.

        Raises:
            DataError: Its bytes cannot be read or are not finite.
        """
        return self._shapes.frame(index, self.split)

    def describe(self) -> Description:
        """Count the objects in the header of the file."""
        per_class = Counter(self.categories.tolist())
        return Description(
            self.name,
            {self.split: {'shapes': len(self)}},
            {self.split: {name: per_class[label] for label, name in enumerate(CLASSES)}},
        )

    def verify(self) -> Iterator[DataError | None]:
        """Read every object."""
        for index in range(len(self)):
            try:
                self[index]
            except DataError as error:
                yield error
            else:
                yield None


with_background = partial(ScanObjectNN, variant='obj_bg')
without_background = partial(ScanObjectNN, variant='obj_only')
