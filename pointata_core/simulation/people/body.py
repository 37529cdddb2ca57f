# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A human body as fifteen capsules on a jointed skeleton.

A posture is an array of joint angles; forward kinematics turns it into capsules. The
height of the pelvis is not given: the body is lowered until its lowest part touches the ground,
which suits standing, sitting, kneeling and lying.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pointata_core.simulation.solids import (
    Shapes,
    capsules,
    rotation_from_rpy,
    up,
    yaw_rotation,
)
from pointata_core.taxonomy import class_id


class Joint(IntEnum):
    """Entries of a posture; angles in radians, flexion forward and abduction outward positive."""

    PITCH = 0  # whole body, forward
    ROLL = 1  # whole body, to the right
    SPINE_FLEXION = 2
    SPINE_TWIST = 3  # to the left
    HEAD_FLEXION = 4
    LEFT_SHOULDER_FLEXION = 5
    LEFT_SHOULDER_ABDUCTION = 6
    LEFT_ELBOW = 7
    RIGHT_SHOULDER_FLEXION = 8
    RIGHT_SHOULDER_ABDUCTION = 9
    RIGHT_ELBOW = 10
    LEFT_HIP_FLEXION = 11
    LEFT_HIP_ABDUCTION = 12
    LEFT_KNEE = 13
    RIGHT_HIP_FLEXION = 14
    RIGHT_HIP_ABDUCTION = 15
    RIGHT_KNEE = 16
    FORWARD = 17  # displacement of the pelvis, in leg lengths
    SIDEWAYS = 18  # to the left, in leg lengths
    HOP = 19  # height above contact, in leg lengths


POSTURE_SIZE = len(Joint)
_SKIN = 0.45
_DOWN = np.array([0.0, 0.0, -1.0])


def mirrored(posture: np.ndarray) -> np.ndarray:
    """The posture with left and right exchanged."""
    order = np.arange(POSTURE_SIZE)
    order[5:8], order[8:11] = np.arange(8, 11), np.arange(5, 8)
    order[11:14], order[14:17] = np.arange(14, 17), np.arange(11, 14)
    result = posture[order]
    result[[Joint.ROLL, Joint.SPINE_TWIST, Joint.SIDEWAYS]] *= -1
    return result


# Start, end, radius of a capsule, and whether it is bare skin.
_Segment = tuple[np.ndarray, np.ndarray, float, bool]


@dataclass(frozen=True)
class Body:
    """Size and look of a person; proportions after Winter, Biomechanics, figure 4.1.

    Attributes:
        height: Metres.
        girth: 1 = average thickness of limbs and torso.
        instance: Instance id of all its points.
        reflectivity: Of the clothes.
    """

    height: float
    girth: float
    instance: int
    reflectivity: float

    @property
    def leg(self) -> float:
        """Length from hip to sole, metres."""
        return 0.53 * self.height

    def shapes(self, posture: np.ndarray, position: np.ndarray, yaw: float) -> Shapes:
        """Capsules in the map frame.

        Args:
            posture: (POSTURE_SIZE,) entries named by ``Joint``.
            position: (3,) ground point below the body's anchor.
            yaw: Heading, radians.
        """
        start, end, radius, skin = map(np.array, zip(*self._segments(posture)))
        lowest = (np.minimum(start[:, 2], end[:, 2]) - radius).min()
        offset = self.leg * posture[[Joint.FORWARD, Joint.SIDEWAYS, Joint.HOP]] - up(lowest)
        turn = yaw_rotation(yaw).T
        return capsules(
            (start + offset) @ turn + position,
            (end + offset) @ turn + position,
            radius,
            label=class_id('person'),
            instance=self.instance,
            reflectivity=np.where(skin, _SKIN, self.reflectivity),
        )

    def _segments(self, p: np.ndarray) -> list[_Segment]:
        """(start, end, radius, bare skin) of each capsule, pelvis at the origin."""
        h, g = self.height, self.girth
        root = rotation_from_rpy(p[Joint.ROLL], p[Joint.PITCH], 0.0)
        spine = root @ rotation_from_rpy(0.0, p[Joint.SPINE_FLEXION], p[Joint.SPINE_TWIST])
        head = spine @ rotation_from_rpy(0.0, p[Joint.HEAD_FLEXION], 0.0)
        upward = up(1.0)
        left = np.array([0.0, 1.0, 0.0])

        waist, chest, neck = (spine @ upward * h * k for k in (0.06, 0.20, 0.29))
        parts = [
            (root @ left * h * 0.045, root @ left * h * -0.045, 0.068 * h * g, False),
            (waist, chest, 0.078 * h * g, False),
            (
                chest + spine @ left * h * 0.06,
                chest - spine @ left * h * 0.06,
                0.068 * h * g,
                False,
            ),
            (neck, neck + head @ upward * h * 0.035, 0.036 * h, True),
            (neck + head @ upward * h * 0.07, neck + head @ upward * h * 0.115, 0.052 * h, True),
        ]
        sides = (
            (1.0, Joint.LEFT_SHOULDER_FLEXION, Joint.LEFT_HIP_FLEXION),
            (-1.0, Joint.RIGHT_SHOULDER_FLEXION, Joint.RIGHT_HIP_FLEXION),
        )
        for side, shoulder, hip in sides:
            start = neck - spine @ upward * h * 0.03 + side * (spine @ left) * h * 0.115
            parts += self._arm(start, spine, side, p[shoulder : shoulder + 3])
            start = side * (root @ left) * h * 0.055
            parts += self._leg_parts(start, root, side, p[hip : hip + 3])
        return parts

    def _arm(
        self, start: np.ndarray, base: np.ndarray, side: float, angles: np.ndarray
    ) -> list[_Segment]:
        h, g = self.height, self.girth
        upper = _turned(base, side, angles)
        fore = upper @ rotation_from_rpy(0.0, -angles[2], 0.0)
        joint = start + upper @ _DOWN * h * 0.175
        hand = joint + fore @ _DOWN * h * 0.215
        return [(start, joint, 0.030 * h * g, False), (joint, hand, 0.024 * h * g, True)]

    def _leg_parts(
        self, start: np.ndarray, base: np.ndarray, side: float, angles: np.ndarray
    ) -> list[_Segment]:
        h, g = self.height, self.girth
        upper = _turned(base, side, angles)
        lower = upper @ rotation_from_rpy(0.0, angles[2], 0.0)
        joint = start + upper @ _DOWN * h * 0.245
        ankle = joint + lower @ _DOWN * h * 0.235
        heel = ankle + lower @ np.array([-0.02, 0.0, -0.022]) * h
        toe = ankle + lower @ np.array([0.11, 0.0, -0.022]) * h
        return [
            (start, joint, 0.048 * h * g, False),
            (joint, ankle, 0.033 * h * g, False),
            (heel, toe, 0.021 * h, False),
        ]


def _turned(base: np.ndarray, side: float, angles: np.ndarray) -> np.ndarray:
    """Rotation of an upper arm or thigh by its flexion and abduction.

    Abduction first: an arm lifted sideways and then flexed swings forward at shoulder height.
    """
    flexion = rotation_from_rpy(0, -angles[0], 0)
    return base @ flexion @ rotation_from_rpy(side * angles[1], 0, 0)
