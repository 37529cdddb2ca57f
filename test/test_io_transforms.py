# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms over time agree with scipy's rotations, and say why where they cannot be given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from pointata_core.io.bags.reader import BagReader
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.transforms import TransformBuffer, TransformError

# How long an example takes depends on who else uses the machine.
settings.register_profile('untimed', deadline=None)
settings.load_profile('untimed')

IDENTITY = (0.0, 0.0, 0.0, 1.0)
SECOND = 1_000_000_000

coordinates = st.floats(-100, 100)
translations = st.tuples(coordinates, coordinates, coordinates)
quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)
poses = st.tuples(translations, quaternions)


def as_matrix(translation, quaternion):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    matrix[:3, 3] = translation
    return matrix


@given(poses)
def test_pose_maps_points_of_the_child_into_the_parent(pose):
    buffer = TransformBuffer()
    assert buffer.add('map', 'lidar', 5, *pose)
    np.testing.assert_allclose(buffer.lookup('map', 'lidar', 5), as_matrix(*pose), atol=1e-9)


@given(poses, poses, poses)
def test_lookup_climbs_to_the_common_ancestor_and_down_again(base, lidar, camera):
    buffer = TransformBuffer()
    buffer.add('map', 'base', 0, *base)
    buffer.add('base', 'lidar', 0, *lidar, static=True)
    buffer.add('base', 'camera', 0, *camera, static=True)
    expected = np.linalg.inv(as_matrix(*camera)) @ as_matrix(*lidar)
    np.testing.assert_allclose(buffer.lookup('camera', 'lidar', 123), expected, atol=1e-8)
    whole = as_matrix(*base) @ as_matrix(*lidar)
    np.testing.assert_allclose(buffer.lookup('map', 'lidar', 0), whole, atol=1e-8)


@given(poses, poses)
def test_there_and_back_is_the_identity(first, second):
    buffer = TransformBuffer()
    buffer.add('map', 'base', 0, *first)
    buffer.add('base', 'lidar', 0, *second)
    product = buffer.lookup('map', 'lidar', 0) @ buffer.lookup('lidar', 'map', 0)
    np.testing.assert_allclose(product, np.eye(4), atol=1e-8)


@given(poses, poses, st.integers(0, SECOND))
def test_between_two_stamps_translation_is_linear_and_rotation_spherical(first, last, stamp_ns):
    ends = Rotation.from_quat([first[1], last[1]])
    # Opposite orientations have no shorter way; either answer is right.
    assume((ends[0].inv() * ends[1]).magnitude() < np.pi - 1e-3)
    buffer = TransformBuffer()
    buffer.add('map', 'lidar', 0, *first)
    buffer.add('map', 'lidar', SECOND, *last)
    share = stamp_ns / SECOND
    matrix = buffer.lookup('map', 'lidar', stamp_ns)
    np.testing.assert_allclose(
        matrix[:3, 3], np.array(first[0]) + share * np.subtract(last[0], first[0]), atol=1e-9
    )
    expected = Slerp([0.0, 1.0], ends)(share).as_matrix()
    np.testing.assert_allclose(matrix[:3, :3], expected, atol=1e-6)


def test_either_sign_of_a_quaternion_takes_the_short_way():
    start, end = Rotation.from_euler('z', [[10], [30]], degrees=True).as_quat()
    for sign in (1, -1):
        buffer = TransformBuffer()
        buffer.add('map', 'lidar', 0, (0, 0, 0), start)
        buffer.add('map', 'lidar', 10, (0, 0, 0), sign * end)
        turn = Rotation.from_matrix(buffer.lookup('map', 'lidar', 5)[:3, :3])
        assert turn.as_euler('zyx', degrees=True)[0] == pytest.approx(20)


@given(st.permutations(range(6)))
def test_order_of_arrival_does_not_matter(order):
    buffer = TransformBuffer()
    for index in order:
        buffer.add('map', 'lidar', index * 10, (index, 0, 0), IDENTITY)
    assert buffer.lookup('map', 'lidar', 25)[0, 3] == pytest.approx(2.5)


def test_second_pose_at_one_moment_replaces_the_first():
    buffer = TransformBuffer()
    buffer.add('map', 'lidar', 10, (1, 0, 0), IDENTITY)
    buffer.add('map', 'lidar', 10, (2, 0, 0), IDENTITY)
    assert buffer.lookup('map', 'lidar', 10)[0, 3] == 2


def test_static_transform_holds_at_all_times():
    buffer = TransformBuffer()
    buffer.add('base', 'lidar', 99, (1, 2, 3), IDENTITY, static=True)
    for stamp_ns in (0, 99, 10**18):
        assert buffer.lookup('base', 'lidar', stamp_ns)[:3, 3].tolist() == [1, 2, 3]


def test_frame_in_itself_is_the_identity_even_if_unknown():
    assert np.array_equal(TransformBuffer().lookup('lidar', 'lidar', 0), np.eye(4))


def test_leading_slash_is_ignored():
    buffer = TransformBuffer()
    buffer.add('/map', '/lidar', 0, (1, 0, 0), IDENTITY)
    assert buffer.frames == ['lidar', 'map']
    assert buffer.lookup('map', '/lidar', 0)[0, 3] == 1


@pytest.mark.parametrize(('stamp_ns', 'words'), [(SECOND - 1, 'begins'), (4 * SECOND, 'ends')])
def test_nothing_is_extrapolated_and_the_distance_is_named(stamp_ns, words):
    buffer = TransformBuffer()
    buffer.add('map', 'lidar', SECOND, (0, 0, 0), IDENTITY)
    buffer.add('map', 'lidar', 2 * SECOND, (0, 0, 0), IDENTITY)
    with pytest.raises(TransformError, match=words) as error:
        buffer.lookup('map', 'lidar', stamp_ns)
    assert f'{min(abs(stamp_ns - SECOND), abs(stamp_ns - 2 * SECOND)) * 1e-9:.3f} s' in str(
        error.value
    )
    assert error.value.fix


def test_unknown_and_unconnected_frames_are_named():
    buffer = TransformBuffer()
    buffer.add('map', 'lidar', 0, (0, 0, 0), IDENTITY)
    buffer.add('odom', 'base', 0, (0, 0, 0), IDENTITY)
    with pytest.raises(TransformError, match="'velodyne' is unknown; known are base, lidar"):
        buffer.lookup('map', 'velodyne', 0)
    with pytest.raises(TransformError, match="'lidar' and 'base' are not connected"):
        buffer.lookup('base', 'lidar', 0)


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (('map', 'lidar', 0, (np.nan, 0, 0), IDENTITY), 'not_finite'),
        (('map', 'lidar', 0, (0, 0, 0), (np.inf, 0, 0, 1)), 'not_finite'),
        (('map', 'lidar', 0, (0, 0, 0), (0, 0, 0, 0)), 'not_a_rotation'),
        (('', 'lidar', 0, (0, 0, 0), IDENTITY), 'no_name'),
        (('map', '/', 0, (0, 0, 0), IDENTITY), 'no_name'),
        (('map', 'map', 0, (0, 0, 0), IDENTITY), 'own_parent'),
        (('base', 'map', 0, (0, 0, 0), IDENTITY), 'own_parent'),
        (('odom', 'base', 0, (0, 0, 0), IDENTITY), 'other_parent'),
    ],
)
def test_impossible_transforms_are_refused_by_reason(arguments, reason):
    buffer = TransformBuffer()
    buffer.add('map', 'base', 0, (1, 0, 0), IDENTITY)
    assert not buffer.add(*arguments)
    assert buffer.refused == {reason: 1}
    assert buffer.lookup('map', 'base', 0)[0, 3] == 1


