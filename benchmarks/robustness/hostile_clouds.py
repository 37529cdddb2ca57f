# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An endless, repeatable supply of PointCloud2 messages: legal ones, liars and nonsense.

Every message follows from its seed alone, so a failure is reported and reproduced by one number.
The fuzzers and ``test/test_reliability_fuzz.py`` share it.
"""

from __future__ import annotations

import array
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.robustness.point_cloud2_messages import Header, PointCloud2, PointField, Stamp
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.point_cloud2 import decode, decode_labels

KINDS = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
LIMITS = CloudLimits(max_points=100_000, max_bytes=1 << 20, max_fields=16)
_SPECIAL = (np.nan, np.inf, -np.inf, 1e30, -1e38, 1e-42, 0.0, -0.0)
_EXTRAS = ('intensity', 'ring', 't', 'rgb', 'pad', '', 'X')
_BUFFERS: tuple[Callable[[bytes], Any], ...] = (
    bytes,
    bytearray,
    memoryview,
    lambda data: array.array('B', data),
    lambda data: np.frombuffer(data, np.uint8),
)


@dataclass(frozen=True, eq=False)
class Hostile:
    """A message, and what a decoder must find in it.

    Attributes:
        seed: Makes the same message again.
        message: Has the attributes of PointCloud2, perhaps of wrong types.
        points: (N, 3) float32 coordinates in order, or ``None`` where the message may be illegal.
    """

    seed: int
    message: PointCloud2
    points: np.ndarray | None


def hostile_cloud(seed: int) -> Hostile:
    """The message number ``seed``: about two in five legal, two in five lying, one in five wild."""
    rng = random.Random(seed)
    roll = rng.random()
    if roll < 0.2:
        return Hostile(seed, _nonsense(rng), None)
    legal = legal_cloud(seed)
    if roll < 0.6:
        return legal
    for _ in range(rng.randint(1, 3)):
        rng.choice(_LIES)(legal.message, rng)
    return Hostile(seed, legal.message, None)


def legal_cloud(seed: int, most_columns: int = 12, scale_m: float = 20.0) -> Hostile:
    """A message that keeps the rules, in any layout they allow."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    width, height = rng.randint(0, most_columns), rng.randint(1, 6)
    is_joint = rng.random() < 0.1
    names = (['xyz'] if is_joint else ['x', 'y', 'z']) + rng.sample(_EXTRAS, rng.randint(0, 4))
    rng.shuffle(names)
    is_big, offset, fields, columns = rng.random() < 0.3, 0, [], {}
    order = '>' if is_big else '<'
    for name in names:
        offset += rng.choice((0, 0, 0, 1, 3, 8))
        datatype = 7 if rng.random() < 0.6 else rng.randint(1, 8)
        count = 3 if name == 'xyz' else 1
        fields.append(PointField(name, offset, datatype, count))
        columns[name] = (KINDS[datatype], _values(numbers, KINDS[datatype], (height, width, count),
                                                  scale_m))  # fmt: skip
        offset += count * np.dtype(KINDS[datatype]).itemsize
    point_step = offset + rng.choice((0, 0, 1, 4, 13))
    row_step = width * point_step + rng.choice((0, 0, 7, 16))
    data = np.frombuffer(rng.randbytes(height * row_step), np.uint8).copy()
    rows = data.reshape(height, row_step)[:, : width * point_step]
    points = np.ascontiguousarray(rows).reshape(height, width, point_step)
    for one in fields:
        kind, values = columns[one.name]
        size = one.count * np.dtype(kind).itemsize
        raw = values.astype(order + kind).view(np.uint8).reshape(height, width, size)
        points[:, :, one.offset : one.offset + size] = raw
    rows[:] = points.reshape(height, -1)
    if not width:
        data = data[:0]
    message = PointCloud2(
        header=Header(Stamp(rng.randint(0, 2**31 - 1), rng.randint(0, 10**9 - 1)), 'lidar'),
        height=height,
        width=width,
        fields=fields,
        is_bigendian=is_big,
        point_step=point_step,
        row_step=row_step,
        data=rng.choice(_BUFFERS)(data.tobytes()),
        is_dense=rng.random() < 0.5,
    )
    with np.errstate(over='ignore', invalid='ignore'):
        coordinates = [columns['xyz'][1]] if is_joint else [columns[axis][1] for axis in 'xyz']
        expected = np.concatenate([one.astype(np.float32) for one in coordinates], axis=2)
    return Hostile(seed, message, expected.reshape(-1, 3))


def _values(numbers: np.random.Generator, kind: str, shape: tuple, scale_m: float) -> np.ndarray:
    if kind[0] == 'f':
        values = numbers.normal(size=shape, scale=scale_m)
        special = numbers.random(shape) < 0.1
        values[special] = numbers.choice(_SPECIAL, special.sum())
        with np.errstate(over='ignore'):
            return values.astype(kind)
    limits = np.iinfo(kind)
    whole = numbers.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
    near = numbers.integers(0, min(100, limits.max), shape).astype(kind)
    return np.where(numbers.random(shape) < 0.2, whole, near)


# ---------------------------------------------------------------------- lies


def _number(rng: random.Random) -> Any:
    return rng.choice(
        (0, 1, 3, 16, rng.randint(0, 64), rng.randint(0, 2**32 - 1), 2**31, 2**32 - 1, 2**63)
    )


def _junk(rng: random.Random) -> Any:
    return rng.choice((None, 'x', b'', -1, 1.5, float('nan'), [], {}, object(), 2**70, True))


