# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Union and difference of labelled solids: one watertight mesh with a part label for every face.

Booleans are those of the library manifold3d, which are robust for closed input and report from
which input each output face came. So no surface is left inside a shape, where neither a camera nor
a sensor could see the points sampled on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.procedural.deformations import Deformation
from pointata_core.shapes.procedural.solids import Floats, Solid

if TYPE_CHECKING:
    from manifold3d import Manifold


@dataclass(frozen=True, eq=False)
class LabelledMesh:
    """A watertight mesh with a part per face.

    Args:
        vertices: (V, 3) float64.
        faces: (F, 3) int32.
        face_part: (F,) uint8 index of the part.
    """

    vertices: Floats
    faces: NDArray[np.int32]
    face_part: NDArray[np.uint8]


class Assembly:
    """Collects solids by part; ``build`` unites them.

    Args:
        parts: Names of the parts, in the order of their indices.
    """

    def __init__(self, parts: Sequence[str]) -> None:
        self._index = {name: index for index, name in enumerate(parts)}
        self._part_of: dict[int, int] = {}
        self._solids: list[Manifold] = []

    def add(self, part: str, *solids: Solid) -> None:
        """Add solids to a part."""
        self._solids += [self._manifold(part, solid) for solid in solids]

    def add_mirrored(self, part: str, *solids: Solid, axis: str = 'y') -> None:
        """Add solids and their mirror images at the plane normal to ``axis``."""
        for solid in solids:
            self.add(part, solid, solid.mirrored(axis))

    def add_around(self, part: str, count: int, solid: Solid, start: float = 0.0) -> None:
        """Add copies turned about z by equal steps, beginning with ``start`` degrees."""
        for step in range(count):
            self.add(part, solid.turned('z', start + 360 * step / count))

    def cut(self, part: str, *solids: Solid) -> None:
        """Take solids away from all that was added so far; the walls of the hole join ``part``."""
        tools = [self._manifold(part, solid) for solid in solids]
        self._solids = [_boolean([_boolean(self._solids, 'Add'), *tools], 'Subtract')]

    def build(self, deformations: Sequence[Deformation] = ()) -> LabelledMesh:
        """Unite all solids, scale the result into the unit sphere and deform it there.

        The bounding box is centred at the origin and the farthest vertex lies at distance 1,
        before and after the deformations.
        """
        union = _boolean(self._solids, 'Add')
        mesh = union.to_mesh()
        vertices = normalise(mesh.vert_properties[:, :3].astype(np.float64))
        if deformations:
            # A bent surface needs vertices to bend at.
            union = union.refine_to_length(0.2 / _scale(mesh.vert_properties[:, :3], vertices))
            mesh = union.to_mesh()
            vertices = normalise(mesh.vert_properties[:, :3].astype(np.float64))
            for deformation in deformations:
                vertices = deformation(vertices)
            vertices = normalise(vertices)
        owners = np.array([self._part_of[int(i)] for i in mesh.run_original_id], np.uint8)
        starts = np.asarray(mesh.run_index, np.int64)
        face_part = np.repeat(owners, (starts[1:] - starts[:-1]) // 3)
        return LabelledMesh(vertices, mesh.tri_verts.astype(np.int32), face_part)

    def _manifold(self, part: str, solid: Solid) -> Manifold:
        from manifold3d import Error, Manifold, Mesh

        identity = Manifold.reserve_ids(1)
        self._part_of[identity] = self._index[part]
        faces = np.ascontiguousarray(solid.faces, np.uint32)
        manifold = Manifold(
            Mesh(
                np.ascontiguousarray(solid.vertices, np.float32),
                faces,
                run_index=np.array([0, faces.size], np.uint32),
                run_original_id=np.array([identity], np.uint32),
            )
        )
        if manifold.status() != Error.NoError:
            raise ValueError(f'part {part!r}: not a closed solid ({manifold.status()})')
        return manifold


def normalise(vertices: Floats) -> Floats:
    """Centre the bounding box (V, 3) at the origin and put the farthest vertex at distance 1."""
    centred = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    return centred / np.linalg.norm(centred, axis=1).max()


def _scale(before: Floats, after: Floats) -> float:
    return float(np.ptp(after[:, 0]) / np.ptp(before[:, 0]))


def _boolean(solids: list[Manifold], operation: str) -> Manifold:
    from manifold3d import Manifold, OpType

    return Manifold.batch_boolean(solids, getattr(OpType, operation))