def test_a_bounded_buffer_forgets_old_poses_and_keeps_static_ones():
    buffer = TransformBuffer(keep_ns=1_000)
    buffer.add('base', 'lidar', 0, (0, 0, 1), (0, 0, 0, 1), static=True)
    for stamp_ns in range(0, 100_000, 10):
        buffer.add('map', 'base', stamp_ns, (stamp_ns, 0, 0), (0, 0, 0, 1))
    assert len(buffer._moving['base']) < 300
    for stamp_ns in (99_000, 99_505, 99_990):
        assert buffer.lookup('map', 'lidar', stamp_ns)[:3, 3] == pytest.approx((stamp_ns, 0, 1))
    with pytest.raises(TransformError, match='begins'):
        buffer.lookup('map', 'lidar', 90_000)


def test_clearing_leaves_what_holds_at_all_times():
    buffer = TransformBuffer()
    buffer.add('base', 'lidar', 0, (0, 0, 1), (0, 0, 0, 1), static=True)
    buffer.add('map', 'base', 5, (1, 0, 0), (0, 0, 0, 1))
    buffer.clear_moving()
    assert buffer.missing_ns('map', 'lidar', 5) is None
    assert buffer.lookup('base', 'lidar', 7)[2, 3] == 1
    assert buffer.add('odom', 'base', 1, (2, 0, 0), (0, 0, 0, 1))


@pytest.mark.parametrize(
    ('target', 'stamp_ns', 'missing_ns'),
    [('map', 90, 0), ('map', 130, 30), ('odom', 130, 0), ('base', 10**9, 0), ('moon', 90, None)],
)
def test_how_much_of_a_chain_is_missing_follows_from_its_earliest_end(target, stamp_ns, missing_ns):
    buffer = TransformBuffer()
    buffer.add('base', 'lidar', 0, (0, 0, 1), (0, 0, 0, 1), static=True)
    for parent, child, end_ns in (('map', 'odom', 100), ('odom', 'base', 200)):
        for stamp in (0, end_ns):
            buffer.add(parent, child, stamp, (1, 0, 0), (0, 0, 0, 1))
    assert buffer.missing_ns(target, 'lidar', stamp_ns) == missing_ns
    assert buffer.missing_ns('lidar', target, stamp_ns) == missing_ns


def test_recording_with_moving_and_static_transforms(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        types = writer.types

        def message(parent, child, seconds, x):
            time = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=0)
            return types['tf2_msgs/msg/TFMessage'](
                transforms=[
                    types['geometry_msgs/msg/TransformStamped'](
                        header=types['std_msgs/msg/Header'](stamp=time, frame_id=parent),
                        child_frame_id=child,
                        transform=types['geometry_msgs/msg/Transform'](
                            translation=types['geometry_msgs/msg/Vector3'](x=x, y=0.0, z=0.0),
                            rotation=types['geometry_msgs/msg/Quaternion'](x=0, y=0, z=0, w=1),
                        ),
                    )
                ]
            )

        writer.write('/tf', message('map', 'base', 1, 10.0), 1)
        writer.write('/tf', message('map', 'base', 2, 20.0), 2)
        # Written last, as by a publisher that started late: it holds at all times nevertheless.
        writer.write('/tf_static', message('base', 'lidar', 3, 0.5), 3)
    with BagReader(tmp_path / 'bag') as reader:
        buffer = TransformBuffer.from_recording(reader)
    assert buffer.lookup('map', 'lidar', 1_500_000_000)[0, 3] == pytest.approx(15.5)


def test_real_poses_move_the_sensor_forward(data_root):
    bag = data_root / 'semantickitti00_10f_mcap'
    if not bag.is_dir():
        pytest.skip(f'no recording {bag}')
    with BagReader(bag) as reader:
        buffer = TransformBuffer.from_recording(reader)
        stamps = [reader.start_ns, (reader.start_ns + reader.end_ns) // 2, reader.end_ns]
    poses = [buffer.lookup('map', 'velodyne', stamp) for stamp in stamps]
    travelled = [np.linalg.norm(pose[:3, 3]) for pose in poses]
    assert travelled[0] < 0.01 < 3 < travelled[1] < travelled[2] < 15  # a car in town, 0.93 s
