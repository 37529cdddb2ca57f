# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images, raw and as ``compressedDepth`` of image_transport, as clouds.

Points have the optical axes of the camera: x right, y down, z forward (REP 103).
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import ConfigError
from pointata_core.io.cloud import CloudLimits
from pointata_core.io.messages.rvl import decode_rvl

_DEPTHS = {'16UC1': ('u2', 1e-3), 'mono16': ('u2', 1e-3), '32FC1': ('f4', 1.0)}
# Before the pixels: a number without meaning and two parameters of the inverse depth.
_CONFIGURATION = np.dtype([('format', '<i4'), ('parameters', '<f4', 2)])


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point of a rectified camera in pixels, and its image size.

    A width or height of 0 is unknown.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int = 0
    height: int = 0


def intrinsics_of(info: Any) -> Intrinsics:
    """Read a ``CameraInfo`` of ROS 1 or 2.

    Raises:
        ValueError: It has no focal length, as drivers publish it without a calibration.
    """
    matrix = [float(value) for value in (info.k if hasattr(info, 'k') else info.K)]
    if not (math.isfinite(sum(matrix)) and matrix[0] > 0 and matrix[4] > 0):
        raise ValueError(
            f'the focal lengths are {matrix[0]:g} and {matrix[4]:g}, expected more than 0'
        )
    return Intrinsics(matrix[0], matrix[4], matrix[2], matrix[5], int(info.width), int(info.height))


def read_depth(message: Any) -> NDArray[np.float32]:
    """Depth (H, W) in metres of a ``sensor_msgs/Image``; NaN where there is none.

    Raises:
        ValueError: The message holds no depth.
    """
    kind, metres = _depth_of(message.encoding)
    order = '>' if message.is_bigendian else '<'
    height, width, step = int(message.height), int(message.width), int(message.step)
    size = np.dtype(kind).itemsize
    if step < width * size or not height or not width:
        raise ValueError(f'step {step} for {width} x {height} pixels of {size} bytes')
    data = np.frombuffer(memoryview(message.data).cast('B'), np.uint8)
    if len(data) < step * height:
        raise ValueError(f'{len(data)} bytes, expected {step * height}')
    rows = np.ascontiguousarray(data[: step * height].reshape(height, step)[:, : width * size])
    return _valid(rows.view(f'{order}{kind}').astype(np.float32) * np.float32(metres))


def read_compressed_depth(message: Any, limits: CloudLimits) -> NDArray[np.float32]:
    """Depth (H, W) in metres of a ``sensor_msgs/CompressedImage`` of compressedDepth.

    Raises:
        ConfigError: Pillow is absent.
        ValueError: The message holds no depth.
    """
    encoding, _, rest = str(message.format).partition(';')
    kind, metres = _depth_of(encoding.strip())
    words = rest.split()
    if words and words[0] != 'compressedDepth':
        raise ValueError(f"format '{message.format}' is no depth: subscribe to compressedDepth")
    data = memoryview(message.data).cast('B')
    if len(data) <= _CONFIGURATION.itemsize:
        raise ValueError(f'{len(data)} bytes, expected more than {_CONFIGURATION.itemsize}')
    configuration = np.frombuffer(data, _CONFIGURATION, 1)[0]
    packed = data[_CONFIGURATION.itemsize :]
    if words[1:] == ['rvl']:
        pixels = decode_rvl(packed, limits.max_points)
    elif words[1:] in ([], ['png']):
        pixels = _read_png(packed, limits)
    else:
        raise ValueError(f"format '{message.format}', expected png or rvl")
    if kind == 'u2':
        return _valid(pixels.astype(np.float32) * np.float32(metres))
    a, b = configuration['parameters']
    with np.errstate(divide='ignore', invalid='ignore'):
        depth = a / (pixels.astype(np.float32) - b)
    depth[pixels == 0] = np.nan
    return _valid(depth)


def project(depth: NDArray[np.float32], camera: Intrinsics) -> NDArray[np.float32]:
    """Points (H * W, 3) of a depth image, row by row; NaN where there is no depth.

    Raises:
        ValueError: The calibration belongs to images of another size.
    """
    height, width = depth.shape
    if camera.width and camera.height and (camera.width, camera.height) != (width, height):
        raise ValueError(
            f'the image has {width} x {height} pixels, its camera_info is for {camera.width} x '
            f'{camera.height}: use the camera_info beside the depth images'
        )
    points = np.empty((height, width, 3), np.float32)
    points[..., 0] = depth * ((np.arange(width, dtype=np.float32) - camera.cx) / camera.fx)
    points[..., 1] = depth * (
        (np.arange(height, dtype=np.float32)[:, None] - camera.cy) / camera.fy
    )
    points[..., 2] = depth
    return points.reshape(-1, 3)


def _depth_of(encoding: str) -> tuple[str, float]:
    if encoding not in _DEPTHS:
        raise ValueError(f"encoding '{encoding}', expected {', '.join(_DEPTHS)}")
    return _DEPTHS[encoding]


def _valid(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    depth[~(depth > 0)] = np.nan
    return depth


def _read_png(data: memoryview, limits: CloudLimits) -> NDArray:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ConfigError(
            'the depth images are compressed as PNG, and Pillow is not installed',
            'Install it: pip install pillow',
        ) from error

    with Image.open(io.BytesIO(data), formats=('PNG',)) as image:
        width, height = image.size
        if width * height > limits.max_points:
            raise ValueError(f'{width} x {height} pixels, at most {limits.max_points}')
        if not image.mode.startswith('I'):
            raise ValueError(f'a PNG of mode {image.mode}, expected 16 bits')
        return np.asarray(image).astype(np.uint16)
