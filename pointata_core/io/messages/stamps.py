# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The time stamps of ROS messages."""

from __future__ import annotations

from typing import Any


def stamp_of(message: Any) -> int:
    """Nanoseconds of the stamp in the header of a message of rclpy or rosbags."""
    stamp = message.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec
