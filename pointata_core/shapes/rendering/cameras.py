# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Perspective cameras around the unit sphere, with view and projection matrices.

Conventions of OpenGL: a camera looks along its -z with y up; clip coordinates are
``projection @ view @ (x, y, z, 1)``, and their w is the depth in front of the camera. Pixels count
from the top left corner of an image: u to the right, v down, pixel (row, column) covers
``column <= u < column + 1`` and ``row <= v < row + 1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pointata_core.shapes.rendering.settings import RenderSettings

Floats = NDArray[np.float64]
_GOLDEN = (1 + 5**0.5) / 2


@dataclass(frozen=True, eq=False)
class Cameras:
    """V cameras that share one projection.

    Args:
        view: (V, 4, 4) float64, world to camera.
        projection: (4, 4) float64, camera to clip coordinates.
        size: Width and height of the square images in pixels.
    """

    view: Floats
    projection: Floats
    size: int

    def __len__(self) -> int:
        """Number of cameras."""
        return len(self.view)

    @property
    def eyes(self) -> Floats:
        """(V, 3) positions of the cameras."""
        rotation, shift = self.view[:, :3, :3], self.view[:, :3, 3]
        return -np.einsum('vji,vj->vi', rotation, shift)

    def project(self, points: ArrayLike) -> tuple[Floats, Floats]:
        """Project points (M, 3).

        Returns:
            Pixel coordinates (V, M, 2), u and v, and depth (V, M). Only where the depth is positive
            do the coordinates mean anything.
        """
        points = np.asarray(points, np.float64)
        homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        clip = np.einsum('vij,mj->vmi', self.projection @ self.view, homogeneous)
        depth = clip[..., 3]
        with np.errstate(divide='ignore', invalid='ignore'):
            x, y = clip[..., 0] / depth, clip[..., 1] / depth
        # Rows run down, y runs up.
        return np.stack([(x + 1) / 2 * self.size, (1 - y) / 2 * self.size], axis=-1), depth

    def pixel_rays(self, index: int, rows: NDArray, columns: NDArray) -> Floats:
        """Directions (R, 3) through the centres of pixels, a depth of 1 long."""
        x = (np.asarray(columns) + 0.5) / self.size * 2 - 1
        y = 1 - (np.asarray(rows) + 0.5) / self.size * 2
        camera = np.stack(
            [x / self.projection[0, 0], y / self.projection[1, 1], np.full(x.shape, -1.0)], axis=-1
        )
        return camera @ self.view[index, :3, :3]


def cameras_around(settings: RenderSettings) -> Cameras:
    """Cameras at the viewpoints of the settings, all looking at the origin with z upwards."""
    eyes = settings.radius * viewpoints(settings.views)
    return Cameras(
        view=np.stack([look_at(eye) for eye in eyes]),
        projection=perspective(settings.fov_degrees, settings.near, settings.far),
        size=settings.size,
    )


def viewpoints(count: int) -> Floats:
    """Unit vectors (count, 3) spread over the sphere.

    6, 12, 20 and 30 are the vertices of the octahedron, icosahedron, dodecahedron and
    icosidodecahedron; any other number comes from ``fibonacci_sphere``.
    """
    regular = {6: _octahedron, 12: _icosahedron, 20: _dodecahedron, 30: _icosidodecahedron}
    if count not in regular:
        return fibonacci_sphere(count)
    points = np.array(sorted(regular[count]()), np.float64)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def fibonacci_sphere(count: int) -> Floats:
    """``count`` unit vectors along a spiral, nearly evenly spread (Gonzalez, 2010)."""
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = 2 * np.pi * np.arange(count) / _GOLDEN
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1)


def look_at(eye: ArrayLike) -> Floats:
    """View matrix (4, 4) of a camera at ``eye`` that looks at the origin.

    Its image's up is the world's z; seen from straight above or below, it is x.
    """
    eye = np.asarray(eye, np.float64)
    back = eye / np.linalg.norm(eye)
    up = np.array([1.0, 0, 0]) if abs(back[2]) > 0.999 else np.array([0, 0, 1.0])
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(back, right), back])
    matrix[:3, 3] = -matrix[:3, :3] @ eye
    return matrix


def perspective(fov_degrees: float, near: float, far: float) -> Floats:
    """Projection matrix (4, 4) of a square image."""
    focal = 1 / np.tan(np.radians(fov_degrees) / 2)
    matrix = np.zeros((4, 4))
    matrix[0, 0] = matrix[1, 1] = focal
    matrix[2, 2] = (far + near) / (near - far)
    matrix[2, 3] = 2 * far * near / (near - far)
    matrix[3, 2] = -1.0
    return matrix


def _octahedron() -> list[tuple[float, float, float]]:
    return _cyclic((1.0, 0.0, 0.0))


def _icosahedron() -> list[tuple[float, float, float]]:
    return _cyclic((0.0, 1.0, _GOLDEN))


def _dodecahedron() -> list[tuple[float, float, float]]:
    return _cyclic((0.0, 1 / _GOLDEN, _GOLDEN)) + _cyclic((1.0, 1.0, 1.0))


def _icosidodecahedron() -> list[tuple[float, float, float]]:
    return _cyclic((0.0, 0.0, 2 * _GOLDEN)) + _cyclic((1.0, _GOLDEN, _GOLDEN**2))


def _cyclic(point: tuple[float, float, float]) -> list[tuple[float, float, float]]:
    """All different points from cyclic exchange of coordinates and changes of sign."""
    found = set()
    for shift in range(3):
        turned = point[shift:] + point[:shift]
        for signs in range(8):
            x, y, z = (v * (-1 if v and signs >> k & 1 else 1) for k, v in enumerate(turned))
            found.add((x, y, z))
    return list(found)
