# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Output clouds: aligned layout, real message classes of rclpy and rosbags, colours."""

from __future__ import annotations

import struct
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from pointata_core.io.cloud import CloudLimits
from pointata_core.io.messages.cloud_encoding import (
    encode_fields,
    fill_message,
    pack_rgb,
    rgb_as_float,
    xyz_columns,
)
from pointata_core.io.messages.point_cloud2 import decode, decode_labels

# How long an example takes depends on who else uses the machine.
settings.register_profile('untimed', deadline=None)
settings.load_profile('untimed')

POINTS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [np.nan, 0, 0]], np.float32)
CLASS_ID = np.array([1, 65535, 3, 2], np.uint16)
PROBABILITY = np.array([0.5, 0.25, 0.125, 1], np.float32)


def output_columns(points=POINTS):
    return [
        *xyz_columns(points),
        ('class_id', CLASS_ID[: len(points)]),
        ('probability', PROBABILITY[: len(points)]),
    ]


def rosbags_message(header_of=None):
    types = get_typestore(Stores.ROS2_JAZZY).types
    time = types['builtin_interfaces/msg/Time'](sec=5, nanosec=6)
    header = types['std_msgs/msg/Header'](stamp=time, frame_id='lidar')
    message = types['sensor_msgs/msg/PointCloud2'](
        header=header, height=0, width=0, fields=[], is_bigendian=False, point_step=0, row_step=0,
        data=np.empty(0, np.uint8), is_dense=False,
    )  # fmt: skip
    return message, header, types['sensor_msgs/msg/PointField']


def rclpy_message():
    messages = pytest.importorskip('sensor_msgs.msg', reason='ROS messages are not installed')
    std = pytest.importorskip('std_msgs.msg')
    header = std.Header(frame_id='lidar')
    header.stamp.sec, header.stamp.nanosec = 5, 6
    return messages.PointCloud2(), header, messages.PointField


MESSAGES = pytest.mark.parametrize('make', [rosbags_message, rclpy_message])


def test_output_layout_is_aligned_and_documented():
    encoded = encode_fields([*output_columns(), ('entropy', PROBABILITY)])
    assert encoded.fields == (
        ('x', 0, 7), ('y', 4, 7), ('z', 8, 7), ('class_id', 12, 4), ('probability', 16, 7),
        ('entropy', 20, 7),
    )  # fmt: skip
    assert encoded.point_step == 24
    assert encoded.row_step == 96
    assert encode_fields(output_columns()).point_step == 20


def test_bytes_are_those_of_the_declared_layout():
    encoded = encode_fields(output_columns())
    order = '>' if encoded.is_bigendian else '<'
    record = struct.unpack_from(f'{order}fffHxxf', bytes(encoded.data), encoded.point_step)
    assert record == (4.0, 5.0, 6.0, 65535, 0.25)


@given(st.lists(st.sampled_from(['i1', 'u2', 'i4', 'f4', 'f8']), min_size=1, max_size=6))
def test_every_field_is_aligned_to_its_size(kinds):
    encoded = encode_fields([(f'c{i}', np.zeros(2, kind)) for i, kind in enumerate(kinds)])
    sizes = [np.dtype(kind).itemsize for kind in kinds]
    for (_, offset, _), size in zip(encoded.fields, sizes, strict=True):
        assert offset % size == 0
    assert encoded.point_step % max(sizes) == 0
    assert len(encoded.data) == 2 * encoded.point_step


@MESSAGES
def test_filled_message_decodes_to_what_was_encoded(make):
    message, header, field_type = make()
    encoded = encode_fields(output_columns(), width=2, height=2)
    assert fill_message(message, encoded, header, field_type) is message
    cloud = decode(message, wanted_features=('probability',))
    np.testing.assert_array_equal(cloud.points, POINTS)
    np.testing.assert_array_equal(cloud.features['probability'], PROBABILITY)
    np.testing.assert_array_equal(decode_labels(message, 'class_id'), CLASS_ID)
    assert (cloud.width, cloud.height) == (2, 2)
    assert (cloud.stamp_ns, cloud.frame_id) == (5_000_000_006, 'lidar')
    assert not message.is_dense


def test_filling_a_rosbags_message_copies_nothing():
    message, header, field_type = rosbags_message()
    encoded = encode_fields(output_columns())
    fill_message(message, encoded, header, field_type)
    assert np.shares_memory(message.data, np.frombuffer(encoded.data, np.uint8))


def test_rclpy_and_rosbags_read_each_others_bytes():
    serialization = pytest.importorskip('rclpy.serialization', reason='rclpy is not installed')
    ours, header, field_type = rosbags_message()
    theirs, ros_header, ros_field_type = rclpy_message()
    encoded = encode_fields(output_columns())
    fill_message(ours, encoded, header, field_type)
    fill_message(theirs, encoded, ros_header, ros_field_type)
    store, name = get_typestore(Stores.ROS2_JAZZY), 'sensor_msgs/msg/PointCloud2'
    there = serialization.deserialize_message(bytes(store.serialize_cdr(ours, name)), type(theirs))
    back = store.deserialize_cdr(serialization.serialize_message(theirs), name)
    for message in (there, back):
        cloud = decode(message)
        np.testing.assert_array_equal(cloud.points, POINTS)
        assert cloud.fields == tuple(name for name, _, _ in encoded.fields)
        assert cloud.stamp_ns == 5_000_000_006


