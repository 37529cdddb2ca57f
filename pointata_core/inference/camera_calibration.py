# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a calibrated camera sees LiDAR points.

Points are carried through the lens instead of straightening the image: no pixel is resampled, and
the network sees what the camera saw. Frames are those of ROS: x right, y down, z forward. Pixels
are (row, column), rounded down, as in training.

The polynomials of a lens hold within its field of view only. Further out they turn back and would
place points that are far to the side in the middle of the image; such points are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointata_core.errors import ConfigError, PointataError

MODELS = {'plumb_bob': 5, 'rational_polynomial': 8, 'equidistant': 4}
"""Distortion models, and how many coefficients are read of each."""

_STRAIGHT_AHEAD = 20.0  # tangent of 87 degrees: no pinhole image reaches further to the side
_STEPS = 4096
_CALIBRATE = 'Calibrate the camera (camera_calibration) and publish the result'


class CalibrationError(PointataError):
    """A camera is not calibrated, or in a way that is not understood."""


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated camera.

    Attributes:
        matrix: (3, 3) of the image, pixels.
        width: Pixels per row; 0 where unknown.
        height: Rows; 0 where unknown.
        model: Key of ``MODELS``, or empty for an image without distortion.
        coefficients: Of the model: k1 k2 p1 p2 k3 (k4 k5 k6), or k1 to k4.
        placement: (4, 4), points of the camera's frame into the one that ``matrix`` belongs to;
            None where they are the same.

    Raises:
        CalibrationError: The camera is not calibrated, or its model is unknown.
    """

    matrix: NDArray[np.float64]
    width: int = 0
    height: int = 0
    model: str = ''
    coefficients: tuple[float, ...] = ()
    placement: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, np.float64)
        _require(
            matrix.shape == (3, 3) and np.isfinite(matrix).all(),
            f'the camera matrix is {matrix.tolist()}, expected 3 x 3 finite numbers',
        )
        _require(
            matrix[0, 0] > 0 and matrix[1, 1] > 0,
            'the camera is not calibrated (the focal length in K is 0)',
        )
        _require(
            abs(matrix[2] - (0, 0, 1)).max() <= 1e-6,
            f'the last row of the camera matrix is {matrix[2].tolist()}, expected 0 0 1',
        )
        _require(
            self.placement is None or np.isfinite(self.placement).all(),
            'the rectification is not finite',
        )
        _require(
            not self.model or self.model in MODELS,
            f"distortion_model is '{self.model}', expected one of {', '.join(MODELS)}",
            'Use the rectified image and set image_rectified, or calibrate with such a model',
        )
        _require(
            np.isfinite(self.coefficients).all(),
            f'the distortion coefficients are {list(self.coefficients)}, expected finite numbers',
        )
        object.__setattr__(self, 'matrix', matrix)

    def check_size(self, height: int, width: int) -> None:
        """Make sure that an image is the one that was calibrated.

        Raises:
            CalibrationError: It has another size.
        """
        known = self.width and self.height
        _require(
            not known or (self.height, self.width) == (height, width),
            f'the image has {width} x {height} pixels, its calibration is for '
            f'{self.width} x {self.height}',
            'Publish the camera_info that belongs to this image (same namespace)',
        )


def camera_from_info(info: Any, rectified: bool = False) -> Camera:
    """Read a ``sensor_msgs/CameraInfo`` of rclpy or rosbags, ROS 1 included.

    Args:
        info: The message.
        rectified: Whether the images are rectified: then P and R count, else K and D.

    Raises:
        CalibrationError: Not calibrated, or in a way that is not understood.
    """
    k, d, r, p = (_numbers(info, name) for name in 'kdrp')
    _require(
        (k.size, r.size, p.size) == (9, 9, 12),
        f'K, R and P have {k.size}, {r.size} and {p.size} entries, expected 9, 9 and 12',
        'Publish a sensor_msgs/CameraInfo with all of them',
    )
    across, down = max(1, int(info.binning_x)), max(1, int(info.binning_y))
    part = info.roi
    matrix = (p.reshape(3, 4)[:, :3] if rectified else k.reshape(3, 3)).copy()
    # K and P are those of the whole image at full resolution.
    matrix[:2, 2] -= (part.x_offset, part.y_offset)
    matrix[:2] /= [[across], [down]]
    size = (part.width or info.width) // across, (part.height or info.height) // down
    if not rectified:
        model, coefficients = _distortion(str(info.distortion_model), d)
        return Camera(matrix, *size, model, coefficients)
    camera = Camera(matrix, *size)  # raises where P is zero
    placement = np.eye(4)
    placement[:3, :3] = r.reshape(3, 3) if r.any() else np.eye(3)
    try:
        placement[:3, 3] = np.linalg.solve(p.reshape(3, 4)[:, :3], p.reshape(3, 4)[:, 3])
    except np.linalg.LinAlgError as error:
        raise CalibrationError(f'P cannot be used ({error})', _CALIBRATE) from error
    return replace(camera, placement=placement)


def pixels_of(
    points: NDArray, camera: Camera, camera_from_lidar: NDArray, size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which points the camera sees, and in which pixel.

    Args:
        points: (N, 3) metres in the LiDAR's frame; what is not finite is not seen.
        camera: The calibrated camera.
        camera_from_lidar: (4, 4), points of the LiDAR into the camera's optical frame.
        size: Height and width of the image.

    Returns:
        (M,) which points, ascending, and (M, 2) row and column of each.
    """
    transform = camera_from_lidar
    if camera.placement is not None:
        transform = camera.placement @ transform
    with np.errstate(invalid='ignore', over='ignore'):
        seen = points.astype(np.float64) @ transform[:3, :3].T + transform[:3, 3]
        rows = np.flatnonzero(np.isfinite(seen).all(axis=1) & (seen[:, 2] > 1e-3))
    x, y = (seen[rows, :2] / seen[rows, 2:]).T
    inside = np.hypot(x, y) < _reach(camera)
    rows, (x, y) = rows[inside], _bend(x[inside], y[inside], camera)
    m = camera.matrix
    column = m[0, 0] * x + m[0, 1] * y + m[0, 2]
    row = m[1, 1] * y + m[1, 2]
    # As numbers first: what lies far outside has no integer.
    pixel = np.floor(np.stack([row, column], axis=1))
    inside = ((pixel >= 0) & (pixel < size)).all(axis=1)
    return rows[inside], pixel[inside].astype(np.int64)


