# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points of a shape where the rays of a sensor meet it."""

from __future__ import annotations

import numpy as np

from pointata_core.shapes.rendering.ray_casting import RayCaster
from pointata_core.shapes.sampling import SurfaceSamples
from pointata_core.shapes.shape import Shape, face_normals


def sample_scan(
    shape: Shape, caster: RayCaster, count: int, rng: np.random.Generator
) -> SurfaceSamples:
    """Follow the rays of ``shape.scan``; too few hits are repeated, of too many some are drawn.

    Args:
        shape: A shape with a scan.
        caster: Of this shape.
        count: Number of points, M.
        rng: Source of randomness.

    Raises:
        ValueError: The shape has no scan, or no ray meets it.
    """
    if shape.scan is None:
        raise ValueError(f'{shape.name} has no scan')
    rays = np.asarray(shape.scan.directions, np.float32)
    hits = caster.cast(np.broadcast_to(shape.scan.origin, rays.shape), rays)
    met = np.flatnonzero(hits.face >= 0)
    if not len(met):
        raise ValueError(f'no ray of the scan meets {shape.name}')
    rounds = -(-count // len(met))
    chosen = np.concatenate([rng.permutation(met) for _ in range(rounds)])[:count]
    chosen = rng.permutation(chosen)
    face = hits.face[chosen]
    triangles = shape.triangles[face]
    return SurfaceSamples(
        points=np.einsum('mk,mkd->md', hits.corner_weights[chosen], triangles),
        normals=face_normals(triangles).astype(np.float32),
        part=shape.face_part[face],
        face=face,
    )
