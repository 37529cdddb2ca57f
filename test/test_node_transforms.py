# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ego motion from TF: late odometry, missing odometry, and clouds that wait for it."""

from __future__ import annotations

import time

import pytest
from geometry_msgs.msg import TransformStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from node_harness import Bench
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from benchmarks.robustness.ros_graph import (
    PERIOD_NS,
    RELIABLE_ALL,
    START_NS,
    cloud,
    street,
    wait_until,
)
from pointata_ros.transforms.pending import PendingClouds

# ---------------------------------------------------------------------- the queue, virtual time


class Waiting:
    """Items are their own stamps in seconds; transforms reach up to ``known_s``."""

    def __init__(self, timeout_s=0.5, capacity=10):
        self.now_s, self.known_s, self.room = 0.0, None, True
        self.released: list[float] = []
        self.pending: PendingClouds[float] = PendingClouds(
            self._missing_s,
            lambda: timeout_s,
            capacity,
            lambda: self.room,
            self.released.append,
            lambda: self.now_s,
        )

    def _missing_s(self, frame_id: str, stamp_ns: int) -> float | None:
        if self.known_s is None:
            return None
        return max(0, stamp_ns - round(self.known_s * 1e9)) * 1e-9

    def put(self, stamp_s: float) -> None:
        self.pending.put(stamp_s, 'lidar', round(stamp_s * 1e9))

    def know(self, known_s: float | None) -> None:
        self.known_s = known_s
        self.pending.poll()

    def wait_until(self, now_s: float) -> None:
        self.now_s = now_s
        self.pending.poll()


def test_clouds_go_on_in_order_as_soon_as_their_transforms_are_known():
    waiting = Waiting()
    waiting.know(0.0)
    for stamp_s in (0.1, 0.2, 0.3):
        waiting.put(stamp_s)
    waiting.know(0.25)
    assert waiting.released == [0.1, 0.2]
    waiting.know(0.3)
    assert waiting.released == [0.1, 0.2, 0.3]


def test_a_cloud_goes_on_without_its_transform_after_the_timeout():
    waiting = Waiting(timeout_s=0.5)
    waiting.know(0.0)
    waiting.put(0.1)
    waiting.wait_until(0.49)
    assert waiting.released == []
    waiting.wait_until(0.51)
    assert waiting.released == [0.1]


def test_a_full_queue_lets_its_oldest_go():
    waiting = Waiting(capacity=2)
    waiting.know(0.0)
    for stamp_s in (0.1, 0.2, 0.3):
        waiting.put(stamp_s)
    assert waiting.released == [0.1]


def test_clouds_do_not_wait_for_transforms_that_have_ceased():
    waiting = Waiting(timeout_s=0.5)
    waiting.know(0.0)
    waiting.put(10.0)
    assert waiting.released == [10.0]


def test_only_the_first_cloud_waits_for_a_frame_that_is_not_connected():
    waiting = Waiting(timeout_s=0.5)
    waiting.put(0.1)
    assert waiting.released == []
    waiting.wait_until(0.6)
    waiting.put(0.7)
    assert waiting.released == [0.1, 0.7]
    waiting.know(0.7)
    waiting.put(0.8)
    assert waiting.released == [0.1, 0.7]


def test_nothing_goes_on_while_there_is_no_room():
    waiting = Waiting()
    waiting.know(1.0)
    waiting.room = False
    waiting.put(0.1)
    assert waiting.released == []
    waiting.room = True
    waiting.pending.poll()
    assert waiting.released == [0.1]


@settings(deadline=None)
@given(
    late_s=st.floats(0.0, 0.45),
    tf_period_s=st.sampled_from([0.01, 0.02, 0.04]),
    period_s=st.sampled_from([0.05, 0.1]),
)
def test_odometry_later_than_the_cloud_but_within_the_timeout_loses_none(
    late_s, tf_period_s, period_s
):
    waiting = Waiting(timeout_s=0.5, capacity=10)
    events = [(0.1 + number * period_s, 'cloud') for number in range(50)]
    # Each transform is about a moment that is over.
    events += [(number * tf_period_s + late_s, 'tf') for number in range(round(6.0 / tf_period_s))]
    missed = []
    waiting.pending._release = lambda stamp_s: (
        waiting.released.append(stamp_s),
        missed.append(stamp_s) if stamp_s > waiting.known_s + 1e-6 else None,
    )
    for now_s, what in sorted(events):
        waiting.now_s = now_s
        if what == 'cloud':
            waiting.put(now_s)
        else:
            waiting.know(now_s - late_s)
    assert waiting.released == sorted(waiting.released)
    assert len(waiting.released) == 50
    assert not missed


# ---------------------------------------------------------------------- the node


