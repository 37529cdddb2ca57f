# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parametric motions: the posture of a person at each moment of an action.

A motion is a function of the time since it began; a style, drawn once per performance of it, varies
tempo, amplitude, side and manner, so that no two look the same. Angles are rough biomechanics
(gait after Winter; the rest by eye in front of a mirror), enough to make the shape in time of each
action distinct, which is what a LiDAR sees of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pointata_core.simulation.people.body import POSTURE_SIZE, Joint, mirrored


@dataclass(frozen=True)
class Style:
    """How one performance of an action differs from another.

    Attributes:
        tempo: 1 = usual speed.
        amplitude: 1 = usual extent.
        phase: Start of periodic motions, radians.
        mirror: Exchange left and right.
        variant: In [0, 1); chooses between manners (which way to fall, where to sit).
        speed: Metres per second where the action moves the person, else 0.
    """

    tempo: float
    amplitude: float
    phase: float
    mirror: bool
    variant: float
    speed: float


def draw_style(action: str, rng: np.random.Generator) -> Style:
    """Draw the manner of one performance of ``action``."""
    speeds = {'walk': (0.7, 1.7), 'run': (2.2, 4.0)}
    return Style(
        tempo=rng.uniform(0.8, 1.25),
        amplitude=rng.uniform(0.8, 1.2),
        phase=rng.uniform(0, 2 * np.pi),
        mirror=bool(rng.random() < 0.5),
        variant=rng.random(),
        speed=rng.uniform(*speeds[action]) if action in speeds else 0.0,
    )


def posture(**degrees: float) -> np.ndarray:
    """A posture from joint names in lower case, in degrees (displacements in leg lengths).

    A joint of a limb without its side (``elbow``) stands for both sides.
    """
    result = np.zeros(POSTURE_SIZE)
    for name, value in degrees.items():
        plain = name in ('forward', 'sideways', 'hop')
        one_side = name.upper() in Joint.__members__
        for joint in (name,) if one_side else (f'left_{name}', f'right_{name}'):
            result[Joint[joint.upper()]] = value if plain else np.radians(value)
    return result