def parse_pose(text: str, name: str = 'camera_extrinsics') -> NDArray[np.float64]:
    """The matrix (4, 4) of a pose written as ``x y z qx qy qz qw``.

    Raises:
        ConfigError: Not seven finite numbers, or a quaternion without length.
    """
    fix = 'Give the pose of the LiDAR in the optical frame of the camera'
    try:
        numbers = np.array([float(word) for word in text.replace(',', ' ').split()])
        if numbers.shape != (7,) or not np.isfinite(numbers).all():
            raise ValueError(f'{len(numbers)} numbers')
    except ValueError as error:
        expected = 'seven numbers: x y z qx qy qz qw'
        raise ConfigError(f"{name} is '{text}', expected {expected}", fix) from error
    if np.linalg.norm(numbers[3:]) < 1e-6:
        raise ConfigError(f"{name} is '{text}', expected a quaternion of length 1", fix)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(numbers[3:]).as_matrix()
    pose[:3, 3] = numbers[:3]
    return pose


def _require(holds: bool | np.bool_, problem: str, fix: str = _CALIBRATE) -> None:
    if not holds:
        raise CalibrationError(problem, fix)


def _numbers(info: Any, name: str) -> NDArray[np.float64]:
    # ROS 1 writes these fields in capitals.
    value = getattr(info, name) if hasattr(info, name) else getattr(info, name.upper())
    return np.asarray(value, np.float64).ravel()


def _distortion(model: str, d: NDArray) -> tuple[str, tuple[float, ...]]:
    if not d.any():
        return '', ()  # drivers of ideal cameras leave the model out
    if model not in MODELS:
        return model or '(empty)', tuple(d)
    return model, tuple(np.pad(d, (0, 8))[: MODELS[model]])


def _scale(r: NDArray, camera: Camera) -> NDArray:
    """By how much the lens moves what lies ``r`` from the axis (a tangent) outwards."""
    if camera.model == 'equidistant':
        k1, k2, k3, k4 = camera.coefficients
        angle = np.arctan(r)
        a2 = angle * angle
        bent = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
        return np.where(r > 1e-9, bent / np.maximum(r, 1e-9), 1.0)
    k1, k2, _, _, k3, *rest = camera.coefficients
    r2 = r * r
    scale = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    if rest:
        k4, k5, k6 = rest
        below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
        scale = np.where(below > 1e-9, scale / np.where(below > 1e-9, below, 1.0), -1.0)
    return scale


def _reach(camera: Camera) -> float:
    """How far from the axis (a tangent) the lens model holds: up to where it turns back."""
    if not camera.model:
        return np.inf
    # Even steps of the angle, since a fisheye sees far to the side.
    angle = np.linspace(0.0, np.arctan(_STRAIGHT_AHEAD), _STEPS)
    r = np.tan(angle)
    moved = r * _scale(r, camera)
    backwards = np.flatnonzero(np.diff(moved) <= 0)
    return float(r[backwards[0]]) if len(backwards) else float(r[-1])


def _bend(x: NDArray, y: NDArray, camera: Camera) -> tuple[NDArray, NDArray]:
    """Through the lens: Brown and Conrady's model, its rational form, or Kannala and Brandt's."""
    if not camera.model:
        return x, y
    scale = _scale(np.hypot(x, y), camera)
    if camera.model == 'equidistant':
        return x * scale, y * scale
    p1, p2 = camera.coefficients[2:4]
    r2 = x * x + y * y
    return (
        x * scale + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * scale + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )
