# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bag player: what it publishes is what was recorded."""

from __future__ import annotations

import importlib.util
import threading

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import get_types_from_msg
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, PointCloud2
from tf2_msgs.msg import TFMessage

from benchmarks.robustness.ros_graph import (
    BEST_EFFORT,
    LATCHED,
    PERIOD_NS,
    RELIABLE_ALL,
    START_NS,
    Collector,
    Peer,
    recorded,
    wait_until,
    write_bag,
)
from pointata_core.errors import BagError
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.message_types import make_typestore
from pointata_ros.tools.bag_player import BagPlayer, PlayOptions

pytestmark = pytest.mark.ros
FAST = 1000.0
ROS1 = make_typestore(ros1=True)[0]


@pytest.fixture(scope='module')
def peer():
    """A node that listens, spun by a thread."""
    context = rclpy.Context()
    rclpy.init(context=context)
    peer = Peer(Node('listener', context=context))
    yield peer
    peer.close()
    rclpy.shutdown(context=context)


@pytest.fixture
def open_player(peer):
    """Opens players on a node of their own."""
    node = Node('player', context=peer.node.context, start_parameter_services=False)
    players = []

    def open_player(path, **options) -> BagPlayer:
        players.append(BagPlayer(path, node, PlayOptions(rate=FAST, **options)))
        return players[-1]

    yield open_player
    for player in players:
        player.__exit__()
    node.destroy_node()


@pytest.fixture
def listen(peer):
    """Subscribes for the time of one test."""
    subscriptions = []

    def listen(topic, kind, qos=RELIABLE_ALL) -> Collector:
        collector = Collector()
        subscriptions.append(
            peer.node.create_subscription(kind, topic, collector.messages.append, qos)
        )
        return collector

    yield listen
    for subscription in subscriptions:
        peer.destroy(subscription)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('reliability', ['reliable', 'best_effort'])
def test_every_message_arrives_as_it_was_recorded(
    tmp_path, open_player, listen, storage, reliability
):
    path = write_bag(tmp_path / 'bag', {'/recorded/a': range(8)}, storage)
    player = open_player(path, reliability=reliability, remap={'/recorded/a': '/played/a'})
    clouds = listen('/played/a', PointCloud2, BEST_EFFORT)
    assert player.wait_for_subscribers(1, 30.0)
    report = player.play()
    assert clouds.wait_for(8) == [recorded(seed) for seed in range(8)]
    assert (report.published, report.finished) == ({'/played/a': 8}, True)


def test_the_reliability_asked_for_is_offered(tmp_path, open_player, peer):
    path = write_bag(tmp_path / 'bag', {'/offered': [0]})
    for reliability in ('best_effort', 'reliable'):
        open_player(path, reliability=reliability, remap={'/offered': f'/{reliability}'})
        (info,) = wait_until(
            lambda name=f'/{reliability}': peer.node.get_publishers_info_by_topic(name), 'discovery'
        )
        wanted = QoSReliabilityPolicy[reliability.upper()]
        assert info.qos_profile.reliability == wanted


def test_only_the_chosen_topics_are_played(tmp_path, open_player):
    path = write_bag(tmp_path / 'bag', {'/a': range(2), '/b': range(3)})
    assert open_player(path, topics=['/b']).play().published == {'/b': 3}


def test_the_only_cloud_topic_can_be_sent_elsewhere(tmp_path, open_player):
    path = write_bag(tmp_path / 'one', {'/a': range(2)})
    assert open_player(path, clouds_to='/node/input').play().published == {'/node/input': 2}
    two = write_bag(tmp_path / 'two', {'/a': [0], '/b': [0]})
    with pytest.raises(BagError, match='/b'):
        open_player(two, clouds_to='/node/input')


