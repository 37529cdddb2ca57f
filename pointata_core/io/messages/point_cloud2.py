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

import itertools
import operator
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.cloud import Cloud, CloudLimits, Rejected, RejectReason, finite_rows
from pointata_core.io.messages.point_fields import DATATYPES, as_feature, find_name

_NANOSECONDS = 1_000_000_000


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
        layout = _read_layout(msg, limits)
        if not layout.point_count:
            return _empty_cloud(layout)
        xyz = _coordinate_fields(layout)
        features = {name: _find(layout, name) for name in wanted_features}
        found = {name: used for name, used in features.items() if used is not None}
        _check_bounds(layout, xyz, found.values())
    except _Refusal as refusal:
        return refusal.rejected
    points = _read_points(layout, xyz, limits)
    return Cloud(
        points=points,
        features={
            name: as_feature(name, _column(layout, used).ravel(), used.name)
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
        layout = _read_layout(msg, limits)
        if not layout.point_count:
            return np.empty(0, dtype=np.int64)
        used = layout.unique(field)
        if used is None:
            _refuse(RejectReason.MISSING_FIELD, f'no field {field!r} among {_listing(layout)}')
        _check_bounds(layout, (), (used,))
        values = _column(layout, used).ravel()
        if values.dtype.kind == 'f':
            with np.errstate(invalid='ignore'):  # signalling NaNs
                whole = (np.abs(values) < 2**53) & (np.trunc(values) == values)
            if not whole.all():
                _refuse(
                    RejectReason.NOT_INTEGRAL,
                    f'field {field!r} holds {values[~whole][0]!r} at point {np.argmin(whole)}',
                )
    except _Refusal as refusal:
        return refusal.rejected
    return values.astype(np.int64)


class _Refusal(Exception):
    """Leaves the checks early; never leaves this module."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.rejected = Rejected(reason, detail)


def _refuse(reason: RejectReason, detail: str) -> NoReturn:
    raise _Refusal(reason, detail)


@dataclass(frozen=True)
class _Field:
    """One PointField, as plain numbers."""

    name: str
    offset: int
    datatype: int
    count: int

    @property
    def end(self) -> int:
        return self.offset + DATATYPES[self.datatype].itemsize * self.count


@dataclass(frozen=True)
class _Layout:
    """The header of a message, checked for type and size but not yet against its data."""

    width: int
    height: int
    point_step: int
    row_step: int
    big_endian: bool
    fields: tuple[_Field, ...]
    data: NDArray[np.uint8]
    stamp_ns: int
    frame_id: str

    @property
    def point_count(self) -> int:
        return self.width * self.height

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def unique(self, name: str) -> _Field | None:
        """Return the field called ``name``; two of them are refused."""
        hits = [field for field in self.fields if field.name == name]
        if len(hits) > 1:
            _refuse(RejectReason.DUPLICATE_FIELD, f'{len(hits)} fields are called {name!r}')
        return hits[0] if hits else None


def _read_layout(msg: Any, limits: CloudLimits) -> _Layout:
    """Take everything out of the message, refusing wrong types, stamps and sizes."""
    try:
        width, height = _natural(msg, 'width'), _natural(msg, 'height')
        point_step, row_step = _natural(msg, 'point_step'), _natural(msg, 'row_step')
        stamp_ns, frame_id = _read_header(msg.header)
        data = _byte_view(msg.data)
        if len(msg.fields) > limits.max_fields:
            _refuse(
                RejectReason.TOO_MANY_FIELDS,
                f'{len(msg.fields)} fields, at most {limits.max_fields} are accepted',
            )
        fields = tuple(_read_field(field) for field in msg.fields)
        big_endian = bool(msg.is_bigendian)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        _refuse(RejectReason.NOT_A_CLOUD, str(error))
    if width * height > limits.max_points:
        _refuse(
            RejectReason.TOO_MANY_POINTS,
            f'{width} x {height} = {width * height} points, at most {limits.max_points} '
            'are accepted',
        )
    for name, size in (('data', len(data)), ('point_step', point_step), ('row_step', row_step)):
        if size > limits.max_bytes:
            _refuse(
                RejectReason.TOO_MANY_BYTES,
                f'{name} is {size} bytes, at most {limits.max_bytes} are accepted',
            )
    if width * height == 0 and len(data):
        _refuse(
            RejectReason.DATA_WITHOUT_POINTS,
            f'width {width} x height {height} = 0 points, but {len(data)} bytes of data',
        )
    if height == 1 or len(data) == width * height * point_step:
        row_step = width * point_step
    return _Layout(
        width, height, point_step, row_step, big_endian, fields, data, stamp_ns, frame_id
    )


def _natural(holder: Any, name: str) -> int:
    """Return an attribute as an unbounded integer >= 0."""
    value = operator.index(getattr(holder, name))
    if value < 0:
        raise ValueError(f'{name} is {value}, expected 0 or more')
    return value


def _read_header(header: Any) -> tuple[int, str]:
    """Return (stamp in nanoseconds, frame_id)."""
    seconds = operator.index(header.stamp.sec)
    nanoseconds = operator.index(header.stamp.nanosec)
    if seconds < 0 or not 0 <= nanoseconds < _NANOSECONDS:
        _refuse(RejectReason.BAD_STAMP, f'sec {seconds}, nanosec {nanoseconds}')
    if not isinstance(header.frame_id, str):
        raise TypeError(f'frame_id is a {type(header.frame_id).__name__}, expected str')
    return seconds * _NANOSECONDS + nanoseconds, header.frame_id


def _byte_view(data: Any) -> NDArray[np.uint8]:
    """View any buffer of single bytes (bytes, array('B'), ndarray, memoryview) as (size,) uint8."""
    view = memoryview(data)
    if view.itemsize != 1 or not view.c_contiguous:
        raise TypeError(f'data has items of {view.itemsize} bytes, expected contiguous bytes')
    # np.frombuffer refuses empty buffers.
    return np.frombuffer(view, dtype=np.uint8) if view.nbytes else np.empty(0, dtype=np.uint8)


def _read_field(field: Any) -> _Field:
    if not isinstance(field.name, str):
        raise TypeError(f'the name of a field is a {type(field.name).__name__}, expected str')
    return _Field(
        field.name, _natural(field, 'offset'), _natural(field, 'datatype'), _natural(field, 'count')
    )


def _find(layout: _Layout, feature: str) -> _Field | None:
    name = find_name(feature, layout.names)
    return None if name is None else layout.unique(name)


def _coordinate_fields(layout: _Layout) -> list[_Field]:
    """Return the fields of x, y, z, or the single field ``xyz``."""
    separate = {axis: _find(layout, axis) for axis in 'xyz'}
    missing = [axis for axis, used in separate.items() if used is None]
    if not missing:
        return [used for used in separate.values() if used is not None]
    joint = _find(layout, 'xyz')
    if joint is not None:
        return [joint]
    _refuse(RejectReason.MISSING_FIELD, f'no field {missing[0]!r} among {_listing(layout)}')


def _check_bounds(layout: _Layout, xyz: Collection[_Field], others: Collection[_Field]) -> None:
    """Refuse unless every byte of every needed field exists and belongs to it alone."""
    elements_of_xyz = 3 if len(xyz) == 1 else 1
    for used, expected in [*((f, elements_of_xyz) for f in xyz), *((f, 1) for f in others)]:
        if used.datatype not in DATATYPES:
            _refuse(
                RejectReason.UNKNOWN_DATATYPE, f'field {used.name!r} has datatype {used.datatype}'
            )
        if used.count != expected:
            _refuse(
                RejectReason.BAD_COUNT,
                f'field {used.name!r} has count {used.count}, expected {expected}',
            )
    used_fields = list(dict.fromkeys([*xyz, *others]))
    if layout.point_step == 0:
        _refuse(RejectReason.BAD_POINT_STEP, f'point_step is 0 for {layout.point_count} points')
    for used in used_fields:
        if used.end > layout.point_step:
            _refuse(
                RejectReason.FIELD_OUTSIDE_POINT,
                f'field {used.name!r} ends at byte {used.end}, point_step is {layout.point_step}',
            )
    by_offset = sorted(used_fields, key=lambda used: used.offset)
    for before, after in itertools.pairwise(by_offset):
        if before.end > after.offset:
            _refuse(
                RejectReason.OVERLAPPING_FIELDS,
                f'field {before.name!r} ends at byte {before.end}, '
                f'{after.name!r} begins at {after.offset}',
            )
    row_bytes = layout.width * layout.point_step
    if layout.row_step < row_bytes:
        _refuse(
            RejectReason.BAD_ROW_STEP,
            f'row_step is {layout.row_step}, width x point_step is {row_bytes}',
        )
    last_point = (layout.height - 1) * layout.row_step + row_bytes - layout.point_step
    needed = last_point + by_offset[-1].end
    if len(layout.data) < needed:
        _refuse(
            RejectReason.TRUNCATED_DATA,
            f'{len(layout.data)} bytes of data, {layout.width} x {layout.height} points need '
            f'{needed}',
        )


def _column(layout: _Layout, used: _Field, element: int = 0) -> NDArray:
    """Copy one element of a field into (height, width), still in the byte order of the message.

    The copy moves opaque items of the field's size: NumPy has a tight loop for those at any
    alignment, while unaligned numbers go through a buffered conversion, four times slower.
    """
    dtype = DATATYPES[used.datatype].newbyteorder('>' if layout.big_endian else '<')
    in_place = np.ndarray(
        (layout.height, layout.width),
        f'V{dtype.itemsize}',
        layout.data,
        used.offset + element * dtype.itemsize,
        (layout.row_step, layout.point_step),
    )
    return in_place.copy(order='C').view(dtype)


def _read_points(layout: _Layout, xyz: Sequence[_Field], limits: CloudLimits) -> NDArray:
    """Copy the coordinates into (N, 3) float32 metres; an axis at a time keeps inner loops long."""
    sources = [(xyz[0], 0), (xyz[0], 1), (xyz[0], 2)] if len(xyz) == 1 else [(f, 0) for f in xyz]
    points = np.empty((layout.height, layout.width, 3), dtype=np.float32)
    with np.errstate(over='ignore', invalid='ignore'):  # float64 beyond float32 becomes inf
        for axis, (used, element) in enumerate(sources):
            points[..., axis] = _column(layout, used, element)
            if DATATYPES[used.datatype].kind in 'iu' and limits.integer_scale_m != 1.0:
                points[..., axis] *= limits.integer_scale_m
    return points.reshape(layout.point_count, 3)


def _empty_cloud(layout: _Layout) -> Cloud:
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


def _listing(layout: _Layout) -> str:
    return ', '.join(layout.names) or '(none)'
