# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A driver and the perception node in one executor of one process."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from benchmarks.robustness.ros_graph import PERIOD_NS, RELIABLE_ALL, START_NS, cloud, street
from benchmarks.speed.composition import main
from pointata_core.inference.loading import open_bundle
from pointata_core.inference.threads import choose_threads
from pointata_core.io.messages.point_cloud2 import decode_labels
from pointata_ros.node.perception_node import PerceptionNode

pytestmark = pytest.mark.ros
COUNT = 4


def test_clouds_handed_over_in_one_executor_are_labelled_and_counted(untrained_bundle):
    context = rclpy.Context()
    rclpy.init(context=context)
    parameters = {'bundle': str(untrained_bundle), 'device': 'cpu', 'policy': 'block'}
    perception = PerceptionNode(
        'perception_composed',
        context=context,
        parameter_overrides=[Parameter(key, value=value) for key, value in parameters.items()],
    )
    driver, planner = Node('driver', context=context), Node('planner', context=context)
    clouds = [
        cloud(street(number), START_NS + number * PERIOD_NS, frame_id='lidar')
        for number in range(COUNT)
    ]
    answers: list[PointCloud2] = []
    waiting = list(clouds)

    def measure() -> None:
        if waiting and answers_are_heard() and perception.hand_over(waiting[0]):
            waiting.pop(0)

    def answers_are_heard() -> bool:
        return any(
            one.topic_name.endswith('output/segmentation') and one.get_subscription_count()
            for one in perception.publishers
        )

    assert not perception.hand_over(clouds[0])  # not active yet
    driver.create_timer(0.02, measure)
    planner.create_subscription(
        PointCloud2, '/perception_composed/output/segmentation', answers.append, RELIABLE_ALL
    )
    executor = SingleThreadedExecutor(context=context)
    for node in (perception, driver, planner):
        executor.add_node(node)
    for _ in range(10_000):
        executor.spin_once(0.1)
        # The worker counts a cloud after it was published.
        counted = perception.streams[0].statistics.snapshot()
        if len(answers) == counted.published == COUNT:
            break
    assert not perception.hand_over(clouds[0], 'rear')
    executor.shutdown()
    perception.release()
    for node in (perception, driver, planner):
        node.destroy_node()
    rclpy.shutdown(context=context)
    assert (counted.received, counted.published) == (COUNT, COUNT)
    choose_threads(0)
    session = open_bundle(untrained_bundle, 'cpu', num_threads=None).session()
    for number, answer in enumerate(answers):
        wanted = session.step(street(number), START_NS + number * PERIOD_NS).labels
        np.testing.assert_array_equal(decode_labels(answer, 'class_id'), wanted)


def test_the_benchmark_of_the_ways_runs(untrained_bundle, tmp_path):
    out = tmp_path / 'composition.json'
    words = ['--quick', '--bundle', str(untrained_bundle), '--output', str(out)]
    assert main(words) == 0
    assert '"hand_over"' in out.read_text()
