# SPDX-License-Identifier: Apache-2.0
"""Clouds in other messages than PointCloud2, turned into one.

=====================================  =========================================================
``livox_ros_driver(2)/msg/CustomMsg``  x, y, z, intensity (reflectivity), line, tag, time
``CompressedPointCloud2``              of point_cloud_transport: zstd, zlib; draco with DracoPy
``sensor_msgs/msg/Image``              rectified depth in 16UC1 (mm) or 32FC1 (m) + CameraInfo
=====================================  =========================================================

Points of a depth image have the optical axes of the camera: x right, y down, z forward (REP 103).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from pointata_core.errors import ConfigError
from pointata_core.io.cloud import CloudLimits, Rejected, RejectReason
from pointata_core.io.messages.cloud_encoding import EncodedCloud, encode_fields
from pointata_core.io.messages.message_types import (
    COMPRESSED_CLOUD,
    IMAGE,
    LIVOX_CLOUDS,
    POINT_CLOUD,
)

CLOUD_TYPES = (POINT_CLOUD, *LIVOX_CLOUDS, COMPRESSED_CLOUD)
_DEPTHS = {'16UC1': ('u2', 1e-3), 'mono16': ('u2', 1e-3), '32FC1': ('f4', 1.0)}
_POSITION = 0  # of draco's kinds of attributes


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point of a rectified camera in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float


def to_point_cloud(
    message: Any,
    type_name: str,
    intrinsics: Intrinsics | None = None,
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> Any | Rejected:
    """Return an object with the attributes of a PointCloud2, or why that is impossible.

    Args:
        message: Of rclpy or rosbags.
        type_name: One of ``CLOUD_TYPES``, or of an image.
        intrinsics: Of the camera of a depth image.
        limits: Most points and bytes.

    Raises:
        ConfigError: The cloud is compressed by draco, and DracoPy is absent.
    """
    if type_name == POINT_CLOUD:
        return message
    try:
        if type_name in LIVOX_CLOUDS:
            return _from_livox(message)
        if type_name == COMPRESSED_CLOUD:
            return _from_compressed(message, limits)
        if type_name == IMAGE and intrinsics is not None:
            return _from_depth(message, intrinsics)
    except ConfigError:
        raise
    except Exception as error:  # decoders raise anything on damaged bytes
        return Rejected(RejectReason.NOT_A_CLOUD, f'{type_name}: {error}')
    return Rejected(RejectReason.NOT_A_CLOUD, f'{type_name} holds no cloud that can be read')


def _from_livox(message: Any) -> Any:
    names = ('x', 'y', 'z', 'reflectivity', 'line', 'tag', 'offset_time')
    rows = np.array(
        [tuple(getattr(point, name) for name in names) for point in message.points], np.float64
    ).reshape(-1, len(names))
    columns = [(name, rows[:, index].astype(np.float32)) for index, name in enumerate('xyz')]
    columns.append(('intensity', rows[:, 3].astype(np.float32)))
    columns += [('line', rows[:, 4].astype(np.uint8)), ('tag', rows[:, 5].astype(np.uint8))]
    columns.append(('t', rows[:, 6].astype(np.uint32)))  # nanoseconds since the stamp
    return _cloud(message.header, encode_fields(columns))


def _from_compressed(message: Any, limits: CloudLimits) -> Any:
    data = memoryview(message.compressed_data).cast('B').tobytes()
    size = int(message.row_step) * int(message.height)
    if size > limits.max_bytes:
        raise ValueError(f'{size} bytes, at most {limits.max_bytes}')
    kind = str(message.format).lower()
    if 'draco' in kind:
        return _cloud(message.header, _from_draco(message, data))
    if kind == 'zlib':
        unpacked = zlib.decompressobj().decompress(data, size)
    elif kind == 'zstd':
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            unpacked = reader.read(size)
    else:
        raise ValueError(f"format '{message.format}' is not read; zstd, zlib and draco are")
    return SimpleNamespace(
        header=message.header,
        height=message.height,
        width=message.width,
        fields=message.fields,
        is_bigendian=message.is_bigendian,
        point_step=message.point_step,
        row_step=message.row_step,
        data=np.frombuffer(unpacked, np.uint8),
        is_dense=message.is_dense,
    )


def _from_draco(message: Any, data: bytes) -> EncodedCloud:
    """Points, and the other fields where draco kept one attribute for each of them."""
    try:
        import DracoPy
    except ModuleNotFoundError as error:
        raise ConfigError(
            'the clouds are compressed by draco, and DracoPy is not installed',
            "Install it: pip install 'pointata_ros[draco]'",
        ) from error

    decoded = DracoPy.decode(data)
    points = np.asarray(decoded.points, np.float32).reshape(-1, 3)
    columns: list[tuple[str, NDArray]] = [(n, points[:, i]) for i, n in enumerate('xyz')]
    names = [field.name for field in message.fields if field.name not in 'xyz']
    others = [
        np.asarray(one['data']).reshape(len(points), -1)
        for one in getattr(decoded, 'attributes', ())
        if one['attribute_type'] != _POSITION
    ]
    if len(names) == len(others) and all(values.shape[1] == 1 for values in others):
        columns += [(name, values[:, 0]) for name, values in zip(names, others, strict=True)]
    return encode_fields(columns)


def _from_depth(message: Any, camera: Intrinsics) -> Any:
    if message.encoding not in _DEPTHS:
        raise ValueError(f"encoding '{message.encoding}', expected {', '.join(_DEPTHS)}")
    kind, metres = _DEPTHS[message.encoding]
    order = '>' if message.is_bigendian else '<'
    height, width, step = int(message.height), int(message.width), int(message.step)
    size = np.dtype(kind).itemsize
    if step < width * size or not height or not width:
        raise ValueError(f'step {step} for {width} x {height} pixels of {size} bytes')
    data = np.frombuffer(memoryview(message.data).cast('B'), np.uint8)
    if len(data) < step * height:
        raise ValueError(f'{len(data)} bytes, expected {step * height}')
    rows = np.ascontiguousarray(data[: step * height].reshape(height, step)[:, : width * size])
    depth = rows.view(f'{order}{kind}').astype(np.float32) * np.float32(metres)
    depth[~(depth > 0)] = np.nan
    right = depth * ((np.arange(width, dtype=np.float32) - camera.cx) / camera.fx)
    down = depth * ((np.arange(height, dtype=np.float32)[:, None] - camera.cy) / camera.fy)
    columns = [('x', right.ravel()), ('y', down.ravel()), ('z', depth.ravel())]
    return _cloud(message.header, encode_fields(_as_float32(columns), width=width, height=height))


def _as_float32(columns: Sequence[tuple[str, NDArray]]) -> list[tuple[str, NDArray]]:
    return [(name, values.astype(np.float32)) for name, values in columns]


def _cloud(header: Any, encoded: EncodedCloud) -> Any:
    fields = [
        SimpleNamespace(name=name, offset=offset, datatype=datatype, count=1)
        for name, offset, datatype in encoded.fields
    ]
    return SimpleNamespace(
        header=header,
        height=encoded.height,
        width=encoded.width,
        fields=fields,
        is_bigendian=encoded.is_bigendian,
        point_step=encoded.point_step,
        row_step=encoded.row_step,
        data=np.frombuffer(encoded.data, np.uint8),
        is_dense=encoded.is_dense,
    )
