# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of one cloud goes, offline and live, and whether the node keeps up with a sensor.

    python -m benchmarks node --bag BAG [--rate 10] [--minutes 10] [--offline 200]
                              [--parameter num_threads:=1] [--tree OTHER_CHECKOUT] [--label NAME]

* ``offline``: the clouds of a recording through a :class:`StreamingSession` in this process:
  decode, prepare, geometry, tokens (embedder), blocks (backbone with adapters and context), heads,
  the rest of the step, propagate, encode; milliseconds by stage, percentiles by nearest rank.
* ``live``: three processes over DDS as on a robot. A feeder publishes the recorded bytes in a loop
  at a steady rate, with stamps that go on; the node runs with its default policy ``latest``; this
  process listens to results and timings without decoding them. Reported: clouds sent, received,
  answered, dropped by reason; latency by stage from the callback to the end of publishing; memory
  of the node and its trend; processor seconds of the node per cloud.

``--tree`` measures the package of another checkout with the same script, to compare before and
after. A run replaces the one with the same label in ``benchmarks/results/node.json``; nothing is
compared between runs by the script itself.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.command_line import ROOT, CommandLine, log, run_main, settings_of
from benchmarks.robustness.live_node import NAME, conditions
from pointata_core.safe_files import write_json

_WARM_UP_S = 20.0
_START_S = 120.0
_STAMP = slice(4, 12)  # of a serialised message that begins with a header: seconds, nanoseconds


# ---------------------------------------------------------------------- live


def feed(bag: Path, rate: float, seconds: float) -> None:
    """Publish the recorded clouds in a loop with stamps that go on; prints how many at the end."""
    import rclpy
    from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
    from sensor_msgs.msg import PointCloud2

    from pointata_core.io.bags.reader import BagReader

    with BagReader(bag) as reader:
        recorded = reader.raw_messages([reader.select_point_topic()])
        messages = [bytearray(data) for _, _, data in recorded]
    rclpy.init(args=[])
    node = rclpy.create_node('feeder', start_parameter_services=False)
    profile = QoSProfile(
        depth=5, history=QoSHistoryPolicy.KEEP_LAST, reliability=QoSReliabilityPolicy.BEST_EFFORT
    )
    publisher = node.create_publisher(PointCloud2, f'{NAME}/input/points', profile)
    while publisher.get_subscription_count() < 1:
        time.sleep(0.05)
    time.sleep(1.0)
    began, sent, latest = time.monotonic(), 0, 0.0
    while sent < round(seconds * rate):
        due = began + sent / rate
        time.sleep(max(0.0, due - time.monotonic()))
        message = messages[sent % len(messages)]
        stamp_ns = 10**18 + round(sent * 1e9 / rate)
        message[_STAMP] = b''.join(
            part.to_bytes(4, 'little') for part in divmod(stamp_ns, 1_000_000_000)
        )
        latest = max(latest, time.monotonic() - due)
        publisher.publish(bytes(message))
        sent += 1
    time.sleep(2.0)
    print(json.dumps({'sent': sent, 'latest_ms': round(1e3 * latest, 2)}), flush=True)
    rclpy.shutdown()


class Listener:
    """Receives the outputs of the node without decoding clouds, which costs next to nothing."""

    def __init__(self) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
        from sensor_msgs.msg import PointCloud2

        self.node = rclpy.create_node('listener', start_parameter_services=False)
        self.timings: list[tuple[float, dict[str, float]]] = []
        self.status: dict[str, dict[str, str]] = {}
        self.clouds = 0
        self.reports = 0
        everything = QoSProfile(
            history=QoSHistoryPolicy.KEEP_ALL, reliability=QoSReliabilityPolicy.RELIABLE
        )
        subscribe = self.node.create_subscription
        subscribe(PointCloud2, f'{NAME}/output/segmentation', self._cloud, everything, raw=True)
        subscribe(DiagnosticArray, f'{NAME}/debug/timings', self._timing, everything)
        subscribe(DiagnosticArray, '/diagnostics', self._diagnostics, 10)

    def _cloud(self, _: bytes) -> None:
        self.clouds += 1

    def _timing(self, message: Any) -> None:
        pairs = {one.key: float(one.value) for one in message.status[0].values}
        self.timings.append((time.monotonic(), pairs))

    def _diagnostics(self, message: Any) -> None:
        for status in message.status:
            source, _, part = status.name.partition(': ')
            if source == NAME.lstrip('/'):
                self.status[part] = {pair.key: pair.value for pair in status.values}
        self.reports += 1


