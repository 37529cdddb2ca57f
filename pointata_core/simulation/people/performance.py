# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person does over time: a script of actions and the path it takes them along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointata_core.simulation.people import motions
from pointata_core.simulation.people.body import Body
from pointata_core.simulation.people.captured import ONCE, Motion, captured_motion, captured_pose
from pointata_core.simulation.people.figures import Figure
from pointata_core.simulation.people.motions import NEUTRAL, Style, outcome, smoothstep
from pointata_core.simulation.people.poses import Pose, pose_of
from pointata_core.simulation.solids import Shapes
from pointata_core.taxonomy import ACTION_CLASSES, action_id

STEP = 0.05
"""Seconds between two places of a path."""

_BLEND = 0.4  # seconds
_FROM_STANDING = (
    'stand',
    'walk',
    'run',
    'wave',
    'sit_down',
    'fall',
    'pick_up',
    'throw',
    'punch',
)
EMPTY_ALONE_COMPANY = (0.1, 0.65, 0.25)
"""Probabilities of zero, one and two people: a network has to learn "none" as well."""

_PEDESTRIAN = {'walk': 6.0, 'stand': 1.5, 'run': 0.6, 'wave': 0.4, 'pick_up': 0.2}


@dataclass(frozen=True)
class Segment:
    """One action in the script: from ``start`` to ``end`` seconds, in some style."""

    action: str
    start: float
    end: float
    style: Style
    posture: np.ndarray  # at the start

    def posture_at(self, t: float) -> np.ndarray:
        """Posture at time ``t`` of the script."""
        return motions.motion(self.action, t - self.start, self.style, self.posture)


def write_script(
    duration: float, rng: np.random.Generator, *, performing: bool = True
) -> list[Segment]:
    """Draw actions one after the other until ``duration`` seconds are full.

    Args:
        duration: Seconds; the script begins up to three seconds before zero, so that clips do not
            all start with the start of an action.
        rng: Source of randomness.
        performing: True draws all actions about equally often; False gives a passer-by.
    """
    script: list[Segment] = []
    deck: list[str] = []
    now, posture = -rng.uniform(0.0, 3.0), NEUTRAL
    previous = ''
    while now < duration:
        if previous in ('sit_down', 'fall'):
            action, length = 'stand_up', rng.uniform(1.3, 2.1)
        elif performing:
            # Dealt like cards, so that even a short recording shows many actions.
            deck = deck or [str(name) for name in rng.permutation(_FROM_STANDING)]
            action, length = deck.pop(), rng.uniform(1.6, 3.0)
        else:
            names, weights = list(_PEDESTRIAN), np.array(list(_PEDESTRIAN.values()))
            action = str(rng.choice(names, p=weights / weights.sum()))
            length = rng.uniform(4.0, 7.5)
        segment = Segment(action, now, now + length, motions.draw_style(action, rng), posture)
        script.append(segment)
        posture, now, previous = segment.posture_at(segment.end), segment.end, action
    return script


