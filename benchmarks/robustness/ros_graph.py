# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers and processes of a ROS graph over real DDS; makes clouds and recordings."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.subscription import Subscription
from rclpy.task import Future
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

import benchmarks.robustness.middleware  # noqa: F401 - sets the environment
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.cloud_encoding import encode_fields, fill_message, xyz_columns

ROOT = Path(__file__).resolve().parents[2]
# How long is long enough depends on who else uses the machine.
PATIENCE_S = float(os.environ.get('POINTATA_PATIENCE_S', '120'))
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
RELIABLE_ALL = QoSProfile(
    history=QoSHistoryPolicy.KEEP_ALL, reliability=QoSReliabilityPolicy.RELIABLE
)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
LATCHED_ALL = QoSProfile(
    history=QoSHistoryPolicy.KEEP_ALL, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
)
BEST_EFFORT = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of ``condition``; fail with ``what`` after a long wait."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f'waited {PATIENCE_S:g} s in vain for {what}')


def street(seed: int, points: int = 600) -> np.ndarray:
    """A flat scattering of points around the sensor, (points, 3) float32 metres."""
    random = np.random.default_rng(seed)
    return random.normal(size=(points, 3), scale=(12.0, 12.0, 1.0)).astype(np.float32)


def cloud(
    points: np.ndarray, stamp_ns: int, frame_id: str = 'lidar', height: int = 1
) -> PointCloud2:
    """A PointCloud2 of ``points`` (N, 3)."""
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    encoded = encode_fields(xyz_columns(points), width=len(points) // height, height=height)
    return fill_message(PointCloud2(), encoded, header, PointField)


def recorded(seed: int) -> PointCloud2:
    """The cloud that :func:`write_bag` records for a seed."""
    return cloud(street(seed, points=50), START_NS + seed * PERIOD_NS)


def write_bag(path: Path, topics: dict[str, Iterable[int]], storage: str = 'mcap') -> Path:
    """A recording of clouds: topic name to seeds; frame k is recorded at k periods."""
    with BagWriter(path, storage) as writer:
        for topic in topics:
            writer.add_topic(topic, 'sensor_msgs/msg/PointCloud2')
        for topic, seeds in topics.items():
            for seed in seeds:
                data = serialize_message(recorded(seed))
                writer.write_raw(topic, data, START_NS + seed * PERIOD_NS)
    return path


class Collector:
    """Everything that arrives on one topic."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def wait_for(self, count: int) -> list[Any]:
        """Wait until so many messages have come, and return them."""
        wait_until(lambda: len(self.messages) >= count, f'message number {count}')
        return self.messages


class Peer:
    """A node that is spun by a thread of its own."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def destroy(self, entity: Publisher | Subscription | Client) -> None:
        """Destroy a publisher, subscription or client of the node in the thread that spins.

        rclpy's executor ends with ``InvalidHandle`` if another thread destroys an entity between
        the moments when the executor collects it and waits for it.
        """
        kind = type(entity).__name__.lower()
        done = Future()

        def destroy() -> None:
            done.set_result(getattr(self.node, f'destroy_{kind}')(entity))

        self._executor.create_task(destroy)
        wait_until(done.done, f'the {kind} to be destroyed')

    def stop(self) -> None:
        """Stop spinning: no callback runs any more once this returns."""
        # The executor counts as shut down while a callback that it has collected has yet to begin.
        self._executor.shutdown()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def close(self) -> None:
        """Stop spinning and destroy the node."""
        self.stop()
        self.node.destroy_node()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException, ShutdownException):
            self._executor.spin()


class Process:
    """One of the executables of the package, or a script at an absolute path."""

    def __init__(self, name: str | Path, *arguments: object) -> None:
        environment = os.environ | {'PYTHONPATH': str(ROOT), 'PYTHONUNBUFFERED': '1'}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / 'scripts' / name), *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None, 'it is a pipe'
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def text(self) -> str:
        """All that it has printed."""
        return ''.join(list(self.lines))

    def wait_for(self, text: str) -> None:
        """Wait until a text is printed; fail if the process ends without it."""
        wait_until(
            lambda: text in self.text or self.process.poll() is not None,
            f'{text!r} on the terminal',
        )
        assert text in self.text

    def end(self, *signals: int) -> int:
        """Send the signals and return the exit code."""
        for number in signals:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code
