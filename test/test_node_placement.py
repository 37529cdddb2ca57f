# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A running node with sensors in other units and axes, and its clouds for mapping and Nav2."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from node_harness import Bench
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from benchmarks.robustness.ros_graph import (
    LATCHED,
    PERIOD_NS,
    START_NS,
    cloud,
    street,
    wait_until,
)
from pointata_core.bundles.bundle import load_bundle
from pointata_core.errors import ConfigError
from pointata_core.inference.placement import Placement
from pointata_core.inference.session import StreamingSession
from pointata_core.inference.threads import choose_threads
from pointata_core.io.messages.cloud_encoding import encode_fields, fill_message, xyz_columns
from pointata_core.io.messages.point_cloud2 import decode, decode_columns, decode_labels
from pointata_core.taxonomy import SEGMENTATION_CLASSES, UNLABELLED
from pointata_ros.parameters.table import NodeSettings

pytestmark = pytest.mark.ros
SCALE = 1024.0
GROUND = ['road', 'sidewalk', 'terrain', 'floor']
MOVING = ['pole']  # what the bundle takes these points for


def stamp(number: int) -> int:
    return START_NS + number * PERIOD_NS


def lidar(seed: int, points: int = 600) -> PointCloud2:
    """A cloud of two rows with the fields of a LiDAR; some points have no return."""
    xyz = street(seed, points=points)
    xyz[::9] = 0.0
    xyz[5] = np.nan
    rng = np.random.default_rng(seed)
    columns = [
        *xyz_columns(xyz),
        ('intensity', rng.uniform(0, 255, points).astype(np.float32)),
        ('ring', rng.integers(0, 16, points).astype(np.uint16)),
        ('t', np.arange(points, dtype=np.uint32)),
    ]
    encoded = encode_fields(columns, width=points // 2, height=2)
    header = Header(frame_id='lidar')
    header.stamp.sec, header.stamp.nanosec = divmod(stamp(seed), 1_000_000_000)
    return fill_message(PointCloud2(), encoded, header, PointField)


def labels_of(answer: PointCloud2) -> np.ndarray:
    return decode_labels(answer, 'class_id')


def expected_labels(
    bundle, clouds: list[np.ndarray], placement: Placement, max_voxels: int = 0
) -> list[np.ndarray]:
    choose_threads(0)
    session = StreamingSession(load_bundle(bundle), max_voxels=max_voxels)
    return [
        session.step(points, stamp(number), placement=placement).labels
        for number, points in enumerate(clouds)
    ]


def test_settings_place_the_cloud_and_results_keep_its_coordinates(untrained_bundle):
    pose = np.eye(4)
    pose[:3, :3], pose[2, 3] = [[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]], 0.5
    sent = [street(number) @ np.float32(pose[:3, :3]) * np.float32(SCALE) for number in range(4)]
    with Bench(
        bundle=str(untrained_bundle), device='cpu', policy='block', input_scale=1 / SCALE,
        sensor_pose='0 0 0.5 -1.5707963267948966 0 -1.5707963267948966', diagnostics_period=0.1,
        max_voxels=200,
    ) as bench:  # fmt: skip
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        for number, points in enumerate(sent):
            publisher.publish(cloud(points, stamp(number), frame_id='camera_optical_frame'))
        placement = Placement(1 / SCALE, _as_text_gives(pose))
        wanted = expected_labels(untrained_bundle, sent, placement, 200)
        for points, labels, answer in zip(sent, wanted, answers.wait_for(4), strict=True):
            np.testing.assert_array_equal(decode(answer).points, points)
            assert answer.header.frame_id == 'camera_optical_frame'
            np.testing.assert_array_equal(labels_of(answer), labels)
        assert 'sensor_pose' not in bench.diagnostics('input')['message']
        assert bench.diagnostics('model')['voxel_limit'] == '200'


def _as_text_gives(pose: np.ndarray) -> np.ndarray:
    """The same rotation, rounded as the parameter's angles round it."""
    from pointata_core.inference.placement import parse_sensor_pose

    given = parse_sensor_pose('0 0 0.5 -1.5707963267948966 0 -1.5707963267948966')
    np.testing.assert_allclose(given, pose, atol=1e-12)
    return given


def test_the_pose_of_a_target_frame_comes_from_tf(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), device='cpu', policy='block', target_frame='base_link',
        diagnostics_period=0.1, transform_timeout=0.2,
    ) as bench:  # fmt: skip
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        publisher.publish(cloud(street(0), stamp(0), frame_id='lidar'))
        wait_until(lambda: bench.stream.statistics.snapshot().dropped['no_transform'], 'a drop')
        assert 'base_link' in bench.wait_for_log('target_frame is base_link')
        mounting = bench._client.node.create_publisher(TFMessage, '/tf_static', LATCHED)
        stamped = TransformStamped(child_frame_id='lidar')
        stamped.header.frame_id = 'base_link'
        stamped.transform.translation.z = 1.0
        stamped.transform.rotation.x, stamped.transform.rotation.w = 1.0, 0.0
        mounting.publish(TFMessage(transforms=[stamped]))
        turned = [street(number) * np.float32([1, -1, -1]) for number in range(1, 4)]

        def placed() -> bool:
            return bench.node._transforms.missing_s('lidar', stamp(1)) == 0.0

        wait_until(placed, 'the transform')
        for number, points in enumerate(turned, start=1):
            publisher.publish(cloud(points, stamp(number), frame_id='lidar'))
        got = answers.wait_for(3)
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = 1.0
    choose_threads(0)
    session = StreamingSession(load_bundle(untrained_bundle))
    for number, (points, answer) in enumerate(zip(turned, got, strict=True), start=1):
        wanted = session.step(points, stamp(number), placement=Placement(1.0, pose))
        np.testing.assert_array_equal(decode(answer).points, points)
        np.testing.assert_array_equal(labels_of(answer), wanted.labels)


