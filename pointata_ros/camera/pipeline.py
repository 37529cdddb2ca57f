# SPDX-License-Identifier: Apache-2.0
"""What happens to one cloud where a camera belongs to the input: the same, with its image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import PointCloud2

from pointata_core.inference.session import FrameResult, Skipped
from pointata_core.io.cloud import Cloud
from pointata_ros.camera.input import CameraInput
from pointata_ros.camera.pairs import Expected
from pointata_ros.node.arrival import Arrival, Decoded
from pointata_ros.node.pipeline import Pipeline
from pointata_ros.node.transforms import Motion


class CameraArrival(Arrival):
    """A cloud as it reached the node, and the image that it waits for.

    Args:
        message: The message, not yet looked into.
        expected: Its image, come or to come.
    """

    def __init__(self, message: PointCloud2, expected: Expected) -> None:
        super().__init__(message)
        self.expected = expected


class CameraPipeline(Pipeline):
    """Takes clouds and their images through one session. Not thread-safe: the worker owns it.

    Args:
        camera: Where images come from.
        rest: As :class:`~pointata_ros.node.pipeline.Pipeline` takes it.
    """

    def __init__(self, camera: CameraInput, *rest: Any) -> None:
        super().__init__(*rest)
        self._camera = camera

    def receive(self, message: PointCloud2) -> Arrival:
        """Take a message in, and look for its image from now on; on any thread."""
        stamp = message.header.stamp
        return CameraArrival(
            message, self._camera.expect(stamp.sec * 1_000_000_000 + stamp.nanosec)
        )

    def _step(
        self, arrival: Arrival, decoded: Decoded, cloud: Cloud, motion: Motion
    ) -> Callable[[], FrameResult] | Skipped:
        result = self.session.step(
            cloud.points,
            cloud.stamp_ns,
            frame_id=cloud.frame_id,
            view=self._camera.view(arrival.expected, cloud),
        )
        if isinstance(result, Skipped):
            return result
        self._camera.pairs.answered(len(cloud), result.with_camera)
        return lambda: result
