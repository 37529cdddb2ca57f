# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read Livox ``CustomMsg`` from its serialised bytes.

The message holds one object for each point. Made one by one, they cost more time than a robot has
between two clouds; here each field is one array.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import numpy as np

# Name, type and offset of the fields of a point, in the order of the message.
_FIELDS = {
    'offset_time': ('u4', 0),
    'x': ('f4', 4),
    'y': ('f4', 8),
    'z': ('f4', 12),
    'reflectivity': ('u1', 16),
    'tag': ('u1', 17),
    'line': ('u1', 18),
}
_POINT_BYTES = 19
_CDR_STEP = 20  # the next point begins at a multiple of four
_ENCAPSULATION_BYTES = 4


def read_livox(data: bytes | memoryview, *, ros1: bool = False) -> Any:
    """Return an object with ``header``, ``height``, ``width`` and ``points``.

    Args:
        data: The message as ROS 2 (CDR) or ROS 1 serialises it.
        ros1: Which of them.

    Returns:
        ``points`` maps the name of each field of ``CustomPoint`` to an array (N,).

    Raises:
        ValueError: The bytes are no such message.
    """
    view = memoryview(data).cast('B')
    try:
        header, order, start, count = _read_ros1(view) if ros1 else _read_cdr(view)
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise ValueError(f'no Livox message: {error}') from error
    step = _POINT_BYTES if ros1 else _CDR_STEP
    needed = start + step * (count - 1) + _POINT_BYTES if count else start
    if len(view) < needed:
        raise ValueError(f'{len(view)} bytes, expected {needed} for {count} Livox points')
    points = {
        name: np.ndarray((count,), order + kind, view, start + offset, (step,))
        if count
        else np.empty(0, order + kind)
        for name, (kind, offset) in _FIELDS.items()
    }
    return SimpleNamespace(header=header, height=1, width=count, points=points)


def _read_cdr(view: memoryview) -> tuple[Any, str, int, int]:
    order = '<' if view[1] & 1 else '>'
    body = view[_ENCAPSULATION_BYTES:]
    sec, nanosec, length = struct.unpack_from(f'{order}iII', body)
    frame_id, at = _text(body, 12, length)
    at = -(-at // 8) * 8  # the time base has eight bytes
    at += 8 + 4 + 1 + 3
    (count,) = struct.unpack_from(f'{order}I', body, at)
    return _header(sec, nanosec, frame_id), order, _ENCAPSULATION_BYTES + at + 4, count


def _read_ros1(view: memoryview) -> tuple[Any, str, int, int]:
    _, sec, nanosec, length = struct.unpack_from('<IIII', view)
    frame_id, at = _text(view, 16, length)
    at += 8 + 4 + 1 + 3
    (count,) = struct.unpack_from('<I', view, at)
    return _header(sec, nanosec, frame_id), '<', at + 4, count


def _text(view: memoryview, at: int, length: int) -> tuple[str, int]:
    if at + length > len(view):
        raise ValueError(f'a text of {length} bytes in a Livox message of {len(view)}')
    return bytes(view[at : at + length]).rstrip(b'\0').decode(), at + length


def _header(sec: int, nanosec: int, frame_id: str) -> Any:
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)
