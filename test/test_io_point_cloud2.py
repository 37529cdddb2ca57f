# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoder's contract, one test per way in which drivers get PointCloud2 wrong."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest

from benchmarks.robustness.point_cloud2_messages import (
    FLOAT64,
    Header,
    PointCloud2,
    PointField,
    Stamp,
    cloud_of,
    reference_column,
    xyz_fields,
    xyzi_fields,
)
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected, RejectReason
from pointata_core.io.messages.point_cloud2 import decode, decode_labels

NAN, INF = math.nan, math.inf
FLOAT32, UINT32 = 7, 6
ROWS = [(1.0, 2.0, 3.0, 0.5), (4.0, 5.0, 6.0, 0.25), (7.0, 8.0, 9.0, 0.75), (-1.0, -2.0, -3.0, 1.0)]


def changed(message, **changes):
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def accepted(message, **options) -> Cloud:
    cloud = decode(message, **options)
    assert isinstance(cloud, Cloud), cloud
    return cloud


def reason_of(message, **options) -> RejectReason:
    rejected = decode(message, **options)
    assert isinstance(rejected, Rejected), rejected
    assert rejected.detail
    return rejected.reason


def assert_rows(cloud: Cloud, rows=ROWS) -> None:
    np.testing.assert_array_equal(cloud.points, np.array([r[:3] for r in rows], np.float32))
    np.testing.assert_array_equal(cloud.features['intensity'], np.float32([r[3] for r in rows]))


def test_tidy_cloud_is_read_in_order():
    cloud = accepted(cloud_of(ROWS))
    assert_rows(cloud)
    assert cloud.points.dtype == np.float32
    assert cloud.points.flags.c_contiguous
    assert cloud.features['intensity'].dtype == np.float32
    assert cloud.finite.all()
    assert (cloud.width, cloud.height, len(cloud)) == (4, 1, 4)
    assert cloud.stamp_ns == 12_000_000_345
    assert cloud.frame_id == 'lidar'
    assert cloud.fields == ('x', 'y', 'z', 'intensity')


@pytest.mark.parametrize('wrap', [bytes, bytearray, memoryview, lambda d: array('B', d)])
def test_any_byte_buffer_will_do(wrap):
    message = cloud_of(ROWS)
    message.data = wrap(message.data)
    assert_rows(accepted(message))


def test_read_only_buffer_is_read_and_writable_buffer_is_not_written():
    message = cloud_of(ROWS, big_endian=True)
    frozen = np.frombuffer(message.data, np.uint8)
    assert not frozen.flags.writeable
    before = bytes(message.data)
    message.data = frozen
    assert_rows(accepted(message))
    message.data = bytearray(before)
    assert_rows(accepted(message))
    assert bytes(message.data) == before


def test_result_does_not_share_memory_with_the_message():
    message = cloud_of(ROWS)
    message.data = bytearray(message.data)
    cloud = accepted(message)
    message.data[:] = bytes(len(message.data))
    assert_rows(cloud)


# --- nothing in it -------------------------------------------------------------------------------


@pytest.mark.parametrize(('width', 'height'), [(0, 1), (0, 0), (7, 0)])
def test_zero_points_without_data_are_an_empty_cloud(width, height):
    message = PointCloud2(width=width, height=height, fields=xyzi_fields(), point_step=16)
    cloud = accepted(message)
    assert cloud.points.shape == (0, 3)
    assert cloud.finite.shape == (0,)
    assert (cloud.width, cloud.height) == (width, height)


def test_default_message_is_an_empty_cloud():
    assert len(accepted(PointCloud2(header=Header(Stamp(0, 0), ''), height=0))) == 0


@pytest.mark.parametrize('forgotten', ['width', 'height'])
def test_zero_points_with_data_are_refused(forgotten):
    message = changed(cloud_of(ROWS), **{forgotten: 0})
    assert reason_of(message) is RejectReason.DATA_WITHOUT_POINTS


# --- odd values ----------------------------------------------------------------------------------


def test_single_point():
    assert_rows(accepted(cloud_of(ROWS[:1])), ROWS[:1])


def test_identical_points_all_survive():
    assert_rows(accepted(cloud_of(ROWS[:1] * 50)), ROWS[:1] * 50)


