# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A finished shape: a triangle mesh in the unit sphere with part labels and a family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Scan:
    """The rays of a sensor, in the frame and unit of the shape.

    Args:
        origin: (3,) where all rays start.
        directions: (R, 3) of any length.
    """

    origin: NDArray[np.floating]
    directions: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Shape:
    """A triangle mesh inside the unit sphere; x forward, y left, z up.

    The bounding box is centred at the origin and the farthest vertex lies at distance 1.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        face_part: (F,) uint8 index into ``part_names``.
        part_names: Parts of the family; a single member may lack some.
        family: Label of the shape: a procedural family or the category of a data set.
        name: Unique name, such as ``chair-00000012`` or the model id of a data set.
        group: Coarser label; empty if there is none.
        face_colour: (F, 3) uint8 red, green and blue; None for grey.
        scan: How a sensor looks at the shape; None where points come from the whole surface.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    face_part: NDArray[np.uint8]
    part_names: tuple[str, ...]
    family: str
    name: str
    group: str = ''
    face_colour: NDArray[np.uint8] | None = None
    scan: Scan | None = None

    @property
    def triangles(self) -> NDArray[np.float32]:
        """(F, 3, 3) corners of every face."""
        return self.vertices[self.faces]


def face_areas(triangles: NDArray[np.floating]) -> NDArray[np.float64]:
    """Areas (F,) of triangles (F, 3, 3)."""
    return np.linalg.norm(_crosses(triangles), axis=1) / 2


def face_normals(triangles: NDArray[np.floating]) -> NDArray[np.float64]:
    """Unit normals (F, 3) of triangles (F, 3, 3); zero where a triangle has no area."""
    crosses = _crosses(triangles)
    return crosses / np.maximum(np.linalg.norm(crosses, axis=1, keepdims=True), 1e-300)


def _crosses(triangles: NDArray[np.floating]) -> NDArray[np.float64]:
    a, b, c = (triangles[:, k].astype(np.float64) for k in range(3))
    return np.cross(b - a, c - a)