@pytest.fixture(scope='module')
def keeping():
    with Bench(
        moving_classes=MOVING, device='cpu', policy='block', class_id_type='uint8',
        keep_fields=['intensity', 'ring', 'time', 'absent'], diagnostics_period=0.1,
    ) as bench:  # fmt: skip
        bench.wait_for_state('active')
        yield bench


def test_fields_of_the_input_are_kept_and_class_ids_fit_autoware(keeping):
    answers = keeping.collect('output/segmentation', PointCloud2)
    message = lidar(1)
    keeping.publisher().publish(message)
    answer = answers.wait_for(1)[0]
    names = ('intensity', 'ring', 't')
    for name, values in decode_columns(message, names).items():
        kept = decode_columns(answer, [name])[name]
        assert kept.dtype == values.dtype
        np.testing.assert_array_equal(kept, values)
    types = {field.name: field.datatype for field in answer.fields}
    assert list(types) == ['x', 'y', 'z', 'class_id', 'probability', *names]
    assert types['class_id'] == PointField.UINT8
    unlabelled = labels_of(answer) == 255
    np.testing.assert_array_equal(unlabelled, ~_returned(message))
    assert 'only intensity, ring, t can be kept' in keeping.wait_for_log('can be kept')
    keeping.settle()


def _returned(message: PointCloud2) -> np.ndarray:
    read = decode(message)
    return read.finite & read.points.any(axis=1)


