# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The subscriptions of one input's camera, and the image that belongs to a cloud.

Images are decoded when a cloud needs them, on the worker: most never are.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pointata_core.errors import ConfigError
from pointata_core.inference.camera_calibration import (
    CalibrationError,
    Camera,
    camera_from_info,
    parse_pose,
)
from pointata_core.inference.frames import CameraView, PendingResult
from pointata_core.io.cloud import Cloud
from pointata_core.io.messages.image_message import (
    RejectedImage,
    decode_compressed_image,
    decode_image,
)
from pointata_core.io.messages.stamps import stamp_of
from pointata_ros.camera.pairs import CameraPairs, ExpectedImage
from pointata_ros.flow_control import FlowControlledGroup
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import input_profile, overrides
from pointata_ros.transforms.ego_motion import TransformMissing
from pointata_ros.transforms.listener import TransformListener
from pointata_ros.transforms.static_mountings import StaticMountings


class CameraInput:
    """Images and calibration beside the clouds of one input, for one activation.

    Args:
        node: The node that listens.
        base: ``~`` or ``~/NAME``; images come on ``BASE/input/image``, calibrations on
            ``BASE/input/camera_info``.
        settings: Called for the parameters as they are now.
        pairs: Where images go, and where everything is counted.
        mountings: Where the mounting of the camera comes from, unless it is a parameter.
        warn: Called with a kind and a sentence; throttled by the callee.
        has_waiting: Whether clouds wait for the worker. Under ``block`` images that are far ahead
            of the clouds are then left in the middleware, as clouds are.

    Raises:
        ConfigError: The parameter camera_extrinsics is no pose, or Pillow is missing.
    """

    def __init__(
        self,
        node: Node,
        base: str,
        settings: Callable[[], NodeSettings],
        pairs: CameraPairs,
        mountings: TransformListener | StaticMountings | None,
        warn: Callable[[str, str], None],
        has_waiting: Callable[[], bool],
    ) -> None:
        now = settings()
        check_camera_settings(now)
        self._node, self._settings, self._warn = node, settings, warn
        self.pairs, self._mountings = pairs, mountings
        self._extrinsics = parse_pose(now.camera_extrinsics) if now.camera_extrinsics else None
        self._is_compressed = now.image_transport == 'compressed'
        self._info: CameraInfo | None = None
        self._camera: tuple[CameraInfo, Camera] | None = None
        holds_back = now.policy == 'block'
        flow_control = FlowControlledGroup(
            lambda: not (holds_back and pairs.is_ahead and has_waiting())
        )
        image_type = CompressedImage if self._is_compressed else Image
        self._subscriptions = [
            node.create_subscription(
                kind,
                f'{base}/input/{name}',
                callback,
                input_profile(now.policy, now.queue_size),
                callback_group=group,
                qos_overriding_options=overrides(),
            )
            for kind, name, callback, group in (
                (CameraInfo, 'camera_info', self._take_info, None),
                (image_type, 'image', self._take_image, flow_control),
            )
        ]

    @property
    def topics(self) -> tuple[str, str]:
        """Resolved names of the topics of calibrations and of images."""
        info, image = (one.topic_name for one in self._subscriptions)
        return info, image

    def expect(self, stamp_ns: int) -> ExpectedImage | None:
        """A cloud arrived: look for its image from now on."""
        return self.pairs.expect(stamp_ns, self._settings().image_wait)

    def view(self, image: ExpectedImage | None, cloud: Cloud) -> CameraView | None:
        """What the camera saw of a cloud; None (counted, and logged) if that is unknown."""
        found = None if image is None else self.pairs.take(image)
        if found is None:
            self._without('missing', self._why_none(cloud.stamp_ns))
            return None
        stamp_ns, message = found
        decode = decode_compressed_image if self._is_compressed else decode_image
        pixels = decode(message)
        if isinstance(pixels, RejectedImage):
            text = f'{self.topics[1]}: image refused: {pixels}'
            self._without('undecodable', text, str(pixels.reason))
            return None
        try:
            camera, frame_id = self._calibration()
            view = CameraView(pixels, camera, self._placement(frame_id, stamp_ns, cloud))
        except CalibrationError as error:
            self._without('uncalibrated', f'{self.topics[0]}: {error}')
            return None
        except TransformMissing as error:
            self._without('no_transform', f'{error}; publish it, or set camera_extrinsics')
            return None
        self.pairs.count('paired', offset_ns=stamp_ns - cloud.stamp_ns)
        return view

    def count(self, pending: PendingResult) -> None:
        """Count the points of a prediction, and those of them that the camera saw."""
        result = pending.result()
        self.pairs.count_points(len(result.labels), result.points_with_camera)

    def close(self) -> None:
        """Stop listening."""
        for one in self._subscriptions:
            self._node.destroy_subscription(one)

    def _without(self, outcome: str, why: str, reason: str = '') -> None:
        text = f'labelled by the LiDAR alone: {why}'
        self.pairs.count(outcome, text)
        self._warn(f'camera.{outcome}.{reason}', text)

    def _why_none(self, stamp_ns: int) -> str:
        topic = self.topics[1]
        if self.pairs.snapshot().images:
            return f'{topic}: {self.pairs.why_none(stamp_ns)}'
        if not self._node.count_publishers(topic):
            return f'no publisher of images on {topic}: start the camera, or remap ~/input/image'
        return f'no image has arrived on {topic}: type or quality of service may not fit'

    def _calibration(self) -> tuple[Camera, str]:
        info = self._info
        if info is None:
            raise CalibrationError(
                'no camera_info has arrived', 'Publish it beside the images, or remap the topic'
            )
        if self._camera is None or self._camera[0] is not info:
            self._camera = info, camera_from_info(info, self._settings().image_rectified)
        return self._camera[1], info.header.frame_id

    def _placement(self, frame_id: str, stamp_ns: int, cloud: Cloud) -> np.ndarray:
        if self._extrinsics is not None:
            return self._extrinsics
        if self._mountings is None:
            raise TransformMissing('no transforms are received')
        settings = self._settings()
        # Under latest a cloud is never held back for a transform.
        timeout_s = settings.transform_timeout if settings.policy == 'block' else 0.0
        return self._mountings.between(
            (frame_id, stamp_ns), (cloud.frame_id, cloud.stamp_ns), timeout_s
        )

    def _take_info(self, message: CameraInfo) -> None:
        self._info = message

    def _take_image(self, message: Any) -> None:
        self.pairs.arrived(stamp_of(message), message)


class NoCamera:
    """The input has no camera."""

    def expect(self, stamp_ns: int) -> ExpectedImage | None:
        """No image."""
        return None

    def view(self, image: ExpectedImage | None, cloud: Cloud) -> CameraView | None:
        """Nothing was seen."""
        return None

    def count(self, pending: PendingResult) -> None:
        """Nothing to count."""


def check_camera_settings(settings: NodeSettings) -> None:
    """Refuse parameters that cannot work, before anything is loaded.

    Raises:
        ConfigError: The parameter camera_extrinsics is no pose, or Pillow is missing.
    """
    if settings.camera_extrinsics:
        parse_pose(settings.camera_extrinsics)
    if settings.image_transport == 'compressed' and importlib.util.find_spec('PIL') is None:
        raise ConfigError(
            "parameter image_transport is 'compressed', which needs the package pillow",
            'Install it (pip install pillow), or subscribe to raw images',
        )
