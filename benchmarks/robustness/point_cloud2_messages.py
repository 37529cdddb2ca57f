# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PointCloud2 messages for tests, built with struct alone, and a slow reference decoder.

Nothing here is shared with the package: the reference follows the definition of the message alone.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

FORMATS = {1: 'b', 2: 'B', 3: 'h', 4: 'H', 5: 'i', 6: 'I', 7: 'f', 8: 'd'}
FLOAT32 = 7
FLOAT64 = 8


@dataclass
class Stamp:
    """``builtin_interfaces/msg/Time``."""

    sec: Any = 12
    nanosec: Any = 345


@dataclass
class Header:
    """``std_msgs/msg/Header``."""

    stamp: Any = field(default_factory=Stamp)
    frame_id: Any = 'lidar'


@dataclass
class PointField:
    """``sensor_msgs/msg/PointField``."""

    name: Any
    offset: Any
    datatype: Any = FLOAT32
    count: Any = 1


@dataclass
class PointCloud2:
    """``sensor_msgs/msg/PointCloud2``."""

    header: Any = field(default_factory=Header)
    height: Any = 1
    width: Any = 0
    fields: Any = field(default_factory=list)
    is_bigendian: Any = False
    point_step: Any = 0
    row_step: Any = 0
    data: Any = b''
    is_dense: Any = True


def xyz_fields(datatype: int = FLOAT32) -> list[PointField]:
    """Fields x, y, z, one after the other."""
    size = struct.calcsize(FORMATS[datatype])
    return [PointField(name, index * size, datatype) for index, name in enumerate('xyz')]


def xyzi_fields() -> list[PointField]:
    """Fields x, y, z and intensity."""
    return [*xyz_fields(), PointField('intensity', 12)]


def cloud_of(
    rows: list[tuple],
    fields: list[PointField] | None = None,
    *,
    point_step: int | None = None,
    width: int | None = None,
    row_padding: int = 0,
    big_endian: bool = False,
    **changes: Any,
) -> PointCloud2:
    """A well-formed message of ``rows`` (one tuple of field values per point, row-major)."""
    fields = xyzi_fields() if fields is None else fields
    ends = [f.offset + struct.calcsize(FORMATS[f.datatype]) * f.count for f in fields]
    point_step = max(ends) if point_step is None else point_step
    width = len(rows) if width is None else width
    height = len(rows) // width if width else 1
    row_step = width * point_step + row_padding
    data = bytearray(b'\xa5' * (row_step * height))
    order = '>' if big_endian else '<'
    for index, values in enumerate(rows):
        start = index // width * row_step + index % width * point_step
        for f, value in zip(fields, values, strict=True):
            elements = value if f.count != 1 else (value,)
            struct.pack_into(
                f'{order}{f.count}{FORMATS[f.datatype]}', data, start + f.offset, *elements
            )
    message = PointCloud2(
        height=height,
        width=width,
        fields=fields,
        is_bigendian=big_endian,
        point_step=point_step,
        row_step=row_step,
        data=bytes(data),
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def reference_column(message: Any, name: str, element: int = 0) -> list[float]:
    """Values of one field for all points, one ``struct.unpack_from`` at a time."""
    used = next(f for f in message.fields if f.name == name)
    code = FORMATS[used.datatype]
    order = '>' if message.is_bigendian else '<'
    offset = used.offset + element * struct.calcsize(code)
    return [
        struct.unpack_from(
            order + code,
            bytes(message.data),
            row * message.row_step + column * message.point_step + offset,
        )[0]
        for row in range(message.height)
        for column in range(message.width)
    ]
