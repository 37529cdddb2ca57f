# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Normals at the corners of faces: round across blunt edges, broken at sharp ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.shape import Shape, face_areas, face_normals


def corner_normals(shape: Shape, crease_degrees: float) -> NDArray[np.float32]:
    """Unit normals (F, 3, 3) for every corner of every face.

    A corner's normal is the mean, weighted by area, over the faces at its vertex whose normals
    differ from its own face's by less than ``crease_degrees``; 0 gives the faces' own normals.
    """
    triangles = shape.triangles
    normals = face_normals(triangles)
    weighted = normals * face_areas(triangles)[:, None]
    corners = shape.faces.ravel()
    order = np.argsort(corners, kind='stable')
    counts = np.bincount(corners, minlength=len(shape.vertices))
    starts = np.cumsum(counts) - counts
    # Every corner is paired with all corners at its vertex, itself among them.
    pairs = counts[corners]
    corner = np.repeat(np.arange(len(corners)), pairs)
    within = np.arange(len(corner)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    other = order[starts[corners[corner]] + within]
    own_face, other_face = corner // 3, other // 3
    blunt = np.einsum('pd,pd->p', normals[own_face], normals[other_face]) > np.cos(
        np.radians(crease_degrees)
    )
    joined = blunt | (own_face == other_face)
    sums = np.stack(
        [
            np.bincount(corner[joined], weighted[other_face[joined], axis], minlength=len(corners))
            for axis in range(3)
        ],
        axis=1,
    )
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    smooth = np.where(lengths > 0, sums / np.maximum(lengths, 1e-300), np.repeat(normals, 3, 0))
    return smooth.reshape(-1, 3, 3).astype(np.float32)
