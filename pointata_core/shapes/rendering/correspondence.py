# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pixel of every point: exact projection and a depth test along the point's own ray.

A depth map has one depth per pixel, so a test against it misjudges points at edges and on slanted
surfaces. A ray from the camera through the point itself has no such error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.rendering.cameras import Cameras
from pointata_core.shapes.rendering.ray_casting import RayCaster

HIDDEN = -1


def point_pixels(
    points: NDArray[np.floating], cameras: Cameras, caster: RayCaster, tolerance: float
) -> NDArray[np.int16]:
    """Find the pixel of each point in each view.

    Args:
        points: (M, 3) on or near the surface.
        cameras: V cameras.
        caster: Of the shape that may hide points.
        tolerance: How far behind the surface that its ray meets a point still counts as seen.

    Returns:
        (V, M, 2) row and column; ``HIDDEN`` where the point is not seen or outside the image.
    """
    uv, depth = cameras.project(points)
    pixels = np.full((*depth.shape, 2), HIDDEN, np.int16)
    inside = (depth > 0) & ((uv >= 0) & (uv < cameras.size)).all(axis=-1)
    for index, eye in enumerate(cameras.eyes):
        candidates = np.flatnonzero(inside[index])
        rays = points[candidates] - eye
        hits = caster.cast(np.broadcast_to(eye, rays.shape), rays)
        # Along its own ray the point lies at 1.
        reach = 1 - tolerance / np.linalg.norm(rays, axis=1)
        seen = candidates[hits.distance >= reach]
        pixels[index, seen] = np.floor(uv[index, seen, ::-1])
    return pixels


def pixel_cells(pixels: NDArray[np.int16], stride: int, size: int) -> NDArray[np.int16]:
    """Cells of a feature map, counted row by row.

    Args:
        pixels: (..., 2) row and column, or ``HIDDEN``.
        stride: Pixels per cell of the feature map in both directions.
        size: Width and height of the image; a rest that fills no cell joins the last one.

    Returns:
        (...) cell index below ``(size // stride) ** 2``; ``HIDDEN`` for hidden points.
    """
    across = size // stride
    cell = np.minimum(pixels // stride, across - 1)
    return np.where(pixels[..., 0] == HIDDEN, HIDDEN, cell[..., 0] * across + cell[..., 1]).astype(
        np.int16
    )