class Robot:
    """Publishes clouds and where the sensor was."""

    def __init__(self, bench: Bench) -> None:
        self.answers = bench.collect('output/segmentation', PointCloud2)
        self.tf = bench._client.node.create_publisher(TFMessage, '/tf', RELIABLE_ALL)
        wait_until(self.tf.get_subscription_count, 'the node to listen to /tf')
        self.clouds = bench.publisher()

    def see(self, number: int) -> None:
        self.clouds.publish(cloud(street(number), START_NS + number * PERIOD_NS))

    def tell(self, number: int) -> None:
        stamped = TransformStamped()
        stamped.header = cloud(street(0), START_NS + number * PERIOD_NS).header
        stamped.header.frame_id, stamped.child_frame_id = 'map', 'lidar'
        stamped.transform.translation.x = float(number)
        stamped.transform.rotation.w = 1.0
        self.tf.publish(TFMessage(transforms=[stamped]))


@pytest.mark.ros
@pytest.mark.parametrize('policy', ['latest', 'block'])
def test_clouds_whose_odometry_comes_two_clouds_later_are_all_labelled(untrained_bundle, policy):
    count = 8
    parameters = {'fixed_frame': 'map', 'policy': policy, 'transform_timeout': 10.0}
    with Bench(bundle=str(untrained_bundle), device='cpu', **parameters) as bench:
        bench.wait_for_state('active')
        robot = Robot(bench)
        for number in range(count):
            robot.see(number)
            wait_until(lambda n=number: bench.stream.statistics.snapshot().received == n + 1, '')
            if number >= 2:
                robot.tell(number - 2)
                robot.answers.wait_for(number - 1)
        assert bench.stream.input.waiting == 2
        for number in (count - 2, count - 1):
            robot.tell(number)
            robot.answers.wait_for(number + 1)
        assert bench.stream.pipeline._ego_motion._chain.previous[0, 3] == pytest.approx(count - 1)
        assert bench.stream.statistics.snapshot().dropped.total() == 0


@pytest.mark.ros
def test_a_cloud_that_waits_for_its_transform_leaves_the_worker_to_other_inputs(untrained_bundle):
    parameters = {'fixed_frame': 'map', 'inputs': ['front', 'rear'], 'transform_timeout': 10.0}
    with Bench(bundle=str(untrained_bundle), device='cpu', **parameters) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('rear/output/segmentation', PointCloud2)
        front = bench.publisher(name='front/input/points')
        rear = bench.publisher(name='rear/input/points')
        front.publish(cloud(street(0), START_NS, frame_id='nowhere'))
        wait_until(lambda: bench.node.streams[0].input.waiting == 1, 'the cloud to wait')
        rear.publish(cloud(street(1), START_NS, frame_id='map'))
        answers.wait_for(1)
        assert bench.node.streams[0].input.waiting == 1


@pytest.mark.ros
def test_the_warning_about_a_missing_transform_names_the_parameter(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), device='cpu', fixed_frame='map', transform_timeout=0.05
    ) as bench:
        bench.wait_for_state('active')
        robot = Robot(bench)
        robot.tell(0)
        robot.tell(1)
        missing_s = bench.node._transforms.missing_s
        wait_until(lambda: missing_s('lidar', START_NS) == 0.0, 'the transforms')
        robot.see(3)
        log = bench.wait_for_log('transform_timeout is 0.05 s')
        assert "no transform from 'lidar' to 'map'" in log
        assert '0.200 s away' in log
        drops = bench.stream.statistics.snapshot
        wait_until(lambda: drops().dropped['no_transform'] == 1, 'the cloud to be counted')


@pytest.mark.ros
def test_transforms_that_cannot_be_used_are_reported(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), device='cpu', fixed_frame='map') as bench:
        bench.wait_for_state('active')
        tf = bench._client.node.create_publisher(TFMessage, '/tf', RELIABLE_ALL)
        wait_until(tf.get_subscription_count, 'the node to listen to /tf')
        stamped = TransformStamped(child_frame_id='lidar')
        stamped.header.frame_id = 'lidar'
        stamped.transform.rotation.w = 1.0
        tf.publish(TFMessage(transforms=[stamped]))
        assert 'own_parent' in bench.wait_for_log('transforms that cannot be used')


@pytest.mark.ros
def test_clouds_that_wait_when_the_node_is_deactivated_are_counted(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), device='cpu', fixed_frame='map', transform_timeout=10.0
    ) as bench:
        bench.wait_for_state('active')
        bench.publisher().publish(cloud(street(0), START_NS))
        wait_until(lambda: bench.stream.input.waiting == 1, 'the cloud to wait')
        time.sleep(0.1)
        assert bench.change('deactivate')
        assert bench.stream.statistics.snapshot().dropped == {'deactivated': 1}
