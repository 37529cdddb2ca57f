# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ShapeNetPart: 16 categories of shapes with 50 labelled parts.

Yi et al., A Scalable Active Framework for Region Annotation in 3D Shape Collections, SIGGRAPH Asia
2016, in PointNet++'s form with normals: ``SYNSET/NAME.txt`` with rows ``x y z nx ny nz part``,
``synsetoffset2category.txt``, and ``train_test_split/shuffled_{train,val,test}_file_list.json``
with entries ``shape_data/SYNSET/NAME``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pointata_core.datasets.errors import damaged, named_folder, require_file
from pointata_core.datasets.files.text_rows import read_rows
from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.shapes.shape_split import ShapeSplit, absent_files

FOLDER = 'shapenetcore_partanno_segmentation_benchmark_v0_normal'
SPLITS = ('train', 'val', 'test', 'trainval')

PART_COUNTS = {
    'Airplane': 4, 'Bag': 2, 'Cap': 2, 'Car': 4, 'Chair': 4, 'Earphone': 3, 'Guitar': 3,
    'Knife': 2, 'Lamp': 4, 'Laptop': 2, 'Motorbike': 6, 'Mug': 2, 'Pistol': 3, 'Rocket': 3,
    'Skateboard': 3, 'Table': 3,
}  # fmt: skip
"""Parts of every category; labels count on from one category to the next, 0 to 49."""

CATEGORIES = tuple(PART_COUNTS)
_EXPECTED = 'rows x y z nx ny nz part'


def parts_of(category: str) -> range:
    """Labels that the points of a category can have."""
    before = sum(PART_COUNTS[name] for name in CATEGORIES[: CATEGORIES.index(category)])
    return range(before, before + PART_COUNTS[category])


class ShapeNetPart(ShapeSplit):
    """Shapes of one split with normals and a part for every point.

    Args:
        root: The folder of the module's docstring, or the one that holds it.
        split: ``train``, ``val``, ``test``, or ``trainval``, on which final figures are trained.

    Attributes:
        classes: The 50 parts, such as ``Chair.2``.
        categories: (S,) category of every shape.

    Raises:
        DataError: A list is missing, or names a shape of no category.
    """

    name = 'shapenet_part'
    feature_names = ('normal_x', 'normal_y', 'normal_z')
    classes = tuple(
        f'{name}.{part}' for name, count in PART_COUNTS.items() for part in range(count)
    )

    def __init__(self, root: str | Path, split: str = 'train') -> None:
        super().__init__('ShapeNetPart', split, SPLITS)
        self._home = named_folder(root, FOLDER)
        category_of = self._synsets()
        self._names: list[str] = []
        labels: list[int] = []
        for part in ('train', 'val') if split == 'trainval' else (split,):
            listed, names = self._listed(part)
            for name in names:
                synset = name.partition('/')[0]
                if synset not in category_of:
                    raise damaged(listed, f'{name!r}', 'shape_data/SYNSET/NAME of a known synset')
                labels.append(CATEGORIES.index(category_of[synset]))
            self._names += names
        self.categories = np.array(labels, np.int64)

    @property
    def category_names(self) -> tuple[str, ...]:
        """The 16 categories; the classes are their parts."""
        return CATEGORIES

    def _read(self, index: int) -> Frame:
        path, category = self._path(index), int(self.categories[index])
        rows = read_rows(path, 7, _EXPECTED)
        labels = rows[:, 6].astype(np.int64)
        allowed = parts_of(CATEGORIES[category])
        if labels.min() < allowed[0] or labels.max() > allowed[-1]:
            raise damaged(
                path, f'parts {labels.min()} to {labels.max()}',
                f'{allowed[0]} to {allowed[-1]} of {CATEGORIES[category]}',
            )  # fmt: skip
        return Frame(
            points=np.ascontiguousarray(rows[:, :3]),
            name=self._names[index],
            features=np.ascontiguousarray(rows[:, 3:6]),
            labels=labels,
            category=category,
            split=self.split,
        )

    def _absent(self) -> dict[int, str]:
        return absent_files(self._home, [self._path(index) for index in range(len(self))])

    def _synsets(self) -> dict[str, str]:
        path = require_file(
            self._home / 'synsetoffset2category.txt', 'lines of a category and its synset'
        )
        pairs = [line.split() for line in path.read_text().splitlines() if line.strip()]
        if any(len(pair) != 2 or pair[0] not in CATEGORIES for pair in pairs):
            raise damaged(path, 'other lines', f'CATEGORY SYNSET of {", ".join(CATEGORIES)}')
        return {synset: category for category, synset in pairs}

    def _listed(self, part: str) -> tuple[Path, list[str]]:
        name = f'shuffled_{part}_file_list.json'
        path = require_file(self._home / 'train_test_split' / name, 'a JSON list of shapes')
        try:
            entries = json.loads(path.read_text())
        except ValueError as error:
            raise damaged(path, str(error), 'a JSON list of shapes') from error
        if not isinstance(entries, list) or not all(isinstance(e, str) for e in entries):
            raise damaged(path, 'something else', 'a JSON list of shapes')
        return path, [entry.removeprefix('shape_data/') for entry in entries]

    def _path(self, index: int) -> Path:
        return self._home / f'{self._names[index]}.txt'
