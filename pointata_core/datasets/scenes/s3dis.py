# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""S3DIS: six areas of office buildings, scanned, 13 classes for every point.

Armeni et al., 3D Semantic Parsing of Large-Scale Indoor Spaces, CVPR 2016. The aligned version:
``Area_A/ROOM/Annotations/CLASS_N.txt`` with rows ``x y z r g b``, one file for each object. The
usual protocol trains on all areas but the fifth and tests on that. Stairs count as clutter.

The published archive has single damaged characters in some files; they are named, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pointata_core.datasets.errors import (
    DataError,
    damaged,
    damaged_items,
    missing,
    named_folder,
    require_split,
)
from pointata_core.datasets.files.text_rows import read_rows
from pointata_core.datasets.protocol import Description, Frame
from pointata_core.io.files.folders import visible

CLASSES = (
    'ceiling', 'floor', 'wall', 'beam', 'column', 'window', 'door', 'table', 'chair', 'sofa',
    'bookcase', 'board', 'clutter',
)  # fmt: skip
FOLDER = 'Stanford3dDataset_v1.2_Aligned_Version'
AREAS = {
    'train': (1, 2, 3, 4, 6),
    'fit': (1, 2, 3, 4),
    'validation': (6,),
    'test': (5,),
    **{f'area_{area}': (area,) for area in range(1, 7)},
}
_AS_CLUTTER = ('stairs',)
_EXPECTED = 'rows x y z r g b'


class S3dis:
    """Rooms with colour (0 to 1) and a class for every point.

    Args:
        root: The folder that holds ``Area_1`` to ``Area_6``, or the one above.
        split: ``train``, its parts ``fit`` and ``validation`` (area 6), ``test`` (area 5), or a
            single ``area_N``.

    Raises:
        DataError: An area is missing or has no rooms.
    """

    name = 's3dis'
    classes = CLASSES
    feature_names = ('red', 'green', 'blue')

    def __init__(self, root: str | Path, split: str = 'train') -> None:
        self.split = require_split('S3DIS', split, tuple(AREAS))
        self._home = named_folder(root, FOLDER)
        self._rooms: list[Path] = []
        for area in AREAS[split]:
            folder = self._home / f'Area_{area}'
            rooms = sorted(path.parent for path in folder.glob('*/Annotations'))
            if not rooms:
                raise missing(folder, 'rooms with a folder Annotations')
            self._rooms += rooms

    def __len__(self) -> int:
        """Number of rooms."""
        return len(self._rooms)

    def __getitem__(self, index: int) -> Frame:
        """Read one room, all its objects in the order of their names.

        Raises:
            DataError: A file is cut, empty, or of no known class.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'room {index} of {len(self)}')
        room = self._rooms[index]
        objects = [(self._class_of(path), path) for path in self._objects(room)]
        parts = [(label, read_rows(path, 6, _EXPECTED)) for label, path in objects]
        rows = np.concatenate([part for _, part in parts])
        return Frame(
            points=np.ascontiguousarray(rows[:, :3]),
            name=f'{room.parent.name}/{room.name}',
            features=rows[:, 3:] / np.float32(255),
            labels=np.concatenate([np.full(len(part), label) for label, part in parts]),
            sequence=room.parent.name,
            split=self.split,
        )

    def describe(self) -> Description:
        """Count rooms."""
        return Description(self.name, {self.split: {'rooms': len(self)}})

    def verify(self) -> Iterator[DataError | None]:
        """Read every room."""
        yield from damaged_items(self.__getitem__, range(len(self)))

    def _objects(self, room: Path) -> list[Path]:
        found = sorted(visible((room / 'Annotations').glob('*_*.txt')))
        if not found:
            raise missing(room / 'Annotations', 'a file CLASS_N.txt for each object')
        return found

    @staticmethod
    def _class_of(path: Path) -> int:
        name = path.stem.rpartition('_')[0]
        if name in _AS_CLUTTER:
            name = 'clutter'
        if name not in CLASSES:
            raise damaged(path, f'an object of class {name!r}', f'one of {", ".join(CLASSES)}')
        return CLASSES.index(name)