def smoothstep(x: float) -> float:
    """0 below 0, 1 above 1, smooth in between."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)


def _through(keys: list[tuple[float, np.ndarray]], t: float) -> np.ndarray:
    """Smooth interpolation through (time, posture) keys, held before and after."""
    if t <= keys[0][0]:
        return keys[0][1]
    for (t0, p0), (t1, p1) in itertools.pairwise(keys):
        if t < t1:
            return p0 + (p1 - p0) * smoothstep((t - t0) / (t1 - t0))
    return keys[-1][1]


NEUTRAL = posture(shoulder_abduction=9, elbow=12, hip_abduction=4)


def _stand(t: float, s: Style) -> np.ndarray:
    p = NEUTRAL.copy()
    sway = np.sin(1.3 * s.tempo * t + s.phase)
    p[Joint.SPINE_FLEXION] += np.radians(2 * sway)
    p[Joint.SPINE_TWIST] += np.radians(6 * s.amplitude * np.sin(0.7 * t + s.phase))
    p[Joint.ROLL] += np.radians(0.8 * sway)
    if s.variant < 0.2:  # arms crossed
        p += posture(shoulder_flexion=25, elbow=95)
    elif s.variant < 0.35:  # hands on the hips
        p += posture(shoulder_abduction=30, elbow=70)
    elif s.variant < 0.5:  # holding a telephone
        p += posture(right_shoulder_flexion=30, right_elbow=100, head_flexion=20)
    return p


def _gait(t: float, s: Style, *, run: bool) -> np.ndarray:
    cycles = (0.75 + 0.22 * s.speed) if run else (0.42 + 0.36 * s.speed)
    angle = 2 * np.pi * cycles * t + s.phase
    hip, lift, bend = (42, 75, 22) if run else (26, 42, 8)
    arm, elbow = (38, 85) if run else (22, 18)
    p = NEUTRAL + posture(spine_flexion=(10 if run else 2), left_elbow=elbow, right_elbow=elbow)
    for sign, shoulder, leg in (
        (1, Joint.LEFT_SHOULDER_FLEXION, Joint.LEFT_HIP_FLEXION),
        (-1, Joint.RIGHT_SHOULDER_FLEXION, Joint.RIGHT_HIP_FLEXION),
    ):
        swing = sign * np.sin(angle)
        recovery = max(
            0.0, sign * np.cos(angle - 0.35)
        )  # the knee bends as the thigh comes forward
        p[leg] += np.radians(s.amplitude * (hip * swing + (10 if run else 4)))
        p[leg + 2] += np.radians(bend + s.amplitude * lift * recovery)
        p[shoulder] -= np.radians(s.amplitude * arm * swing)
    p[Joint.SPINE_TWIST] += np.radians(6 * np.sin(angle))
    if run:
        p[Joint.HOP] += 0.05 * abs(np.cos(angle))
    return p


def _wave(t: float, s: Style) -> np.ndarray:
    p = _stand(t, Style(s.tempo, s.amplitude, s.phase, False, 0.9, 0.0))
    swing = np.sin(2 * np.pi * 1.7 * s.tempo * t + s.phase)
    arms = ('right', 'left') if s.variant < 0.25 else ('right',)
    for arm in arms:
        if s.variant < 0.65:  # forearm swings beside the head
            raised = {f'{arm}_shoulder_flexion': 84, f'{arm}_shoulder_abduction': 55}
            raised[f'{arm}_elbow'] = 80 + 35 * s.amplitude * swing
        else:  # the straight arm swings overhead
            raised = {f'{arm}_shoulder_abduction': 140 + 28 * s.amplitude * swing}
            raised[f'{arm}_elbow'] = 8
        p += posture(**raised)
    return p


_ON_CHAIR = NEUTRAL + posture(
    hip_flexion=86, knee=86, hip_abduction=4, shoulder_flexion=28, elbow=45, forward=-0.46
)
_ON_GROUND = NEUTRAL + posture(
    left_hip_flexion=98,
    right_hip_flexion=92,
    left_knee=70,
    right_knee=55,
    hip_abduction=10,
    left_shoulder_flexion=35,
    right_shoulder_flexion=30,
    elbow=30,
    pitch=-6,
    forward=-0.5,
)
_SQUAT = NEUTRAL + posture(
    hip_flexion=95, knee=115, spine_flexion=28, pitch=12, shoulder_flexion=45, forward=-0.15
)
_RISING = NEUTRAL + posture(
    hip_flexion=70, knee=80, spine_flexion=32, shoulder_flexion=30, forward=-0.25
)

SEAT_SHARE = 0.5
"""Share of variants in which one sits down on a seat rather than on the ground."""


def sits_on_seat(style: Style) -> bool:
    """True if the style of a ``sit_down`` needs something to sit on."""
    return style.variant < SEAT_SHARE


def _sit_down(t: float, s: Style) -> np.ndarray:
    t = t * s.tempo
    if sits_on_seat(s):
        return _through([(0, NEUTRAL), (0.55, _RISING), (1.05, _ON_CHAIR)], t)
    return _through([(0, NEUTRAL), (0.7, _SQUAT), (1.3, _ON_GROUND)], t)


def _lying(s: Style) -> np.ndarray:
    legs = posture(left_hip_flexion=14, left_knee=22, right_knee=8)
    if s.variant < 0.7:  # on the face or on the back, arms beside the body or stretched out
        arms = 35 if s.variant % 0.2 < 0.1 else 120
        p = NEUTRAL + legs + posture(left_shoulder_abduction=arms, right_shoulder_abduction=25)
        p[[Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW]] = 0.0
        p[Joint.LEFT_HIP_FLEXION] = 0.0 if s.variant < 0.4 else np.radians(14)
        return p + (
            posture(pitch=88, forward=1.0) if s.variant < 0.4 else posture(pitch=-88, forward=-1.0)
        )
    # On the right side: whatever would reach below the body lies in front of it.
    p = NEUTRAL + legs + posture(roll=86, sideways=-1.0, right_shoulder_flexion=60)
    p[[Joint.RIGHT_SHOULDER_ABDUCTION, Joint.RIGHT_HIP_ABDUCTION]] = 0.0
    return p + posture(left_shoulder_flexion=50, left_shoulder_abduction=-15)


def _fall(t: float, s: Style) -> np.ndarray:
    share = min(1.0, t * s.tempo / 0.8) ** 2  # gravity: slow at first
    flail = np.sin(np.pi * share) * s.amplitude
    p = NEUTRAL + (_lying(s) - NEUTRAL) * share
    p += flail * posture(left_shoulder_abduction=60, right_shoulder_abduction=55)
    p += flail * posture(left_knee=45, right_knee=55, left_hip_flexion=25, right_hip_flexion=30)
    return p


def _pick_up(t: float, s: Style) -> np.ndarray:
    t = t * s.tempo
    reach = posture(right_shoulder_flexion=75, left_shoulder_flexion=60 if s.variant < 0.5 else 10)
    if s.variant < 0.6:  # from the back
        low = NEUTRAL + reach + posture(spine_flexion=62, pitch=28, head_flexion=10)
        low += posture(hip_flexion=45, knee=25, forward=-0.15)
    else:  # from the knees
        low = _SQUAT + reach * 0.5 + posture(spine_flexion=15)
    up = NEUTRAL + posture(right_shoulder_flexion=35, right_elbow=75)
    return _through([(0, NEUTRAL), (0.7, low), (1.0, low), (1.7, up)], t)


def _throw(t: float, s: Style) -> np.ndarray:
    t = (t * s.tempo) % 1.5
    if s.variant < 0.7:  # overhand
        back = posture(right_shoulder_flexion=150, right_elbow=105, right_shoulder_abduction=15)
        back += posture(spine_twist=-35, spine_flexion=-10, left_shoulder_flexion=55)
        done = posture(right_shoulder_flexion=35, right_elbow=10, spine_twist=35, spine_flexion=22)
    else:  # underhand
        back = posture(right_shoulder_flexion=-60, spine_twist=-20, spine_flexion=15)
        done = posture(right_shoulder_flexion=110, spine_twist=20)
    step = posture(left_hip_flexion=24, left_knee=10, right_hip_flexion=-16)
    back, done = s.amplitude * back + NEUTRAL, s.amplitude * done + step + NEUTRAL
    return _through([(0, NEUTRAL), (0.5, back), (0.62, back), (0.85, done), (1.4, NEUTRAL)], t)


def _punch(t: float, s: Style) -> np.ndarray:
    if s.variant < 0.3:  # one after the other, out of standing
        ready = NEUTRAL + posture(right_shoulder_flexion=20, right_elbow=100, spine_twist=-15)
        hit = NEUTRAL + posture(right_shoulder_flexion=85, right_elbow=-4, spine_twist=25)
        keys = [(0.0, NEUTRAL), (0.3, ready), (0.5, hit), (0.65, hit), (1.1, NEUTRAL)]
        return _through(keys, (t * s.tempo) % 1.3)
    guard = NEUTRAL + posture(shoulder_flexion=40, elbow=115, knee=15)
    guard += posture(left_hip_flexion=22, right_hip_flexion=-8, spine_flexion=8)
    beat = 2.2 * s.tempo * t + s.phase / (2 * np.pi)
    arm, other = ('left', 'right') if int(beat) % 2 else ('right', 'left')
    reach = np.sin(np.pi * (beat % 1)) ** 2
    twist = 28 if arm == 'right' else -28
    hit = {f'{arm}_shoulder_flexion': 48, f'{arm}_elbow': -118, f'{other}_elbow': 5}
    return guard + reach * posture(spine_twist=twist * s.amplitude, **hit)


def _kick(t: float, s: Style) -> np.ndarray:
    t = (t * s.tempo) % 1.5
    arms = posture(shoulder_abduction=25)
    if s.variant < 0.65:  # forward
        back = NEUTRAL + arms + posture(right_hip_flexion=-22, right_knee=70, spine_flexion=8)
        up = posture(right_hip_flexion=70, right_knee=12, spine_flexion=-10, pitch=-6)
    else:  # sideways
        back = NEUTRAL + arms + posture(right_hip_flexion=45, right_knee=90)
        up = posture(right_hip_abduction=65, right_knee=5, roll=-18)
    done = NEUTRAL + arms + s.amplitude * up
    return _through([(0, NEUTRAL), (0.4, back), (0.62, done), (0.75, done), (1.2, NEUTRAL)], t)


def _jump(t: float, s: Style) -> np.ndarray:
    t = (t * s.tempo) % 1.25
    low = NEUTRAL + posture(hip_flexion=50, knee=70, spine_flexion=18, shoulder_flexion=-30)
    high = NEUTRAL + posture(hop=0.35 * s.amplitude, shoulder_flexion=60)
    if s.variant < 0.4:  # arms and legs apart
        high += posture(shoulder_abduction=110, hip_abduction=22, shoulder_flexion=-50)
    keys = [(0, NEUTRAL), (0.3, low), (0.5, high), (0.6, high), (0.8, low), (1.1, NEUTRAL)]
    return _through(keys, t)


_MOTIONS: dict[str, Callable[[float, Style], np.ndarray]] = {
    'stand': _stand,
    'walk': lambda t, s: _gait(t, s, run=False),
    'run': lambda t, s: _gait(t, s, run=True),
    'wave': _wave,
    'sit_down': _sit_down,
    'fall': _fall,
    'pick_up': _pick_up,
    'throw': _throw,
    'punch': _punch,
    'kick': _kick,
    'jump': _jump,
}
_COMES_TO = {
    'sit_down': ('sit', 1.2),
    'fall': ('lie', 0.9),
    'pick_up': ('stand', 1.9),
    'stand_up': ('stand', 1.7),
}


def outcome(action: str, t: float, style: Style, seconds: float | None = None) -> str:
    """What a person does ``t`` seconds into an action: an action that ends comes to another.

    Args:
        action: Name of the action.
        t: Seconds since it began.
        style: Manner of this performance.
        seconds: How long it takes at its usual tempo; as the parametric motion if not given.
    """
    after, usual = _COMES_TO.get(action, ('stand', np.inf))
    return after if t * style.tempo > (usual if seconds is None else seconds) else action


def motion(action: str, t: float, style: Style, start: np.ndarray) -> np.ndarray:
    """Posture ``t`` seconds into an action.

    Args:
        action: Name from ``PERSON_ACTIONS`` but ``sit`` and ``lie``, which other actions come to.
        t: Seconds since the action began.
        style: Manner of this performance.
        start: Posture at its beginning; only what has to come from somewhere uses it fully
            (``stand_up``), everything else blends out of it in a third of a second.
    """
    if action == 'stand_up':
        low = np.abs(start[[Joint.PITCH, Joint.ROLL]]).max() > 1.0
        keys = [(0.0, start), (0.6, _RISING), (1.1, NEUTRAL)]
        if low:  # from lying: sit up first
            keys = [(0.0, start), (0.6, _ON_GROUND), (1.1, _SQUAT), (1.6, NEUTRAL)]
        return _through(keys, t * style.tempo)
    target = _MOTIONS[action](t, style)
    if style.mirror:
        target = mirrored(target)
    return start + (target - start) * smoothstep(t / 0.35)
