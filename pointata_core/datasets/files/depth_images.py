# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images to points: the pinhole camera of every depth data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import damaged, require_file


@dataclass(frozen=True)
class DepthCamera:
    """A pinhole camera without distortion.

    Args:
        focal_x: Focal length in columns.
        focal_y: Focal length in rows.
        centre_x: Column of the optical axis, zero-based.
        centre_y: Row of the optical axis.
        metres_per_unit: What depth 1 in an image means.
    """

    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float
    metres_per_unit: float = 0.001

    def points(self, depth: NDArray) -> NDArray[np.float32]:
        """Points of all pixels with depth above 0.

        Args:
            depth: (H, W) in the camera's unit.

        Returns:
            (N, 3) float32 metres, x right, y down, z forward; pixels row by row.
        """
        rows, columns = np.nonzero(depth > 0)
        return self.points_at(rows, columns, depth[rows, columns])

    def points_at(self, rows: NDArray, columns: NDArray, depth: NDArray) -> NDArray[np.float32]:
        """Points of given pixels.

        Args:
            rows: (N,).
            columns: (N,).
            depth: (N,) in the camera's unit.

        Returns:
            (N, 3) float32 metres.
        """
        z = depth * self.metres_per_unit
        x = (columns - self.centre_x) / self.focal_x * z
        y = (rows - self.centre_y) / self.focal_y * z
        return np.stack([x, y, z], axis=-1).astype(np.float32)


def upright(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points (N, 3) of an optical frame (x right, y down, z forward) as x forward, y left, z up."""
    x, y, z = points.T
    return np.ascontiguousarray(np.stack([z, -x, -y], axis=-1))


def read_depth_image(path: Path) -> NDArray:
    """Read a depth image (H, W) in the unit of the file.

    Raises:
        DataError: It is missing, damaged, or has several channels.
    """
    from PIL import Image, UnidentifiedImageError

    require_file(path, 'a depth image')
    try:
        with Image.open(path) as image:
            depth = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise damaged(path, error, 'a 16-bit PNG of depth') from error
    if depth.ndim != 2:
        raise damaged(path, f'an image of shape {depth.shape}', 'one channel of depth')
    return depth
