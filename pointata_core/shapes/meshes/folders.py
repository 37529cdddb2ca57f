# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the meshes of ShapeNet, ModelNet or any folder, each with its category and name.

* ShapeNetCore (Chang et al., arXiv 1512.03012): ``SYNSET/MODEL/models/model_normalized.obj`` (v2)
  or ``SYNSET/MODEL/model.obj`` (v1); y up. Category names come from ``taxonomy.json`` where it lies
  in the root, else from the table below.
* ModelNet (Wu et al., CVPR 2015): ``CATEGORY/train|test/CATEGORY_0001.off``; z up.
* Otherwise every mesh file counts and the folder that holds it is its category.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pointata_core.errors import ConfigError
from pointata_core.shapes.meshes.files import (
    SUFFIXES,
    BrokenMesh,
    MeshError,
    read_mesh,
)
from pointata_core.shapes.shape import Shape

LAYOUTS = ('shapenet', 'modelnet', 'folder')

# WordNet offsets of the 55 categories of ShapeNetCore.
SHAPENET_CATEGORIES = {
    '02691156': 'airplane', '02747177': 'trash_bin', '02773838': 'bag', '02801938': 'basket',
    '02808440': 'bathtub', '02818832': 'bed', '02828884': 'bench', '02843684': 'birdhouse',
    '02871439': 'bookshelf', '02876657': 'bottle', '02880940': 'bowl', '02924116': 'bus',
    '02933112': 'cabinet', '02942699': 'camera', '02946921': 'can', '02954340': 'cap',
    '02958343': 'car', '02992529': 'cellphone', '03001627': 'chair', '03046257': 'clock',
    '03085013': 'keyboard', '03207941': 'dishwasher', '03211117': 'display',
    '03261776': 'earphone', '03325088': 'faucet', '03337140': 'file_cabinet',
    '03467517': 'guitar', '03513137': 'helmet', '03593526': 'jar', '03624134': 'knife',
    '03636649': 'lamp', '03642806': 'laptop', '03691459': 'loudspeaker', '03710193': 'mailbox',
    '03759954': 'microphone', '03761084': 'microwave', '03790512': 'motorbike',
    '03797390': 'mug', '03928116': 'piano', '03938244': 'pillow', '03948459': 'pistol',
    '03991062': 'flowerpot', '04004475': 'printer', '04074963': 'remote_control',
    '04090263': 'rifle', '04099429': 'rocket', '04225987': 'skateboard', '04256520': 'sofa',
    '04330267': 'stove', '04379243': 'table', '04401088': 'telephone', '04460130': 'tower',
    '04468005': 'train', '04530566': 'watercraft', '04554684': 'washer',
}  # fmt: skip


@dataclass(frozen=True)
class MeshFile:
    """A mesh on disk that was found but not read yet.

    Args:
        path: The file.
        category: Category of the data set.
        name: Unique name within the data set: ``category/model``.
        up: Axis of the file that points up, 'y' or 'z'.
        split: 'train' or 'test' where the layout has splits, else empty.
    """

    path: str
    category: str
    name: str
    up: str
    split: str = ''

    def load(self) -> Shape:
        """Read the mesh.

        Raises:
            MeshError: It is broken.
        """
        return read_mesh(self.path, up=self.up, family=self.category, name=self.name)


def find_meshes(root: str | Path, layout: str = '', up: str = '') -> list[MeshFile]:
    """List the meshes of a data set, sorted by name; nothing is opened.

    Args:
        root: Folder of the data set.
        layout: One of ``LAYOUTS``; empty = recognised from the folders' names.
        up: Axis that points up, 'y' or 'z'; empty = that of the layout ('z' for any folder).

    Raises:
        ConfigError: The folder is absent or holds no mesh of the layout.
    """
    root = Path(root)
    if not root.is_dir():
        raise ConfigError(f'{root} is not a folder', 'Give the root folder of the meshes')
    layout = layout or _recognise(root)
    if layout not in LAYOUTS:
        raise ConfigError(f'there is no layout {layout!r}', f'Choose among {", ".join(LAYOUTS)}')
    finders = {'shapenet': _shapenet, 'modelnet': _modelnet, 'folder': _folder}
    up = up or ('y' if layout == 'shapenet' else 'z')
    meshes = sorted(finders[layout](root, up), key=lambda mesh: mesh.name)
    if not meshes:
        raise ConfigError(
            f'{root} holds no mesh in the layout {layout!r}',
            f'Give the folder that docs/pretraining.md describes, files ending in {SUFFIXES}',
        )
    return meshes


def read_meshes(files: Iterable[MeshFile], broken: list[BrokenMesh]) -> Iterator[Shape]:
    """Read meshes one after another; broken ones are skipped and named in ``broken``."""
    for file in files:
        try:
            shape = file.load()
        except MeshError as error:
            broken.append(BrokenMesh(file.name, file.path, error.message))
            continue
        yield shape


def _recognise(root: Path) -> str:
    folders = [path for path in root.iterdir() if path.is_dir()]
    if any(re.fullmatch(r'\d{8}', folder.name) for folder in folders):
        return 'shapenet'
    if any((folder / split).is_dir() for folder in folders for split in ('train', 'test')):
        return 'modelnet'
    return 'folder'


def _shapenet(root: Path, up: str) -> Iterator[MeshFile]:
    names = _taxonomy(root / 'taxonomy.json')
    for synset in root.iterdir():
        if not re.fullmatch(r'\d{8}', synset.name):
            continue
        category = names.get(synset.name, synset.name)
        for model in synset.iterdir():
            candidates = [
                *(model / 'models' / f'model_normalized{suffix}' for suffix in SUFFIXES),
                *(model / f'model{suffix}' for suffix in SUFFIXES),
            ]
            path = next((path for path in candidates if path.is_file()), None)
            # A model folder without its mesh must show up in the report, not vanish.
            if model.is_dir():
                path = path or candidates[0]
                yield MeshFile(str(path), category, f'{category}/{model.name}', up)


def _taxonomy(path: Path) -> dict[str, str]:
    if not path.is_file():
        return SHAPENET_CATEGORIES
    try:
        entries = json.loads(path.read_text(encoding='utf-8'))
        return {
            str(entry['synsetId']): str(entry['name']).partition(',')[0].replace(' ', '_')
            for entry in entries
        }
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f'{path} is not a list of synsetId and name ({error!r})',
            'Take it from the data set again, or delete it',
        ) from error


def _modelnet(root: Path, up: str) -> Iterator[MeshFile]:
    for path in _mesh_files(root):
        parts = path.relative_to(root).parts
        if len(parts) == 3 and parts[1] in ('train', 'test'):
            yield MeshFile(str(path), parts[0], f'{parts[0]}/{path.stem}', up, parts[1])


def _folder(root: Path, up: str) -> Iterator[MeshFile]:
    for path in _mesh_files(root):
        inside = path.relative_to(root)
        category = inside.parts[-2] if len(inside.parts) > 1 else root.name
        yield MeshFile(str(path), category, str(inside.as_posix()), up)


def _mesh_files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob('*') if path.suffix.lower() in SUFFIXES and path.is_file())
