# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A pinhole camera beside the LiDAR: its calibration, and its rays for the ray caster.

Two frames belong to a camera. The *body* is x forward, y left, z up, like every sensor here; the
*optical* frame is x right, y down, z forward, as calibration files have it. The pixel in row r and
column c covers [r, r + 1) x [c, c + 1), so a point belongs to the pixel ``floor``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.simulation.sensing.sensors import SensorModel
from pointata_core.simulation.solids import rigid, rotation_from_rpy

OPTICAL_FROM_BODY = np.array(
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


@dataclass(frozen=True)
class CameraModel:
    """An undistorted camera, mounted on the LiDAR.

    Attributes:
        width: Columns of the image.
        height: Rows of the image.
        view_deg: Horizontal field of view, degrees.
        position: Of the camera in the LiDAR's frame, metres.
        roll_deg: Of the mounting, degrees.
        pitch_deg: Of the mounting, degrees; positive looks down.
        yaw_deg: Of the mounting, degrees; positive looks left.
        max_range: Metres; the sky begins behind it.

    Raises:
        ConfigError: A size below 8 pixels, a field of view outside (0, 160), or no range.
    """

    width: int = 320
    height: int = 192
    view_deg: float = 70.0
    position: tuple[float, float, float] = (0.2, 0.0, -0.15)
    roll_deg: float = 0.0
    pitch_deg: float = 0.0
    yaw_deg: float = 0.0
    max_range: float = 150.0

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 8:
            raise ConfigError(
                f'the camera is {self.width} x {self.height} pixels, expected at least 8 x 8'
            )
        if not 0 < self.view_deg < 160:
            raise ConfigError(
                f'view_deg is {self.view_deg}, expected more than 0 and less than 160'
            )
        if not self.max_range > 0:
            raise ConfigError(f'max_range of the camera is {self.max_range}, expected more than 0')

    @property
    def focal(self) -> float:
        """Focal length in pixels, of rows and columns alike."""
        return self.width / 2 / self._half_width

    @property
    def _half_width(self) -> float:
        return float(np.tan(np.radians(self.view_deg) / 2))

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3) camera matrix; the principal point is the image's middle."""
        return np.array(
            [[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1]]
        )

    @cached_property
    def pose(self) -> np.ndarray:
        """(4, 4) body of the camera -> LiDAR."""
        turn = np.radians([self.roll_deg, self.pitch_deg, self.yaw_deg])
        return rigid(self.position, rotation_from_rpy(*turn))

    @cached_property
    def extrinsics(self) -> np.ndarray:
        """(4, 4) LiDAR -> optical frame."""
        return OPTICAL_FROM_BODY @ np.linalg.inv(self.pose)

    @cached_property
    def grid(self) -> SensorModel:
        """The rays through the middles of all pixels; rows from the bottom up, columns to the left.

        Its frame is the camera's body; `upright` turns its grid into the order of an image.
        """
        rows = (np.arange(self.height) + 0.5 - self.height / 2) / self.focal
        return SensorModel(
            'camera',
            tuple(rows.tolist()),
            self.width,
            self.max_range,
            min_range=0.0,
            projection='pinhole',
            half_width=self._half_width,
        )

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel and depth of each point.

        Args:
            points: (N, 3) metres in the LiDAR's frame.

        Returns:
            (N, 2) row and column, NaN at depth 0 or less, and (N,) depth in metres.
        """
        local = points.astype(np.float64) @ self.extrinsics[:3, :3].T + self.extrinsics[:3, 3]
        depth = local[:, 2]
        scale = self.focal / np.where(depth > 0, depth, np.nan)
        row, column = local[:, 1] * scale + self.height / 2, local[:, 0] * scale + self.width / 2
        return np.stack([row, column], axis=1), depth

    def inside(self, pixels: np.ndarray) -> np.ndarray:
        """(N,) bool: which pixels (N, 2) lie in the image; NaN does not."""
        # Strictly above zero, as the loaders of recorded data have it.
        with np.errstate(invalid='ignore'):
            return np.all((pixels > 0) & (pixels < (self.height, self.width)), axis=1)


def upright(grid: np.ndarray) -> np.ndarray:
    """Turn (rows, columns, ...) of the ray grid into the order of an image, top left first."""
    return grid[::-1, ::-1]