@MESSAGES
def test_default_constructed_message_is_an_empty_cloud(make):
    message, _, _ = make()
    assert len(decode(message)) == 0


def test_reused_memory_gives_the_same_bytes_and_no_allocation():
    first = encode_fields(output_columns())
    expected = bytes(encode_fields(output_columns(POINTS[::-1])).data)
    second = encode_fields(output_columns(POINTS[::-1]), reuse=first)
    assert second.data is first.data
    assert bytes(second.data) == expected


def test_memory_of_another_size_or_layout_is_not_reused():
    first = encode_fields(output_columns())
    shorter = encode_fields(output_columns(POINTS[:3]), reuse=first)
    other = encode_fields([*output_columns(), ('entropy', PROBABILITY)], reuse=first)
    assert shorter.data is not first.data
    assert other.data is not first.data
    assert len(shorter.data) == 3 * first.point_step


def test_density_is_looked_up_unless_given():
    assert not encode_fields(output_columns()).is_dense
    assert encode_fields(output_columns(POINTS[:3])).is_dense
    assert encode_fields(output_columns(), is_dense=True).is_dense


def test_empty_cloud_keeps_its_fields():
    encoded = encode_fields(output_columns(POINTS[:0]))
    assert len(encoded.fields) == 5
    assert (encoded.width, encoded.height, len(encoded.data)) == (0, 1, 0)
    assert encoded.is_dense


@pytest.mark.parametrize(
    ('columns', 'options', 'words'),
    [
        ([('x', np.zeros(3, 'f4')), ('y', np.zeros(2, 'f4'))], {}, 'shape'),
        ([('x', np.zeros(3, 'f4')), ('x', np.zeros(3, 'f4'))], {}, 'two columns'),
        ([('x', np.zeros(3, 'i8'))], {}, 'cannot express'),
        ([('x', np.zeros(3, 'f4'))], {'width': 2}, 'number of points'),
        ([('x', np.zeros(3, 'f4'))], {'height': 2}, 'number of points'),
    ],
)
def test_impossible_columns_are_an_error_of_the_caller(columns, options, words):
    with pytest.raises(ValueError, match=words):
        encode_fields(columns, **options)


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), max_size=20))
def test_colours_survive_packing_either_way(colours):
    colours = np.array(colours, np.uint8).reshape(-1, 3)
    packed = pack_rgb(colours)
    assert [int(value) for value in packed] == [
        int(r) * 65536 + int(g) * 256 + int(b) for r, g, b in colours
    ]
    np.testing.assert_array_equal(rgb_as_float(packed).view(np.uint32), packed)


def test_rgb_cloud_round_trip_through_rclpy():
    message, header, field_type = rclpy_message()
    colours = np.array([[255, 0, 0], [1, 2, 3], [127, 128, 255], [0, 0, 0]], np.uint8)
    columns = [*xyz_columns(POINTS), ('rgb', rgb_as_float(pack_rgb(colours)))]
    fill_message(message, encode_fields(columns), header, field_type)
    assert isinstance(message.data, array)
    # As float32 the alpha byte 0 keeps every colour a denormal or normal number, never NaN.
    rgb = decode(message, wanted_features=('rgb',)).features['rgb']
    np.testing.assert_array_equal(rgb.view(np.uint32), pack_rgb(colours))


@pytest.mark.parametrize('width', [1, 2, 4])
@pytest.mark.parametrize('offset', [0, 3])
def test_well_formed_clouds_agree_with_sensor_msgs_py(width, offset):
    oracle = pytest.importorskip(
        'sensor_msgs_py.point_cloud2', reason='sensor_msgs_py comes with a ROS installation only'
    )
    from sensor_msgs.msg import PointField
    from std_msgs.msg import Header

    kinds = {'y': 7, 'intensity': 4, 'x': 7, 'z': 7, 'ring': 2}
    fields, position = [], offset
    for name, datatype in kinds.items():
        fields.append(PointField(name=name, offset=position, datatype=datatype, count=1))
        position += {7: 4, 4: 2, 2: 1}[datatype]
    rows = [(2.0, 10, 1.0, 3.0, 4), (5.0, 20, 4.0, 6.0, 5), (8.0, 3, 7.0, 9.0, 6), (1, 1, 1, 1, 1)]
    message = oracle.create_cloud(Header(frame_id='lidar'), fields, rows)
    message.width, message.height = width, 4 // width
    message.row_step = width * message.point_step
    cloud = decode(message, wanted_features=('intensity', 'ring'), limits=CloudLimits())
    records = oracle.read_points(message)
    for axis, name in enumerate('xyz'):
        np.testing.assert_array_equal(cloud.points[:, axis], records[name])
    for name, values in cloud.features.items():
        np.testing.assert_array_equal(values, records[name])