def measure_live(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run node, feeder and listener, and account for every cloud."""
    import psutil
    import rclpy

    from benchmarks.robustness.process_resources import Resources

    rclpy.init(args=[])
    listener = Listener()
    seconds = 60.0 * arguments.minutes
    with _process(_node_command(arguments)) as node:
        _spin(listener, lambda: 'processing' in listener.status, _START_S, node)
        resources, began = Resources(node.pid), time.monotonic()
        before = sum(psutil.Process(node.pid).cpu_times()[:2])
        command = [
            sys.executable,
            '-m',
            'benchmarks',
            'node',
            '--feed',
            '--bag',
            str(arguments.bag),
        ]
        command += ['--rate', str(arguments.rate), '--minutes', str(arguments.minutes)]
        with _process(command, stdout=subprocess.PIPE) as feeder:
            while feeder.poll() is None:
                _spin(listener, lambda: True, 1.0, node)
                resources.sample()
            fed = json.loads(feeder.communicate()[0])
        reports = listener.reports
        _spin(listener, lambda: listener.reports > reports + 2, 30.0, node)
        busy_s = sum(psutil.Process(node.pid).cpu_times()[:2]) - before
    rclpy.shutdown()
    warm = [t for at, t in listener.timings if at - began > min(_WARM_UP_S, seconds / 4)]
    return _account(listener, fed, warm, busy_s) | {
        'rate': arguments.rate,
        'minutes': arguments.minutes,
        'parameters': arguments.parameter,
        'resources': resources.summary(min(60.0, seconds / 4)),
    }


def _account(
    listener: Listener, fed: dict[str, Any], warm: list[dict[str, float]], busy_s: float
) -> dict[str, Any]:
    from pointata_core.evaluation.metrics.latency import LatencyLog

    log = LatencyLog()
    for timings in warm:
        log.add(timings)
    processing, received = listener.status['processing'], listener.status['input']
    reasons = {
        key.removeprefix('dropped.'): int(value)
        for key, value in processing.items()
        if key.startswith('dropped.') and int(value)
    }
    gaps = [1e3 * (b - a) for (a, _), (b, _) in pairwise(listener.timings)]
    return {
        'feeder': fed,
        'received': int(received['received']),
        'published': int(processing['published']),
        'answers_heard': listener.clouds,
        'dropped': reasons,
        'frames_after_warm_up': len(warm),
        'latency_ms': _rounded({k: asdict(v) for k, v in log.summary().items()}),
        'between_answers_ms': {'p50': round(statistics.median(gaps), 2), 'max': round(max(gaps))},
        'node_cpu_ms_per_cloud': round(1e3 * busy_s / max(1, fed['sent']), 1),
    }


def _node_command(arguments: argparse.Namespace) -> list[str]:
    command = [sys.executable, str(arguments.tree / 'scripts/perception_node'), '--ros-args']
    command += ['-p', f'device:={arguments.device}', '-p', 'diagnostics_period:=0.5']
    for parameter in arguments.parameter:
        command += ['-p', parameter]
    return command


@contextmanager
def _process(command: list[str], **more: Any) -> Iterator[subprocess.Popen]:
    tree = str(Path(command[1]).resolve().parent.parent)
    process = subprocess.Popen(command, env=os.environ | {'PYTHONPATH': tree}, **more)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _spin(
    listener: Listener, enough: Callable[[], bool], seconds: float, node: subprocess.Popen
) -> None:
    import rclpy

    deadline = time.monotonic() + seconds
    while True:
        rclpy.spin_once(listener.node, timeout_sec=0.05)
        if enough():
            return
        if node.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f'the node ended ({node.poll()}) or was silent for {seconds:g} s')


def _rounded(latency: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        stage: {name: round(value, 2) for name, value in summary.items() if name != 'count'}
        for stage, summary in latency.items()
    }


def _measure_offline(arguments: argparse.Namespace) -> dict[str, Any]:
    """Offline figures of the tree, in a process whose path begins with it."""
    script = Path(__file__).with_name('offline_stages.py')
    command = [sys.executable, str(script), '--bag', str(arguments.bag)]
    command += ['--clouds', str(arguments.offline), '--threads', str(arguments.threads)]
    command += ['--overlap'] * arguments.overlap
    environment = os.environ | {'PYTHONPATH': str(arguments.tree)}
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def run(options: argparse.Namespace) -> None:
    """Measure and record."""
    found: dict[str, Any] = {
        'environment': conditions(),
        'settings': settings_of(options, 'bag', 'rate', 'minutes', 'parameter'),
    }
    if options.offline:
        found['offline'] = _measure_offline(options)
        print(json.dumps(found['offline'], indent=1))
    if options.minutes:
        found['live'] = measure_live(options)
        print(json.dumps({k: v for k, v in found['live'].items() if k != 'resources'}, indent=1))
    label = options.label or f'{options.bag.name} at {options.rate:g} Hz'
    runs = json.loads(options.output.read_text()) if options.output.exists() else {}
    write_json(options.output, {**runs, label: found})
    log(f'wrote {options.output}: {label}')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('node', __doc__, device='cpu', minutes=0.2, offline=3)
    line.add_argument('--bag', type=Path, required=True, help='recording with one cloud topic')
    line.add_argument('--rate', type=float, default=10.0, help='clouds per second')
    line.add_argument('--minutes', type=float, default=1.0, help='of the live run; 0 for none')
    line.add_argument('--offline', type=int, default=200, help='clouds of the offline run')
    line.add_argument('--parameter', action='append', default=[], metavar='NAME:=VALUE')
    line.add_argument('--overlap', action='store_true', help='offline: as the node on few cores')
    line.add_argument('--tree', type=Path, default=ROOT, help='checkout to measure')
    line.add_argument('--label', default='', help='name of the run; default: bag and rate')
    line.add_argument('--feed', action='store_true', help=argparse.SUPPRESS)
    line.set_defaults(threads=0)
    options = line.options(arguments)
    if options.feed:
        feed(options.bag, options.rate, 60.0 * options.minutes)
        return 0
    return run_main(lambda: run(options), options.threads)
