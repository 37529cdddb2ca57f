# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The people of one input: followed behind the labels of each cloud, published and counted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from pointata_core.errors import ConfigError
from pointata_core.inference.frames import FrameResult
from pointata_core.inference.people.people_session import ObservedPerson, PeopleSession
from pointata_core.inference.placement import Placement
from pointata_core.io.cloud import Cloud
from pointata_ros.health.people import PeopleFacts
from pointata_ros.message_classes import find_message_class
from pointata_ros.node.people_markers import PeopleMarkers
from pointata_ros.node.people_messages import action_hypotheses, nearest, people_message
from pointata_ros.node.publishers import Outputs
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import output_profile, overrides

_DETECTIONS = 'vision_msgs/msg/Detection3DArray'


class People:
    """Takes the results of one input, one after the other, on whichever thread publishes them.

    Args:
        node: The node that publishes.
        base: What the names of the topics begin with, as of the other outputs.
        session: Who is followed.
        outputs: The other results of the input.

    Raises:
        ConfigError: There are no messages for people.
    """

    def __init__(self, node: Node, base: str, session: PeopleSession, outputs: Outputs) -> None:
        detections = find_message_class(_DETECTIONS)
        if detections is None:
            raise ConfigError(
                f'parameter people: {_DETECTIONS} is not installed',
                'Install it (apt install ros-$ROS_DISTRO-vision-msgs, or make env once more)',
            )
        self._node, self._outputs = node, outputs
        self.session = session
        self._facts = PeopleFacts()
        self._seen_in_all = self._unplaced = 0
        self._known: frozenset[int] = frozenset()
        self._markers = PeopleMarkers(base.replace('~', node.get_fully_qualified_name(), 1))

        def publisher(kind: type, topic: str) -> Publisher:
            profile, changes = output_profile(), overrides()
            return node.create_publisher(
                kind, f'{base}/output/{topic}', profile, qos_overriding_options=changes
            )

        self._people = publisher(detections, 'people')
        self._shown = publisher(MarkerArray, 'people_markers')

    @property
    def topics(self) -> list[str]:
        """Resolved names of its topics."""
        return [one.topic_name for one in (self._people, self._shown)]

    def task(
        self,
        header: Header,
        cloud: Cloud,
        pose: np.ndarray | None,
        placement: Placement,
        resets: int,
        settings: NodeSettings,
    ) -> Callable[[FrameResult, bool], None]:
        """What is to be done with a cloud once it has labels.

        Args:
            header: Of the cloud.
            cloud: The cloud.
            pose: (4, 4) of the sensor in the fixed frame; ``None`` if unknown.
            placement: How its points entered the network.
            resets: Histories dropped till then by the session that labels the cloud.
            settings: Parameters.

        Returns:
            A function of the labels, and of whether results of this cloud are published.
        """
        return partial(self._take, header, cloud, pose, placement, resets, settings)

    def _take(
        self,
        header: Header,
        cloud: Cloud,
        pose: np.ndarray | None,
        placement: Placement,
        resets: int,
        settings: NodeSettings,
        result: FrameResult,
        publish: bool,
    ) -> None:
        if settings.fixed_frame and pose is None:
            # In the axes of the sensor everybody would be somewhere else.
            self._unplaced += 1
            self._count(self._facts.followed, self._facts.hidden)
            return
        people = self.session.follow(cloud.points, result, resets, pose, placement)
        now = frozenset(one.person.number for one in people)
        self._seen_in_all += len(now - self._known)
        self._known = now
        self._count(len(people), sum(not len(one.person.rows) for one in people))
        if publish:
            to_cloud = np.linalg.inv(placement.pose if pose is None else pose)
            self._publish(header, people, to_cloud, result, settings)

    def use(self, session: PeopleSession) -> None:
        """Go on with another session, which begins afresh."""
        session.succeed(self.session)
        self.session = session

    def reset(self) -> None:
        """Forget everybody."""
        self.session.reset()
        self._known = frozenset()
        self._count(0, 0)

    def remove_markers(self, frame_id: str) -> None:
        """Take away what is shown."""
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id=frame_id)
        self._shown.publish(self._markers.removal(header))

    def facts(self) -> PeopleFacts:
        """What the diagnostics show; any thread may ask."""
        return self._facts

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._people, self._shown):
            self._node.destroy_publisher(publisher)

    def _publish(
        self,
        header: Header,
        people: list[ObservedPerson],
        to_cloud: np.ndarray,
        result: FrameResult,
        settings: NodeSettings,
    ) -> None:
        actions = self.session.classes
        if self._people.get_subscription_count():
            self._people.publish(
                people_message(header, people, actions, to_cloud, result.probabilities)
            )
        if self._shown.get_subscription_count():
            self._shown.publish(
                self._markers.messages(
                    header, result.stamp_ns, people, actions, to_cloud, settings.marker_lifetime
                )
            )
        if actions:
            self._outputs.publish_action(
                header, action_hypotheses(nearest(people), actions), settings
            )

    def _count(self, followed: int, hidden: int) -> None:
        skill = self.session.skill
        self._facts = PeopleFacts(
            skill.manifest.name if skill else '',
            skill.hash if skill else '',
            followed,
            hidden,
            self.session.waiting,
            self._seen_in_all,
            self._unplaced,
            self.session.state_bytes,
        )
