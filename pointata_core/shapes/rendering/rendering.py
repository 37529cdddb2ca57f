# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shaded images and depth maps of a shape, one ray per pixel.

Grey or coloured surfaces on white, lit by a lamp at the camera (Lambert) and by even light. Both
sides of a face are lit: meshes of public data sets are often turned inside out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.rendering.cameras import Cameras
from pointata_core.shapes.rendering.ray_casting import RayCaster
from pointata_core.shapes.rendering.settings import RenderSettings
from pointata_core.shapes.rendering.shading import corner_normals
from pointata_core.shapes.shape import Shape

BACKGROUND = 255


@dataclass(frozen=True, eq=False)
class Renderings:
    """V square images of one shape.

    Args:
        images: (V, S, S) uint8 grey, or (V, S, S, 3) colours; white where nothing is.
        depth: (V, S, S) float32 distance in front of the camera plane; infinite where nothing is.
        face: (V, S, S) int32 face seen; -1 where nothing is.
    """

    images: NDArray[np.uint8]
    depth: NDArray[np.float32]
    face: NDArray[np.int32]


def render(
    shape: Shape, cameras: Cameras, settings: RenderSettings, caster: RayCaster | None = None
) -> Renderings:
    """Render a shape from all cameras.

    Args:
        shape: A shape within the unit sphere.
        cameras: From where.
        settings: Shading.
        caster: Of this shape, if there is one already.
    """
    caster = RayCaster(shape) if caster is None else caster
    normals = corner_normals(shape, settings.crease_degrees)
    size = cameras.size
    colours = (3,) if settings.colour else ()
    images = np.full((len(cameras), size, size, *colours), BACKGROUND, np.uint8)
    depth = np.full(images.shape[:3], np.inf, np.float32)
    face = np.full(depth.shape, -1, np.int32)
    for index, (eye, (low, high)) in enumerate(zip(cameras.eyes, _windows(shape, cameras))):
        rows, columns = np.mgrid[low[1] : high[1], low[0] : high[0]].reshape(2, -1)
        rays = cameras.pixel_rays(index, rows, columns)
        hits = caster.cast(np.broadcast_to(eye, rays.shape), rays)
        seen = hits.face >= 0
        rows, columns = rows[seen], columns[seen]
        normal = np.einsum('rk,rkd->rd', hits.corner_weights[seen], normals[hits.face[seen]])
        towards = rays[seen] / np.linalg.norm(rays[seen], axis=1, keepdims=True)
        length = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
        facing = np.abs(np.einsum('rd,rd->r', normal, towards)) / length
        light = settings.ambient + (1 - settings.ambient) * facing
        images[index, rows, columns] = np.rint(
            255 * _colours(shape, hits.face[seen], settings, light)
        )
        depth[index, rows, columns] = hits.distance[seen]
        face[index, rows, columns] = hits.face[seen]
    return Renderings(images, depth, face)


def _colours(
    shape: Shape, face: NDArray[np.int32], settings: RenderSettings, light: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Brightness 0..1 of R pixels, (R,), or (R, 3) in colour."""
    if not settings.colour:
        return settings.albedo * light
    if shape.face_colour is None:
        return np.repeat(settings.albedo * light[:, None], 3, axis=1)
    return shape.face_colour[face] / 255 * light[:, None]


def _windows(shape: Shape, cameras: Cameras) -> NDArray[np.int64]:
    """First and last pixel that could show something: (V, 2, 2) of low and high, (u, v)."""
    uv, _ = cameras.project(shape.vertices)
    low, high = np.floor(uv.min(axis=1)), np.ceil(uv.max(axis=1))
    return np.clip(np.stack([low, high], axis=1), 0, cameras.size).astype(np.int64)