@dataclass(frozen=True)
class Performance:
    """A person with a script and a path; immutable, so times can be queried in any order.

    Attributes:
        body: The person's body.
        script: Segments in order of time.
        path: (K, 3) anchor x, y and yaw every 0.05 s from ``script[0].start``.
    """

    body: Body | Figure
    script: tuple[Segment, ...]
    path: np.ndarray

    def segment_at(self, t: float) -> Segment:
        """The segment under way at time ``t``."""
        return self.script[self._number_at(t)]

    def _number_at(self, t: float) -> int:
        started = [number for number, segment in enumerate(self.script) if t >= segment.start]
        return started[-1] if started else 0

    def action_at(self, t: float) -> int:
        """Index of the action at time ``t``; 0 for one that scenes do not name."""
        action = self.segment_at(t).action
        return action_id(action) if action in ACTION_CLASSES else 0

    def doing_at(self, t: float) -> str:
        """What the person does at time ``t``, a name from ``PERSON_ACTIONS``."""
        segment, motion = self.segment_at(t), self._captured_at(t)
        seconds = None
        if motion is not None and motion.action in ONCE:
            seconds = len(motion.vectors) / motion.rate
        return outcome(segment.action, t - segment.start, segment.style, seconds)

    def clip_at(self, t: float) -> str:
        """Name of the captured clip that is performed at time ``t``; empty where none is."""
        motion = self._captured_at(t)
        return '' if motion is None else motion.clip

    def _captured_at(self, t: float) -> Motion | None:
        segment = self.segment_at(t)
        if not isinstance(self.body, Figure):
            return None
        return captured_motion(segment.action, segment.style, self.body.height)

    def anchor_at(self, t: float) -> tuple[np.ndarray, float]:
        """(x, y) and yaw at time ``t``."""
        exact = np.clip((t - self.script[0].start) / STEP, 0, len(self.path) - 1.001)
        index = int(exact)
        row = self.path[index] + (exact - index) * (self.path[index + 1] - self.path[index])
        return row[:2], float(row[2])

    def shapes_at(self, t: float, ground_height: float) -> Shapes:
        """The body in the map frame at time ``t``."""
        position, yaw = self.anchor_at(t)
        place = np.array([*position, ground_height])
        if isinstance(self.body, Figure):
            return self.body.shapes(self.pose_at(t), place, yaw)
        return self.body.shapes(self.segment_at(t).posture_at(t), place, yaw)

    def pose_at(self, t: float) -> Pose:
        """Pose of a body with a skin at time ``t``; an action blends out of the one before."""
        number = self._number_at(t)
        begun = self.script[number].start
        pose = self._pose_in(number, t)
        if number and t < begun + _BLEND:
            before = self._pose_in(number - 1, begun)
            pose = before.blended(pose, smoothstep((t - begun) / _BLEND))
        return pose

    def _pose_in(self, number: int, t: float) -> Pose:
        segment = self.script[number]
        pose = captured_pose(segment.action, t - segment.start, segment.style, self.body.height)
        return pose_of(segment.posture_at(t)) if pose is None else pose


def _turns(action: str) -> bool:
    return action in ('walk', 'run', 'stand', 'wave')


def wander(
    script: list[Segment],
    centre: np.ndarray,
    radius: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """A path that stays around ``centre``: straight inside ``radius``, turning back outside."""
    steps = int(np.ceil((script[-1].end - script[0].start) / STEP)) + 2
    position = centre + rng.uniform(-0.4, 0.4, 2) * radius
    yaw, wish = rng.uniform(-np.pi, np.pi), rng.uniform(-np.pi, np.pi)
    path = np.empty((steps, 3))
    segment, index = script[0], 0
    for step in range(steps):
        now = script[0].start + step * STEP
        while index + 1 < len(script) and now >= script[index + 1].start:
            index += 1
            wish = rng.uniform(-np.pi, np.pi)
        segment = script[index]
        path[step] = (*position, yaw)
        away = position - centre
        if np.linalg.norm(away) > 0.7 * radius:
            wish = np.arctan2(-away[1], -away[0])
        if _turns(segment.action):
            turn = (wish - yaw + np.pi) % (2 * np.pi) - np.pi
            rate = 2.8 if segment.style.speed else 0.9
            yaw += np.clip(turn, -rate * STEP, rate * STEP)
        speed = segment.style.speed * min(1.0, (now - segment.start) / 0.4)
        if np.linalg.norm(away) > radius:  # slow down rather than run into the furniture
            heading_out = float(np.dot(away, [np.cos(yaw), np.sin(yaw)])) > 0
            speed *= 0.0 if heading_out else 0.5
        position = position + speed * STEP * np.array([np.cos(yaw), np.sin(yaw)])
    return path


def straight_on(
    script: list[Segment], start: np.ndarray, yaw: float, rng: np.random.Generator
) -> np.ndarray:
    """A path along ``yaw`` from ``start``: a passer-by on a sidewalk."""
    steps = int(np.ceil((script[-1].end - script[0].start) / STEP)) + 2
    times = script[0].start + STEP * np.arange(steps)
    speed = np.zeros(steps)
    for segment in script:
        inside = (times >= segment.start) & (times < segment.end)
        speed[inside] = segment.style.speed
    travelled = np.concatenate([[0.0], np.cumsum(speed)[:-1] * STEP])
    sway = 0.08 * np.sin(0.5 * times + rng.uniform(0, 6.28))
    direction = np.array([np.cos(yaw), np.sin(yaw)])
    across = np.array([-direction[1], direction[0]])
    path = np.empty((steps, 3))
    path[:, :2] = start + travelled[:, None] * direction + sway[:, None] * across
    path[:, 2] = yaw
    return path
