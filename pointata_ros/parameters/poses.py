# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses in parameters: of a LiDAR before its camera, and of each sensor in a frame with z up.

This module does not import ROS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointata_core.errors import ConfigError
from pointata_core.inference.camera_calibration import parse_pose
from pointata_core.inference.placement import (
    OPTICAL,
    UNPLACED,
    Placement,
    parse_placement,
    parse_sensor_pose,
)
from pointata_core.io.messages.message_types import DEPTH_TYPES, INPUT_TYPES
from pointata_ros.parameters.input_types import input_types_in
from pointata_ros.parameters.rules import one_for_each


def refuse_pose(text: str) -> str:
    """Why a text is no pose, empty if it is one or is empty."""
    try:
        if text:
            parse_pose(text)
    except ConfigError as error:
        return error.message
    return ''


def refuse_sensor_poses(text: str) -> str:
    """Why a text is not one ``x y z roll pitch yaw`` or several, empty if it is or is empty."""
    try:
        for pose in _split(text):
            parse_sensor_pose(pose)
    except ConfigError as error:
        return f'{error.message}. {error.fix}'
    return ''


def placements(scale: float, poses: str, target_frame: str, inputs: int) -> list[Placement]:
    """The placement of each input, without what transforms give.

    Args:
        scale: Parameter ``input_scale``.
        poses: Parameter ``sensor_pose``: one for all inputs, or one for each.
        target_frame: Parameter of that name.
        inputs: How many there are.

    Raises:
        ConfigError: There are as many poses as no number of inputs fits, or a frame as well.
    """
    each = one_for_each('sensor_pose', _split(poses) or [''], inputs)
    return [parse_placement(scale, pose, target_frame) for pose in each]


def placements_in(values: Mapping[str, Any]) -> list[Placement]:
    """The placement of each input; see :func:`placements`.

    Points of a depth image have the axes of its camera, unless something else is given.
    """
    found = placements(
        values.get('input_scale', 1.0),
        values['sensor_pose'],
        values.get('target_frame', ''),
        len(values.get('inputs', ())) or 1,
    )
    return [
        OPTICAL if one is UNPLACED and INPUT_TYPES[kind][0] in DEPTH_TYPES else one
        for one, kind in zip(found, input_types_in(values), strict=True)
    ]


def _split(text: str) -> list[str]:
    return text.split(';') if text.strip() else []
