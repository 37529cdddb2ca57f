# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a second sensor costs in memory: in the node that is there, or as a second node.

    python -m benchmarks second-sensor [--points 27000] [--clouds 40]

Three situations, each with fresh ``perception_node`` processes that answer scattered clouds over
DDS, all sensors in turn, before they are measured at rest: one node with one input, one node with
two inputs, two nodes with one input each. Memory is read from ``/proc``, summed over the nodes:
RSS counts what processes share (libraries, files) once for each, PSS divides it among them and is
what the machine really gives. ``state_bytes`` is what the network keeps of one stream. Every
situation is measured ``--repeats`` times, in turn; medians are reported beside all samples.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from benchmarks.command_line import ROOT, CommandLine, run_main, settings_of, write_results
from benchmarks.robustness.ros_graph import RELIABLE_ALL, Peer, Process, cloud, street, wait_until

MIB = 2**20
_ASK_AGAIN_S = 5.0
# Name of the situation: for each node the parameter ``inputs``.
SITUATIONS: dict[str, list[tuple[str, ...]]] = {
    'one_node_one_input': [()],
    'one_node_two_inputs': [('front', 'rear')],
    'two_nodes_one_input_each': [(), ()],
}


class Sensor:
    """A publisher of clouds and a subscriber to the predictions."""

    def __init__(self, peer: Node, base: str) -> None:
        self.answers = 0
        peer.create_subscription(
            PointCloud2, f'{base}/output/segmentation', self._answered, RELIABLE_ALL
        )
        self._publisher = peer.create_publisher(PointCloud2, f'{base}/input/points', RELIABLE_ALL)
        self._stamp_ns = 10**18

    def _answered(self, _: PointCloud2) -> None:
        self.answers += 1

    def ask(self, points: int, seed: int) -> None:
        """Send a cloud and wait for an answer; again, if the node is not connected yet."""
        before = self.answers

        def answered() -> bool:
            self._stamp_ns += 10**8
            self._publisher.publish(cloud(street(seed, points), self._stamp_ns))
            again_s = time.monotonic() + _ASK_AGAIN_S
            while self.answers == before and time.monotonic() < again_s:
                time.sleep(0.005)
            return self.answers > before

        wait_until(answered, 'an answer')


def measure(inputs_of_nodes: list[tuple[str, ...]], options: argparse.Namespace) -> dict[str, Any]:
    """Start the nodes, let every input answer its clouds, and read the memory of the nodes."""
    context = rclpy.Context()
    rclpy.init(context=context)
    peer = Peer(Node('sensors', context=context, use_global_arguments=False))
    states: dict[str, int] = {}

    def diagnosed(message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if 'state_bytes' in values:
                states[status.name] = int(values['state_bytes'])

    peer.node.create_subscription(DiagnosticArray, '/diagnostics', diagnosed, 10)
    try:
        with ExitStack() as stack:
            nodes, sensors = [], []
            for number, inputs in enumerate(inputs_of_nodes):
                name = f'node_{number}'
                arguments = ['-r', f'__node:={name}', '-p', f'bundle:={options.bundle}']
                arguments += ['-p', f'device:={options.device}', '-p', 'policy:=block']
                if inputs:
                    arguments += ['-p', f'inputs:=[{", ".join(inputs)}]']
                nodes.append(
                    stack.enter_context(Process('perception_node', '--ros-args', *arguments))
                )
                bases = [f'/{name}/{one}' for one in inputs] or [f'/{name}']
                sensors += [Sensor(peer.node, base) for base in bases]
            for node in nodes:
                node.wait_for('ready')
            for seed in range(options.clouds):
                for sensor in sensors:
                    sensor.ask(options.points, seed)
            wait_until(lambda: len(states) == len(sensors), 'the diagnostics')
            memory = [psutil.Process(one.process.pid).memory_full_info() for one in nodes]
            answered = [sensor.answers for sensor in sensors]
            for node in nodes:
                node.end(signal.SIGINT)
    finally:
        peer.close()
        rclpy.shutdown(context=context)
    return {
        'rss_mib': round(sum(one.rss for one in memory) / MIB, 1),
        'pss_mib': round(sum(one.pss for one in memory) / MIB, 1),
        'state_bytes': sorted(states.values()),
        'answered': answered,
    }


def run(options: argparse.Namespace) -> None:
    """Measure all situations in turn and write the results."""
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in SITUATIONS}
    for _ in range(options.repeats):
        for name, inputs_of_nodes in SITUATIONS.items():
            samples[name].append(measure(inputs_of_nodes, options))
            print(name, samples[name][-1], flush=True)
    medians = {
        name: {
            kind: round(statistics.median(one[kind] for one in runs), 1)
            for kind in ('rss_mib', 'pss_mib')
        }
        for name, runs in samples.items()
    }
    alone, shared, apart = (medians[name] for name in SITUATIONS)
    added = {
        kind: {
            'as_a_second_input': round(shared[kind] - alone[kind], 1),
            'as_a_second_node': round(apart[kind] - alone[kind], 1),
        }
        for kind in ('rss_mib', 'pss_mib')
    }
    print(json.dumps(added, indent=2))
    settings = settings_of(options, 'bundle', 'points', 'clouds', 'repeats', 'device')
    write_results(
        options.output, settings, medians=medians, second_sensor_mib=added, samples=samples
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('second-sensor', __doc__, device='cpu', points=600, clouds=2, repeats=1)
    line.add_argument('--points', type=int, default=27_000, help='points per cloud')
    line.add_argument('--clouds', type=int, default=40, help='clouds per input before measuring')
    line.add_argument('--repeats', type=int, default=3)
    line.add_argument('--bundle', type=Path, default=ROOT / 'models/default')
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
