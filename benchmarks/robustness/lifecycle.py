# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Go through states and restarts again and again.

``--cycles N``
    configure, activate, one cloud answered, deactivate, cleanup, N times, asked for by services of
    the real executable: seconds, memory, threads, files, shared memory.
``--kills N``
    SIGKILL and a new start, N times, while the sensor goes on: seconds until the first answer.
``--publisher-kills N``
    The bag player is killed and started anew, N times, while the node goes on: seconds until the
    node answers it.

Every answer to the same cloud must be the same, bit for bit; 1 is returned if one is not, or if
something grows.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from benchmarks.command_line import ROOT, CommandLine, run_main, settings_of
from benchmarks.robustness.live_node import NAME, conditions, prepare_bundles
from benchmarks.robustness.process_resources import Resources, Sample, trend
from benchmarks.robustness.ros_graph import (
    PERIOD_NS,
    RELIABLE_ALL,
    START_NS,
    Peer,
    Process,
    cloud,
    street,
    wait_until,
    write_bag,
)
from pointata_core.safe_files import write_json

_TRANSITIONS = ('configure', 'activate', 'deactivate', 'cleanup')
_RECORDED_CLOUDS = 600
GROWTH_LIMITS = {'anonymous_mib': 4.0, 'shared_mib': 1.0, 'threads': 1.0, 'files': 2.0}
"""How far the last fifth of the cycles after the warm-up may lie above the first."""


class Observer:
    """A sensor and a subscriber beside the node.

    Attributes:
        answers: What the node has published since :meth:`forget`.
    """

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._peer = Peer(Node('observer', context=self._context, use_global_arguments=False))
        self.ros = self._peer.node
        self.answers: list[PointCloud2] = []
        self.ros.create_subscription(
            PointCloud2, f'{NAME}/output/segmentation', self.answers.append, RELIABLE_ALL
        )
        self._change = self.ros.create_client(ChangeState, f'{NAME}/change_state')
        self.publisher = self.ros.create_publisher(
            PointCloud2, f'{NAME}/input/points', RELIABLE_ALL
        )

    def change(self, transition: str) -> None:
        """Go through a transition of the node."""
        request = ChangeState.Request()
        request.transition.label = transition
        wait_until(self._change.service_is_ready, 'the services of the node')
        future = self._change.call_async(request)
        wait_until(future.done, transition)
        if not future.result().success:
            raise SystemExit(f'{transition} failed')

    def ask(self, message: PointCloud2) -> PointCloud2:
        """Send a cloud until somebody answers; the first answer."""
        self.answers.clear()
        next_s = 0.0

        def answered() -> bool:
            nonlocal next_s
            if not self.answers and time.monotonic() >= next_s:
                self.publisher.publish(message)
                # A duplicate, if the first one arrived: that one is answered all the same.
                next_s = time.monotonic() + 0.5
            return bool(self.answers)

        wait_until(answered, 'an answer')
        return self.answers[0]

    def close(self) -> None:
        """Leave the graph."""
        self._peer.close()
        rclpy.shutdown(context=self._context)


@contextmanager
def observer() -> Iterator[Observer]:
    """An observer for a while."""
    one = Observer()
    try:
        yield one
    finally:
        one.close()


def node(bundle: Path, device: str, **parameters: object) -> Process:
    """The executable with these parameters."""
    given = {'bundle': bundle, 'device': device} | parameters
    arguments = [part for name, value in given.items() for part in ('-p', f'{name}:={value}')]
    return Process('perception_node', '--ros-args', *arguments)


def same(answers: list[bytes]) -> bool:
    """Whether all answers are alike."""
    return all(one == answers[0] for one in answers)


def life_cycles(options: argparse.Namespace, bundle: Path) -> dict[str, Any]:
    """Through the states of one process again and again."""
    durations: list[float] = []
    answers: list[bytes] = []
    message = cloud(street(1, options.points), START_NS)
    with observer() as outside, node(bundle, options.device, autostart='false') as process:
        resources = Resources(process.process.pid, period_s=0.0)
        for _ in range(options.cycles):
            begin = time.monotonic()
            outside.change('configure')
            outside.change('activate')
            answers.append(bytes(outside.ask(message).data))
            outside.change('deactivate')
            outside.change('cleanup')
            durations.append(time.monotonic() - begin)
            resources.sample()
        exit_code = process.end(signal.SIGINT)
        tracebacks = process.text.count('Traceback')
    cycles = np.arange(options.cycles)
    held = {
        name: trend(
            cycles,
            np.array([float(getattr(one, name)) for one in resources.samples]),
            options.cycles / 5,
            '100_cycles',
            100.0,
        )
        for name in Sample.__dataclass_fields__
        if name != 'at_s'
    }
    return {
        'cycles': options.cycles,
        'transitions': len(_TRANSITIONS) * options.cycles,
        'points': options.points,
        'seconds_per_cycle': spread(durations),
        'answers_alike': same(answers),
        'resources_unconfigured': held,
        'tracebacks': tracebacks,
        'exit_code': exit_code,
    }


