# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads OBJ, OFF, PLY and GLB meshes through trimesh and refuses broken ones by name.

Textures and materials are not looked at. What a mesh must have: triangles with a positive area,
finite coordinates, an extent. It need not be watertight; few meshes of public data sets are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import ConfigError, PointataError
from pointata_core.shapes.procedural.assembly import normalise
from pointata_core.shapes.shape import Shape, face_areas

if TYPE_CHECKING:
    import trimesh

SUFFIXES = ('.obj', '.off', '.ply', '.glb')

# Rows: our x (forward), y (left) and z (up) in the axes of the file.
_TO_Z_UP = {
    'z': np.eye(3),
    'y': np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]], np.float64),  # ShapeNet: front is -z
}


class MeshError(PointataError):
    """A mesh file is broken or holds nothing that could be sampled or rendered."""


@dataclass(frozen=True)
class BrokenMesh:
    """A mesh that was skipped.

    Args:
        name: Its name in the data set.
        path: Its file.
        reason: What is wrong with it.
    """

    name: str
    path: str
    reason: str


def read_mesh(
    path: str | Path,
    *,
    up: str = 'z',
    family: str = '',
    name: str = '',
    max_faces: int = 2_000_000,
) -> Shape:
    """Read a mesh file as a shape of one part.

    Args:
        path: An ``.obj``, ``.off``, ``.ply`` or ``.glb`` file; polygons are cut into triangles and
            the nodes of a scene are joined.
        up: Axis of the file that points up: 'z' (ModelNet) or 'y' (ShapeNet, glTF; front -z).
        family: Label of the shape.
        name: Name of the shape; empty = that of the file without its ending.
        max_faces: Larger meshes are refused.

    Raises:
        MeshError: The file is absent, unreadable, empty, not finite, flat to a point or too large.
        ConfigError: ``up`` is neither 'y' nor 'z'.
    """
    path = Path(path)
    if up not in _TO_Z_UP:
        raise ConfigError(f"up is {up!r}, expected 'y' or 'z'", 'Name the axis that points up')
    try:
        mesh = _load(path)
        vertices, faces = _checked(mesh, max_faces)
    except _Broken as error:
        raise MeshError(f'{path}: {error}', 'Repair the file or leave it out') from error
    return Shape(
        vertices=normalise(vertices @ _TO_Z_UP[up].T).astype(np.float32),
        faces=faces,
        face_part=np.zeros(len(faces), np.uint8),
        part_names=('whole',),
        family=family,
        name=name or path.stem,
    )


class _Broken(Exception):
    """What is wrong with a mesh, without its name."""


def _load(path: Path) -> trimesh.Trimesh:
    import trimesh  # slow to import, and only needed here

    if path.suffix.lower() not in SUFFIXES:
        raise _Broken(f'ending {path.suffix!r}, expected one of {", ".join(SUFFIXES)}')
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _Broken(error.strerror or str(error)) from error
    if path.suffix.lower() in ('.obj', '.off'):
        # With an optional encoding detector the parser would guess, and find no faces.
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise _Broken('cannot be parsed (not UTF-8 text)') from error
    # Many files of ModelNet40 lack the line break after the magic word: `OFF490 518 0`.
    if path.suffix.lower() == '.off':
        content = re.sub(rb'^\s*(C?OFF)[ \t]*(?=\d)', rb'\1\n', content)
    try:
        return trimesh.load_mesh(
            trimesh.util.wrap_as_stream(content),
            file_type=path.suffix[1:].lower(),
            process=False,
            skip_materials=True,
        )
    # The parser imports an optional encoding detector when a mesh is not UTF-8 text.
    except ModuleNotFoundError as error:
        raise _Broken('cannot be parsed (neither UTF-8 text nor a binary mesh)') from error
    # Parsers raise anything on damaged bytes.
    except Exception as error:
        raise _Broken(f'cannot be parsed ({type(error).__name__}: {error})') from error


def _checked(
    mesh: trimesh.Trimesh, max_faces: int
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    faces = np.asarray(getattr(mesh, 'faces', np.empty((0, 3))))
    vertices = np.asarray(getattr(mesh, 'vertices', np.empty((0, 3))), np.float64)
    if not len(faces) or faces.ndim != 2:
        raise _Broken('it has no faces')
    if len(faces) > max_faces:
        raise _Broken(f'it has {len(faces)} faces, at most {max_faces} are accepted')
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise _Broken(f'a face names vertex {faces.max()} of {len(vertices)}')
    used = vertices[np.unique(faces)]
    if not np.isfinite(used).all():
        raise _Broken('a vertex is not finite')
    extent = float(np.ptp(used, axis=0).max())
    if not 0 < extent < 1e30:
        raise _Broken(f'its extent is {extent:g}')
    areas = face_areas(vertices[faces])
    solid = areas > 1e-14 * extent**2
    if not solid.any():
        raise _Broken('no face has an area')
    faces = faces[solid]
    kept, faces = np.unique(faces, return_inverse=True)
    return vertices[kept], faces.reshape(-1, 3).astype(np.int32)
