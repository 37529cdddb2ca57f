# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses of a skeleton of 19 bones: what captured and parametric motions have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from pointata_core.simulation.people.body import Joint
from pointata_core.simulation.solids import rotation_from_rpy

_SIDES = (('left', 1.0), ('right', -1.0))
BONES: tuple[str, ...] = (
    'pelvis',
    'waist',
    'chest',
    'neck',
    'head',
    *(
        f'{side}_{bone}'
        for side, _ in _SIDES
        for bone in ('collar', 'arm', 'forearm', 'hand', 'thigh', 'shank', 'foot')
    ),
)
"""Bones; each comes after its parent."""

_DOWN = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True)
class Pose:
    """A posture that fits bodies of any size.

    Attributes:
        turns: (19, 3, 3) rotation of each bone from a T (upright, arms sideways, palms down) to the
            pose; x forward, y left, z up.
        offset: (3,) of the pelvis forward, to the left, and height of the body above contact, in
            leg lengths.
    """

    turns: np.ndarray
    offset: np.ndarray

    def blended(self, other: Pose, share: float) -> Pose:
        """This pose for share 0, the other for share 1, the shortest way between them."""
        between = self.turns.transpose(0, 2, 1) @ other.turns
        part = Rotation.from_rotvec(share * Rotation.from_matrix(between).as_rotvec())
        offset = self.offset + share * (other.offset - self.offset)
        return Pose(self.turns @ part.as_matrix(), offset)

    def mirrored(self) -> Pose:
        """Left and right exchanged."""
        flip = np.array([1.0, -1.0, 1.0])
        turns = self.turns[_MIRRORED] * (flip[:, None] * flip)
        return Pose(turns, self.offset * flip)


_MIRRORED = np.array(
    [
        BONES.index(
            bone.replace('left', 'right') if 'left' in bone else bone.replace('right', 'left')
        )
        for bone in BONES
    ]
)


def aligning(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(3, 3) smallest rotation from the direction of ``start`` to that of ``end``."""
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return np.eye(3)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, float(a @ b))).as_matrix()


def pose_of(posture: np.ndarray) -> Pose:
    """The pose of a parametric posture (entries named by ``Joint``)."""
    p = posture
    root = rotation_from_rpy(p[Joint.ROLL], p[Joint.PITCH], 0.0)
    flexion, twist = p[Joint.SPINE_FLEXION], p[Joint.SPINE_TWIST]
    waist = root @ rotation_from_rpy(0.0, flexion / 2, twist / 2)
    spine = root @ rotation_from_rpy(0.0, flexion, twist)
    bend = p[Joint.HEAD_FLEXION]
    turn = {'pelvis': root, 'waist': waist, 'chest': spine}
    turn['neck'] = spine @ rotation_from_rpy(0.0, bend / 2, 0.0)
    turn['head'] = spine @ rotation_from_rpy(0.0, bend, 0.0)
    limbs = (
        (Joint.LEFT_SHOULDER_FLEXION, Joint.LEFT_HIP_FLEXION),
        (Joint.RIGHT_SHOULDER_FLEXION, Joint.RIGHT_HIP_FLEXION),
    )
    for (side, sign), (shoulder, hip) in zip(_SIDES, limbs):
        hang = _hanging(sign)
        upper = _limb(spine, sign, p[shoulder : shoulder + 2])
        fore = upper @ rotation_from_rpy(0.0, -p[shoulder + 2], 0.0)
        thigh = _limb(root, sign, p[hip : hip + 2])
        shank = thigh @ rotation_from_rpy(0.0, p[hip + 2], 0.0)
        turn[f'{side}_collar'] = spine
        turn[f'{side}_arm'] = upper @ hang
        turn[f'{side}_forearm'] = turn[f'{side}_hand'] = fore @ hang
        turn[f'{side}_thigh'] = thigh
        turn[f'{side}_shank'] = turn[f'{side}_foot'] = shank
    turns = np.stack([turn[bone] for bone in BONES])
    return Pose(turns, p[[Joint.FORWARD, Joint.SIDEWAYS, Joint.HOP]])


@cache
def _hanging(side: float) -> np.ndarray:
    """(3, 3) rotation from an arm held sideways to one that hangs."""
    return aligning(np.array([0.0, side, 0.0]), _DOWN)


def _limb(base: np.ndarray, side: float, angles: np.ndarray) -> np.ndarray:
    """Flexion and abduction of an upper arm or a thigh, as for the body of capsules."""
    flexion = rotation_from_rpy(0.0, -angles[0], 0.0)
    return base @ flexion @ rotation_from_rpy(side * angles[1], 0.0, 0.0)