def test_a_ros1_recording_is_played_in_the_messages_of_ros2(tmp_path, open_player, listen):
    path = tmp_path / 'old.bag'
    cloud = ROS1.types['sensor_msgs/msg/PointCloud2']
    header = ROS1.types['std_msgs/msg/Header']
    time = ROS1.types['builtin_interfaces/msg/Time'](sec=START_NS // 10**9, nanosec=5)
    field = ROS1.types['sensor_msgs/msg/PointField'](name='x', offset=0, datatype=7, count=1)
    data = np.arange(8, dtype=np.uint8)
    info = ROS1.types['sensor_msgs/msg/CameraInfo']
    unset = np.zeros(12)
    region = ROS1.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    with Ros1Writer(path) as writer:
        points = writer.add_connection('/points', cloud.__msgtype__, typestore=ROS1)
        cameras = writer.add_connection('/camera_info', info.__msgtype__, typestore=ROS1)
        message = cloud(header(7, time, 'lidar'), 1, 2, [field], False, 4, 8, data, True)
        writer.write(points, START_NS, ROS1.serialize_ros1(message, cloud.__msgtype__))
        message = info(
            header(8, time, 'camera'), 4, 6, 'plumb_bob', unset[:5], unset[:9] + 2.0, unset[:9],
            unset, 0, 0, region,
        )  # fmt: skip
        writer.write(cameras, START_NS, ROS1.serialize_ros1(message, info.__msgtype__))
        writer.write(points, START_NS + 1, b'cut')
    player = open_player(path)
    clouds, infos = listen('/points', PointCloud2), listen('/camera_info', CameraInfo)
    assert player.wait_for_subscribers(1, 30.0)
    wait_until(player._publishers['/camera_info'].get_subscription_count, 'the subscription')
    report = player.play()
    assert (report.published, report.skipped) == ({'/points': 1, '/camera_info': 1}, {'/points': 1})
    (played,) = clouds.wait_for(1)
    assert (played.header.frame_id, played.header.stamp.nanosec) == ('lidar', 5)
    assert (played.width, played.fields[0].name, played.data.tolist()) == (2, 'x', list(range(8)))
    (played,) = infos.wait_for(1)
    assert (played.height, played.width, played.k.tolist()) == (4, 6, [2.0] * 9)
    assert any('not converted to ROS 2' in problem for problem in player.problems)


def test_a_ros1_type_whose_fields_differ_in_ros2_is_named_and_not_played(tmp_path, open_player):
    path = tmp_path / 'old.bag'
    name = 'nav_msgs/msg/Goals'  # a header and poses in ROS 2
    store = type(ROS1)()
    store.register({**ROS1.fielddefs, **get_types_from_msg('float64 x', name)})
    with Ros1Writer(path) as writer:
        goals = writer.add_connection('/goals', name, typestore=store)
        writer.write(goals, START_NS, b'12345678')
    player = open_player(path)
    report = player.play()
    assert (report.published, report.skipped) == ({}, {'/goals': 1})
    assert any('/goals is not played' in problem for problem in player.problems)


@pytest.mark.skipif(
    importlib.util.find_spec('statistics_msgs') is not None, reason='statistics_msgs is installed'
)
def test_topics_of_packages_that_are_not_installed_are_counted_and_named(tmp_path, open_player):
    path = tmp_path / 'bag'
    with BagWriter(path) as writer:
        writer.add_topic('/a', 'sensor_msgs/msg/PointCloud2')
        writer.add_topic('/exotic', 'statistics_msgs/msg/StatisticDataType')
        writer.write_raw('/a', serialize_message(recorded(0)), START_NS)
        writer.write_raw('/exotic', b'\0\1\0\0\0', START_NS + 1)
    player = open_player(path)
    assert any('statistics_msgs/msg/StatisticDataType' in problem for problem in player.problems)
    report = player.play()
    assert (report.published, report.skipped) == ({'/a': 1}, {'/exotic': 1})


def test_static_transforms_reach_who_comes_late(tmp_path, open_player, listen):
    path = tmp_path / 'bag'
    static = TFMessage(transforms=[TransformStamped(child_frame_id='lidar')])
    with BagWriter(path) as writer:
        writer.add_topic('/tf_static', 'tf2_msgs/msg/TFMessage')
        writer.write_raw('/tf_static', serialize_message(static), START_NS)
    player = open_player(path, remap={'/tf_static': '/played/tf_static'})
    player.play()
    assert listen('/played/tf_static', TFMessage, LATCHED).wait_for(1) == [static]


def test_the_clock_runs_from_the_first_to_the_last_message_and_never_back(
    tmp_path, open_player, listen
):
    path = write_bag(tmp_path / 'bag', {'/clocked': range(5)})
    player = open_player(path, clock=True)
    ticks = listen('/clock', Clock)
    listen('/clocked', PointCloud2)
    assert player.wait_for_subscribers(1, 30.0)
    wait_until(player._clock.get_subscription_count, 'the clock to be heard')
    player.play()
    last_ns = START_NS + 4 * PERIOD_NS

    def times():
        return [tick.clock.sec * 10**9 + tick.clock.nanosec for tick in list(ticks.messages)]

    wait_until(lambda: last_ns in times(), 'the last tick')
    assert times() == sorted(times())
    assert times()[0] >= START_NS and times()[-1] == last_ns


def test_a_loop_goes_on_until_it_is_stopped(tmp_path, open_player, listen):
    path = write_bag(tmp_path / 'bag', {'/looped': range(3)})
    player = open_player(path, loop=True)
    clouds = listen('/looped', PointCloud2)
    reports = []
    thread = threading.Thread(target=lambda: reports.append(player.play()))
    thread.start()
    clouds.wait_for(7)
    player.stop()
    thread.join(30.0)
    assert not reports[0].finished
    assert reports[0].published['/looped'] >= 7


def test_waiting_for_nobody_ends_without_playing(tmp_path, open_player):
    player = open_player(write_bag(tmp_path / 'bag', {'/unheard': [0]}))
    assert not player.wait_for_subscribers(1, timeout_s=0.1)
