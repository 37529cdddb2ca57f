# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds in other messages than PointCloud2, turned into one.

=====================================  =========================================================
``livox_ros_driver(2)/msg/CustomMsg``  x, y, z, intensity (reflectivity), line, tag, time
``CompressedPointCloud2``              of point_cloud_transport: zstd, zlib; draco with DracoPy
``sensor_msgs/msg/Image``              rectified depth in 16UC1 (mm) or 32FC1 (m) + CameraInfo
``sensor_msgs/msg/CompressedImage``    the same by compressedDepth: PNG (with Pillow), RVL
=====================================  =========================================================
"""

from __future__ import annotations

import zlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from pointata_core.errors import ConfigError
from pointata_core.io.cloud import CloudLimits, Rejected, RejectReason
from pointata_core.io.messages.cloud_encoding import EncodedCloud, encode_fields, xyz_columns
from pointata_core.io.messages.depth_image import (
    Intrinsics,
    project,
    read_compressed_depth,
    read_depth,
)
from pointata_core.io.messages.message_types import (
    COMPRESSED_CLOUD,
    COMPRESSED_IMAGE,
    IMAGE,
    LIVOX_CLOUDS,
    POINT_CLOUD,
)

CLOUD_TYPES = (POINT_CLOUD, *LIVOX_CLOUDS, COMPRESSED_CLOUD)
# Fields of the message, and what they become.
_LIVOX_FIELDS = {
    'x': ('x', np.float32),
    'y': ('y', np.float32),
    'z': ('z', np.float32),
    'reflectivity': ('intensity', np.float32),
    'line': ('line', np.uint8),
    'tag': ('tag', np.uint8),
    'offset_time': ('t', np.uint32),  # nanoseconds since the stamp
}
_POSITION = 0  # of draco's kinds of attributes


def to_point_cloud(
    message: Any,
    type_name: str,
    intrinsics: Intrinsics | None = None,
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> Any | Rejected:
    """Return an object with the attributes of a PointCloud2, or why that is impossible.

    Args:
        message: Of rclpy or rosbags; of Livox also from ``read_livox``.
        type_name: One of ``CLOUD_TYPES``, or of an image.
        intrinsics: Of the camera of a depth image.
        limits: Most points and bytes.

    Raises:
        ConfigError: The cloud is compressed, and the package that unpacks it is absent.
    """
    if type_name == POINT_CLOUD:
        return message
    try:
        if type_name in LIVOX_CLOUDS:
            return _from_livox(message)
        if type_name == COMPRESSED_CLOUD:
            return _from_compressed(message, limits)
        if type_name == IMAGE and intrinsics is not None:
            return _from_depth(message.header, read_depth(message), intrinsics)
        if type_name == COMPRESSED_IMAGE and intrinsics is not None:
            depth = read_compressed_depth(message, limits)
            return _from_depth(message.header, depth, intrinsics)
    except ConfigError:
        raise
    except Exception as error:  # decoders raise anything on damaged bytes
        return Rejected(RejectReason.NOT_A_CLOUD, f'{type_name}: {error}')
    return Rejected(RejectReason.NOT_A_CLOUD, f'{type_name} holds no cloud that can be read')


def _from_livox(message: Any) -> Any:
    points = message.points
    if not isinstance(points, dict):  # one object for each
        points = {name: np.array([getattr(one, name) for one in points]) for name in _LIVOX_FIELDS}
    columns = [
        (ours, np.asarray(points[name]).astype(kind))
        for name, (ours, kind) in _LIVOX_FIELDS.items()
    ]
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


def _from_depth(header: Any, depth: NDArray[np.float32], camera: Intrinsics) -> Any:
    height, width = depth.shape
    columns = xyz_columns(project(depth, camera))
    return _cloud(header, encode_fields(columns, width=width, height=height))


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
