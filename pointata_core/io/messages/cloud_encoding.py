# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encode columns as the bytes of a PointCloud2 and fill any message class with them.

Every field is aligned to its own size, so readers may map the data directly. The bytes live in an
``array('B')`` from the start: that is what rclpy stores, and what it takes without looking at every
byte; a list of the same bytes takes seconds for 10 MB (ros2/rclpy#763).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.messages.point_fields import DATATYPE_OF


@dataclass(frozen=True, eq=False)
class EncodedCloud:
    """The body of a PointCloud2 as plain values.

    Args:
        fields: (name, offset, PointField datatype) per column; every count is 1.
        point_step: Bytes per point.
        row_step: Bytes per row.
        width: Points per row.
        height: Rows.
        data: ``row_step * height`` bytes in the byte order of this machine.
        is_dense: True when no coordinate is NaN or infinite.
        is_bigendian: Byte order of this machine.
    """

    fields: tuple[tuple[str, int, int], ...]
    point_step: int
    row_step: int
    width: int
    height: int
    data: array
    is_dense: bool
    is_bigendian: bool = sys.byteorder == 'big'


def xyz_columns(points: NDArray[np.float32]) -> list[tuple[str, NDArray[np.float32]]]:
    """Return the columns x, y, z of ``points`` (N, 3), for use with ``encode_fields``."""
    return [(axis, points[:, index]) for index, axis in enumerate('xyz')]


def encode_fields(
    columns: Sequence[tuple[str, NDArray]],
    *,
    width: int | None = None,
    height: int = 1,
    is_dense: bool | None = None,
    reuse: EncodedCloud | None = None,
) -> EncodedCloud:
    """Interleave columns into point records with aligned fields.

    For x, y, z (float32), ``class_id`` (uint16), ``probability`` (float32), ``entropy`` (float32)
    the offsets are 0, 4, 8, 12, 16, 20 and the step is 24; the step is always rounded up to the
    largest alignment among the fields.

    Args:
        columns: (name, (N,) values) in the order of the fields; datatypes of ``PointField`` only.
        width: Points per row; by default N / height.
        height: Rows.
        is_dense: Whether all points are finite; None looks at x, y and z.
        reuse: An earlier result of the same layout and size. Its memory is overwritten, which saves
            an allocation per frame; a message that still holds it changes as well.

    Raises:
        ValueError: Lengths differ, ``width * height`` is not N, a name occurs twice, or a datatype
            does not exist in PointField.
    """
    count = len(columns[0][1]) if columns else 0
    width = count // height if width is None and height else (width or 0)
    _check_columns(columns, count, width, height)
    dtype = _aligned_dtype(columns)
    fields = tuple(
        (name, entry[1], DATATYPE_OF[entry[0]]) for name, entry in (dtype.fields or {}).items()
    )
    data = _memory(dtype.itemsize * count, fields, dtype.itemsize, reuse)
    if count:
        records = np.frombuffer(data, dtype=dtype)
        for name, values in columns:
            records[name] = values
    if is_dense is None:
        is_dense = all(np.isfinite(values).all() for name, values in columns if name in 'xyz')
    return EncodedCloud(
        fields=fields,
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
        width=width,
        height=height,
        data=data,
        is_dense=bool(is_dense),
    )


def fill_message(
    msg: Any,
    encoded: EncodedCloud,
    header: Any = None,
    field_type: Callable[..., Any] | None = None,
) -> Any:
    """Put an encoded cloud into a PointCloud2 message of rclpy or rosbags.

    Args:
        msg: The message. rosbags then shares ``encoded.data``; rclpy copies it once (a plain copy
            of memory, as it gets an ``array('B')``).
        encoded: What ``encode_fields`` returned.
        header: Assigned as it is; None leaves the header of ``msg`` alone.
        field_type: The PointField class that goes with ``msg``; None keeps the fields of ``msg``,
            for a message that is filled again and again with the same layout.

    Returns:
        ``msg``.
    """
    if header is not None:
        msg.header = header
    if field_type is not None:
        msg.fields = [
            field_type(name=name, offset=offset, datatype=datatype, count=1)
            for name, offset, datatype in encoded.fields
        ]
    msg.height = encoded.height
    msg.width = encoded.width
    msg.is_bigendian = encoded.is_bigendian
    msg.point_step = encoded.point_step
    msg.row_step = encoded.row_step
    msg.is_dense = encoded.is_dense
    # rosbags keeps byte sequences as NumPy arrays, rclpy as array('B').
    takes_numpy = isinstance(msg.data, np.ndarray)
    msg.data = np.frombuffer(encoded.data, dtype=np.uint8) if takes_numpy else encoded.data
    return msg


def pack_rgb(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Pack colours (N, 3) into 0x00RRGGBB, the ``rgb`` field of PCL, RViz and Foxglove; (N,)."""
    red, green, blue = (colours[:, index].astype(np.uint32) for index in range(3))
    return (red << 16 | green << 8 | blue).astype(np.uint32)


def rgb_as_float(packed: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Reinterpret packed colours as float32, the datatype that PCL declares for ``rgb``."""
    return packed.view(np.float32)


def _check_columns(
    columns: Sequence[tuple[str, NDArray]], count: int, width: int, height: int
) -> None:
    if width * height != count:
        raise ValueError(f'width {width} x height {height} is not the number of points, {count}')
    seen: set[str] = set()
    for name, values in columns:
        if values.shape != (count,):
            raise ValueError(f'column {name!r} has shape {values.shape}, expected ({count},)')
        if values.dtype.newbyteorder('=') not in DATATYPE_OF:
            raise ValueError(f'column {name!r} is {values.dtype}, which PointField cannot express')
        if name in seen:
            raise ValueError(f'two columns are called {name!r}')
        seen.add(name)


def _aligned_dtype(columns: Sequence[tuple[str, NDArray]]) -> np.dtype:
    """Place each column at the next multiple of its own size."""
    return np.dtype(
        [(name, values.dtype.newbyteorder('=')) for name, values in columns], align=True
    )


def _memory(size: int, fields: tuple, point_step: int, reuse: EncodedCloud | None) -> array:
    """Return zeroed or reused bytes; padding stays zero as only fields are ever written."""
    if reuse is not None:
        same = (reuse.fields, reuse.point_step, len(reuse.data)) == (fields, point_step, size)
        if same:
            return reuse.data
    return array('B', bytes(size))
