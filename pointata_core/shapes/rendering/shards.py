# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered shapes on disk: compressed ``.npz`` shards, written atomically, read shape by shape.

A shard holds plain arrays and a JSON text, nothing that unpickling could execute. The arrays of
shape 7 are called ``0007/points`` and so on, so that one shape is read without unpacking the rest.
Normals are kept in steps of 1/127, all else exactly.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.errors import PointataError
from pointata_core.safe_files import write_atomically
from pointata_core.shapes.meshes.files import BrokenMesh, MeshError
from pointata_core.shapes.rendering.cameras import Cameras, cameras_around
from pointata_core.shapes.rendering.rendered_shape import RenderedShape, render_shape
from pointata_core.shapes.rendering.settings import RenderSettings
from pointata_core.shapes.rendering.sources import Source, describe

FORMAT = 2


class RenderingShardError(PointataError):
    """A shard cannot be read, or belongs to another data set."""


class RenderingShard:
    """A shard on disk: a sequence of ``RenderedShape``, each read on demand.

    Args:
        path: The ``.npz`` file.

    Attributes:
        settings: How it was made.
        cameras: View and projection matrices as stored.
        names: Names of the shapes.
        families: Family of every shape.
        broken: Meshes that were skipped.

    Raises:
        RenderingShardError: Not a shard, or one of another format version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                metadata = json.loads(bytes(archive['metadata']))
                view, projection = archive['view'], archive['projection']
            found = metadata['format']
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
            raise _damaged(self.path, error) from error
        if found != FORMAT:
            raise RenderingShardError(
                f'{self.path} has format {found}, expected {FORMAT}', 'Delete and rewrite it'
            )
        self.metadata: dict[str, Any] = metadata
        self.settings = RenderSettings(**metadata['settings'])
        self.cameras = Cameras(view, projection, self.settings.size)
        self.names = tuple(shape['name'] for shape in metadata['shapes'])
        self.families = tuple(shape['family'] for shape in metadata['shapes'])
        self.broken = tuple(BrokenMesh(**mesh) for mesh in metadata['broken'])

    def __len__(self) -> int:
        """Number of shapes."""
        return len(self.names)

    def __getitem__(self, index: int) -> RenderedShape:
        """Read one shape.

        Raises:
            IndexError: There is no such shape.
            RenderingShardError: The file is cut or damaged.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f'shape {index} of {len(self)}')
        index %= len(self)
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                arrays = {name: archive[f'{index:04d}/{name}'] for name in _ARRAYS}
        # zlib.error among them, which derives from Exception alone
        except Exception as error:
            raise _damaged(self.path, error) from error
        normals = arrays['normals'].astype(np.float32)
        description = self.metadata['shapes'][index]
        return RenderedShape(
            points=arrays['points'],
            normals=normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1),
            part=arrays['part'],
            images=arrays['images'],
            pixels=arrays['pixels'],
            cameras=self.cameras,
            family=description['family'],
            group=description['group'],
            name=description['name'],
            part_names=tuple(description['part_names']),
        )


_ARRAYS = ('points', 'normals', 'part', 'images', 'pixels')


def write_rendering_shard(
    path: str | Path, sources: Sequence[Source], settings: RenderSettings
) -> Path:
    """Make and image the shapes of one shard, unless the very same shard exists already.

    Broken meshes are skipped and named in the shard. The file appears when it is complete.

    Raises:
        RenderingShardError: A shard of other shapes or settings lies there.
    """
    path = Path(path)
    identity = {'settings': settings.to_dict(), 'sources': [describe(s) for s in sources]}
    if path.exists():
        _require_same(path, identity)
        return path
    cameras = cameras_around(settings)
    arrays: dict[str, Any] = {'view': cameras.view, 'projection': cameras.projection}
    shapes: list[dict[str, Any]] = []
    broken: list[dict[str, str]] = []
    for source in sources:
        try:
            shape = source.load()
        except MeshError as error:
            where = str(getattr(source, 'path', ''))
            broken.append({'name': source.name, 'path': where, 'reason': error.message})
            continue
        rendered = render_shape(shape, settings, cameras)
        key = f'{len(shapes):04d}'
        for name in _ARRAYS:
            arrays[f'{key}/{name}'] = getattr(rendered, name)
        arrays[f'{key}/normals'] = np.rint(127 * rendered.normals).astype(np.int8)
        shapes.append(
            {
                'name': shape.name,
                'family': shape.family,
                'group': shape.group,
                'part_names': list(shape.part_names),
            }
        )
    metadata = {'format': FORMAT, **identity, 'shapes': shapes, 'broken': broken}
    text = json.dumps(metadata, sort_keys=True).encode()
    arrays['metadata'] = np.frombuffer(text, np.uint8)
    write_atomically(path, lambda stream: np.savez_compressed(stream, **arrays))
    return path


def _require_same(path: Path, identity: dict[str, Any]) -> None:
    metadata = RenderingShard(path).metadata
    # Through JSON, as the stored side went: tuples become lists.
    for key, expected in json.loads(json.dumps(identity)).items():
        if metadata.get(key) != expected:
            raise RenderingShardError(
                f'{path} was written with other {key}', 'Choose another folder or delete it'
            )


def _damaged(path: Path, error: Exception) -> RenderingShardError:
    return RenderingShardError(
        f'{path} is not a complete image shard ({type(error).__name__}: {error})',
        'Delete it and write it again',
    )
