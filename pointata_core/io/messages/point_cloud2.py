# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decode ``sensor_msgs/msg/PointCloud2`` from any source, without ever raising on its content.

The message describes its own layout, and drivers fill it in wrongly: a stale ``row_step``,
``is_dense`` set over NaNs, offsets off by a padding, data cut short. Every size is therefore
computed in unbounded Python integers and checked before a byte is read; the bytes are then read
through strided views and copied once into contiguous columns.

Any object with the attributes of the message is accepted, such as the classes of rclpy and rosbags
(ROS 1 and 2), so the live node and bag evaluation share this code.

What is accepted, where the message definition leaves it open:

* x, y, z of any datatype of ``PointField``; integers are metres unless ``CloudLimits`` sets
  another scale; one field ``xyz`` of count 3 stands in where x, y and z are not all present.
* Fields in any order, unaligned, padded; fields that are not wanted are not checked.
* Any ``row_step`` with one row, and with data of exactly width x height x ``point_step`` bytes:
  drivers that drop points forget to change it. Else rows longer than their points, bytes after the
  last row, a last point cut after its last needed field.
* An empty ``frame_id`` and a zero stamp pass as they are; the stream checks
  that time advances.
* Zero points without data are an empty cloud, with any fields; zero points *with* data are refused,
  because a driver that forgot ``height`` would otherwise go unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.cloud import Cloud, CloudLimits, Rejected, RejectReason, finite_rows
from pointata_core.io.messages.cloud_layout import (
    Field,
    Layout,
    Refusal,
    check_bounds,
    column,
    find,
    listing,
    read_layout,
    refuse,
)
from pointata_core.io.messages.point_fields import DATATYPES, as_feature


