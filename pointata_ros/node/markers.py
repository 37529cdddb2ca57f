# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The current action as text that RViz and Foxglove can show above the sensor."""

from __future__ import annotations

from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

_TEXT_HEIGHT_M = 0.6
_ABOVE_SENSOR_M = 2.0
_WHITE = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)


def action_markers(
    node_name: str, header: Header, action: str, score: float, lifetime_s: float
) -> MarkerArray:
    """One text marker with the most probable action.

    Args:
        node_name: Fully qualified name of the node: the marker's namespace, so that several nodes
            may share a topic.
        header: Header of the cloud.
        action: Class name.
        score: Its probability.
        lifetime_s: Seconds after which it disappears unless renewed.
    """
    marker = _action_marker(node_name, header)
    marker.action = Marker.ADD
    marker.type = Marker.TEXT_VIEW_FACING
    marker.text = f'{action} {score:.0%}'
    marker.scale.z = _TEXT_HEIGHT_M
    marker.pose.position.z = _ABOVE_SENSOR_M
    marker.pose.orientation.w = 1.0
    marker.color = _WHITE
    marker.lifetime = Duration(seconds=lifetime_s).to_msg()
    return MarkerArray(markers=[marker])


def removal(node_name: str, header: Header) -> MarkerArray:
    """Takes the text away: the node stops, or what it showed belongs to another time."""
    marker = _action_marker(node_name, header)
    marker.action = Marker.DELETE
    return MarkerArray(markers=[marker])


def _action_marker(node_name: str, header: Header) -> Marker:
    return Marker(header=header, ns=f'{node_name}/action', id=0)
