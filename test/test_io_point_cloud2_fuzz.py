# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Legal layouts agree with a reference made of struct.unpack; illegal ones never raise."""

from __future__ import annotations

import random
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.robustness.point_cloud2_messages import (
    FORMATS,
    Header,
    PointCloud2,
    PointField,
    Stamp,
    reference_column,
)
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected, RejectReason
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns
from pointata_core.io.messages.point_cloud2 import decode, decode_labels

# How long an example takes depends on who else uses the machine.
settings.register_profile('untimed', deadline=None)
settings.load_profile('untimed')

DATATYPES = st.sampled_from(sorted(FORMATS))


@st.composite
def legal_clouds(draw):
    """Any layout the message definition allows: order, gaps, padding, types, byte order, bytes."""
    names = ['x', 'y', 'z', *draw(st.lists(st.sampled_from(['intensity', 'ring', 'pad', '']),
                                           unique=True, max_size=4))]  # fmt: skip
    offset = 0
    fields = []
    for name in draw(st.permutations(names)):
        offset += draw(st.integers(0, 5))
        fields.append(PointField(name, offset, draw(DATATYPES)))
        offset += struct.calcsize(FORMATS[fields[-1].datatype])
    width, height = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    point_step = offset + draw(st.integers(0, 7))
    row_step = width * point_step + draw(st.integers(0, 9))
    size = row_step * height
    # Bytes from a seed: hypothesis has better things to shrink than every bit of a float.
    data = random.Random(draw(st.integers(0, 2**32))).randbytes(size)
    return PointCloud2(
        width=width,
        height=height,
        fields=draw(st.permutations(fields)),
        is_bigendian=draw(st.booleans()),
        point_step=point_step,
        row_step=row_step,
        data=data,
        is_dense=draw(st.booleans()),
    )


def as_float32(values: list[float]) -> np.ndarray:
    with np.errstate(over='ignore', invalid='ignore'):
        return np.array(values, np.float64).astype(np.float32)


@given(legal_clouds())
def test_legal_layout_equals_the_reference(message):
    cloud = decode(message, wanted_features=('intensity', 'ring'))
    assert isinstance(cloud, Cloud), cloud
    for axis, name in enumerate('xyz'):
        np.testing.assert_array_equal(
            cloud.points[:, axis], as_float32(reference_column(message, name))
        )
    present = {f.name for f in message.fields}
    assert set(cloud.features) == present & {'intensity', 'ring'}
    for name, values in cloud.features.items():
        np.testing.assert_array_equal(values, as_float32(reference_column(message, name)))
    np.testing.assert_array_equal(cloud.finite, np.isfinite(cloud.points).all(axis=1))


@given(legal_clouds())
def test_whole_numbers_of_any_field_come_back_exactly(message):
    name = message.fields[0].name
    labels = decode_labels(message, name)
    expected = reference_column(message, name)
    if isinstance(labels, Rejected):
        assert labels.reason is RejectReason.NOT_INTEGRAL
        assert any(value != value or abs(value) >= 2**53 or value % 1 for value in expected)
    else:
        assert labels.tolist() == expected


@given(legal_clouds())
def test_decode_encode_decode_is_the_identity(message):
    first = decode(message)
    columns = [*xyz_columns(first.points), *first.features.items()]
    encoded = encode_fields(columns, width=first.width, height=first.height)
    again = decode(
        PointCloud2(
            header=message.header,
            width=encoded.width,
            height=encoded.height,
            fields=[PointField(*entry) for entry in encoded.fields],
            is_bigendian=encoded.is_bigendian,
            point_step=encoded.point_step,
            row_step=encoded.row_step,
            data=encoded.data,
            is_dense=encoded.is_dense,
        )
    )
    np.testing.assert_array_equal(again.points, first.points)
    np.testing.assert_array_equal(again.finite, first.finite)
    assert encoded.is_dense == bool(first.finite.all())
    assert again.features.keys() == first.features.keys()
    for name, values in first.features.items():
        np.testing.assert_array_equal(again.features[name], values)
    assert (again.width, again.height, again.stamp_ns) == (
        first.width, first.height, first.stamp_ns,
    )  # fmt: skip


UINT32 = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
JUNK = st.one_of(st.none(), st.text(max_size=3), st.floats(), st.integers(-(2**70), 2**70))


def mostly(sane: st.SearchStrategy) -> st.SearchStrategy:
    """Sane values with now and then something that has no business there."""
    return st.integers(0, 30).flatmap(lambda roll: JUNK if roll == 0 else sane)


FIELDS = st.builds(
    PointField,
    name=mostly(st.sampled_from(['x', 'y', 'z', 'xyz', 'intensity', 'X', ''])),
    offset=mostly(UINT32),
    datatype=mostly(st.integers(0, 9)),
    count=mostly(st.sampled_from([0, 1, 1, 1, 3, 2**32 - 1])),
)
ARBITRARY = st.builds(
    PointCloud2,
    header=mostly(
        st.builds(
            Header,
            stamp=mostly(st.builds(Stamp, sec=mostly(UINT32), nanosec=mostly(UINT32))),
            frame_id=mostly(st.text(max_size=3)),
        )
    ),
    height=mostly(st.one_of(st.just(1), UINT32)),
    width=mostly(UINT32),
    fields=mostly(st.lists(mostly(FIELDS), max_size=8)),
    is_bigendian=mostly(st.booleans()),
    point_step=mostly(UINT32),
    row_step=mostly(UINT32),
    data=mostly(st.binary(max_size=600)),
    is_dense=mostly(st.booleans()),
)


def assert_defined(message) -> None:
    before = bytes(message.data) if isinstance(message.data, bytes) else None
    result = decode(message, wanted_features=('intensity', 'time'))
    labels = decode_labels(message, 'x')
    assert isinstance(result, (Cloud, Rejected))
    assert isinstance(labels, (np.ndarray, Rejected))
    if isinstance(result, Cloud):
        count = message.width * message.height
        assert result.points.shape == (count, 3)
        assert result.finite.shape == (count,)
        assert all(values.shape == (count,) for values in result.features.values())
    if before is not None:
        assert message.data == before


@settings(max_examples=200)
@given(ARBITRARY)
def test_arbitrary_messages_never_raise(message):
    assert_defined(message)


@settings(max_examples=200)
@given(legal_clouds(), st.data())
def test_legal_messages_with_one_lie_never_raise(message, data):
    name = data.draw(
        st.sampled_from(['height', 'width', 'fields', 'point_step', 'row_step', 'data', 'offset'])
    )
    if name == 'offset':
        data.draw(st.sampled_from(message.fields)).offset = data.draw(UINT32)
    elif name == 'data':
        message.data = message.data[: data.draw(st.integers(0, len(message.data)))]
    elif name == 'fields':
        message.fields = data.draw(st.lists(FIELDS, max_size=4)) + message.fields
    else:
        setattr(message, name, data.draw(UINT32))
    assert_defined(message)


@given(legal_clouds(), st.integers(0, 600))
def test_limits_hold_whatever_the_layout(message, max_bytes):
    limits = CloudLimits(max_points=6, max_bytes=max_bytes)
    result = decode(message, limits=limits)
    if isinstance(result, Cloud):
        assert len(result) <= 6
        assert len(message.data) <= max_bytes
    else:
        assert result.reason in {RejectReason.TOO_MANY_POINTS, RejectReason.TOO_MANY_BYTES}