def decode(
    msg: Any,
    *,
    wanted_features: Sequence[str] = ('intensity',),
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> Cloud | Rejected:
    """Read points and features from a PointCloud2, or return the reason why that is impossible.

    Args:
        msg: Anything with the attributes of the message; never written to.
        wanted_features: Canonical names (``point_fields.FEATURE_ALIASES``) or plain field names;
            those the message lacks are left out of ``Cloud.features``.
        limits: Caps, and the scale of integer coordinates.
    """
    try:
        layout = read_layout(msg, limits)
        if not layout.point_count:
            return _empty_cloud(layout)
        xyz = _coordinate_fields(layout)
        features = {name: find(layout, name) for name in wanted_features}
        found = {name: used for name, used in features.items() if used is not None}
        check_bounds(layout, xyz, found.values())
    except Refusal as refusal:
        return refusal.rejected
    points = _read_points(layout, xyz, limits)
    return Cloud(
        points=points,
        features={
            name: as_feature(name, column(layout, used).ravel(), used.name)
            for name, used in found.items()
        },
        finite=finite_rows(points),
        width=layout.width,
        height=layout.height,
        stamp_ns=layout.stamp_ns,
        frame_id=layout.frame_id,
        fields=layout.names,
    )


def decode_labels(
    msg: Any,
    field: str,
    *,
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> NDArray[np.int64] | Rejected:
    """Read one field of whole numbers, such as ground-truth classes, as (N,) int64.

    Args:
        msg: As for ``decode``; the order of points is the same.
        field: Exact name of the field; floats are accepted if every value is a whole number.
        limits: Caps.
    """
    try:
        layout = read_layout(msg, limits)
        if not layout.point_count:
            return np.empty(0, dtype=np.int64)
        used = layout.unique(field)
        if used is None:
            refuse(RejectReason.MISSING_FIELD, f'no field {field!r} among {listing(layout)}')
        check_bounds(layout, (), (used,))
        values = column(layout, used).ravel()
        if values.dtype.kind == 'f':
            with np.errstate(invalid='ignore'):  # signalling NaNs
                whole = (np.abs(values) < 2**53) & (np.trunc(values) == values)
            if not whole.all():
                refuse(
                    RejectReason.NOT_INTEGRAL,
                    f'field {field!r} holds {values[~whole][0]!r} at point {np.argmin(whole)}',
                )
    except Refusal as refusal:
        return refusal.rejected
    return values.astype(np.int64)


def decode_columns(
    msg: Any,
    names: Sequence[str],
    *,
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> dict[str, NDArray] | Rejected:
    """Read fields as they are, in the order of ``names``.

    Args:
        msg: As for ``decode``; the order of points is the same.
        names: Canonical names (``point_fields.FEATURE_ALIASES``) or plain field names.
        limits: Caps.

    Returns:
        The message's own name of each field -> (N,) in its own type and the byte order of this
        machine. Names that the message lacks, and fields of several elements, are left out.
    """
    try:
        layout = read_layout(msg, limits)
        if not layout.point_count:
            return {}
        found = [used for used in (find(layout, name) for name in names) if used is not None]
        single = {used.name: used for used in found if used.count == 1}
        check_bounds(layout, (), single.values())
    except Refusal as refusal:
        return refusal.rejected
    columns = {name: column(layout, used).ravel() for name, used in single.items()}
    return {name: values.astype(values.dtype.newbyteorder('=')) for name, values in columns.items()}


def point_records(
    msg: Any,
    *,
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> NDArray[np.uint8]:
    """The bytes of each point, (N, point_step), of a message that ``decode`` has accepted.

    Args:
        msg: As for ``decode``; the order of points is the same.
        limits: Caps.

    Raises:
        ValueError: The message cannot be read.
    """
    try:
        layout = read_layout(msg, limits)
    except Refusal as refusal:
        raise ValueError(str(refusal.rejected)) from refusal
    if not layout.point_count:
        return np.empty((0, layout.point_step), np.uint8)
    row_bytes = layout.width * layout.point_step
    needed = (layout.height - 1) * layout.row_step + row_bytes
    # The last point may end after its last needed field.
    data = np.pad(layout.data, (0, max(0, needed - len(layout.data))))
    steps = (layout.row_step, layout.point_step, 1)
    shape = (layout.height, layout.width, layout.point_step)
    records = np.lib.stride_tricks.as_strided(data[:needed], shape, steps, writeable=False)
    return records.reshape(layout.point_count, layout.point_step)


def _coordinate_fields(layout: Layout) -> list[Field]:
    """Return the fields of x, y, z, or the single field ``xyz``."""
    separate = {axis: find(layout, axis) for axis in 'xyz'}
    missing = [axis for axis, used in separate.items() if used is None]
    if not missing:
        return [used for used in separate.values() if used is not None]
    joint = find(layout, 'xyz')
    if joint is not None:
        return [joint]
    refuse(RejectReason.MISSING_FIELD, f'no field {missing[0]!r} among {listing(layout)}')


def _read_points(layout: Layout, xyz: Sequence[Field], limits: CloudLimits) -> NDArray:
    """Copy the coordinates into (N, 3) float32 metres; an axis at a time keeps inner loops long."""
    sources = [(xyz[0], 0), (xyz[0], 1), (xyz[0], 2)] if len(xyz) == 1 else [(f, 0) for f in xyz]
    points = np.empty((layout.height, layout.width, 3), dtype=np.float32)
    with np.errstate(over='ignore', invalid='ignore'):  # float64 beyond float32 becomes inf
        for axis, (used, element) in enumerate(sources):
            points[..., axis] = column(layout, used, element)
            if DATATYPES[used.datatype].kind in 'iu' and limits.integer_scale_m != 1.0:
                points[..., axis] *= limits.integer_scale_m
    return points.reshape(layout.point_count, 3)


def _empty_cloud(layout: Layout) -> Cloud:
    return Cloud(
        points=np.empty((0, 3), dtype=np.float32),
        features={},
        finite=np.empty(0, dtype=np.bool_),
        width=layout.width,
        height=layout.height,
        stamp_ns=layout.stamp_ns,
        frame_id=layout.frame_id,
        fields=layout.names,
    )