@pytest.mark.parametrize('value', [NAN, INF, -INF])
@pytest.mark.parametrize('is_dense', [True, False])
def test_finite_mask_ignores_what_is_dense_claims(value, is_dense):
    rows = [(value, 0, 0, 0), (0, value, 0, 0), (0, 0, value, 0), (0, 0, 0, value), (value,) * 4]
    cloud = accepted(cloud_of(rows, is_dense=is_dense))
    assert cloud.finite.tolist() == [False, False, False, True, False]
    assert len(cloud) == 5


@pytest.mark.parametrize('value', [NAN, INF])
def test_cloud_without_a_finite_point_is_a_cloud(value):
    cloud = accepted(cloud_of([(value, value, value, 0)] * 3))
    assert not cloud.finite.any()


def test_float64_beyond_float32_becomes_non_finite_without_a_warning(recwarn):
    cloud = accepted(cloud_of([(1e300, 0, 0), (1, 2, 3)], xyz_fields(FLOAT64)))
    assert cloud.finite.tolist() == [False, True]
    assert not recwarn.list


# --- layouts -------------------------------------------------------------------------------------


def test_organised_cloud_is_flattened_row_by_row():
    cloud = accepted(cloud_of(ROWS, width=2))
    assert (cloud.width, cloud.height) == (2, 2)
    assert_rows(cloud)


@pytest.mark.parametrize('padding', [1, 3, 16, 100])
def test_row_padding_does_not_shift_rows(padding):
    assert_rows(accepted(cloud_of(ROWS, width=2, row_padding=padding)))


