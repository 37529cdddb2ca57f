# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a cloud costs on its way into the node: from another process, in one process, handed over.

    python -m benchmarks composition [--points 120000] [--clouds 60] [--rate 5]

The node runs in this process with its default policy. The same clouds reach it in three ways:

* ``two_processes``: a publisher in a process of its own, over DDS, with the profile of this package
* ``one_process``: a publisher in this process and executor, over DDS, which stays in the process
* ``hand_over``: a call of ``PerceptionNode.hand_over``, without DDS

``transfer_ms`` goes from the moment before the call of the driver to the arrival in the node, and
``driver_ms`` is how long that call keeps the driver. The node labels meanwhile, as on a robot, and
its work delays arrivals in the same process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from benchmarks.command_line import ROOT, CommandLine, log, run_main, settings_of, write_results
from benchmarks.robustness.ros_graph import cloud, street
from pointata_core.evaluation.metrics.latency import summarise_latency
from pointata_ros.dds import use_large_cloud_profile
from pointata_ros.node.perception_node import PerceptionNode

NAME = 'composition_perception'
TOPIC = f'/{NAME}/input/points'
WAYS = ('two_processes', 'one_process', 'hand_over')
_START_S = 120.0


def clouds(points: int, count: int) -> list[PointCloud2]:
    """Made before anything is measured; the stamp comes when one is sent."""
    return [cloud(street(seed, points), 0) for seed in range(count)]


class Driver:
    """Sends clouds at a steady rate, and notes how long each call takes.

    Args:
        node: Whose timer sends.
        send: Takes a cloud.
        messages: What to send, each once.
        rate: Clouds a second.
    """

    def __init__(
        self,
        node: Node,
        send: Callable[[PointCloud2], object],
        messages: list[PointCloud2],
        rate: float,
    ) -> None:
        self._send = send
        self._left = list(messages)
        self.calls_ms: list[float] = []
        node.create_timer(1.0 / rate, self._tick)

    @property
    def is_done(self) -> bool:
        """Whether all are sent."""
        return not self._left

    def _tick(self) -> None:
        if not self._left:
            return
        message = self._left.pop()
        now_ns = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 1_000_000_000)
        began = time.perf_counter()
        self._send(message)
        self.calls_ms.append(1e3 * (time.perf_counter() - began))


def publisher_of(node: Node) -> Callable[[PointCloud2], object]:
    """A best-effort publisher, as drivers of sensors have it."""
    profile = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    return node.create_publisher(PointCloud2, TOPIC, profile).publish


def spin_until(executor: SingleThreadedExecutor, done: Callable[[], bool]) -> None:
    """Spin till then; fails after two minutes."""
    deadline = time.monotonic() + _START_S
    while not done():
        executor.spin_once(0.05)
        if time.monotonic() > deadline:
            raise RuntimeError('nothing came of it in two minutes')


def feed(options: argparse.Namespace) -> None:
    """Be the driver in a process of its own; prints how long its calls took."""
    rclpy.init(args=[])
    node = Node('composition_driver', start_parameter_services=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    send = publisher_of(node)
    spin_until(executor, lambda: node.count_subscribers(TOPIC) > 0)
    time.sleep(1.0)
    driver = Driver(node, send, clouds(options.points, options.clouds), options.rate)
    spin_until(executor, lambda: driver.is_done)
    time.sleep(1.0)
    print(json.dumps(driver.calls_ms), flush=True)
    rclpy.shutdown()


def _in_another_process(options: argparse.Namespace, executor: SingleThreadedExecutor) -> list:
    command = [sys.executable, '-m', 'benchmarks', 'composition', '--feed']
    for name in ('points', 'clouds', 'rate'):
        command += [f'--{name}', str(getattr(options, name))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as feeder:
        while feeder.poll() is None:
            executor.spin_once(0.05)
        return json.loads(feeder.communicate()[0])


def _in_this_process(
    options: argparse.Namespace, executor: SingleThreadedExecutor, perception: PerceptionNode
) -> list:
    messages = clouds(options.points, options.clouds)
    node = Node(f'driver_{options.way}', start_parameter_services=False)
    send = perception.hand_over if options.way == 'hand_over' else publisher_of(node)
    executor.add_node(node)
    driver = Driver(node, send, messages, options.rate)
    spin_until(executor, lambda: driver.is_done)
    until = time.monotonic() + 1.0
    spin_until(executor, lambda: time.monotonic() > until)
    executor.remove_node(node)
    node.destroy_node()
    return driver.calls_ms


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Send clouds in each way to one node."""
    rclpy.init(args=[])
    given = {'bundle': options.bundle, 'device': 'cpu'}
    parameters = [Parameter(name, value=value) for name, value in given.items()]
    perception = PerceptionNode(NAME, parameter_overrides=parameters)
    executor = SingleThreadedExecutor()
    executor.add_node(perception)
    spin_until(executor, lambda: any(one.input is not None for one in perception.streams))
    statistics = perception.streams[0].statistics
    found = {}
    try:
        for way in WAYS:
            options.way, began_ns = way, time.time_ns()
            if way == 'two_processes':
                calls_ms = _in_another_process(options, executor)
            else:
                calls_ms = _in_this_process(options, executor, perception)
            seen = statistics.snapshot()
            transfers = [
                (arrival - stamp) * 1e-6
                for arrival, stamp in zip(seen.arrivals_ns, seen.stamps_ns, strict=True)
                if stamp >= began_ns
            ]
            found[way] = {
                'sent': len(calls_ms),
                'received': len(transfers),
                'transfer_ms': _summary(transfers),
                'driver_ms': _summary(calls_ms),
            }
            log(f'{way}: {found[way]}')
    finally:
        executor.shutdown()
        perception.release()
        perception.destroy_node()
        rclpy.try_shutdown()
    return found


def _summary(values: list[float]) -> dict[str, float]:
    found = summarise_latency(values)
    return {} if found is None else {key: round(value, 3) for key, value in asdict(found).items()}


def run(options: argparse.Namespace) -> None:
    """Measure and record, or be the driver."""
    use_large_cloud_profile()
    if options.feed:
        feed(options)
        return
    settings = settings_of(options, 'points', 'clouds', 'rate')
    write_results(options.output, settings, ways=measure(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('composition', __doc__, points=500, clouds=3, rate=20.0)
    line.add_argument('--points', type=int, default=120_000)
    line.add_argument('--clouds', type=int, default=60)
    line.add_argument('--rate', type=float, default=5.0)
    line.add_argument('--bundle', default='', help='the default bundle if left out')
    line.add_argument('--feed', action='store_true', help=argparse.SUPPRESS)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
