# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fields and points of a cloud can be passed on as they are, whatever the layout."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.io.cloud import Rejected
from pointata_core.io.messages.point_cloud2 import decode_columns, point_records

TYPES = {'f4': 7, 'f8': 8, 'u2': 4, 'u1': 2, 'i4': 5}


@st.composite
def messages(draw):
    """A cloud with padded rows and points, and its values by field."""
    height, width = draw(st.integers(1, 3)), draw(st.integers(0, 4))
    order = draw(st.sampled_from('<>'))
    names = ['x', 'y', 'z', *draw(st.permutations(['intensity', 'ring', 't']))]
    kinds = ['f4', 'f4', 'f4', *(draw(st.sampled_from(sorted(TYPES))) for _ in range(3))]
    offsets, end = [], draw(st.integers(0, 3))
    for kind in kinds:
        offsets.append(end)
        end += np.dtype(kind).itemsize + draw(st.integers(0, 2))
    record = np.dtype(
        {'names': names, 'formats': [order + k for k in kinds], 'offsets': offsets, 'itemsize': end}
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = np.zeros((height, width), record)
    for name in names:
        values[name] = rng.integers(0, 200, (height, width))
    padding = draw(st.integers(0, 5)) if height > 1 and width else 0
    rows = [row.tobytes() + bytes(padding) for row in values]
    message = SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id=''),
        height=height, width=width, point_step=end, row_step=width * end + padding,
        is_bigendian=order == '>', data=b''.join(rows), is_dense=True,
        fields=[
            SimpleNamespace(name=n, offset=o, datatype=TYPES[k], count=1)
            for n, o, k in zip(names, offsets, kinds, strict=True)
        ],
    )  # fmt: skip
    return message, values.ravel()


@given(messages())
def test_fields_keep_type_and_values(drawn):
    message, values = drawn
    columns = decode_columns(message, ['time', 'ring', 'absent'])
    assert not isinstance(columns, Rejected)
    if not len(values):
        assert columns == {}
        return
    assert list(columns) == ['t', 'ring']
    for name, column in columns.items():
        assert column.dtype == values[name].dtype.newbyteorder('=')
        np.testing.assert_array_equal(column, values[name])


@given(messages(), st.integers(0, 3))
def test_records_hold_all_bytes_of_each_point(drawn, cut):
    message, values = drawn
    tail = message.point_step - max(field.offset for field in message.fields) - 8
    # A last point may be cut behind its last field.
    if len(values) and cut < tail:
        message.data = message.data[: len(message.data) - cut]
    records = point_records(message)
    assert records.shape == (len(values), message.point_step)
    again = np.frombuffer(records.tobytes(), values.dtype)
    for name in values.dtype.names:
        np.testing.assert_array_equal(again[name], values[name])


def test_a_field_outside_of_its_point_is_named():
    field = SimpleNamespace(name='ring', offset=40, datatype=4, count=1)
    message = SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id=''), height=1,
        width=1, point_step=16, row_step=16, is_bigendian=False, data=bytes(16), fields=[field],
    )  # fmt: skip
    rejected = decode_columns(message, ['ring'])
    assert isinstance(rejected, Rejected)
    assert 'ring' in rejected.detail