def _lie_in(name: str) -> Callable[[PointCloud2, random.Random], None]:
    def lie(message: PointCloud2, rng: random.Random) -> None:
        setattr(message, name, _number(rng) if rng.random() < 0.9 else _junk(rng))

    return lie


def _lie_in_field(message: PointCloud2, rng: random.Random) -> None:
    fields = message.fields if isinstance(message.fields, list) else []
    fields = [one for one in fields if isinstance(one, PointField)]
    if not fields:
        return
    one = rng.choice(fields)
    name = rng.choice(('name', 'offset', 'datatype', 'count'))
    sane = {
        'name': lambda: rng.choice(('x', 'y', 'z', 'xyz', '', 'Z')),
        'offset': lambda: _number(rng),
        'datatype': lambda: rng.randint(0, 255),
        'count': lambda: rng.choice((0, 2, 3, 2**32 - 1)),
    }
    setattr(one, name, sane[name]() if rng.random() < 0.85 else _junk(rng))


def _lie_in_list(message: PointCloud2, rng: random.Random) -> None:
    fields = message.fields
    if not isinstance(fields, list) or not fields or rng.random() < 0.1:
        message.fields = _junk(rng)
        return
    one = rng.choice(fields)
    rng.choice(
        (
            lambda: fields.remove(one),
            lambda: fields.append(one),
            lambda: fields.insert(0, _junk(rng)),
            lambda: fields.extend([one] * 20),
            lambda: message.__setattr__('fields', tuple(fields)),
        )
    )()


def _lie_in_data(message: PointCloud2, rng: random.Random) -> None:
    if rng.random() < 0.1:
        message.data = _junk(rng)
        return
    try:
        data = bytes(message.data)
    except (TypeError, ValueError, OverflowError, MemoryError):
        return
    if len(data) > 1 << 21:
        return
    message.data = rng.choice(
        (
            data[: rng.randint(0, len(data))],
            data[:-1],
            b'',
            data + rng.randbytes(rng.randint(1, 50)),
            data + bytes(1 << 20),
        )
    )


def _lie_in_stamp(message: PointCloud2, rng: random.Random) -> None:
    if not isinstance(message.header, Header) or rng.random() < 0.1:
        message.header = _junk(rng)
    elif rng.random() < 0.2:
        message.header.frame_id = _junk(rng)
    else:
        message.header.stamp = Stamp(
            rng.choice((-1, 0, 2**31, _junk(rng))), rng.choice((-1, 10**9, 0, _junk(rng)))
        )


_LIES = (
    *(_lie_in(name) for name in ('height', 'width', 'point_step', 'row_step', 'is_bigendian')),
    _lie_in_field,
    _lie_in_field,
    _lie_in_list,
    _lie_in_data,
    _lie_in_stamp,
)


def _nonsense(rng: random.Random) -> PointCloud2:
    def mostly(value: Any) -> Any:
        return value if rng.random() < 0.99 else _junk(rng)

    def field() -> Any:
        name = rng.choice(('x', 'y', 'z', 'xyz', 'intensity', 'X', ''))
        offset = rng.choice((rng.randint(0, 24), _number(rng)))
        return PointField(mostly(name), mostly(offset), mostly(rng.randint(0, 9)),
                          mostly(rng.choice((0, 1, 1, 1, 3))))  # fmt: skip

    return PointCloud2(
        header=mostly(Header(mostly(Stamp(mostly(1), mostly(2))), mostly('lidar'))),
        height=mostly(rng.choice((1, 1, _number(rng)))),
        width=mostly(rng.choice((rng.randint(0, 20), _number(rng)))),
        fields=mostly([mostly(field()) for _ in range(rng.randint(0, 8))]),
        is_bigendian=mostly(rng.random() < 0.5),
        point_step=mostly(rng.choice((rng.randint(0, 40), _number(rng)))),
        row_step=mostly(rng.choice((rng.randint(0, 400), _number(rng)))),
        data=mostly(rng.randbytes(rng.randint(0, 600))),
        is_dense=mostly(True),
    )


# ---------------------------------------------------------------------- what must hold


def check(hostile: Hostile) -> str:
    """Decode a message and hold the answer to what the decoder promises.

    Returns:
        ``cloud``, or the reason for which the message was rejected.

    Raises:
        AssertionError: The answer breaks a promise. Whatever else is raised breaks one, too.
    """
    message = hostile.message
    is_bytes = isinstance(message.data, (bytearray, memoryview, array.array, np.ndarray))
    before = bytes(message.data) if is_bytes else None
    result = decode(message, wanted_features=('intensity', 'ring', 'time'), limits=LIMITS)
    labels = decode_labels(message, 'intensity', limits=LIMITS)
    assert isinstance(labels, (np.ndarray, Rejected))
    if before is not None:
        assert bytes(message.data) == before, 'the message was written to'
    if isinstance(result, Rejected):
        assert hostile.points is None, f'a legal message was rejected: {result}'
        assert result.detail
        return str(result.reason)
    assert isinstance(result, Cloud)
    count = message.width * message.height
    assert result.points.shape == (count, 3)
    assert result.finite.shape == (count,)
    assert all(values.shape == (count,) for values in result.features.values())
    np.testing.assert_array_equal(result.finite, np.isfinite(result.points).all(axis=1))
    if hostile.points is not None:
        np.testing.assert_array_equal(result.points, hostile.points)
    return 'cloud'
