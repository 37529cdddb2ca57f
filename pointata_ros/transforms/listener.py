# SPDX-License-Identifier: Apache-2.0
"""Listens to TF on a thread of its own. The node broadcasts no transform."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.executors import (
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
)
from rclpy.node import Node
from rclpy.time import Time

from pointata_core.errors import ConfigError
from pointata_core.inference.ego_motion import Pose
from pointata_ros.transforms.ego_motion import TransformMissing


class TransformListener:
    """Listens to /tf and /tf_static on a node and thread of its own.

    The listener of tf2_ros would spin the node it is given in a second executor, and a look-up
    polls while it waits; neither may happen on the executor thread of the perception node.

    Args:
        node: Perception node; gives its namespace and context to the private one.
        fixed_frame: Frame that stands still.
        timeout_s: Called at each look-up: seconds to wait for a transform.

    Raises:
        ConfigError: tf2_ros or tf_transformations is not installed.
    """

    def __init__(self, node: Node, fixed_frame: str, timeout_s: Callable[[], float]) -> None:
        try:
            import tf2_ros
            from tf_transformations import quaternion_matrix
        except ImportError as error:
            raise ConfigError(
                f"parameter fixed_frame is '{fixed_frame}', which needs the Python package "
                f'{error.name}, and it is not installed',
                'Install ros-$ROS_DISTRO-tf2-ros-py and ros-$ROS_DISTRO-tf-transformations, or '
                'leave fixed_frame empty',
            ) from error
        self._errors = tf2_ros.TransformException
        self._quaternion_matrix = quaternion_matrix
        self._fixed_frame = fixed_frame
        self._timeout_s = timeout_s
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
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(
            self._buffer, self._private_node, spin_thread=False
        )
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._private_node)
        self._thread = threading.Thread(target=self._spin, name='transforms', daemon=True)
        self._thread.start()

    def look_up(self, frame_id: str, stamp_ns: int) -> Pose:
        """Pose of ``frame_id`` in the fixed frame at ``stamp_ns``; waits up to the timeout.

        Raises:
            TransformMissing: There is none; the text names both frames and the reason.
        """
        try:
            stamped = self._buffer.lookup_transform(
                self._fixed_frame,
                frame_id,
                Time(nanoseconds=stamp_ns),
                timeout=Duration(seconds=self._timeout_s()),
            )
        except self._errors as error:
            age_s = (self._private_node.get_clock().now().nanoseconds - stamp_ns) * 1e-9
            raise TransformMissing(
                f"no transform from '{frame_id}' to '{self._fixed_frame}' for a cloud that is "
                f'{age_s:.3f} s old: {error}'
            ) from error
        return self._matrix(stamped)

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
        wait = Duration(seconds=timeout_s)
        try:
            stamped = self._buffer.lookup_transform_full(
                target[0],
                Time(nanoseconds=target[1]),
                source[0],
                Time(nanoseconds=source[1]),
                self._fixed_frame,
                wait,
            )
        except self._errors as error:
            raise TransformMissing(
                f"no transform from '{source[0]}' to '{target[0]}': {error}"
            ) from error
        return self._matrix(stamped)

    def clear(self) -> None:
        """Forget every transform: the clock jumped."""
        self._buffer.clear()

    def close(self) -> None:
        """Stop listening and end the thread."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=2.0)
        self._private_node.destroy_node()

    def _matrix(self, stamped: TransformStamped) -> np.ndarray:
        rotation, translation = stamped.transform.rotation, stamped.transform.translation
        pose = self._quaternion_matrix((rotation.x, rotation.y, rotation.z, rotation.w))
        pose[:3, 3] = translation.x, translation.y, translation.z
        return pose

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException, ShutdownException):
            self._executor.spin()


def _remappings(node: Node, topics: tuple[str, ...]) -> list[str]:
    """Arguments that remap ``topics`` as ``node`` does."""
    return [
        part for topic in topics for part in ('-r', f'{topic}:={node.resolve_topic_name(topic)}')
    ]
