# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the soak: a sensor, its listeners and the account of every cloud."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from benchmarks.robustness.live_node import NAME
from benchmarks.robustness.process_resources import Resources
from benchmarks.robustness.ros_graph import RELIABLE_ALL, Peer, Process, wait_until
from benchmarks.robustness.soak_stream import Recovery, Stream
from pointata_core.bundles.bundle import load_bundle

PATIENCE_S = 120.0
VISIT_S = 2.0


class Soak:
    """A sensor, its listeners, and a tormentor of one node.

    Args:
        node: The running executable.
        bundles: What :func:`live_node.prepare_bundles` made.
        options: The command line.
    """

    def __init__(
        self, node: Process, bundles: dict[str, Path], options: argparse.Namespace
    ) -> None:
        self.node, self.options = node, options
        self._bundles = bundles
        self._classes = len(load_bundle(bundles['first']).manifest.segmentation_classes)
        self.chance = random.Random(options.seed)
        self.stream = Stream(options.points, options.rate, self.chance)
        self.recovery = Recovery()
        self.faults: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()
        self.broken_promises: list[str] = []
        self.levels: Counter[str] = Counter()
        self._sent = self._heard = 0
        self._status: dict[str, dict[str, str]] = {}
        self._expectations: list[Callable[[], str | None]] = []
        self._visitors: list[tuple[float, Any]] = []
        self._is_swapping = False
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._peer = Peer(Node('soak', context=self._context, use_global_arguments=False))
        ros = self._ros = self._peer.node
        ros.create_subscription(DiagnosticArray, '/diagnostics', self._diagnosed, 10)
        ros.create_subscription(
            PointCloud2, f'{NAME}/output/segmentation', self._answered, RELIABLE_ALL
        )
        self._load = ros.create_client(Trigger, f'{NAME}/load_skill')
        self._set = ros.create_client(SetParameters, f'{NAME}/set_parameters')
        self._change = ros.create_client(ChangeState, f'{NAME}/change_state')
        self.publisher: Any = None
        self.open_publisher()

    # ------------------------------------------------------------------ what is heard

    def _answered(self, message: PointCloud2) -> None:
        self._heard += 1
        found = self.stream.recognise(message, self._classes)
        if isinstance(found, str):
            self.break_promise(f'a wrong answer: {found}')
        else:
            self.recovery.answered(found)

    def _diagnosed(self, message: DiagnosticArray) -> None:
        for one in message.status:
            kind = one.name.rpartition(' ')[2]
            self._status[kind] = {pair.key: pair.value for pair in one.values}
            self.levels[f'{kind} {("OK", "WARN", "ERROR", "STALE")[one.level[0]]}'] += 1

    def break_promise(self, text: str) -> None:
        """Note what must not happen."""
        at_s = time.monotonic() - self.recovery.began_s
        self.broken_promises.append(f'{at_s:.0f} s: {text}')

    def expect(self, verdict: Callable[[], str | None]) -> None:
        """Ask ``verdict`` until it says something: '' for good, else which promise was broken."""
        self._expectations.append(verdict)

    # ------------------------------------------------------------------ what is sent

    def open_publisher(self) -> None:
        """Publish from now on through a new publisher, once it is connected."""
        self.publisher = self._ros.create_publisher(
            PointCloud2, f'{NAME}/input/points', RELIABLE_ALL
        )
        self.wait_for_connection()

    def wait_for_connection(self) -> None:
        """Wait until the node hears the publisher."""
        wait_until(self.publisher.get_subscription_count, 'the node to subscribe')
        # The node may learn of the publisher a little later, and what was sent before is lost.
        time.sleep(0.5)

    def close_publisher(self) -> None:
        """Let everything arrive, then go."""
        self.publisher.wait_for_all_acked(Duration(seconds=PATIENCE_S))
        self._peer.destroy(self.publisher)

    def send(self, message: PointCloud2) -> None:
        """Publish and count."""
        self.publisher.publish(message)
        self._sent += 1

    def tick(self) -> None:
        """Publish the next cloud of the stream."""
        self.send(self.stream.next())

    def send_malformed(self, kind: str, lie: Callable[[PointCloud2], None]) -> None:
        """Publish the next cloud with a lie in it."""
        message = self.stream.next()
        lie(message)
        self.malformed[kind] += 1
        self.send(message)

    # ------------------------------------------------------------------ what is asked for

    def set_parameter(self, name: str, value: object) -> Any:
        """Ask for a parameter; returns the future of the response."""
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        return self._set.call_async(SetParameters.Request(parameters=parameters))

    def change_state(self, transition: int) -> bool:
        """Go through a transition of the life cycle."""
        request = ChangeState.Request()
        request.transition.id = transition
        future = self._change.call_async(request)
        wait_until(future.done, f'transition {transition}')
        return future.result().success

    def begin_swap(self, bundle: str, *, is_good: bool) -> None:
        """Ask for another bundle unless a swap is under way."""
        if self._is_swapping:
            return
        wait_until(self.set_parameter('bundle', str(self._bundles[bundle])).done, 'the parameter')
        future = self._load.call_async(Trigger.Request())
        self._is_swapping = True

        def verdict() -> str | None:
            if not future.done():
                return None
            self._is_swapping = False
            response = future.result()
            return '' if response.success is is_good else f'swap to {bundle}: {response.message}'

        self.expect(verdict)

    def visit(self, kind: type, name: str, qos: Any) -> list[Any]:
        """Listen to an output for a while; returns the list that fills."""
        heard: list[Any] = []
        topic = f'{NAME}/output/{name}'
        visitor = self._ros.create_subscription(kind, topic, heard.append, qos)
        self._visitors.append((time.monotonic() + VISIT_S, visitor))
        return heard

    # ------------------------------------------------------------------ the account

    def totals(self) -> dict[str, int]:
        """Clouds by what became of them, as of the last diagnostics."""
        seen, done = self._status.get('input', {}), self._status.get('processing', {})
        return {
            'sent': self._sent,
            'received': int(seen.get('received', -1)),
            'published': int(done.get('published', -1)),
            'dropped': int(done.get('dropped', -1)),
            'rejected': int(seen.get('rejected', -1)),
            'answers_heard': self._heard,
        }

    def is_balanced(self) -> bool:
        """Whether every cloud sent so far is accounted for, and every answer was heard."""
        now = self.totals()
        ended = now['published'] + now['dropped'] + now['rejected']
        return now['sent'] == now['received'] == ended and now['answers_heard'] == now['published']

    def settle(self) -> None:
        """Wait until every cloud has met its end."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not self.is_balanced():
            if time.monotonic() > deadline_s:
                self.break_promise(f'the account does not balance: {self.totals()}')
                return
            time.sleep(0.01)

    def rejections(self, reason: str) -> int:
        """Clouds rejected for this reason, as of the last diagnostics."""
        return int(self._status.get('input', {}).get(f'rejected.{reason}', 0))

    def account(self) -> dict[str, Any]:
        """Wait for the last cloud to meet its end, and add up."""
        self.publisher.wait_for_all_acked(Duration(seconds=PATIENCE_S))
        self.settle()
        by_reason = {
            key: int(value)
            for status in ('input', 'processing')
            for key, value in self._status[status].items()
            if key.startswith(('rejected.', 'dropped.'))
        }
        return {**self.totals(), 'balanced': self.is_balanced(), 'by_reason': by_reason}

    def details(self) -> dict[str, str]:
        """Figures of the last diagnostics that are worth keeping."""
        processing, model = self._status['processing'], self._status['model']
        kept = {k: v for k, v in processing.items() if k.startswith('latency_ms.total')}
        return kept | {k: v for k, v in model.items() if k.startswith('resets')}

    # ------------------------------------------------------------------ the run

    def run(self, resources: Resources, faults: Sequence[Callable[[Soak], None]]) -> None:
        """Send clouds, and now and then inject one of the faults, until the time is over."""
        next_tick = time.monotonic()
        next_fault, end_s = next_tick + self.options.every, next_tick + 60.0 * self.options.minutes
        while time.monotonic() < end_s:
            if self.node.process.poll() is not None:
                raise SystemExit(f'the node ended:\n{self.node.text[-3000:]}')
            resources.sample()
            self._look_after_others()
            if faults and self.recovery.is_over and time.monotonic() >= next_fault:
                self._inject(self.chance.choice(faults))
                pause_s = self.chance.uniform(0.5, 1.5) * self.options.every
                next_fault = time.monotonic() + pause_s
            self.tick()
            next_tick = max(next_tick + 1.0 / self.stream.rate_hz, time.monotonic() - 1.0)
            time.sleep(max(0.0, next_tick - time.monotonic()))

    def _inject(self, fault: Callable[[Soak], None]) -> None:
        self.faults[fault.__name__] += 1
        fault(self)
        self.recovery.begin(fault.__name__, self.stream.count)

    def _look_after_others(self) -> None:
        """Expectations come true, visitors leave, and the node must have recovered."""
        for verdict in list(self._expectations):
            problem = verdict()
            if problem is not None:
                self._expectations.remove(verdict)
                if problem:
                    self.break_promise(problem)
        for visit in list(self._visitors):
            if time.monotonic() > visit[0]:
                self._visitors.remove(visit)
                self._peer.destroy(visit[1])
        if fault := self.recovery.overdue(PATIENCE_S):
            self.break_promise(f'no right answer within {PATIENCE_S:g} s of {fault}')

    def close(self) -> None:
        """Leave the graph."""
        self._peer.close()
        rclpy.shutdown(context=self._context)
