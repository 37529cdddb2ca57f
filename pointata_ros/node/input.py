# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The cloud subscription: takes a reference to each message and puts it into the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind

from pointata_core.io.cloud import Rejected
from pointata_core.io.messages.stamps import stamp_of
from pointata_ros.compat import subscription_callbacks
from pointata_ros.flow_control import FlowControlledGroup
from pointata_ros.health.hints import explain_loss, explain_silence
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node.cloud_source import CloudSource
from pointata_ros.node.input_queue import InputQueue
from pointata_ros.node.received_cloud import ReceivedCloud
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import input_profile, overrides
from pointata_ros.transforms.listener import TransformListener
from pointata_ros.transforms.pending import PendingClouds


class CloudInput:
    """Subscription and input queue of one activation.

    Args:
        node: The node that subscribes.
        topic: Where clouds come from, as the node writes it.
        source: The messages in which they come; closed with the input.
        settings: Called for the parameters as they are now.
        receive: Called with every message, for what enters the queue.
        statistics: Where clouds are counted.
        warn: Called with a kind and a sentence; throttled by the callee.
        changed: What the queue notifies.
        transforms: What clouds wait for; ``None`` if for nothing.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        source: CloudSource,
        settings: Callable[[], NodeSettings],
        receive: Callable[[Any], ReceivedCloud],
        statistics: Statistics,
        warn: Callable[[str, str], None],
        changed: threading.Condition,
        transforms: TransformListener | None = None,
    ) -> None:
        self._node = node
        self._unresolved_topic = topic
        self._source = source
        self._make = receive
        self._statistics = statistics
        self._warn = warn
        self._has_arrived = False
        now = settings()
        self.profile: QoSProfile = input_profile(now.policy, now.queue_size)
        self._holds_back = now.policy == 'block'
        self.queue: InputQueue[ReceivedCloud] = InputQueue(
            now.policy,
            now.queue_size,
            on_overflow=lambda received: self._drop(received, DropReason.OVERFLOW),
            # ``latest`` always has room; waking for nothing costs a millisecond a cloud.
            on_room=self._make_room if self._holds_back else _ignore,
            changed=changed,
        )
        self._transforms = transforms
        self._pending: PendingClouds[ReceivedCloud] | None = None
        if transforms is not None:
            self._pending = PendingClouds(
                transforms.missing_s,
                lambda: settings().transform_timeout,
                now.queue_size,
                lambda: not self._holds_back or self.queue.has_room,
                self._enqueue,
                perf_counter,
            )
            transforms.call_on_change(self._pending.poll)
        self._subscription = node.create_subscription(
            source.message_class,
            topic,
            self.receive,
            self.profile,
            callback_group=FlowControlledGroup(lambda: not self._holds_back or self._has_room()),
            raw=source.is_raw,
            event_callbacks=subscription_callbacks(self._meet_incompatible, self._lose),
            qos_overriding_options=overrides(),
        )
        source.calibrated = self._wake_executor

    @property
    def topic(self) -> str:
        """Resolved name of the topic."""
        return self._subscription.topic_name

    def count_publishers(self) -> int:
        """Publishers of the topic that are known now."""
        return self._node.count_publishers(self.topic)

    def hint(self) -> str:
        """What is wrong with the input, in words; empty if nothing seems to be."""
        if not self._has_arrived:
            text = explain_silence(
                self._node, self.topic, self.profile, self._unresolved_topic, self._source.type_name
            )
            return '\n  '.join(filter(None, (text, self._source.missing)))
        if self._source.missing:
            return self._source.missing
        snapshot = self._statistics.snapshot()
        return explain_loss(snapshot.stamps_ns, snapshot.lost)

    @property
    def waiting(self) -> int:
        """Clouds that wait for their transform or for the worker."""
        return len(self.queue) + len(self._pending or ())

    def discard(self, reason: DropReason) -> None:
        """Drop whatever waits."""
        for received in self._not_queued() + self.queue.drain():
            self._drop(received, reason)

    def close(self) -> None:
        """Unsubscribe; clouds that still wait are counted as dropped."""
        self._node.destroy_subscription(self._subscription)
        self._source.close()
        if self._transforms is not None and self._pending is not None:
            self._transforms.stop_calling(self._pending.poll)
        for received in self._not_queued() + self.queue.close():
            self._drop(received, DropReason.DEACTIVATED)

    def receive(self, serialised: Any) -> None:
        """Take a message of the input's type, bytes if the source is raw."""
        message = self._source.read(serialised)
        now_ns = self._node.get_clock().now().nanoseconds
        if isinstance(message, Rejected):
            self._statistics.arrived(now_ns, now_ns)
            self._statistics.rejected(str(message.reason))
            self._warn(f'rejected.{message.reason}', f'cloud rejected: {message}')
            return
        if not self._has_arrived:
            self._has_arrived = True
            # The launch file reads this line: RViz needs the frame.
            self._node.get_logger().info(
                f"first cloud on '{self.topic}', frame '{message.header.frame_id}', "
                f'{_size(message)}'
            )
        self._statistics.arrived(now_ns, stamp_of(message))
        received = self._make(message)
        if self._pending is None:
            self._enqueue(received)
        else:
            self._pending.put(received, message.header.frame_id, stamp_of(message))

    def _enqueue(self, received: ReceivedCloud) -> None:
        received.queued_s = perf_counter()
        if not self.queue.put(received):
            self._drop(received, DropReason.DEACTIVATED)
        if self._holds_back and self._pending is not None:
            self._wake_executor()

    def _has_room(self) -> bool:
        if self._source.missing:
            return False
        return self.queue.has_room and (self._pending is None or self._pending.has_room)

    def _make_room(self) -> None:
        if self._pending is not None:
            self._pending.poll()
        self._wake_executor()

    def _not_queued(self) -> list[ReceivedCloud]:
        return [] if self._pending is None else self._pending.drain()

    def _drop(self, received: ReceivedCloud, reason: DropReason) -> None:
        received.cancel()
        self._statistics.dropped(reason)

    def _meet_incompatible(self, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._warn('incompatible', f'a publisher does not fit ({policy}): {self.hint()}')

    def _lose(self, event: Any) -> None:
        self._statistics.lost(event.total_count_change)

    def _wake_executor(self) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.wake()


def _size(message: Any) -> str:
    if hasattr(message, 'width'):
        return f'{message.width * message.height} points'
    return f'{len(message.data)} bytes'


def _ignore() -> None:
    pass
