#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plague a live node with faults and account for every cloud; writes ``benchmarks/results/``.

Three loops, each against the real executable or a real node over DDS:

``--minutes M``
    A sensor at ``--rate`` into ``perception_node`` (policy ``latest``, reliable, so that nothing
    may get lost on the way), with a random fault every few seconds: malformed clouds, duplicate and
    late stamps, gaps, jumps, other frames, bursts, restarts of the publisher, good and bad swaps of
    the skill, subscribers that come and go, parameters that change, a frozen process. At the end
    ``sent == received == answered + dropped + rejected`` must hold exactly, and the answers heard
    must be those counted.
``--cycles N``
    configure, activate, deactivate, cleanup, N times: time, threads, files and memory.
``--kills N``
    SIGKILL and a new start, N times: seconds until the first answer.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'test')]
os.environ.setdefault('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
os.environ.setdefault(
    'FASTRTPS_DEFAULT_PROFILES_FILE', str(ROOT / 'config/dds/fastdds_large_clouds.xml')
)

import numpy as np  # noqa: E402 - after the environment of the middleware
import psutil  # noqa: E402
import rclpy  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from node_harness import (  # noqa: E402
    RELIABLE_ALL,
    Bench,
    Peer,
    Process,
    cloud,
    street,
    wait_until,
)
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

RESULTS = ROOT / 'benchmarks/results'
NAME = '/perception_node'
SETTLE_S = 10.0


class Soak:
    """A sensor, a listener and a tormentor of one node."""

    def __init__(
        self, node: Process, bundles: dict[str, Path], options: argparse.Namespace
    ) -> None:
        self.process, self.bundles, self.options = node, bundles, options
        self.random = random.Random(options.seed)
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.peer = Peer(Node('soak', context=self.context, use_global_arguments=False))
        self.ros = self.peer.node
        self.sent, self.heard = 0, 0
        self.faults: Counter[str] = Counter()
        self.recovery_ms: dict[str, list[float]] = defaultdict(list)
        self.broken_promises: list[str] = []
        self.status: dict[str, dict[str, str]] = {}
        self.levels: Counter[str] = Counter()
        self.samples: list[tuple[float, int, int, int]] = []
        # The fault, the clouds whose answer ends it, and when it began.
        self._waiting_for: tuple[str, set[int], float] | None = None
        self._swap: tuple[str, Any] | None = None
        self.stamp_ns, self.frame_id = 10**18, 'lidar'
        self.clouds = [street(seed, options.points) for seed in range(20)]
        self.ros.create_subscription(DiagnosticArray, '/diagnostics', self._diagnosed, 10)
        self.ros.create_subscription(
            PointCloud2, f'{NAME}/output/segmentation', self._answered, RELIABLE_ALL
        )
        self.load = self.ros.create_client(Trigger, f'{NAME}/load_skill')
        self.set = self.ros.create_client(SetParameters, f'{NAME}/set_parameters')
        self.publisher = None
        self._open()

    # ------------------------------------------------------------------ what is heard

    def _answered(self, message: PointCloud2) -> None:
        self.heard += 1
        stamp = message.header.stamp
        waiting = self._waiting_for
        if waiting and stamp.sec * 10**9 + stamp.nanosec in waiting[1]:
            self.recovery_ms[waiting[0]].append(1e3 * (time.monotonic() - waiting[2]))
            self._waiting_for = None

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for one in message.status:
            kind = one.name.rpartition(' ')[2]
            self.status[kind] = {pair.key: pair.value for pair in one.values}
            self.levels[f'{kind} {("OK", "WARN", "ERROR", "STALE")[one.level[0]]}'] += 1

    # ------------------------------------------------------------------ what is sent

    def _open(self) -> None:
        self.publisher = self.ros.create_publisher(
            PointCloud2, f'{NAME}/input/points', RELIABLE_ALL
        )
        wait_until(self.publisher.get_subscription_count, 'the node to subscribe')
        # The node may learn of the publisher a little later, and what was sent before is lost.
        time.sleep(0.5)

    def _close(self) -> None:
        self.publisher.wait_for_all_acked(Duration(seconds=30))
        self.ros.destroy_publisher(self.publisher)

    def send(self, change: Callable[[PointCloud2], None] = lambda message: None) -> None:
        """Publish a cloud, changed first."""
        message = cloud(self.random.choice(self.clouds), self.stamp_ns, self.frame_id)
        change(message)
        self.publisher.publish(message)
        self.sent += 1

    def tick(self) -> None:
        """Publish the next cloud of the stream."""
        self.stamp_ns += round(1e9 / self.options.rate)
        waiting = self._waiting_for
        if waiting is not None:
            waiting[1].add(self.stamp_ns)
        self.send()

    # ------------------------------------------------------------------ faults

    def _malformed(self) -> None:
        size = self.options.points
        lies = {
            'point_step': lambda: self.random.choice((0, 1, 2**32 - 1)),
            'row_step': lambda: self.random.choice((0, 3, 2**32 - 1)),
            'width': lambda: self.random.choice((0, size + 1, 2**32 - 1)),
            'height': lambda: self.random.choice((0, 2, 2**32 - 1)),
            'data': lambda: b'\0' * self.random.randrange(1, size),
            'fields': list,
        }
        for _ in range(self.random.randint(1, 5)):
            name = self.random.choice(list(lies))
            value = lies[name]()
            self.stamp_ns += 1_000_000
            # One row may carry any row_step of sufficient size, or none; height 2 makes it a lie.
            self.send(lambda one, name=name, value=value: setattr(one, name, value))

    def _doubled_stamp(self) -> None:
        self.send()

    def _late_stamp(self) -> None:
        now, self.stamp_ns = self.stamp_ns, self.stamp_ns - 50_000_000
        self.send()
        self.stamp_ns = now

    def _gap(self) -> None:
        self.stamp_ns += 5 * 10**9

    def _jump_back(self) -> None:
        self.stamp_ns -= 60 * 10**9

    def _other_frame(self) -> None:
        self.frame_id = self.random.choice(('lidar', 'lidar_rear', ''))

    def _burst(self) -> None:
        for _ in range(20):
            self.tick()

    def _publisher_restart(self) -> None:
        self._close()
        self._open()

    def _good_swap(self) -> None:
        self._begin_swap(self.random.choice(('first', 'second')))

    def _bad_swap(self) -> None:
        self._begin_swap('damaged')

    def _listeners(self) -> None:
        visitors = [
            self.ros.create_subscription(PointCloud2, f'{NAME}/output/{name}', lambda _: None, 1)
            for name in ('segmentation', 'segmentation_rgb')
        ]
        self.tick()
        for visitor in visitors:
            self.ros.destroy_subscription(visitor)

    def _parameter(self) -> None:
        self._set('score_threshold', self.random.choice((0.0, 0.05, 0.5, 7.0)))

    def _freeze(self) -> None:
        self.process.process.send_signal(signal.SIGSTOP)
        time.sleep(0.7)
        self.process.process.send_signal(signal.SIGCONT)

    def _set(self, name: str, value: object):
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        return self.set.call_async(request)

    def _begin_swap(self, which: str) -> None:
        if self._swap is not None:
            return
        wait_until(self._set('bundle', str(self.bundles[which])).done, 'the parameter')
        self._swap = (which, self.load.call_async(Trigger.Request()))

    def _end_swap(self) -> None:
        if self._swap is not None and self._swap[1].done():
            which, future = self._swap
            self._swap = None
            if future.result().success is (which == 'damaged'):
                self.broken_promises.append(f'swap to {which}: {future.result().message}')

    FAULTS = (
        _malformed,
        _doubled_stamp,
        _late_stamp,
        _gap,
        _jump_back,
        _other_frame,
        _burst,
        _publisher_restart,
        _good_swap,
        _bad_swap,
        _listeners,
        _parameter,
        _freeze,
    )

    # ------------------------------------------------------------------ the run

    def run(self) -> None:
        """Send clouds and do mischief until the time is over."""
        system = psutil.Process(self.process.process.pid)
        begin = next_tick = time.monotonic()
        end_s = begin + 60.0 * self.options.minutes
        next_fault, next_sample = begin + SETTLE_S / 2, begin
        while (now := time.monotonic()) < end_s:
            if self.process.process.poll() is not None:
                raise SystemExit(f'the node ended:\n{self.process.text[-3000:]}')
            self._end_swap()
            if now >= next_sample:
                next_sample = now + 1.0
                self.samples.append(
                    (now - begin, system.memory_info().rss, system.num_threads(), system.num_fds())
                )
            if now >= next_fault and self._waiting_for is None:
                fault = self.random.choice(self.FAULTS)
                self.faults[fault.__name__[1:]] += 1
                fault(self)
                next_fault = time.monotonic() + self.random.uniform(0.5, 2.0) * self.options.every
                self._waiting_for = (fault.__name__[1:], set(), time.monotonic())
            self.tick()
            next_tick = max(next_tick + 1.0 / self.options.rate, time.monotonic() - 1.0)
            time.sleep(max(0.0, next_tick - time.monotonic()))

    def account(self) -> dict[str, Any]:
        """Wait for the last cloud to meet its end, and add up."""
        self.publisher.wait_for_all_acked(Duration(seconds=60))
        deadline = time.monotonic() + 60.0

        def totals() -> dict[str, int]:
            seen, done = self.status.get('input', {}), self.status.get('processing', {})
            return {
                'sent': self.sent,
                'received': int(seen.get('received', -1)),
                'answered': int(done.get('answered', -1)),
                'dropped': int(done.get('dropped', -1)),
                'rejected': int(seen.get('rejected', -1)),
                'answers_heard': self.heard,
            }

        def balanced() -> bool:
            now = totals()
            ended = now['answered'] + now['dropped'] + now['rejected']
            return now['sent'] == now['received'] == ended and self.heard == now['answered']

        while not balanced() and time.monotonic() < deadline:
            time.sleep(0.1)
        by_reason = {
            key: int(value)
            for status in ('input', 'processing')
            for key, value in self.status[status].items()
            if key.startswith(('rejected.', 'dropped.'))
        }
        return {**totals(), 'balanced': balanced(), 'by_reason': by_reason}

    def close(self) -> None:
        """Leave the graph."""
        self.peer.close()
        rclpy.shutdown(context=self.context)


def soak(options: argparse.Namespace, bundles: dict[str, Path]) -> dict[str, Any]:
    """Run the fault-injecting loop."""
    parameters = {
        'bundle': str(bundles['first']),
        'device': options.device,
        'diagnostics_period': 0.5,
        # Nothing may get lost on the way, or the account could not be exact.
        f'qos_overrides.{NAME}/input/points.subscription.reliability': 'reliable',
        f'qos_overrides.{NAME}/input/points.subscription.depth': 200,
    }
    file = bundles['second'].parent / 'parameters.yaml'
    # JSON is YAML.
    file.write_text(json.dumps({'/**': {'ros__parameters': parameters}}))
    with Process('perception_node', '--ros-args', '--params-file', file) as node:
        node.wait_for('ready')
        plague = Soak(node, bundles, options)
        try:
            plague.run()
            totals = plague.account()
        finally:
            plague.close()
        exit_code = node.end(signal.SIGINT)
        tracebacks = node.text.count('Traceback')
    times, memory, threads, files = (np.array(one) for one in zip(*plague.samples))
    late = times > times[-1] / 3
    slope = np.polyfit(times[late], memory[late], 1)[0] * 60 / 2**20 if late.sum() > 2 else None
    return {
        'minutes': options.minutes,
        'rate_hz': options.rate,
        'points': options.points,
        'accounting': totals,
        'faults': dict(plague.faults),
        'recovery_ms': {
            name: {
                'count': len(values),
                'median': round(statistics.median(values), 1),
                'max': round(max(values), 1),
            }
            for name, values in sorted(plague.recovery_ms.items())
        },
        'memory_mib': {'first': memory[0] / 2**20, 'last': memory[-1] / 2**20,
                       'slope_per_minute_after_a_third': slope},
        'threads': {'first': int(threads[0]), 'last': int(threads[-1])},
        'files': {'first': int(files[0]), 'last': int(files[-1])},
        'diagnostics': dict(plague.levels),
        'broken_promises': plague.broken_promises,
        'tracebacks': tracebacks,
        'exit_code': exit_code,
    }  # fmt: skip


def life_cycles(options: argparse.Namespace, bundles: dict[str, Path]) -> dict[str, Any]:
    """Go through the states again and again."""
    system, seen, durations = psutil.Process(), [], []
    with Bench(bundle=str(bundles['first']), autostart=False, device=options.device) as bench:
        for _ in range(options.cycles):
            begin = time.monotonic()
            for transition in ('configure', 'activate', 'deactivate', 'cleanup'):
                if not bench.change(transition):
                    raise SystemExit(f'{transition} failed')
            durations.append(time.monotonic() - begin)
            gc.collect()
            seen.append((system.memory_info().rss, threading.active_count(), system.num_fds()))
    memory, threads, files = (np.array(one) for one in zip(*seen))
    settled = slice(len(seen) // 3, None)
    cycle = np.arange(len(seen))[settled]
    return {
        'cycles': options.cycles,
        'seconds_per_cycle': {'median': statistics.median(durations), 'max': max(durations)},
        'memory_mib': {'first': memory[0] / 2**20, 'last': memory[-1] / 2**20},
        'kib_per_cycle_after_a_third': float(np.polyfit(cycle, memory[settled], 1)[0]) / 2**10,
        'threads': {'after_a_third': int(threads[settled][0]), 'last': int(threads[-1])},
        'files': {'after_a_third': int(files[settled][0]), 'last': int(files[-1])},
    }


def kills(options: argparse.Namespace, bundles: dict[str, Path]) -> dict[str, Any]:
    """Kill the node and start it anew while its sensor goes on."""
    context = rclpy.Context()
    rclpy.init(context=context)
    sensor = Peer(Node('sensor', context=context, use_global_arguments=False))
    answers: list[PointCloud2] = []
    sensor.node.create_subscription(PointCloud2, f'{NAME}/output/segmentation', answers.append, 10)
    publisher = sensor.node.create_publisher(PointCloud2, f'{NAME}/input/points', RELIABLE_ALL)
    stamps = iter(range(10**18, 2 * 10**18, 10**8))
    seconds = []
    arguments = ('-p', f'bundle:={bundles["first"]}', '-p', f'device:={options.device}')
    for _ in range(options.kills):
        answers.clear()
        begin = time.monotonic()
        with Process('perception_node', '--ros-args', *arguments) as node:
            wait_until(
                lambda: publisher.publish(cloud(street(0), next(stamps))) or answers, 'an answer'
            )
            seconds.append(time.monotonic() - begin)
            node.end(signal.SIGKILL)
    sensor.close()
    rclpy.shutdown(context=context)
    return {'kills': options.kills, 'seconds_to_first_answer': {
        'median': statistics.median(seconds), 'max': max(seconds)}}  # fmt: skip


def prepare_bundles(bundle: Path, folder: Path) -> dict[str, Path]:
    """The bundle, a copy, and a damaged copy."""
    backbones = bundle.parent / 'backbones'
    copies = {'first': bundle}
    for name in ('second', 'damaged'):
        copies[name] = folder / name / bundle.name
        shutil.copytree(bundle, copies[name])
        if backbones.is_dir():
            shutil.copytree(backbones, folder / name / 'backbones')
    weights = next(copies['damaged'].glob('skill*.safetensors'))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0xFF
    weights.write_bytes(data)
    return copies


def main() -> int:
    """Run what was asked for; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=0.0)
    parser.add_argument('--cycles', type=int, default=0)
    parser.add_argument('--kills', type=int, default=0)
    parser.add_argument('--rate', type=float, default=10.0, help='clouds per second')
    parser.add_argument('--points', type=int, default=5000, help='points per cloud')
    parser.add_argument('--every', type=float, default=2.0, help='mean seconds between faults')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default='auto')
    parser.add_argument('--bundle', type=Path, default=ROOT / 'models/default')
    parser.add_argument('--output', type=Path, default=RESULTS / 'soak.json')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundles = prepare_bundles(options.bundle.resolve(), Path(folder))
        results: dict[str, Any] = {'machine': platform.machine(), 'cpus': os.cpu_count(),
                                   'bundle': options.bundle.name}  # fmt: skip
        for name, wanted, loop in (('soak', options.minutes, soak),
                                   ('life_cycles', options.cycles, life_cycles),
                                   ('kills', options.kills, kills)):  # fmt: skip
            if wanted:
                results[name] = loop(options, bundles)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + '\n')
    print(json.dumps(results, indent=2))
    run = results.get('soak')
    kept = run is None or (run['accounting']['balanced'] and not run['broken_promises']
                           and not run['tracebacks'] and run['exit_code'] == 0)  # fmt: skip
    return 0 if kept else 1


if __name__ == '__main__':
    sys.exit(main())
