# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The messages in which the clouds of an input come, and how they become a PointCloud2.

The conversion is that of ``pointata evaluate``, so that a recording gives the same labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from pointata_core.errors import ConfigError
from pointata_core.io.cloud import CloudLimits, Rejected, RejectReason
from pointata_core.io.messages.cloud_conversion import to_point_cloud
from pointata_core.io.messages.depth_image import Intrinsics, intrinsics_of
from pointata_core.io.messages.livox_cloud import read_livox
from pointata_core.io.messages.message_types import DEPTH_TYPES, LIVOX_CLOUDS
from pointata_ros.message_classes import input_class
from pointata_ros.qos import overrides


class CloudSource:
    """One kind of message, for one activation.

    Args:
        node: The node that subscribes.
        base: ``~`` or ``~/NAME``; the calibration of depth images comes on
            ``BASE/input/camera_info``.
        input_type: A key of ``INPUT_TYPES``.
        profile: Quality of service of the input.

    Attributes:
        type_name: Such as ``sensor_msgs/msg/PointCloud2``.
        message_class: Of that type.
        calibrated: Called when a calibration has come.

    Raises:
        ConfigError: The package of the messages is not installed.
    """

    def __init__(self, node: Node, base: str, input_type: str, profile: QoSProfile) -> None:
        self._node = node
        self.type_name, self.message_class = input_class(input_type)
        self.calibrated: Callable[[], None] = lambda: None
        self._intrinsics: Intrinsics | None = None
        self._refused = ''
        self._subscription = None
        if self.type_name in DEPTH_TYPES:
            self._subscription = node.create_subscription(
                CameraInfo,
                f'{base}/input/camera_info',
                self._take_info,
                profile,
                qos_overriding_options=overrides(),
            )

    @property
    def is_raw(self) -> bool:
        """Whether messages come as bytes: rclpy needs too long for one object per point."""
        return self.type_name in LIVOX_CLOUDS

    @property
    def missing(self) -> str:
        """What must come before clouds can be read, in words; empty if nothing must."""
        if self._subscription is None or self._intrinsics is not None:
            return ''
        topic = self._subscription.topic_name
        if self._refused:
            return f'depth images need a calibration, and {topic} has none: {self._refused}'
        return f'depth images need a calibration, and no camera_info has come on {topic}: remap it'

    def read(self, message: Any) -> Any | Rejected:
        """What has come, as an object with ``header``, ``width`` and ``height``."""
        if not self.is_raw:
            return message
        try:
            cloud = read_livox(message)
            stamp = Time(sec=cloud.header.stamp.sec, nanosec=cloud.header.stamp.nanosec)
            cloud.header = Header(stamp=stamp, frame_id=cloud.header.frame_id)
        except (ValueError, AssertionError) as error:
            return Rejected(RejectReason.NOT_A_CLOUD, f'{self.type_name}: {error}')
        return cloud

    def convert(self, message: Any, limits: CloudLimits) -> Any | Rejected:
        """The PointCloud2, or why there is none; on any thread."""
        if self.missing:
            return Rejected(RejectReason.NO_CALIBRATION, self.missing)
        try:
            return to_point_cloud(message, self.type_name, self._intrinsics, limits)
        except ConfigError as error:
            return Rejected(RejectReason.NOT_A_CLOUD, f'{error.message}. {error.fix}')

    def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def _take_info(self, message: CameraInfo) -> None:
        try:
            self._intrinsics = intrinsics_of(message)
        except ValueError as error:
            self._refused = str(error)
        else:
            self.calibrated()
