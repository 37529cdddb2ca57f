# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A perception node in this process, and a client that talks to it over real DDS."""

from __future__ import annotations

import itertools
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from benchmarks.robustness.ros_graph import (
    LATCHED_ALL,
    PATIENCE_S,
    RELIABLE_ALL,
    Collector,
    Peer,
    wait_until,
)
from pointata_ros.health.statistics import Statistics
from pointata_ros.node.perception_node import PerceptionNode
from pointata_ros.node.stream import Stream

_numbers = itertools.count()


class Bench:
    """A perception node with these parameters, and a client that talks to it."""

    def __init__(self, name: str = '', **parameters: Any) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        number = next(_numbers)
        self._client = Peer(self._plain_node(f'client_{number}'))
        self._log: list[Log] = []
        # Not pytest's capture: it empties its file after reading and loses what comes in between.
        self._client.node.create_subscription(Log, '/rosout', self._log.append, LATCHED_ALL)
        # Tests compare with sessions of bundles as `load_bundle` gives them.
        values = {'precision': 'float32', **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        try:
            self.node = PerceptionNode(
                name or f'perception_{number}', context=self.context, parameter_overrides=overrides
            )
        except BaseException:
            self._client.close()
            rclpy.shutdown(context=self.context)
            raise
        self._peer = Peer(self.node)
        self.name = self.node.get_fully_qualified_name()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        # No timer may publish while the node destroys its publishers, as in main.
        self._peer.stop()
        self.node.release()
        self._peer.close()
        self._client.close()
        rclpy.shutdown(context=self.context)

    def _plain_node(self, name: str) -> Node:
        return Node(name, context=self.context, use_global_arguments=False)

    @property
    def stream(self) -> Stream:
        """The input of a node that has one."""
        (stream,) = self.node.streams
        return stream

    def begin_afresh(self) -> None:
        """Leave an active node with an empty history and all counters at zero."""
        assert self.change('deactivate')
        self.stream.statistics = Statistics()
        assert self.change('activate')

    def topic(self, name: str) -> str:
        return f'{self.name}/{name}'

    def collect(self, name: str, kind: type, qos: QoSProfile = RELIABLE_ALL) -> Collector:
        """Subscribe to a topic of the node; returns once they are connected."""
        collector = Collector()
        subscription = self._client.node.create_subscription(
            kind, self.topic(name), collector.messages.append, qos
        )
        wait_until(subscription.get_publisher_count, f'a publisher of {name}')
        # The publisher may learn of the subscriber a little later than the other way round.
        wait_until(lambda: self._heard(self.topic(name)), f'{name} to see its subscriber')
        return collector

    def _heard(self, topic: str) -> bool:
        publishers = [one for one in list(self.node.publishers) if one.topic_name == topic]
        return any(one.get_subscription_count() for one in publishers)

    def publisher(self, qos: QoSProfile = RELIABLE_ALL, name: str = 'input/points'):
        """A publisher of clouds that the node hears."""
        topic = self.topic(name)
        publisher = self._client.node.create_publisher(PointCloud2, topic, qos)
        wait_until(publisher.get_subscription_count, 'the node to subscribe')
        subscriptions = self.node.subscriptions
        wait_until(
            lambda: any(
                one.topic_name == topic and one.get_publisher_count() for one in list(subscriptions)
            ),
            'the node to see the publisher',
        )
        return publisher

    def settle(self) -> None:
        """Wait until every cloud that reached the node has met its end; forget all connections."""

        def is_settled() -> bool:
            now = [one.statistics.snapshot() for one in self.node.streams]
            return all(
                one.received == one.published + one.dropped.total() + one.rejected.total()
                for one in now
            )

        client = self._client.node
        for publisher in list(client.publishers):
            if publisher.topic_name.startswith(f'{self.name}/'):
                self._client.destroy(publisher)
        wait_until(is_settled, 'the last clouds to be accounted for')
        for subscription in list(client.subscriptions):
            if subscription.topic_name.startswith(f'{self.name}/'):
                self._client.destroy(subscription)

    def call(self, kind: type, name: str, request: Any) -> Any:
        client = self._client.node.create_client(kind, self.topic(name))
        assert client.wait_for_service(PATIENCE_S), f'no service {name}'
        future = client.call_async(request)
        wait_until(future.done, f'service {name}')
        self._client.destroy(client)
        return future.result()

    def state(self) -> str:
        return self.call(GetState, 'get_state', GetState.Request()).current_state.label

    def wait_for_state(self, label: str) -> None:
        wait_until(lambda: self.state() == label, f'state {label}')

    def change(self, transition: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = transition
        return self.call(ChangeState, 'change_state', request).success

    def load_skill(self) -> Trigger.Response:
        return self.call(Trigger, 'load_skill', Trigger.Request())

    def set(self, **values: Any):
        """Set parameters as a ROS client does; returns the list of results."""
        request = SetParameters.Request(
            parameters=[Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        )
        return self.call(SetParameters, 'set_parameters', request).results

    def wait_for_log(self, text: str) -> str:
        """Wait until the node has logged ``text``; returns all that it has logged till then."""
        name = self.node.get_logger().name

        def log() -> str:
            return '\n'.join(one.msg for one in list(self._log) if one.name == name)

        wait_until(lambda: text in log(), f'{text!r} in the log')
        return log()

    def diagnostics(self, status: str) -> dict[str, str]:
        """Key-values of the next diagnostics of the node; 'level' and 'message' among them."""
        seen: list[DiagnosticArray] = []
        subscription = self._client.node.create_subscription(
            DiagnosticArray, '/diagnostics', seen.append, 10
        )
        wanted = f'{self.name.lstrip("/")}: {status}'

        def find():
            return next((s for m in list(seen) for s in m.status if s.name == wanted), None)

        found = wait_until(find, f'diagnostics of {status}')
        self._client.destroy(subscription)
        values = {pair.key: pair.value for pair in found.values}
        return values | {'level': found.level[0], 'message': found.message}
