# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Motions of real people, from the motion capture of Carnegie Mellon University.

The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with
funding from NSF EIA-0196217.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from pointata_core.simulation.people.figures import read
from pointata_core.simulation.people.motions import Style
from pointata_core.simulation.people.poses import BONES, Pose

SHARE = 0.8
"""Share of the performances of an action that are captured ones, where there are any."""

_CYCLIC = ('walk', 'run')
ONCE = ('pick_up', 'throw')
"""Actions whose clips are played once."""

_LEG = 0.47  # hip to ankle in body heights
_FITTING = 6  # gaits among which a style chooses, those whose own speed is nearest


@dataclass(frozen=True, eq=False)
class Motion:
    """One clip.

    Attributes:
        action: Name from ``ACTION_CLASSES``.
        clip: Name in the data base.
        vectors: (T, 19, 3) rotation vectors relative to the parent bone, radians.
        offset: (T, 3) as in `Pose`.
        rate: Frames per second.
        speed: Of the walk, leg lengths per second.
    """

    action: str
    clip: str
    vectors: np.ndarray
    offset: np.ndarray
    rate: float
    speed: float

    def pose_at(self, t: float) -> Pose:
        """Pose ``t`` seconds into the clip; gaits repeat, others go to and fro or stop."""
        count, exact = len(self.vectors), max(0.0, t * self.rate)
        if self.action in _CYCLIC:
            first = int(exact) % count
            second = (first + 1) % count
        else:
            if self.action not in ONCE:
                exact = (count - 1) - abs(exact % (2 * (count - 1)) - (count - 1))
            first = min(int(exact), count - 1)
            second = min(first + 1, count - 1)
        share = exact - np.floor(exact)
        local = Rotation.from_rotvec(
            self.vectors[first] + share * (self.vectors[second] - self.vectors[first])
        ).as_matrix()
        turns = np.empty_like(local)
        for bone, parent in enumerate(read()['parents']):
            turns[bone] = local[bone] if parent < 0 else turns[parent] @ local[bone]
        offset = self.offset[first] + share * (self.offset[second] - self.offset[first])
        return Pose(turns, offset)


@cache
def motions() -> dict[str, tuple[Motion, ...]]:
    """All motions by action."""
    data = read()
    manifest = data['manifest']
    if tuple(manifest['bones']) != BONES:
        raise ValueError('bodies.npz has other bones than this version: derive it again')
    step = np.radians(manifest['step_deg'])
    ends = np.cumsum([row['frames'] for row in manifest['motions']])[:-1]
    vectors = np.split(data['motion'].astype(np.float32) * np.float32(step), ends)
    offsets = np.split(data['offset'] / 1000, ends)
    found: dict[str, list[Motion]] = {}
    for row, vector, offset in zip(manifest['motions'], vectors, offsets):
        motion = Motion(row['action'], row['clip'], vector, offset, manifest['rate'], row['speed'])
        found.setdefault(motion.action, []).append(motion)
    return {action: tuple(group) for action, group in found.items()}


def captured_motion(action: str, style: Style, height: float) -> Motion | None:
    """The clip of a captured performance; None where this one is parametric.

    The style chooses the clip, so that the same performance always takes the same one.
    """
    group = motions().get(action, ())
    lot = style.phase * 1e3 % 1.0
    if not group or lot >= SHARE:
        return None
    if action in _CYCLIC:
        pace = style.speed / (_LEG * height)
        group = tuple(sorted(group, key=lambda one: abs(np.log(pace / one.speed))))[:_FITTING]
    return group[int(style.variant * len(group))]


def captured_pose(action: str, t: float, style: Style, height: float) -> Pose | None:
    """Pose ``t`` seconds into a captured performance; None where this one is parametric."""
    motion = captured_motion(action, style, height)
    if motion is None:
        return None
    tempo, begin = style.tempo, 0.0
    length = len(motion.vectors) / motion.rate
    if action in _CYCLIC:
        tempo = float(np.clip(style.speed / (_LEG * height) / motion.speed, 0.6, 1.6))
    if action not in ONCE:
        begin = style.phase / (2 * np.pi) * length
    pose = motion.pose_at(begin + t * tempo)
    return pose.mirrored() if style.mirror else pose
