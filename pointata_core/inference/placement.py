# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the coordinates of a sensor become what networks take: metres, z up (REP-103).

A sensor may be tilted, hang from a ceiling, give millimetres, or use the axes of a camera. Its
points are placed on the way into the network only. Results belong to the same points, in the same
order, and the coordinates that leave are those that came.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointata_core.errors import ConfigError

LARGEST_SCALE = 1e6
_WHOLE_TURN = 2 * np.pi + 1e-3


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the points of a sensor are.

    Attributes:
        scale: Metres per unit of the coordinates.
        pose: (4, 4) pose of the sensor in the frame that the network sees: metres, z up. Its
            rotation turns the points; ranges are still measured from the sensor.
    """

    scale: float = 1.0
    pose: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))

    @property
    def offset(self) -> NDArray[np.float64]:
        """(3,) metres, position of the sensor."""
        return self.pose[:3, 3]

    @property
    def is_turned(self) -> bool:
        """Whether the axes of the sensor are not those of the network."""
        return not np.array_equal(self.pose[:3, :3], np.eye(3))

    def turned(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (N, 3) in metres and turned, with the sensor still at (0, 0, 0)."""
        turn = self.pose[:3, :3] * self.scale
        if np.array_equal(turn, np.eye(3)):
            return points
        with np.errstate(invalid='ignore', over='ignore'):
            return np.ascontiguousarray(points.astype(np.float64) @ turn.T, dtype=np.float32)

    def apply(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (N, 3) as the network sees them."""
        turned = self.turned(points)
        return turned + self.offset.astype(np.float32) if self.offset.any() else turned

    def motion(self, transform: NDArray[np.float64], before: Placement) -> NDArray[np.float64]:
        """The motion of the sensor as the network sees it, (4, 4).

        Args:
            transform: (4, 4) in metres, sensor frame of an earlier cloud -> that of this one.
            before: Placement of the earlier cloud.
        """
        if not (_is_pose(self.pose) or _is_pose(before.pose)):
            return transform
        return self.pose @ transform @ np.linalg.inv(before.pose)


UNPLACED = Placement()
"""Of a sensor whose points are in metres with z up."""

OPTICAL = Placement(1.0, np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]]))
"""Of a camera whose points have its optical axes: x right, y down, z forward."""


def parse_placement(scale: float = 1.0, pose: str = '', target_frame: str = '') -> Placement:
    """A placement from settings.

    Args:
        scale: Metres per unit of the coordinates.
        pose: ``x y z roll pitch yaw`` (metres, radians), or empty.
        target_frame: A frame whose pose the transforms hold, instead of ``pose``.

    Raises:
        ConfigError: A value makes no sense, or both a pose and a frame are given.
    """
    if pose.strip() and target_frame:
        raise ConfigError(
            f"both sensor_pose ('{pose}') and target_frame ('{target_frame}') are given",
            'Give one of them: a pose, or the name of a frame whose pose the transforms hold',
        )
    if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
        raise ConfigError(
            f'input_scale is {scale}, expected {1 / LARGEST_SCALE:g} to {LARGEST_SCALE:g}',
            'Give the metres per unit of the coordinates: 0.001 for millimetres',
        )
    if not pose.strip() and scale == 1.0:
        return UNPLACED
    return Placement(scale, parse_sensor_pose(pose) if pose.strip() else np.eye(4))


def parse_sensor_pose(text: str) -> NDArray[np.float64]:
    """The matrix (4, 4) of a pose written as ``x y z roll pitch yaw``, angles as in URDF.

    Raises:
        ConfigError: Not six finite numbers, or angles that cannot be radians.
    """
    fix = (
        'Give the pose of the sensor in a frame with z up, in metres and radians: upside down is '
        '"0 0 0 3.1416 0 0", the optical frame of a camera "0 0 0 -1.5708 0 -1.5708"'
    )
    try:
        numbers = np.array([float(word) for word in text.replace(',', ' ').split()])
    except ValueError as error:
        raise ConfigError(
            f"sensor_pose is '{text}', expected six numbers: x y z roll pitch yaw", fix
        ) from error
    if numbers.shape != (6,) or not np.isfinite(numbers).all():
        raise ConfigError(
            f"sensor_pose is '{text}', expected six numbers: x y z roll pitch yaw", fix
        )
    if np.abs(numbers[3:]).max() > _WHOLE_TURN:
        raise ConfigError(f"sensor_pose is '{text}': its angles are no radians", fix)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler('xyz', numbers[3:]).as_matrix()
    pose[:3, 3] = numbers[:3]
    return pose


def _is_pose(matrix: NDArray[np.float64]) -> bool:
    """Whether a matrix moves or turns anything."""
    return not np.array_equal(matrix, np.eye(4))
