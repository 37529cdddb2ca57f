# SPDX-License-Identifier: Apache-2.0
"""The cloud subscription: takes a reference to each message and hands it to the mailbox."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind
from sensor_msgs.msg import PointCloud2

from pointata_ros.compat import subscription_callbacks
from pointata_ros.health.hints import explain_loss, explain_silence
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node.arrival import Arrival
from pointata_ros.node.gate import GatedCallbackGroup
from pointata_ros.node.input_queue import Mailbox
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import input_profile, overrides


class CloudInput:
    """Subscription and mailbox of one activation.

    Args:
        node: The node that listens.
        topic: Where clouds come from, as the node writes it.
        settings: Policy and queue size.
        take_in: Called with every message, for what the mailbox hands over.
        statistics: Where clouds are counted.
        warn: Called with a kind and a sentence; throttled by the callee.
        changed: What the mailbox notifies.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        settings: NodeSettings,
        take_in: Callable[[PointCloud2], Arrival],
        statistics: Statistics,
        warn: Callable[[str, str], None],
        changed: threading.Condition,
    ) -> None:
        self._node = node
        self._unresolved_topic = topic
        self._take_in = take_in
        self._statistics = statistics
        self._warn = warn
        self._has_arrived = False
        self.profile: QoSProfile = input_profile(settings.policy, settings.queue_size)
        self.mailbox: Mailbox[Arrival] = Mailbox(
            settings.policy,
            settings.queue_size,
            on_overflow=lambda arrival: self._drop(arrival, DropReason.OVERFLOW),
            # The gate of ``latest`` never closes; waking for nothing costs a millisecond a cloud.
            on_room=self._wake_executor if settings.policy == 'block' else _ignore,
            changed=changed,
        )
        is_open = (lambda: self.mailbox.has_room) if settings.policy == 'block' else (lambda: True)
        self._subscription = node.create_subscription(
            PointCloud2,
            topic,
            self._receive,
            self.profile,
            callback_group=GatedCallbackGroup(is_open),
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
        for arrival in self.mailbox.drain():
            self._drop(arrival, reason)

    def close(self) -> None:
        """Stop listening; clouds that still wait are counted as dropped."""
        self._node.destroy_subscription(self._subscription)
        for arrival in self.mailbox.close():
            self._drop(arrival, DropReason.DEACTIVATED)

    def _receive(self, message: PointCloud2) -> None:
        self._has_arrived = True
        stamp = message.header.stamp
        self._statistics.arrived(
            self._node.get_clock().now().nanoseconds, stamp.sec * 1_000_000_000 + stamp.nanosec
        )
        arrival = self._take_in(message)
        if not self.mailbox.put(arrival):
            self._drop(arrival, DropReason.DEACTIVATED)

    def _drop(self, arrival: Arrival, reason: DropReason) -> None:
        arrival.abandon()
        self._statistics.dropped(reason)

    def _meet_incompatible(self, event) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._warn('incompatible', f'a publisher does not fit ({policy}): {self.hint()}')

    def _lose(self, event) -> None:
        self._statistics.lost(event.total_count_change)

    def _wake_executor(self) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.wake()


def _ignore() -> None:
    pass
