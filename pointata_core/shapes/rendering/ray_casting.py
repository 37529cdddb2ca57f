# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Casts rays at a mesh with Embree, on the CPU and without OpenGL."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.shape import Shape


@dataclass(frozen=True, eq=False)
class Hits:
    """What R rays met first.

    Args:
        distance: (R,) float32 in lengths of the ray's direction; infinite for a miss.
        face: (R,) int32 index of the face; -1 for a miss.
        corner_weights: (R, 3) float32 weights of the face's corners at the point hit.
    """

    distance: NDArray[np.float32]
    face: NDArray[np.int32]
    corner_weights: NDArray[np.float32]


class RayCaster:
    """A mesh prepared for ray casting; both sides of a face stop a ray.

    Args:
        shape: What the rays shall hit.
    """

    def __init__(self, shape: Shape) -> None:
        # Compiled, and only needed here: the rest of the package does without.
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh

        self._scene = rtcore_scene.EmbreeScene()
        self._mesh = TriangleMesh(
            self._scene,
            np.ascontiguousarray(shape.vertices, np.float32),
            np.ascontiguousarray(shape.faces, np.int32),
        )

    def cast(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> Hits:
        """Follow rays from origins (R, 3) along directions (R, 3) of any length."""
        if not len(directions):
            return Hits(
                np.empty(0, np.float32), np.empty(0, np.int32), np.empty((0, 3), np.float32)
            )
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            output=True,
        )
        face = found['primID']
        second, third = found['u'], found['v']
        return Hits(
            distance=np.where(face >= 0, found['tfar'], np.float32(np.inf)),
            face=face,
            corner_weights=np.stack([1 - second - third, second, third], axis=1),
        )
