# SPDX-License-Identifier: Apache-2.0
"""The cloud subscription: takes a reference to each message and puts it into the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind
from sensor_msgs.msg import PointCloud2

from pointata_core.io.messages.stamps import stamp_of
from pointata_ros.compat import subscription_callbacks
from pointata_ros.flow_control import FlowControlledGroup
from pointata_ros.health.hints import explain_loss, explain_silence
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node.input_queue import InputQueue
from pointata_ros.node.received_cloud import ReceivedCloud
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import input_profile, overrides


class CloudInput:
    """Subscription and input queue of one activation.

    Args:
        node: The node that subscribes.
        topic: Where clouds come from, as the node writes it.
        settings: Policy and queue size.
        receive: Called with every message, for what enters the queue.
        statistics: Where clouds are counted.
        warn: Called with a kind and a sentence; throttled by the callee.
        changed: What the queue notifies.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        settings: NodeSettings,
        receive: Callable[[PointCloud2], ReceivedCloud],
        statistics: Statistics,
        warn: Callable[[str, str], None],
        changed: threading.Condition,
    ) -> None:
        self._node = node
        self._unresolved_topic = topic
        self._make = receive
        self._statistics = statistics
        self._warn = warn
        self._has_arrived = False
        self.profile: QoSProfile = input_profile(settings.policy, settings.queue_size)
        self.queue: InputQueue[ReceivedCloud] = InputQueue(
            settings.policy,
            settings.queue_size,
            on_overflow=lambda received: self._drop(received, DropReason.OVERFLOW),
            # ``latest`` always has room; waking for nothing costs a millisecond a cloud.
            on_room=self._wake_executor if settings.policy == 'block' else _ignore,
            changed=changed,
        )
        holds_back = settings.policy == 'block'
        self._subscription = node.create_subscription(
            PointCloud2,
            topic,
            self._receive,
            self.profile,
            callback_group=FlowControlledGroup(lambda: not holds_back or self.queue.has_room),
            event_callbacks=subscription_callbacks(self._meet_incompatible, self._lose),
            qos_overriding_options=overrides(),
        )

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
            return explain_silence(self._node, self.topic, self.profile, self._unresolved_topic)
        snapshot = self._statistics.snapshot()
        return explain_loss(snapshot.stamps_ns, snapshot.lost)

    def discard(self, reason: DropReason) -> None:
        """Drop whatever waits."""
        for received in self.queue.drain():
            self._drop(received, reason)

    def close(self) -> None:
        """Unsubscribe; clouds that still wait are counted as dropped."""
        self._node.destroy_subscription(self._subscription)
        for received in self.queue.close():
            self._drop(received, DropReason.DEACTIVATED)

    def _receive(self, message: PointCloud2) -> None:
        self._has_arrived = True
        self._statistics.arrived(self._node.get_clock().now().nanoseconds, stamp_of(message))
        received = self._make(message)
        if not self.queue.put(received):
            self._drop(received, DropReason.DEACTIVATED)

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


def _ignore() -> None:
    pass
