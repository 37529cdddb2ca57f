# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A running node whose clouds come as Livox messages, compressed, and as depth images."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import rclpy
from node_harness import Bench
from other_clouds import COUNT, compressed, depth_bag, frame, livox, write
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from benchmarks.robustness.ros_graph import RELIABLE_ALL, wait_until
from pointata_core.errors import ConfigError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.evaluation.label_digest import LabelDigest
from pointata_core.inference.placement import OPTICAL, UNPLACED, Placement
from pointata_core.io.messages.message_types import COMPRESSED_CLOUD, LIVOX_CLOUDS
from pointata_core.io.messages.point_cloud2 import decode_labels
from pointata_core.io.messages.stamps import stamp_of
from pointata_ros.message_classes import find_message_class
from pointata_ros.parameters.poses import placements_in
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.tools.bag_player import BagPlayer, PlayOptions

pytestmark = pytest.mark.ros
LIVOX = LIVOX_CLOUDS[0]
WITH_LIVOX = pytest.mark.skipif(find_message_class(LIVOX) is None, reason='run make env: no Livox')


def bench(bundle, **parameters) -> Bench:
    return Bench(bundle=str(bundle), device='cpu', diagnostics_period=0.1, **parameters)


def record(path, kind: str):
    if 'depth' in kind:
        return depth_bag(path, packed=kind == 'compressed_depth', metres=kind.endswith('metres'))
    clouds = [frame(index) for index in range(COUNT)]
    if kind == 'livox':
        return write(path, LIVOX, [livox(one, LIVOX) for one in clouds])
    form = 'draco' if kind.endswith('draco') else 'zstd'
    return write(path, COMPRESSED_CLOUD, [compressed(one, form) for one in clouds])


@pytest.mark.parametrize(
    'kind',
    ['livox', 'compressed', 'compressed draco', 'depth', 'depth in metres', 'compressed_depth'],
)
def test_live_labels_are_those_of_the_evaluation(untrained_bundle, tmp_path, kind):
    path = record(tmp_path / 'bag', kind)
    for package in ('livox_ros_driver2', 'point_cloud_interfaces'):
        pytest.importorskip(f'{package}.msg')
    results = evaluate_bag(path, bundle=untrained_bundle, precision='float32')
    assert results.frames_predicted == COUNT
    with bench(untrained_bundle, input_type=kind.split()[0], policy='block') as live:
        live.wait_for_state('active')
        answers = live.collect('output/segmentation', PointCloud2)
        node = Node('player', context=live.context, start_parameter_services=False)
        remap = {results.topic: live.topic('input/points')}
        remap['/camera/depth/camera_info'] = live.topic('input/camera_info')
        with BagPlayer(path, node, PlayOptions(rate=100.0, remap=remap)) as player:
            assert player.wait_for_subscribers(1, 30.0)
            assert player.play().published[live.topic('input/points')] == COUNT
        digest = LabelDigest()
        for answer in answers.wait_for(COUNT):
            digest.add(stamp_of(answer), decode_labels(answer, 'class_id').astype(np.uint16))
        assert answers.messages[0].header.frame_id == ('optical' if 'depth' in kind else 'lidar')
        node.destroy_node()
    assert digest.hexdigest() == results.labels_sha256


def test_depth_images_without_a_calibration_are_counted_and_told(untrained_bundle):
    with bench(untrained_bundle, input_type='depth', hint_after=0.2) as live:
        live.wait_for_state('active')
        images = live._client.node.create_publisher(Image, live.topic('input/points'), RELIABLE_ALL)
        infos = live._client.node.create_publisher(
            CameraInfo, live.topic('input/camera_info'), RELIABLE_ALL
        )
        for publisher in (images, infos):
            wait_until(publisher.get_subscription_count, 'the node to subscribe')
        image = Image(height=1, width=2, encoding='16UC1', step=4, data=b'\1\0\2\0')
        image.header.frame_id = 'optical'
        statistics = live.stream.statistics

        def sent_once_more(reason: str) -> bool:
            images.publish(image)
            return statistics.snapshot().rejected[reason] > 0

        wait_until(lambda: sent_once_more('no_calibration'), 'a rejection')
        live.wait_for_log(f'no camera_info has come on {live.topic("input/camera_info")}')
        infos.publish(CameraInfo(width=2, height=1))
        live.wait_for_log('the focal lengths are 0 and 0')
        info = CameraInfo(width=4, height=4)
        info.k[0] = info.k[4] = 1.0
        infos.publish(info)
        wait_until(lambda: sent_once_more('not_a_cloud'), 'another rejection')
        live.wait_for_log('its camera_info is for 4 x 4')
        live.settle()
        counts = statistics.snapshot()
        assert counts.published == 0
        assert counts.rejected['no_calibration'] and counts.rejected['not_a_cloud']
        assert counts.received == sum(counts.rejected.values())


