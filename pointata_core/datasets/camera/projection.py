# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From LiDAR points to pixels: rigid transforms, pinhole cameras and lens distortion.

Pixels are (row, column); the centre of the pixel in row r and column c lies at (r, c), so a point
belongs to the pixel ``floor``. Camera frames are x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def rigid(translation: Sequence[float], quaternion: Sequence[float]) -> NDArray[np.float64]:
    """Transform (4, 4) of a translation and a quaternion (w, x, y, z) of any length but zero.

    Raises:
        ValueError: The quaternion is zero, or something is not finite.
    """
    q, t = np.asarray(quaternion, np.float64), np.asarray(translation, np.float64)
    length = np.linalg.norm(q)
    if q.shape != (4,) or t.shape != (3,) or not np.isfinite(t).all() or not 0 < length < np.inf:
        raise ValueError(f'no rigid transform: translation {t}, quaternion {q}')
    w, x, y, z = q / length
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = t
    return matrix


def project(
    points: NDArray, camera: NDArray, transform: NDArray | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel and depth of each point.

    Args:
        points: (N, 3) metres.
        camera: (3, 3) intrinsic matrix or (3, 4) projection.
        transform: (4, 4), points into the camera's frame; None if they are there.

    Returns:
        (N, 2) row and column, NaN at depth 0 or less, and (N,) depth in metres.
    """
    homogeneous = np.pad(np.asarray(points, np.float64), ((0, 0), (0, 1)), constant_values=1)
    matrix = np.zeros((3, 4))
    matrix[:, : camera.shape[1]] = camera
    if transform is not None:
        matrix = matrix @ transform
    column, row, depth = (
        homogeneous @ matrix.T[:, 0],
        homogeneous @ matrix.T[:, 1],
        homogeneous @ matrix.T[:, 2],
    )
    scale = np.where(depth > 0, depth, np.nan)
    return np.stack([row / scale, column / scale], axis=1), depth


def visible(pixels: NDArray, height: int, width: int) -> NDArray[np.bool_]:
    """Which pixels (N, 2) lie strictly inside an image; NaN does not."""
    row, column = pixels[:, 0], pixels[:, 1]
    with np.errstate(invalid='ignore'):
        return (row > 0) & (row < height) & (column > 0) & (column < width)


def distort(
    pixels: NDArray, undistorted: NDArray, original: NDArray, coefficients: Sequence[float]
) -> NDArray[np.float64]:
    """Where pixels of a rectified image lie in the image that the lens made.

    The polynomial model of Brown and Conrady: k1, k2, p1, p2, k3.

    Args:
        pixels: (N, 2) row and column in the rectified image.
        undistorted: (3, 3) intrinsic matrix of the rectified image.
        original: (3, 3) intrinsic matrix of the image.
        coefficients: Five numbers; missing ones are 0.

    Returns:
        (N, 2) row and column.
    """
    k1, k2, p1, p2, k3 = [*np.ravel(coefficients), 0, 0, 0, 0, 0][:5]
    x = (pixels[:, 1] - undistorted[0, 2]) / undistorted[0, 0]
    y = (pixels[:, 0] - undistorted[1, 2]) / undistorted[1, 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    row = bent_y * original[1, 1] + original[1, 2]
    column = bent_x * original[0, 0] + original[0, 2]
    return np.stack([row, column], axis=1)