def test_clouds_for_mapping_and_navigation_are_parts_of_the_input(keeping, monkeypatch):
    from pointata_ros.node import publishers

    made = []
    original = publishers.filtered_message
    monkeypatch.setattr(
        publishers, 'filtered_message', lambda *args: made.append(1) or original(*args)
    )
    answers = keeping.collect('output/segmentation', PointCloud2)
    publisher = keeping.publisher()
    publisher.publish(lidar(2))
    answers.wait_for(1)
    assert made == [], 'computed although nobody subscribes'
    names = ('static_points', 'ground', 'obstacles')
    parts = {name: keeping.collect(f'output/{name}', PointCloud2) for name in names}
    message = lidar(3)
    publisher.publish(message)
    labels = labels_of(answers.wait_for(2)[1])
    classes = np.array([*SEGMENTATION_CLASSES, *[''] * 241])[labels]
    returned = _returned(message)
    ground, moving = np.isin(classes, GROUND), np.isin(classes, MOVING)
    wanted = {
        'static_points': returned & ~moving,
        'ground': ground,
        'obstacles': returned & ~ground,
    }
    assert min(np.count_nonzero(mask) for mask in wanted.values()) > 0
    for name, mask in wanted.items():
        (part,) = parts[name].wait_for(1)
        assert part.header == message.header
        assert part.fields == message.fields
        assert (part.height, part.width, part.is_dense) == (1, np.count_nonzero(mask), True)
        for field, values in decode_columns(message, ('x', 'y', 'z', 'ring', 't')).items():
            np.testing.assert_array_equal(decode_columns(part, [field])[field], values[mask])
    keeping.settle()


def test_implausible_clouds_are_reported_once_in_log_and_diagnostics(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), device='cpu', diagnostics_period=0.1) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        for number in range(6):
            points = street(number) * np.float32(1e3)
            points[::3] = 0.0
            publisher.publish(cloud(points, stamp(number)))
            answers.wait_for(number + 1)
        bench.wait_for_log('millimetres')
        status = bench.diagnostics('input')
        assert status['level'] == 1
        assert 'input_scale (--input-scale) to 0.001' in status['message']
        log = bench.wait_for_log('no returns, which stay unlabelled')
        assert log.count('millimetres') == 1
        assert log.count('no returns') == 1
        assert (labels_of(answers.messages[-1]) == UNLABELLED).all()
        assert bench.change('deactivate')
        assert bench.change('activate')
        publisher.publish(cloud(street(1), stamp(50)))
        wait_until(lambda: len(answers.messages) == 7, 'an answer')
        assert 'millimetres' not in bench.diagnostics('input')['message']


@pytest.mark.parametrize(
    ('settings', 'word'),
    [
        ({'sensor_pose': '0 0 1 0 0'}, 'six numbers'),
        ({'sensor_pose': '0 0 1 0 90 0'}, 'radians'),
        ({'sensor_pose': '0 0 1 0 0 0', 'target_frame': 'base_link'}, 'both'),
        ({'sensor_pose': '0 0 1 0 0 0;0 0 1 0 0 3'}, '2 values for 1 inputs'),
        ({'input_scale': 0.0}, 'input_scale'),
        ({'keep_fields': ('intensity', 'x')}, "'x' is a field"),
        ({'keep_fields': ('ring', 'ring')}, 'twice'),
        ({'class_id_type': 'int8'}, 'class_id_type'),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, word):
    with pytest.raises(ConfigError, match=word):
        NodeSettings(**settings)


def test_each_input_may_have_a_pose_of_its_own():
    from pointata_ros.parameters.poses import placements_in

    poses = '0 0 1 0 0 0; 0 0 2 0 0 3.1416'
    settings = NodeSettings(inputs=('front', 'rear'), sensor_pose=poses, input_scale=0.01)
    front, rear = placements_in(vars(settings))
    assert (front.offset[2], rear.offset[2]) == (1.0, 2.0)
    assert rear.is_turned and not front.is_turned
    assert front.scale == rear.scale == 0.01


def test_classes_that_the_bundle_lacks_are_refused(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), device='cpu', ground_classes=['lawn'], autostart=False
    ) as bench:
        assert not bench.change('configure')
        assert 'road' in bench.wait_for_log("parameter ground_classes names 'lawn'")
