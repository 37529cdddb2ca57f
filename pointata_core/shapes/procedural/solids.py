# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Closed triangle meshes and the loft from which every other solid is made.

Frame of all solids: x forward, y left, z up; metres until a finished shape is normalised. Faces are
counter-clockwise seen from outside, so a solid's volume is positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_AXES = {'x': 0, 'y': 1, 'z': 2}


@dataclass(frozen=True, eq=False)
class Solid:
    """A closed, outward-oriented triangle mesh; methods return moved copies.

    Args:
        vertices: (V, 3) float64.
        faces: (F, 3) int32 indices of vertices.
    """

    vertices: Floats
    faces: NDArray[np.int32]

    @property
    def volume(self) -> float:
        """Enclosed volume; negative for an inside-out mesh."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.einsum('ij,ij->', a, np.cross(b, c)) / 6)

    def at(self, x: float, y: float, z: float) -> Solid:
        """Shift by (x, y, z)."""
        return Solid(self.vertices + (x, y, z), self.faces)

    def scaled(self, x: float, y: float, z: float) -> Solid:
        """Scale along the axes by positive factors."""
        return Solid(self.vertices * (x, y, z), self.faces)

    def turned(self, axis: str, degrees: float) -> Solid:
        """Rotate about an axis ('x', 'y' or 'z') through the origin, right-handed."""
        return self.rotated(rotation(axis, degrees))

    def rotated(self, matrix: ArrayLike) -> Solid:
        """Apply a rotation matrix (3, 3) to column vectors."""
        return Solid(self.vertices @ np.asarray(matrix, np.float64).T, self.faces)

    def mirrored(self, axis: str) -> Solid:
        """Mirror at the plane through the origin normal to ``axis``, keeping the orientation."""
        vertices = self.vertices.copy()
        vertices[:, _AXES[axis]] *= -1
        return Solid(vertices, self.faces[:, ::-1])

    def warped(self, function: Callable[[Floats], Floats]) -> Solid:
        """Move every vertex by a function of (V, 3) positions that keeps the orientation."""
        return Solid(function(self.vertices), self.faces)


def rotation(axis: str, degrees: float) -> Floats:
    """Rotation matrix (3, 3) about a coordinate axis."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = ((1, 2), (2, 0), (0, 1))[_AXES[axis]]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def rotation_to(direction: ArrayLike) -> Floats:
    """A rotation matrix (3, 3) that takes z to a non-zero direction."""
    z = np.asarray(direction, np.float64)
    z = z / np.linalg.norm(z)
    helper = (0.0, 1.0, 0.0) if abs(z[1]) < 0.9 else (1.0, 0.0, 0.0)
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def loft(
    rings: ArrayLike,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    closed: bool = False,
) -> Solid:
    """Skin a row of rings of equally many points.

    Args:
        rings: (K, S, 3), K >= 1; the points of a ring go once around in any sense.
        start: (3,) point to which the first ring is closed by a fan; None = the ring's mean, from
            where a plane ring must be visible as a whole (star-shaped).
        end: The same for the last ring.
        closed: Join the last ring to the first one instead of capping both.

    Returns:
        A closed solid, oriented outwards.
    """
    rings = np.asarray(rings, np.float64)
    count, size = rings.shape[:2]
    vertices = rings.reshape(-1, 3)
    row = np.arange(size)
    after = np.roll(row, -1)
    first = np.arange(count if closed else count - 1)[:, None] * size
    second = (first + size) % (count * size)
    a, b, c, d = first + row, first + after, second + row, second + after
    faces = [np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)]
    if not closed:
        apexes = [
            ring.mean(axis=0) if apex is None else np.asarray(apex, np.float64)
            for ring, apex in ((rings[0], start), (rings[-1], end))
        ]
        vertices = np.concatenate([vertices, apexes])
        last = (count - 1) * size
        low, high = np.full(size, count * size), np.full(size, count * size + 1)
        faces += [np.stack([after, row, low], -1), np.stack([last + row, last + after, high], -1)]
    solid = Solid(vertices, np.concatenate(faces).astype(np.int32))
    return solid if solid.volume > 0 else Solid(vertices, solid.faces[:, ::-1])
