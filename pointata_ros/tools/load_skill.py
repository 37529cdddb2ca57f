# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Running perception nodes load another bundle: parameter ``bundle``, then ``~/load_skill``."""

from __future__ import annotations

import time
from typing import Any

import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

_FOUND_S, _DONE_S = 5.0, 120.0  # until nodes are discovered; until one has loaded the bundle
_SERVICE = '/load_skill'


def load_into_nodes(bundle: str) -> list[dict[str, Any]]:
    """Let every node that offers ``~/load_skill`` load a bundle.

    Args:
        bundle: Absolute path on the machine of the nodes.

    Returns:
        For each node its ``node`` name, ``success`` and ``message``.
    """
    context = Context()
    rclpy.init(context=context)
    try:
        node = rclpy.create_node('pointata_teach', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        try:
            return [_load(node, executor, name, bundle) for name in _nodes(node, executor)]
        finally:
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def _nodes(node: Node, executor: SingleThreadedExecutor) -> list[str]:
    end = time.monotonic() + _FOUND_S
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    return sorted(
        name.removesuffix(_SERVICE)
        for name, types in node.get_service_names_and_types()
        if name.endswith(_SERVICE) and 'std_srvs/srv/Trigger' in types
    )


def _load(node: Node, executor: SingleThreadedExecutor, name: str, bundle: str) -> dict[str, Any]:
    chosen = [Parameter('bundle', value=bundle).to_parameter_msg()]
    set_ = _call(node, executor, SetParameters, f'{name}/set_parameters', parameters=chosen)
    if set_ is None or not set_.results[0].successful:
        reason = 'it does not answer' if set_ is None else set_.results[0].reason
        return {'node': name, 'success': False, 'message': f'bundle cannot be set: {reason}'}
    answer = _call(node, executor, Trigger, name + _SERVICE)
    if answer is None:
        return {'node': name, 'success': False, 'message': 'it does not answer'}
    return {'node': name, 'success': bool(answer.success), 'message': str(answer.message)}


def _call(node: Node, executor: SingleThreadedExecutor, kind: Any, name: str, **fields: Any) -> Any:
    """Answer of a service; ``None`` without one in time."""
    client = node.create_client(kind, name)
    try:
        if not client.wait_for_service(timeout_sec=_FOUND_S):
            return None
        future = client.call_async(kind.Request(**fields))
        executor.spin_until_future_complete(future, timeout_sec=_DONE_S)
        return future.result() if future.done() else None
    finally:
        node.destroy_client(client)