def test_held_back_depth_images_are_explained(untrained_bundle):
    with bench(untrained_bundle, input_type='depth', policy='block', hint_after=0.2) as live:
        live.wait_for_state('active')
        assert 'no camera_info has come on' in live.wait_for_log('depth images need a calibration')


@WITH_LIVOX
def test_damaged_livox_bytes_are_rejected_and_counted(untrained_bundle):
    with bench(untrained_bundle, input_type='livox') as live:
        live.wait_for_state('active')
        publisher = live._client.node.create_publisher(
            find_message_class(LIVOX), live.topic('input/points'), RELIABLE_ALL
        )
        wait_until(publisher.get_subscription_count, 'the node to subscribe')
        statistics = live.stream.statistics

        def is_rejected() -> bool:
            publisher.publish(b'\0\1\0\0' + bytes(8) + b'\xff' * 8)
            return statistics.snapshot().rejected['not_a_cloud'] > 0

        wait_until(is_rejected, 'a rejection')
        live.settle()
        counts = statistics.snapshot()
        assert (counts.published, set(counts.rejected)) == (0, {'not_a_cloud'})
        assert counts.received == counts.rejected['not_a_cloud']


@WITH_LIVOX
def test_who_sends_livox_to_a_node_for_point_clouds_is_told_the_parameter(untrained_bundle):
    with bench(untrained_bundle, hint_after=0.2) as live:
        live.wait_for_state('active')
        kind = find_message_class(LIVOX)
        elsewhere = live._client.node.create_publisher(kind, '/livox/lidar', RELIABLE_ALL)
        assert 'input_type' in live.wait_for_log('there are: /livox/lidar (livox)')
        live._client.destroy(elsewhere)
        # Two types on one topic need two participants.
        context = rclpy.Context()
        rclpy.init(context=context)
        driver = Node('driver', context=context)
        driver.create_publisher(kind, live.topic('input/points'), RELIABLE_ALL)
        hint = live.wait_for_log(f'sends {LIVOX}, expected sensor_msgs/msg/PointCloud2')
        assert 'input_type' in hint and 'livox' in hint
        driver.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ('kind', 'package', 'fix'),
    [
        ('livox', 'livox_ros_driver2', 'xfer_format'),
        ('compressed', 'point_cloud_interfaces', 'apt'),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_the_fix(
    untrained_bundle, monkeypatch, kind, package, fix
):
    for name in ('livox_ros_driver2', 'livox_ros_driver', 'livox_interfaces', package):
        monkeypatch.setitem(sys.modules, f'{name}.msg', None)
    with bench(untrained_bundle, input_type=kind) as live:
        log = live.wait_for_log('no package with its messages is installed')
        assert package in log
        assert fix in log
        assert live.state() == 'unconfigured'


def test_each_input_has_its_own_messages_and_axes():
    settings = NodeSettings(inputs=('front', 'camera'), input_type='livox; depth')
    assert placements_in(vars(settings)) == [UNPLACED, OPTICAL]
    upright = NodeSettings(input_type='depth', sensor_pose='0 0 1 0 0 0')
    (placement,) = placements_in(vars(upright))
    assert isinstance(placement, Placement) and placement is not OPTICAL


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'input_type': 'lidar'}, 'Use one of pointcloud2'),
        ({'input_type': 'livox;depth'}, '2 values for 1 inputs'),
    ],
)
def test_unknown_messages_are_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        NodeSettings(**values)
