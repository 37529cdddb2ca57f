# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Followed people as boxes, texts and trails that RViz and Foxglove can show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from pointata_core.evaluation.colours import colour_of_number
from pointata_core.inference.people.box import Box, box_of, moved
from pointata_core.inference.people.decision import UNKNOWN
from pointata_core.inference.people.people_session import ObservedPerson
from pointata_ros.node.people_messages import box_pose, box_size, point

_KINDS = ('box', 'text', 'trail')
_TRAIL_S = 5.0
_TRAIL_WIDTH_M, _TEXT_HEIGHT_M, _ABOVE_HEAD_M = 0.06, 0.35, 0.35
_SEEN, _HIDDEN = 0.45, 0.15  # opacity of boxes
_WHITE = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
_MOST_IDS = 2**31


class PeopleMarkers:
    """Makes the markers of one input, and remembers where people have been lately.

    Args:
        name: Begins the namespaces: nodes and inputs may share a topic.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Replaced as a whole: another thread may ask who is shown.
        self._trails: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}

    def messages(
        self,
        header: Header,
        stamp_ns: int,
        people: Sequence[ObservedPerson],
        actions: tuple[str, ...],
        to_cloud: NDArray[np.float64],
        lifetime_s: float,
    ) -> MarkerArray:
        """Markers of all people of a cloud; those of others are taken away.

        Args:
            header: Of the cloud.
            stamp_ns: Its stamp.
            people: By number.
            actions: Names of the actions.
            to_cloud: (4, 4) from the frame in which people are followed into that of the cloud.
            lifetime_s: Seconds after which markers disappear unless renewed.
        """
        before, self._trails = self._trails, self._longer(stamp_ns, people)
        gone = sorted(before.keys() - self._trails.keys())
        markers = [self._marker(header, kind, number) for number in gone for kind in _KINDS]
        for marker in markers:
            marker.action = Marker.DELETE
        for one in people:
            shown = [
                self._box(header, one, box_of(one, to_cloud)),
                self._text(header, one, box_of(one, to_cloud), actions),
                self._trail(header, one.person.number, to_cloud),
            ]
            for marker in shown:
                marker.lifetime = Duration(seconds=lifetime_s).to_msg()
            markers += shown
        return MarkerArray(markers=markers)

    def removal(self, header: Header) -> MarkerArray:
        """Takes everything away: the node stops, or what it showed belongs to another time."""
        numbers, self._trails = list(self._trails), {}
        markers = [self._marker(header, kind, number) for number in numbers for kind in _KINDS]
        for marker in markers:
            marker.action = Marker.DELETE
        return MarkerArray(markers=markers)

    def _longer(
        self, stamp_ns: int, people: Sequence[ObservedPerson]
    ) -> dict[int, list[tuple[int, NDArray[np.float64]]]]:
        """The trails with the places of now, without what is too old."""
        trails = {}
        for one in people:
            foot = one.person.centre - [0, 0, one.person.size[2] / 2]
            kept = self._trails.get(one.person.number, [])
            kept = [place for place in kept if 0 <= stamp_ns - place[0] <= _TRAIL_S * 1e9]
            trails[one.person.number] = [*kept, (stamp_ns, foot)]
        return trails

    def _marker(self, header: Header, kind: str, number: int) -> Marker:
        marker = Marker(header=header, ns=f'{self._name}/people/{kind}', id=number % _MOST_IDS)
        marker.pose.orientation.w = 1.0
        return marker

    def _box(self, header: Header, one: ObservedPerson, box: Box) -> Marker:
        number = one.person.number
        marker = self._marker(header, 'box', number)
        marker.type = Marker.CUBE
        marker.pose = box_pose(box)
        marker.scale = box_size(box)
        marker.color = _colour(number, _SEEN if len(one.person.rows) else _HIDDEN)
        return marker

    def _text(
        self, header: Header, one: ObservedPerson, box: Box, actions: tuple[str, ...]
    ) -> Marker:
        # Without the score, so that the text changes with the action alone.
        marker = self._marker(header, 'text', one.person.number)
        marker.type = Marker.TEXT_VIEW_FACING
        marker.text = str(one.person.number)
        if one.action != UNKNOWN:
            marker.text += f' {actions[one.action]}'
        upwards = (box.head - box.foot) / np.linalg.norm(box.head - box.foot)
        marker.pose.position = point(box.head + _ABOVE_HEAD_M * upwards)
        marker.scale.z = _TEXT_HEIGHT_M
        marker.color = _WHITE
        return marker

    def _trail(self, header: Header, number: int, to_cloud: NDArray[np.float64]) -> Marker:
        marker = self._marker(header, 'trail', number)
        marker.type = Marker.LINE_STRIP
        places = [place for _, place in self._trails[number]]
        # A line needs two points.
        marker.points = [point(moved(place, to_cloud)) for place in places[:1] + places]
        marker.scale.x = _TRAIL_WIDTH_M
        marker.color = _colour(number, 1.0)
        return marker


def _colour(number: int, opacity: float) -> ColorRGBA:
    red, green, blue = colour_of_number(number)
    return ColorRGBA(r=red, g=green, b=blue, a=opacity)
