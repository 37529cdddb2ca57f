# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera sits, from ``/tf_static`` alone.

A mounting hardly ever moves, and then nothing of tf2 is needed: no package, no thread, no history.
A camera that moves against the LiDAR, and clouds and images taken on the move at different times,
need the parameter ``fixed_frame`` and :class:`~pointata_ros.transforms.listener.TransformListener`.
"""

from __future__ import annotations

import threading

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from tf2_msgs.msg import TFMessage

from pointata_core.io.transforms import TransformBuffer, TransformError
from pointata_ros.transforms.ego_motion import TransformMissing

_PROFILE = QoSProfile(
    depth=100,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
)


class StaticMountings:
    """Listens to ``/tf_static``; look-ups may come from any thread.

    Args:
        node: The node that listens.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._changed = threading.Condition()
        self._transforms = TransformBuffer()
        self._subscription = node.create_subscription(TFMessage, '/tf_static', self._take, _PROFILE)

    def between(
        self, target: tuple[str, int], source: tuple[str, int], timeout_s: float = 0.0
    ) -> np.ndarray:
        """Where things of one frame are in another, (4, 4).

        Args:
            target: Frame that points are wanted in, and a time, which does not matter here.
            source: Frame of the points, and a time.
            timeout_s: How long to wait.

        Raises:
            TransformMissing: There is none; the text names both frames and the reason.
        """
        frames = target[0], source[0]
        with self._changed:
            if timeout_s > 0:
                self._changed.wait_for(lambda: self._find(*frames)[0] is not None, timeout_s)
            matrix, reason = self._find(*frames)
        if matrix is None:
            raise TransformMissing(
                f"no transform from '{frames[1]}' to '{frames[0]}' on /tf_static: {reason}"
            )
        return matrix

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

    def _find(self, target: str, source: str) -> tuple[np.ndarray | None, str]:
        try:
            return self._transforms.lookup(target, source, 0), ''
        except TransformError as error:
            return None, error.message

    def _take(self, message: TFMessage) -> None:
        with self._changed:
            self._transforms.add_message(message, static=True)
            self._changed.notify_all()