def kills(options: argparse.Namespace, bundle: Path) -> dict[str, Any]:
    """Kill the node and start it anew."""
    seconds: list[float] = []
    answers: list[bytes] = []
    message = cloud(street(1, options.points), START_NS)
    with observer() as outside:
        for _ in range(options.kills):
            begin = time.monotonic()
            with node(bundle, options.device) as process:
                answers.append(bytes(outside.ask(message).data))
                seconds.append(time.monotonic() - begin)
                process.end(signal.SIGKILL)
    return {
        'kills': options.kills,
        'answers_alike': same(answers),
        'seconds_from_start_to_first_answer': spread(seconds),
    }


def publisher_kills(options: argparse.Namespace, bundle: Path, folder: Path) -> dict[str, Any]:
    """Kill the player and start it anew."""
    bag = write_bag(folder / 'bag', {'/points': range(_RECORDED_CLOUDS)})
    seconds: list[float] = []
    play = (bag, '--clouds-to', f'{NAME}/input/points', '--wait-for-subscribers', 1)
    with observer() as outside, node(bundle, options.device) as process:
        process.wait_for('ready')
        resources = Resources(process.process.pid, period_s=0.0)
        for _ in range(options.publisher_kills):
            outside.answers.clear()
            begin = time.monotonic()
            with Process('replay', *play) as player:
                wait_until(lambda: len(outside.answers) > 2, 'answers')
                seconds.append(time.monotonic() - begin)
                player.end(signal.SIGKILL)
            resources.sample()
        exit_code = process.end(signal.SIGINT)
        tracebacks = process.text.count('Traceback')
    stamps = {one.header.stamp.nanosec % PERIOD_NS for one in outside.answers}
    return {
        'kills': options.publisher_kills,
        'seconds_from_start_to_third_answer': spread(seconds),
        'stamps_as_recorded': stamps == {START_NS % PERIOD_NS},
        'anonymous_mib': [round(one.anonymous_mib, 1) for one in resources.samples],
        'threads': sorted({one.threads for one in resources.samples}),
        'files': sorted({one.files for one in resources.samples}),
        'tracebacks': tracebacks,
        'exit_code': exit_code,
    }


def spread(seconds: list[float]) -> dict[str, float]:
    """Median and largest."""
    return {'median': round(statistics.median(seconds), 3), 'max': round(max(seconds), 3)}


def failures(results: dict[str, Any]) -> list[str]:
    """Broken promises, in words."""
    found = []
    for name in ('life_cycles', 'kills', 'publisher_kills'):
        part = results.get(name, {})
        if part.get('answers_alike') is False:
            found.append(f'{name}: the same cloud was answered differently')
        if part.get('tracebacks') or part.get('exit_code'):
            found.append(f'{name}: {part["tracebacks"]} tracebacks, code {part["exit_code"]}')
        for held, limit in GROWTH_LIMITS.items():
            row = part.get('resources_unconfigured', {}).get(held, {})
            if row.get('last_fifth_over_first', 0.0) > limit:
                found.append(f'{name}: {held} grew by {row["last_fifth_over_first"]}')
    return found


def run(options: argparse.Namespace) -> int:
    """Run what was asked for; 1 if a promise was broken."""
    results: dict[str, Any] = {
        'environment': conditions(),
        'settings': settings_of(options, 'bundle', 'device'),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = prepare_bundles(options.bundle.resolve(), folder)['first']
        if options.cycles:
            results['life_cycles'] = life_cycles(options, bundle)
        if options.kills:
            results['kills'] = kills(options, bundle)
        if options.publisher_kills:
            results['publisher_kills'] = publisher_kills(options, bundle, folder)
    results['load_average_at_end'] = [round(one, 2) for one in os.getloadavg()]
    results['failures'] = failures(results)
    print(json.dumps(results, indent=2))
    write_json(options.output, results)
    return 1 if results['failures'] else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('lifecycle', __doc__, device='cpu', cycles=2, kills=1, publisher_kills=1)
    line.add_argument('--cycles', type=int, default=1000)
    line.add_argument('--kills', type=int, default=20)
    line.add_argument('--publisher-kills', type=int, default=20)
    line.add_argument('--points', type=int, default=600, help='points per cloud')
    line.add_argument('--bundle', type=Path, default=ROOT / 'models/default')
    line.set_defaults(threads=0)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
