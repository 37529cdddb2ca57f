# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Listens to TF on a thread of its own. The node broadcasts no transform.

The buffer is the one that evaluates recordings, so live and offline motions are the same numbers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.executors import (
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
)
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from pointata_core.inference.ego_motion import Pose
from pointata_core.io.transforms import TransformBuffer, TransformError
from pointata_ros.transforms.ego_motion import TransformMissing

_DEPTH = 100  # as tf2_ros has it
_TICK_S = 0.02


class TransformListener:
    """Listens to /tf and /tf_static on a node and thread of its own.

    Args:
        node: Perception node; gives its namespace and context to the private one.
        fixed_frame: Frame that stands still.
        keep_s: Seconds of transforms that are kept.
        warn: Called with a kind and a sentence; throttled by the callee.
    """

    def __init__(
        self, node: Node, fixed_frame: str, keep_s: float, warn: Callable[[str, str], None]
    ) -> None:
        self._fixed_frame = fixed_frame
        self._warn = warn
        self._changed = threading.Condition()
        self._buffer = TransformBuffer(round(keep_s * 1e9))
        self._refused = 0
        self._waiting: tuple[Callable[[], None], ...] = ()
        self._private_node = Node(
            f'{node.get_name()}_transforms',
            namespace=node.get_namespace(),
            context=node.context,
            parameter_overrides=[node.get_parameter('use_sim_time')],
            # The node's own arguments would rename this one too; only its remappings matter.
            use_global_arguments=False,
            cli_args=['--ros-args', *_remappings(node, ('/tf', '/tf_static'))],
            start_parameter_services=False,
        )
        latched = QoSProfile(depth=_DEPTH, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        subscribe = self._private_node.create_subscription
        subscribe(TFMessage, '/tf', self._take, QoSProfile(depth=_DEPTH))
        subscribe(TFMessage, '/tf_static', self._take_static, latched)
        # Who waits gives up some time, even if no transform comes any more.
        self._private_node.create_timer(
            _TICK_S, self._wake, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._private_node)
        self._thread = threading.Thread(target=self._spin, name='transforms', daemon=True)
        self._thread.start()

    def call_on_change(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the thread of the listener after each message, and now and then."""
        self._waiting += (callback,)

    def stop_calling(self, callback: Callable[[], None]) -> None:
        """Undo :meth:`call_on_change`."""
        self._waiting = tuple(one for one in self._waiting if one != callback)

    def missing_s(self, frame_id: str, stamp_ns: int) -> float | None:
        """Seconds by which the known transforms end before a cloud; 0 if they do not.

        Returns:
            ``None`` if the frame is not connected to the fixed frame.
        """
        with self._changed:
            missing_ns = self._buffer.missing_ns(self._fixed_frame, frame_id, stamp_ns)
        return None if missing_ns is None else missing_ns * 1e-9

    def look_up(self, frame_id: str, stamp_ns: int) -> Pose:
        """Pose of ``frame_id`` in the fixed frame at ``stamp_ns``; does not wait.

        Raises:
            TransformMissing: There is none; the text names both frames and the reason.
        """
        try:
            with self._changed:
                return self._buffer.lookup(self._fixed_frame, frame_id, stamp_ns)
        except TransformError as error:
            age_s = (self._private_node.get_clock().now().nanoseconds - stamp_ns) * 1e-9
            raise TransformMissing(
                f"no transform from '{frame_id}' to '{self._fixed_frame}' for a cloud that is "
                f'{age_s:.3f} s old: {error.message}'
            ) from error

    def between(
        self, target: tuple[str, int], source: tuple[str, int], timeout_s: float = 0.0
    ) -> np.ndarray:
        """Where things of one frame are in another, (4, 4).

        Args:
            target: Frame that points are wanted in, and a time in nanoseconds.
            source: Frame of the points, and their time; what is known of the fixed frame at both
                times gives the motion of the sensors meanwhile.
            timeout_s: How long to wait.

        Raises:
            TransformMissing: There is none; the text names both frames and the reason.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._between(target, source)[0] is not None, timeout_s)
            matrix, reason = self._between(target, source)
        if matrix is None:
            raise TransformMissing(f"no transform from '{source[0]}' to '{target[0]}': {reason}")
        return matrix

    def clear(self) -> None:
        """Forget every transform that is not static: the clock jumped."""
        with self._changed:
            self._buffer.clear_moving()

    def close(self) -> None:
        """Stop listening and end the thread."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=2.0)
        self._private_node.destroy_node()

    def _between(
        self, target: tuple[str, int], source: tuple[str, int]
    ) -> tuple[np.ndarray | None, str]:
        fixed = self._fixed_frame
        try:
            if target[1] == source[1]:
                return self._buffer.lookup(target[0], source[0], source[1]), ''
            into_target = self._buffer.lookup(target[0], fixed, target[1])
            return into_target @ self._buffer.lookup(fixed, source[0], source[1]), ''
        except TransformError as error:
            return None, error.message

    def _take_static(self, message: TFMessage) -> None:
        self._take(message, static=True)

    def _take(self, message: TFMessage, static: bool = False) -> None:
        with self._changed:
            self._buffer.add_message(message, static=static)
            self._changed.notify_all()
            refused = self._buffer.refused.copy()
        if refused.total() > self._refused:
            self._refused = refused.total()
            listed = ', '.join(f'{count} {reason}' for reason, count in sorted(refused.items()))
            self._warn('transforms', f'transforms that cannot be used so far: {listed}')
        self._wake()

    def _wake(self) -> None:
        for callback in self._waiting:
            callback()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException, ShutdownException):
            self._executor.spin()


def _remappings(node: Node, topics: tuple[str, ...]) -> list[str]:
    """Arguments that remap ``topics`` as ``node`` does."""
    return [
        part for topic in topics for part in ('-r', f'{topic}:={node.resolve_topic_name(topic)}')
    ]