@pytest.mark.parametrize('datatype', [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize('big_endian', [False, True])
def test_coordinates_of_every_datatype(datatype, big_endian):
    rows = [(1, 2, 3), (100, 90, 80)]
    cloud = accepted(cloud_of(rows, xyz_fields(datatype), big_endian=big_endian))
    assert cloud.points.tolist() == [[1, 2, 3], [100, 90, 80]]


def test_integer_coordinates_are_scaled_and_floats_are_not():
    limits = CloudLimits(integer_scale_m=0.001)
    millimetres = accepted(cloud_of([(1500, -20, 7)], xyz_fields(3)), limits=limits)
    np.testing.assert_allclose(millimetres.points, [[1.5, -0.02, 0.007]], rtol=1e-6)
    metres = accepted(cloud_of([(1.5, -2, 7)], xyz_fields()), limits=limits)
    assert metres.points.tolist() == [[1.5, -2, 7]]


def test_unaligned_offsets_and_a_step_that_is_no_multiple_of_four():
    fields = [
        PointField('intensity', 1),
        PointField('z', 7),
        PointField('x', 13),
        PointField('y', 19, FLOAT64),
    ]
    cloud = accepted(cloud_of([(0.5, 3, 1, 2), (0.25, 6, 4, 5)], fields, point_step=29))
    assert cloud.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.features['intensity'].tolist() == [0.5, 0.25]


def test_one_xyz_field_of_three_elements_stands_in_for_x_y_z():
    fields = [PointField('intensity', 0), PointField('xyz', 4, count=3)]
    message = cloud_of([(0.5, (1, 2, 3)), (0.25, (4, 5, 6))], fields)
    cloud = accepted(message)
    assert cloud.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.points[:, 2].tolist() == reference_column(message, 'xyz', element=2)


def test_separate_coordinates_win_over_a_joint_field():
    fields = [*xyz_fields(), PointField('xyz', 12, count=3)]
    cloud = accepted(cloud_of([(1, 2, 3, (7, 8, 9))], fields))
    assert cloud.points.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize('width', [2, 4])
@pytest.mark.parametrize('row_step', [0, 1, 640, 1_000_000])
def test_row_step_does_not_matter_where_the_data_are_packed(width, row_step):
    message = cloud_of(ROWS, width=width)
    message.row_step = row_step
    assert_rows(accepted(message))


def test_row_step_below_width_times_step_is_refused_where_rows_are_padded():
    message = cloud_of(ROWS, width=2, row_padding=2)
    message.row_step = 2 * message.point_step - 1
    assert reason_of(message) is RejectReason.BAD_ROW_STEP


def test_stale_large_row_step_of_a_single_row_does_no_harm():
    assert_rows(accepted(cloud_of(ROWS, row_step=1_000_000)))


def test_truncated_data_is_refused_at_the_last_needed_byte():
    message = cloud_of(ROWS, point_step=20)
    whole = message.data
    message.data = whole[:-4]  # only padding is missing
    assert_rows(accepted(message))
    message.data = whole[:-5]
    assert reason_of(message) is RejectReason.TRUNCATED_DATA
    message.data = b''
    assert reason_of(message) is RejectReason.TRUNCATED_DATA


def test_bytes_after_the_last_row_are_ignored():
    message = cloud_of(ROWS, width=2, row_padding=2)
    message.data += bytes(11)
    cloud = accepted(message)
    assert_rows(cloud)


# --- fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize('axis', ['x', 'y', 'z'])
def test_missing_coordinate_is_refused_by_name(axis):
    fields = xyzi_fields()
    next(f for f in fields if f.name == axis).name = 'other'
    rejected = decode(cloud_of(ROWS, fields))
    assert rejected.reason is RejectReason.MISSING_FIELD
    assert repr(axis) in rejected.detail


def test_missing_feature_is_simply_absent():
    cloud = accepted(cloud_of([(1, 2, 3)], xyz_fields()), wanted_features=('intensity', 'ring'))
    assert cloud.features == {}


@pytest.mark.parametrize(
    ('feature', 'name', 'datatype'),
    [
        ('intensity', 'i', 2),
        ('intensity', 'reflectivity', 4),
        ('intensity', 'Intensity', 7),
        ('ring', 'line', 1),
        ('ring', 'channel', 4),
        ('velocity', 'doppler', 8),
        ('label', 'label', 6),
    ],
)
def test_features_are_found_under_the_names_drivers_use(feature, name, datatype):
    fields = [*xyz_fields(), PointField(name, 12, datatype)]
    cloud = accepted(cloud_of([(1, 2, 3, 42)], fields), wanted_features=(feature,))
    assert cloud.features[feature].tolist() == [42]
    assert cloud.features[feature].dtype == np.float32


def test_first_alias_and_exact_case_win():
    fields = [
        *xyz_fields(),
        PointField('reflectivity', 12),
        PointField('INTENSITY', 16),
        PointField('intensity', 20),
    ]
    cloud = accepted(cloud_of([(1, 2, 3, 10, 20, 30)], fields))
    assert cloud.features['intensity'].tolist() == [30]


def test_integer_times_are_nanoseconds_since_the_earliest_point():
    fields = [*xyz_fields(), PointField('t', 12, 6)]
    rows = [(1, 2, 3, 4_000_000_000), (1, 2, 3, 0), (1, 2, 3, 50_000_000)]
    cloud = accepted(cloud_of(rows, fields), wanted_features=('time',))
    np.testing.assert_allclose(cloud.features['time'], [4.0, 0.0, 0.05], rtol=1e-6)


@pytest.mark.parametrize(
    ('name', 'datatype', 'start', 'unit'),
    [
        ('timestamp', FLOAT64, 1.7e9, 1.0),
        ('timestamp', FLOAT64, 1.7e12, 1e-3),
        ('timestamp', FLOAT64, 1.7e15, 1e-6),
        ('timestamp', FLOAT64, 1.7e18, 1e-9),  # livox_ros_driver2
        ('time', FLOAT32, 0.0, 1.0),
        ('time', FLOAT32, -0.05, 1.0),
        ('time', FLOAT32, 0.0, 1e-3),
        ('time', FLOAT32, 0.0, 1e-6),
        ('time', FLOAT32, 0.0, 1e-9),
        ('time', FLOAT64, 302_400.0, 1.0),  # seconds of a GPS week
        ('t', UINT32, 0, 1e-9),
        ('offset_time', UINT32, 0, 1e-9),
        ('time_offset', UINT32, 0, 1e-6),
        ('time', UINT32, 4_000_000_000, 1e-9),
    ],
)
def test_times_have_the_unit_in_which_a_scan_takes_a_plausible_time(name, datatype, start, unit):
    fields = [*xyz_fields(), PointField(name, 12, datatype)]
    steps = [start + step / unit for step in (0, 0.024, 0.05)]
    number = round if datatype == UINT32 else float
    rows = [(1, 2, 3, number(step)) for step in steps]
    times = accepted(cloud_of(rows, fields), wanted_features=('time',)).features['time']
    np.testing.assert_allclose(times, [0, 0.024, 0.05], atol=1e-5)


def test_absolute_float_times_keep_their_resolution():
    fields = [*xyz_fields(), PointField('timestamp', 12, FLOAT64)]
    rows = [(1, 2, 3, 1.7e9 + 0.05), (1, 2, 3, 1.7e9), (1, 2, 3, NAN)]
    times = accepted(cloud_of(rows, fields), wanted_features=('time',)).features['time']
    np.testing.assert_allclose(times[:2], [0.05, 0.0], atol=1e-6)
    assert math.isnan(times[2])


@pytest.mark.parametrize('name', ['x', 'intensity'])
def test_duplicates_of_a_needed_name_are_refused(name):
    fields = [*xyzi_fields(), PointField(name, 16)]
    message = cloud_of([(1, 2, 3, 4, 5)], fields)
    assert reason_of(message) is RejectReason.DUPLICATE_FIELD


def test_duplicates_empty_names_and_nonsense_in_unused_fields_do_not_matter():
    junk = [
        PointField('', 0, 99, 0),
        PointField('', 4_000_000_000, 7, 4_000_000_000),
        PointField('pad', 2),
        PointField('pad', 2, 0, 0),
    ]
    message = cloud_of(ROWS)
    message.fields = [*junk, *message.fields]
    assert_rows(accepted(message))


@pytest.mark.parametrize('datatype', [0, 9, 255])
@pytest.mark.parametrize('index', [0, 3])
def test_unknown_datatype_is_refused(datatype, index):
    message = cloud_of(ROWS)
    message.fields[index].datatype = datatype
    assert reason_of(message) is RejectReason.UNKNOWN_DATATYPE


@pytest.mark.parametrize('count', [0, 2, 4_294_967_295])
def test_count_other_than_one_is_refused(count):
    message = cloud_of(ROWS)
    message.fields[1].count = count
    assert reason_of(message) is RejectReason.BAD_COUNT


@pytest.mark.parametrize('count', [0, 1, 2, 4])
def test_joint_field_needs_three_elements(count):
    message = PointCloud2(
        width=1, fields=[PointField('xyz', 0, count=count)], point_step=16, data=bytes(16)
    )
    assert reason_of(message) is RejectReason.BAD_COUNT


@pytest.mark.parametrize(('index', 'offset'), [(2, 13), (2, 4_294_967_295), (3, 13)])
def test_field_beyond_the_step_is_refused(index, offset):
    message = cloud_of(ROWS)
    message.fields[index].offset = offset
    assert reason_of(message) is RejectReason.FIELD_OUTSIDE_POINT


@pytest.mark.parametrize(('index', 'offset'), [(1, 0), (1, 3), (3, 8), (3, 11)])
def test_overlapping_needed_fields_are_refused(index, offset):
    message = cloud_of(ROWS)
    message.fields[index].offset = offset
    assert reason_of(message) is RejectReason.OVERLAPPING_FIELDS


def test_step_zero_is_refused():
    message = changed(cloud_of(ROWS), point_step=0)
    assert reason_of(message) is RejectReason.BAD_POINT_STEP


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('width', 'height'), [(65_536, 65_536), (4_294_967_295, 4_294_967_295), (4_294_967_295, 1)]
)
def test_sizes_that_overflow_32_bits_are_refused_before_data_is_touched(width, height):
    message = changed(cloud_of(ROWS), width=width, height=height)
    assert reason_of(message) is RejectReason.TOO_MANY_POINTS


def test_point_count_that_wraps_to_a_small_number_is_not_believed():
    # 2^16 x 2^16 points x 16 bytes is 0 modulo 2^32: the classic hole.
    limits = CloudLimits(max_points=1 << 40)
    message = changed(cloud_of(ROWS), width=65_536, height=65_536, row_step=65_536 * 16)
    assert reason_of(message, limits=limits) is RejectReason.TRUNCATED_DATA
    message.row_step = 4_294_967_295
    assert reason_of(message, limits=limits) is RejectReason.TOO_MANY_BYTES


def test_steps_larger_than_the_byte_limit_are_refused():
    limits = CloudLimits(max_bytes=1000)
    for name in ('point_step', 'row_step'):
        message = changed(cloud_of(ROWS), **{name: 1001})
        assert reason_of(message, limits=limits) is RejectReason.TOO_MANY_BYTES
    assert reason_of(cloud_of(ROWS * 20), limits=limits) is RejectReason.TOO_MANY_BYTES


def test_point_limit_is_inclusive():
    assert_rows(accepted(cloud_of(ROWS), limits=CloudLimits(max_points=4)))
    assert reason_of(cloud_of(ROWS), limits=CloudLimits(max_points=3)) is (
        RejectReason.TOO_MANY_POINTS
    )


def test_field_list_is_bounded():
    message = changed(cloud_of(ROWS), fields=[PointField('', 0)] * 257)
    assert reason_of(message) is RejectReason.TOO_MANY_FIELDS


def test_five_million_points_are_within_the_default_limits():
    count = 5_000_000
    points = np.zeros((count, 4), '<f4')
    points[:, 0] = np.arange(count)
    message = PointCloud2(
        width=count, fields=xyzi_fields(), point_step=16, row_step=16 * count,
        data=points.reshape(-1).view(np.uint8),
    )  # fmt: skip
    cloud = accepted(message)
    assert len(cloud) == count
    assert cloud.points[-1, 0] == count - 1


# --- header --------------------------------------------------------------------------------------


def test_empty_frame_and_zero_stamp_pass_as_they_are():
    cloud = accepted(cloud_of(ROWS, header=Header(Stamp(0, 0), '')))
    assert (cloud.stamp_ns, cloud.frame_id) == (0, '')


def test_equal_backward_and_future_stamps_are_not_the_decoders_business():
    stamps = [(10, 0), (10, 0), (9, 999_999_999), (2**31 - 1, 999_999_999)]
    decoded = [accepted(cloud_of(ROWS, header=Header(Stamp(*s)))).stamp_ns for s in stamps]
    assert decoded == [sec * 10**9 + nanosec for sec, nanosec in stamps]


@pytest.mark.parametrize(('sec', 'nanosec'), [(-1, 0), (0, 10**9), (0, -1), (0, 2**32 - 1)])
def test_impossible_stamps_are_refused(sec, nanosec):
    assert reason_of(cloud_of(ROWS, header=Header(Stamp(sec, nanosec)))) is RejectReason.BAD_STAMP


@pytest.mark.parametrize(
    'changes',
    [
        {'data': None},
        {'data': [1, 2, 3]},
        {'data': 'text'},
        {'data': array('f', [1.0] * 16)},
        {'data': np.zeros((8, 16), np.uint8)[:, ::2]},
        {'width': -1},
        {'width': 1.5},
        {'height': None},
        {'point_step': '16'},
        {'fields': None},
        {'fields': [None]},
        {'fields': [PointField(None, 0)]},
        {'fields': [PointField('x', -4)]},
        {'header': None},
        {'header': Header(frame_id=7)},
        {'header': Header(Stamp(1.5, 0))},
    ],
)
def test_wrong_types_are_refused(changes):
    assert reason_of(changed(cloud_of(ROWS), **changes)) is RejectReason.NOT_A_CLOUD


def test_something_else_entirely_is_refused():
    assert reason_of(object()) is RejectReason.NOT_A_CLOUD


def test_every_reason_prints_as_its_value():
    assert [f'{reason}' for reason in RejectReason] == [reason.value for reason in RejectReason]


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize('datatype', [2, 4, 5, 6, 7, 8])
@pytest.mark.parametrize('big_endian', [False, True])
def test_labels_keep_their_values_and_order(datatype, big_endian):
    fields = [*xyz_fields(), PointField('label', 12, datatype)]
    rows = [(0, 0, 0, value) for value in (3, 1, 250, 0)]
    labels = decode_labels(cloud_of(rows, fields, width=2, big_endian=big_endian), 'label')
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 1, 250, 0]


def test_large_unsigned_labels_do_not_wrap():
    fields = [*xyz_fields(), PointField('label', 12, 6)]
    labels = decode_labels(cloud_of([(0, 0, 0, 2**32 - 1)], fields), 'label')
    assert labels.tolist() == [2**32 - 1]


@pytest.mark.parametrize('value', [0.5, NAN, INF, 1e300])
def test_label_field_with_fractions_is_refused(value):
    fields = [*xyz_fields(), PointField('label', 12, FLOAT64)]
    rejected = decode_labels(cloud_of([(0, 0, 0, 1), (0, 0, 0, value)], fields), 'label')
    assert rejected.reason is RejectReason.NOT_INTEGRAL
    assert 'point 1' in rejected.detail


def test_labels_are_refused_for_the_same_reasons_as_clouds():
    message = cloud_of(ROWS)
    assert decode_labels(message, 'label').reason is RejectReason.MISSING_FIELD
    message.data = message.data[:-1]
    assert decode_labels(message, 'intensity').reason is RejectReason.TRUNCATED_DATA
    assert decode_labels(PointCloud2(), 'label').tolist() == []
