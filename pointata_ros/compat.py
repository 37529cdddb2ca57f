# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every difference between ROS distributions, in one place.

Each branch tests for the feature it needs, never for the name of a distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, ParameterEvent
from rclpy.node import Node
from rclpy.parameter import Parameter


def after_parameters_change(node: Node, callback: Callable[[], None]) -> None:
    """Call ``callback`` each time parameters of ``node`` have changed.

    rclpy has a post-set callback since Iron; before that the node listens to its own parameter
    events, so the call comes a moment later.
    """
    if hasattr(node, 'add_post_set_parameters_callback'):
        node.add_post_set_parameters_callback(lambda _: callback())
    else:
        listen_to_parameter_events(node, callback)


def listen_to_parameter_events(node: Node, callback: Callable[[], None]) -> None:
    """The way of distributions without post-set callbacks; see :func:`after_parameters_change`."""
    own_name = node.get_fully_qualified_name()

    def on_event(event: ParameterEvent) -> None:
        if event.node == own_name and event.changed_parameters:
            callback()

    node.create_subscription(ParameterEvent, '/parameter_events', on_event, 10)


def values_given_at_start(node: Node) -> Collection[str]:
    """Names of the parameters that got a value on the command line or from a file.

    rclpy has no public way to distinguish a default from a given value that equals it.
    """
    return node._parameter_overrides.keys()


def value_given_at_start(node: Node, name: str) -> Any:
    """The value which the outside gave to ``name``, whatever its type."""
    return node._parameter_overrides[name].value


def declare_strings(
    node: Node, name: str, value: Sequence[str], descriptor: ParameterDescriptor
) -> None:
    """Declare a list of strings that keeps its type while it is empty.

    rclpy takes an empty list for a list of bytes, and a parameter file hands it over without any
    type at all; so the type is declared first, and the value is set once it is known.
    """
    strings = Parameter.Type.STRING_ARRAY
    descriptor.type = strings.value
    writable = copy(descriptor)
    writable.read_only = False
    node.declare_parameter(name, strings, writable, ignore_override=True)
    node.set_parameters_atomically([Parameter(name, strings, list(value))])
    node.set_descriptor(name, descriptor)


def subscription_callbacks(incompatible_qos: Callable, message_lost: Callable) -> Any:
    """Event callbacks of a subscription, without those that this middleware lacks."""
    try:
        from rclpy.event_handler import SubscriptionEventCallbacks
    except ImportError:  # Humble
        from rclpy.qos_event import SubscriptionEventCallbacks
    return SubscriptionEventCallbacks(incompatible_qos=incompatible_qos, message_lost=message_lost)
