# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ShapeNet-55: 3D shapes of 55 categories, as clouds of 8192 points.

Chang et al., ShapeNet: An Information-Rich 3D Model Repository, arXiv:1512.03012; files and splits
of Yu et al., Point-BERT, CVPR 2022: ``shapenet_pc/TAXONOMY-MODEL.npy`` and the lists
``ShapeNet-55/train.txt`` and ``test.txt``, one file name in each line, below ``ShapeNet55-34``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pointata_core.datasets.errors import (
    damaged,
    missing,
    named_folder,
    require_file,
    require_folder,
)
from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.shapes.shape_split import ShapeSplit

SPLITS = ('train', 'test')

# The 55 taxonomy ids of ShapeNetCore in ascending order; a label is a place in this order. Counting
# the ids found instead, as public loaders do, would give a partial copy other labels.
CATEGORIES = {
    '02691156': 'airplane', '02747177': 'trash bin', '02773838': 'bag', '02801938': 'basket',
    '02808440': 'bathtub', '02818832': 'bed', '02828884': 'bench', '02843684': 'birdhouse',
    '02871439': 'bookshelf', '02876657': 'bottle', '02880940': 'bowl', '02924116': 'bus',
    '02933112': 'cabinet', '02942699': 'camera', '02946921': 'can', '02954340': 'cap',
    '02958343': 'car', '02992529': 'cellphone', '03001627': 'chair', '03046257': 'clock',
    '03085013': 'keyboard', '03207941': 'dishwasher', '03211117': 'display',
    '03261776': 'earphone', '03325088': 'faucet', '03337140': 'file cabinet',
    '03467517': 'guitar', '03513137': 'helmet', '03593526': 'jar', '03624134': 'knife',
    '03636649': 'lamp', '03642806': 'laptop', '03691459': 'loudspeaker', '03710193': 'mailbox',
    '03759954': 'microphone', '03761084': 'microwave', '03790512': 'motorbike',
    '03797390': 'mug', '03928116': 'piano', '03938244': 'pillow', '03948459': 'pistol',
    '03991062': 'flowerpot', '04004475': 'printer', '04074963': 'remote control',
    '04090263': 'rifle', '04099429': 'rocket', '04225987': 'skateboard', '04256520': 'sofa',
    '04330267': 'stove', '04379243': 'table', '04401088': 'telephone', '04460130': 'tower',
    '04468005': 'train', '04530566': 'vessel', '04554684': 'washing machine',
}  # fmt: skip
_LABELS = {taxonomy: label for label, taxonomy in enumerate(CATEGORIES)}


class ShapeNet55(ShapeSplit):
    """Shapes of one split, with all their points and in the scale of the files.

    Args:
        root: ``ShapeNet55-34``, or the folder that holds it.
        split: ``train`` or ``test``.

    Attributes:
        categories: (S,) class of every shape.

    Raises:
        DataError: The list is missing, or a line of it names no shape of a known category.
    """

    name = 'shapenet55'
    classes = tuple(CATEGORIES.values())

    def __init__(self, root: str | Path, split: str = 'train') -> None:
        super().__init__('ShapeNet-55', split, SPLITS)
        home = named_folder(root, 'ShapeNet55-34')
        self._folder = require_folder([home / 'shapenet_pc'], 'the clouds TAXONOMY-MODEL.npy')
        listed = require_file(home / 'ShapeNet-55' / f'{split}.txt', 'a list of file names')
        self._names = [line.strip() for line in listed.read_text().splitlines() if line.strip()]
        self.categories = np.array([_label(name, listed) for name in self._names], np.int64)

    def _read(self, index: int) -> Frame:
        path = self._folder / self._names[index]
        expected = 'an array (8192, 3) of finite numbers'
        if not path.is_file():
            raise missing(path, expected)
        try:
            cloud = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise damaged(path, str(error), expected) from error
        if not isinstance(cloud, np.ndarray) or cloud.ndim != 2 or cloud.shape[1] != 3:
            raise damaged(path, f'{getattr(cloud, "shape", "an archive")}', expected)
        if cloud.dtype.kind not in 'fiu' or not len(cloud) or not np.isfinite(cloud).all():
            raise damaged(path, f'{len(cloud)} rows of {cloud.dtype}', expected)
        return Frame(
            points=np.ascontiguousarray(cloud, np.float32),
            name=path.stem,
            category=int(self.categories[index]),
            split=self.split,
        )

    def _absent(self) -> dict[int, str]:
        there = {path.name for path in self._folder.glob('*.npy')}
        return {i: name for i, name in enumerate(self._names) if name not in there}


def _label(name: str, listed: Path) -> int:
    taxonomy = name.partition('-')[0]
    if taxonomy not in _LABELS or not name.endswith('.npy'):
        raise damaged(listed, f'{name!r}', 'TAXONOMY-MODEL.npy of a category of ShapeNetCore')
    return _LABELS[taxonomy]
