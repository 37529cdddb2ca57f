# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Followed people as messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from numpy.typing import NDArray
from std_msgs.msg import Header
from vision_msgs import msg as vision

from pointata_core.inference.people.box import Box, box_of
from pointata_core.inference.people.decision import UNKNOWN
from pointata_core.inference.people.people_session import ObservedPerson
from pointata_ros.node.publishers import sorted_hypotheses

PERSON = 'person'
"""Class of every detection."""


def people_message(
    header: Header,
    people: Sequence[ObservedPerson],
    actions: tuple[str, ...],
    to_cloud: NDArray[np.float64],
    probabilities: np.ndarray,
) -> vision.Detection3DArray:
    """The people of a cloud.

    Args:
        header: Of the cloud.
        people: By number.
        actions: Names in order of the scores of a person.
        to_cloud: (4, 4) from the frame in which people are followed into that of the cloud.
        probabilities: (N,) of the label of each point of the cloud.
    """
    detections = []
    for one in people:
        box = box_of(one, to_cloud)
        found = vision.Detection3D(header=header, id=str(one.person.number))
        found.bbox = vision.BoundingBox3D(center=box_pose(box), size=box_size(box))
        found.results = _results(one, actions, box_pose(box), probabilities)
        detections.append(found)
    return vision.Detection3DArray(header=header, detections=detections)


def action_hypotheses(
    one: ObservedPerson | None, actions: tuple[str, ...]
) -> list[vision.ObjectHypothesis]:
    """What a person does: the action that is decided on, then the others by falling score.

    None, where the action is unknown and where there is nobody: nothing should be done about it.
    """
    if one is None or one.action == UNKNOWN:
        return []
    ordered = sorted_hypotheses(one.scores, actions)
    return sorted(ordered, key=lambda found: found.class_id != actions[one.action])


def nearest(people: Sequence[ObservedPerson]) -> ObservedPerson | None:
    """Who is nearest to the sensor; ``None`` where nobody is."""
    return min(people, key=lambda one: (one.person.distance, one.person.number), default=None)


def box_pose(box: Box) -> Pose:
    """Middle and axes of a box."""
    axes = dict(zip('xyzw', map(float, box.turn), strict=True))
    return Pose(position=point(box.centre), orientation=Quaternion(**axes))


def box_size(box: Box) -> Vector3:
    """Lengths of a box, metres."""
    return Vector3(**dict(zip('xyz', map(float, box.size), strict=True)))


def point(place: NDArray[np.float64]) -> Point:
    """A place (3,) as a message."""
    return Point(**dict(zip('xyz', map(float, place), strict=True)))


def _results(
    one: ObservedPerson, actions: tuple[str, ...], pose: Pose, probabilities: np.ndarray
) -> list[vision.ObjectHypothesisWithPose]:
    rows = one.person.rows
    score = float(probabilities[rows].mean()) if len(rows) else 0.0
    found = [vision.ObjectHypothesis(class_id=PERSON, score=score)]
    place = PoseWithCovariance(pose=pose)
    return [
        vision.ObjectHypothesisWithPose(hypothesis=hypothesis, pose=place)
        for hypothesis in [*found, *action_hypotheses(one, actions)]
    ]
