# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The layout that a ``sensor_msgs/msg/PointCloud2`` declares, checked against its bytes.

Every size is computed in unbounded Python integers and checked before a byte is read.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.cloud import CloudLimits, Rejected, RejectReason
from pointata_core.io.messages.point_fields import DATATYPES, find_name

_NANOSECONDS = 1_000_000_000


class Refusal(Exception):
    """Leaves the checks early; never leaves the functions that decode."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.rejected = Rejected(reason, detail)


def refuse(reason: RejectReason, detail: str) -> NoReturn:
    """End the checks with a reason and a detail."""
    raise Refusal(reason, detail)


@dataclass(frozen=True)
class Field:
    """One PointField, as plain numbers."""

    name: str
    offset: int
    datatype: int
    count: int

    @property
    def end(self) -> int:
        """Offset of the byte behind it."""
        return self.offset + DATATYPES[self.datatype].itemsize * self.count


@dataclass(frozen=True)
class Layout:
    """The header of a message, checked for type and size but not yet against its data."""

    width: int
    height: int
    point_step: int
    row_step: int
    big_endian: bool
    fields: tuple[Field, ...]
    data: NDArray[np.uint8]
    stamp_ns: int
    frame_id: str

    @property
    def point_count(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def names(self) -> tuple[str, ...]:
        """Of all fields, in order."""
        return tuple(field.name for field in self.fields)

    def unique(self, name: str) -> Field | None:
        """Return the field called ``name``; two of them are refused."""
        hits = [field for field in self.fields if field.name == name]
        if len(hits) > 1:
            refuse(RejectReason.DUPLICATE_FIELD, f'{len(hits)} fields are called {name!r}')
        return hits[0] if hits else None


def read_layout(msg: Any, limits: CloudLimits) -> Layout:
    """Take everything out of the message, refusing wrong types, stamps and sizes."""
    try:
        width, height = _natural(msg, 'width'), _natural(msg, 'height')
        point_step, row_step = _natural(msg, 'point_step'), _natural(msg, 'row_step')
        stamp_ns, frame_id = _read_header(msg.header)
        data = _byte_view(msg.data)
        if len(msg.fields) > limits.max_fields:
            refuse(
                RejectReason.TOO_MANY_FIELDS,
                f'{len(msg.fields)} fields, at most {limits.max_fields} are accepted',
            )
        fields = tuple(_read_field(field) for field in msg.fields)
        big_endian = bool(msg.is_bigendian)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        refuse(RejectReason.NOT_A_CLOUD, str(error))
    if width * height > limits.max_points:
        refuse(
            RejectReason.TOO_MANY_POINTS,
            f'{width} x {height} = {width * height} points, at most {limits.max_points} '
            'are accepted',
        )
    for name, size in (('data', len(data)), ('point_step', point_step), ('row_step', row_step)):
        if size > limits.max_bytes:
            refuse(
                RejectReason.TOO_MANY_BYTES,
                f'{name} is {size} bytes, at most {limits.max_bytes} are accepted',
            )
    if width * height == 0 and len(data):
        refuse(
            RejectReason.DATA_WITHOUT_POINTS,
            f'width {width} x height {height} = 0 points, but {len(data)} bytes of data',
        )
    if height == 1 or len(data) == width * height * point_step:
        row_step = width * point_step
    return Layout(width, height, point_step, row_step, big_endian, fields, data, stamp_ns, frame_id)


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
        refuse(RejectReason.BAD_STAMP, f'sec {seconds}, nanosec {nanoseconds}')
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


def _read_field(field: Any) -> Field:
    if not isinstance(field.name, str):
        raise TypeError(f'the name of a field is a {type(field.name).__name__}, expected str')
    return Field(
        field.name, _natural(field, 'offset'), _natural(field, 'datatype'), _natural(field, 'count')
    )


def find(layout: Layout, feature: str) -> Field | None:
    """The field that holds a feature; ``None`` if there is none."""
    name = find_name(feature, layout.names)
    return None if name is None else layout.unique(name)


def check_bounds(layout: Layout, xyz: Collection[Field], others: Collection[Field]) -> None:
    """Refuse unless every byte of every needed field exists and belongs to it alone."""
    elements_of_xyz = 3 if len(xyz) == 1 else 1
    for used, expected in [*((f, elements_of_xyz) for f in xyz), *((f, 1) for f in others)]:
        if used.datatype not in DATATYPES:
            refuse(
                RejectReason.UNKNOWN_DATATYPE, f'field {used.name!r} has datatype {used.datatype}'
            )
        if used.count != expected:
            refuse(
                RejectReason.BAD_COUNT,
                f'field {used.name!r} has count {used.count}, expected {expected}',
            )
    used_fields = list(dict.fromkeys([*xyz, *others]))
    if layout.point_step == 0:
        refuse(RejectReason.BAD_POINT_STEP, f'point_step is 0 for {layout.point_count} points')
    for used in used_fields:
        if used.end > layout.point_step:
            refuse(
                RejectReason.FIELD_OUTSIDE_POINT,
                f'field {used.name!r} ends at byte {used.end}, point_step is {layout.point_step}',
            )
    by_offset = sorted(used_fields, key=lambda used: used.offset)
    for before, after in itertools.pairwise(by_offset):
        if before.end > after.offset:
            refuse(
                RejectReason.OVERLAPPING_FIELDS,
                f'field {before.name!r} ends at byte {before.end}, '
                f'{after.name!r} begins at {after.offset}',
            )
    row_bytes = layout.width * layout.point_step
    if layout.row_step < row_bytes:
        refuse(
            RejectReason.BAD_ROW_STEP,
            f'row_step is {layout.row_step}, width x point_step is {row_bytes}',
        )
    last_point = (layout.height - 1) * layout.row_step + row_bytes - layout.point_step
    needed = last_point + by_offset[-1].end
    if len(layout.data) < needed:
        refuse(
            RejectReason.TRUNCATED_DATA,
            f'{len(layout.data)} bytes of data, {layout.width} x {layout.height} points need '
            f'{needed}',
        )


def column(layout: Layout, used: Field, element: int = 0) -> NDArray:
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


def listing(layout: Layout) -> str:
    """Names of all fields for a message to people."""
    return ', '.join(layout.names) or '(none)'
