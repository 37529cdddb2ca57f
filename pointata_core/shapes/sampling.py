# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points on a surface, uniform by area, with normals and part labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.shape import Shape, face_areas, face_normals


@dataclass(frozen=True, eq=False)
class SurfaceSamples:
    """M points of a shape's surface in random order.

    Args:
        points: (M, 3) float32.
        normals: (M, 3) float32 unit normals of the faces.
        part: (M,) uint8 index into the shape's ``part_names``.
        face: (M,) int32 face on which each point lies.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    part: NDArray[np.uint8]
    face: NDArray[np.int32]


def sample_surface(shape: Shape, count: int, rng: np.random.Generator) -> SurfaceSamples:
    """Draw points uniformly by area.

    Faces are chosen by systematic sampling: a face with a share s of the area gets s * count
    points, rounded up or down, so that large faces have no gaps. Each single point is still
    uniformly distributed.

    Args:
        shape: A shape with a positive area.
        count: Number of points, M.
        rng: Source of randomness.
    """
    triangles = shape.triangles
    cumulative = np.cumsum(face_areas(triangles))
    positions = (np.arange(count) + rng.random()) / count * cumulative[-1]
    face = np.searchsorted(cumulative, positions, side='right')
    face = rng.permutation(np.minimum(face, len(cumulative) - 1)).astype(np.int32)
    # Square root for a uniform density over the triangle (Osada et al., Shape Distributions, 2002).
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - root, root * (1 - along), root * along], axis=1)
    return SurfaceSamples(
        points=np.einsum('mk,mkd->md', weights, triangles[face]).astype(np.float32),
        normals=face_normals(triangles[face]).astype(np.float32),
        part=shape.face_part[face],
        face=face,
    )
