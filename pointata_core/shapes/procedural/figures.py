# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Articulated people and animals in random poses, and a few that swim or fly; facing +x."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pointata_core.shapes.procedural.assembly import Assembly
from pointata_core.shapes.procedural.family import Family
from pointata_core.shapes.procedural.primitives import (
    box,
    cushion,
    cylinder,
    ellipsoid,
    limb,
)
from pointata_core.shapes.procedural.solids import Floats, Solid, loft, rotation
from pointata_core.shapes.procedural.surfaces import smooth_curve, sweep

_DOWN = np.array([0.0, 0, -1])


def _chain(
    start: ArrayLike, swing: float, spread: float, bends: ArrayLike, lengths: ArrayLike
) -> list[Floats]:
    """Joints of a limb that hangs from ``start``.

    Args:
        start: (3,) first joint.
        swing: Degrees forward from hanging straight down.
        spread: Degrees towards +y.
        bends: Further forward swing at each later joint, degrees.
        lengths: Length of each bone, one more than ``bends``.
    """
    joints = [np.asarray(start, np.float64)]
    outward = rotation('x', spread)
    angle = swing
    for length, bend in zip(np.asarray(lengths), [*np.asarray(bends), 0.0], strict=True):
        joints.append(joints[-1] + length * outward @ rotation('y', -angle) @ _DOWN)
        angle += bend
    return joints


# Typical angles in degrees (mean of left and right): hip swing, knee, shoulder swing, elbow.
_POSES = {
    'stand': (0, 4, 0, 15),
    'walk': (25, 25, 25, 30),
    'run': (45, 65, 45, 85),
    'sit': (85, 85, 30, 40),
    'reach': (5, 10, 110, 20),
    'crouch': (95, 125, 45, 60),
}


def _human(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    scale, stout = u(0.85, 1.1), u(0.85, 1.35)
    hip, knee, shoulder, elbow = _POSES[str(rng.choice(list(_POSES)))]
    alternating = hip in (25, 45)
    lean = rotation('y', u(-5, 12) + (20 if hip in (45, 95) else 0)) @ rotation('x', u(-10, 10))
    spine, neck = 0.5 * scale, 0.62 * scale
    for name, z, radii in (
        ('torso', 0.03, (0.12, 0.17, 0.14)),
        ('torso', 0.22, (0.115, 0.155, 0.2)),
        ('torso', 0.38, (0.125, 0.19, 0.17)),
    ):
        body = ellipsoid(*(np.array(radii) * (stout, stout, 1) * scale))
        parts.add(name, body.rotated(lean).at(*(lean @ (0, 0, z * scale))))
    top = lean @ np.array([0, 0, neck])
    parts.add('head', limb(lean @ (0, 0, spine), top, 0.05 * scale))
    tilt = lean @ rotation('y', u(-25, 25)) @ rotation('x', u(-15, 15))
    head = top + tilt @ (0.015, 0, 0.11 * scale)
    parts.add('head', ellipsoid(0.1 * scale, 0.08 * scale, 0.125 * scale).rotated(tilt).at(*head))
    parts.add('head', ellipsoid(0.025, 0.015, 0.025).at(*(head + tilt @ (0.1 * scale, 0, -0.01))))
    for side in (1, -1):
        phase = side if alternating else 1
        joints = _chain(
            (0, side * 0.095 * scale, 0),
            phase * hip + rng.normal() * 12,
            side * abs(rng.normal() * 7),
            [-knee * (0.6 if phase < 0 else 1) * u(0.6, 1.2)],
            np.array([0.42, 0.42]) * scale,
        )
        parts.add('leg', limb(joints[0], joints[1], 0.085 * stout * scale, 0.055 * scale))
        parts.add('leg', limb(joints[1], joints[2], 0.055 * scale, 0.04 * scale))
        # Square to shin and knee axis, so the toes point forward when the leg hangs down.
        toes = np.cross(joints[2] - joints[1], [0, 1, 0])
        toes *= 0.17 * scale / np.linalg.norm(toes)
        parts.add('foot', limb(joints[2], joints[2] + toes, 0.045, 0.035))
        place = lean @ np.array([0, side * 0.2 * stout, spine - 0.06])
        joints = _chain(
            place,
            -phase * shoulder * (1 if alternating else -u(-0.3, 1.2)) + rng.normal() * 12,
            side * abs(12 + rng.normal() * 25),
            [elbow * u(0.2, 1.4)],
            np.array([0.3, 0.27]) * scale,
        )
        parts.add('arm', limb(joints[0], joints[1], 0.055 * stout * scale, 0.042 * scale))
        parts.add('arm', limb(joints[1], joints[2], 0.042 * scale, 0.03 * scale))
        reach = (joints[2] - joints[1]) / np.linalg.norm(joints[2] - joints[1])
        parts.add(
            'hand', limb(joints[2], joints[2] + 0.09 * scale * reach, 0.042 * scale, 0.03 * scale)
        )


def _quadruped(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    long, girth, leg = u(0.35, 0.55), u(0.13, 0.24), u(0.25, 0.65)
    fore = u(0.9, 1.25) * girth
    sag = u(-0.05, 0.05)
    path = smooth_curve([(-long, 0, 0), (0, 0, sag), (long, 0, 0.02)], 14)
    radius = np.interp(
        np.linspace(0, 1, 14),
        [0, 0.1, 0.3, 0.55, 0.85, 1],
        [0.5 * girth, 0.85 * girth, girth, 0.92 * girth, fore, 0.6 * fore],
    )
    parts.add(
        'body', sweep(path, radius), ellipsoid(0.7 * fore, 0.7 * fore, 0.7 * fore).at(long, 0, 0.02)
    )
    parts.add('body', ellipsoid(0.6 * girth, 0.8 * girth, 0.8 * girth).at(-long, 0, 0))
    raise_, reach = u(-5, 75), u(0.12, 0.5)
    neck = np.array([long, 0, 0.05]) + reach * np.array(
        [np.cos(np.radians(raise_)), 0, np.sin(np.radians(raise_))]
    )
    parts.add('head', limb((long, 0, 0.03), neck, 0.55 * fore, 0.38 * fore))
    nod, skull, snout = u(-50, 15), u(0.09, 0.13), u(0.05, 0.24)
    turn = rotation('z', u(-35, 35)) @ rotation('y', -nod)
    parts.add('head', ellipsoid(1.25 * skull, 0.9 * skull, skull).rotated(turn).at(*neck))
    parts.add(
        'head', limb(neck, neck + turn @ (skull + snout, 0, -0.03), 0.65 * skull, 0.4 * skull)
    )
    ear = cushion(0.05, 0.07, u(0.1, 0.28), 0.8).turned('x', u(-50, 0))
    for side in (1, -1):
        shaped = ear if side > 0 else ear.mirrored('y')
        parts.add(
            'ear', shaped.at(-0.2 * skull, side * 0.55 * skull, skull).rotated(turn).at(*neck)
        )
    thick, gait = u(0.035, 0.08), u(0, 28)
    for x, y, phase in ((long, 1, 1), (long, -1, -1), (-long, 1, -1), (-long, -1, 1)):
        hind = x < 0
        swing, bend = phase * gait + rng.normal() * 4, u(8, 32)
        joints = _chain(
            (0.92 * x, 0.55 * girth * y, -0.1 * girth),
            swing + (bend if hind else -0.4 * bend),
            0,
            [-2 * bend if hind else 0.8 * bend],
            np.array([0.52, 0.55]) * (leg + 0.3 * girth),
        )
        parts.add('leg', limb(joints[0], joints[1], 1.5 * thick, thick))
        parts.add('leg', limb(joints[1], joints[2], thick, 0.75 * thick))
        parts.add('foot', limb(joints[2], joints[2] + (0.07, 0, -0.01), 0.9 * thick, 0.7 * thick))
    length, droop = u(0.08, 0.6), u(-1, 0.7)
    tail = smooth_curve(
        [
            (-long, 0, 0.06),
            (-long - 0.45 * length, 0, 0.1 + 0.3 * droop * length),
            (-long - 0.8 * length, u(-0.15, 0.15), 0.1 + droop * length),
        ],
        14,
    )
    parts.add('tail', sweep(tail, np.linspace(0.05, u(0.012, 0.05), 14)))


def _bird(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    long, girth, pitch = u(0.3, 0.42), u(0.13, 0.2), u(0, 40)
    lean = rotation('y', -pitch)
    parts.add('body', ellipsoid(long, girth, girth).rotated(lean))
    neck = lean @ np.array([0.85 * long, 0, 0])
    head = neck + np.array([u(0.05, 0.15), 0, u(0.05, 0.4)])
    parts.add('head', limb(neck, head, 0.08, 0.06), ellipsoid(0.1, 0.085, 0.085).at(*head))
    beak = cylinder(0.045, u(0.1, 0.3), 0.006, 10).turned('y', 90)
    parts.add('beak', beak.at(*(head + (0.16, 0, -0.01))))
    if rng.random() < 0.55:
        raised, span = u(-25, 50), u(0.6, 1.1)
        for side in (1, -1):
            inner = side * np.array(
                [0, np.cos(np.radians(raised)), side * np.sin(np.radians(raised))]
            )
            elbow = lean @ (0.1, 0, 0.05) + 0.45 * span * inner + (0.08, 0, 0)
            tip = elbow + 0.55 * span * rotation('x', -side * u(10, 40)) @ inner - (0.15, 0, 0)
            parts.add(
                'wing',
                _feather_plane(lean @ (0.05, 0, 0.05), elbow, 0.3),
                _feather_plane(elbow, tip, 0.24),
            )
    else:
        folded = ellipsoid(0.85 * long, 0.05, 0.7 * girth).at(-0.15 * long, 0.85 * girth, 0.03)
        parts.add_mirrored('wing', folded.rotated(lean))
    fan = loft(
        [
            [(0, -w, 0.015), (0, w, 0.015), (0, w, -0.015), (0, -w, -0.015)] + np.array([x, 0, 0])
            for x, w in ((-0.8 * long, 0.06), (-long - u(0.1, 0.4), u(0.06, 0.2)))
        ]
    )
    parts.add('tail', fan.rotated(lean))
    height = u(0.15, 0.6)
    for side in (1, -1):
        hip = np.array([-0.02, side * 0.07, -0.6 * girth])
        foot = hip + (u(-0.05, 0.08), 0, -height)
        parts.add('leg', limb(hip, foot, 0.035, 0.018))
        for angle in (-30, 0, 30, 180):
            toe = foot + 0.1 * rotation('z', angle) @ (1, 0, 0)
            parts.add('leg', limb(foot, toe, 0.016, 0.01))


def _feather_plane(start: ArrayLike, end: ArrayLike, chord: float) -> Solid:
    """A flat, slightly lens-shaped panel behind the line from start to end."""
    section = np.array([(0.25, 0), (0, 0.05), (-0.75, 0), (0, -0.05)]) * chord
    return loft(
        [
            np.asarray(p, np.float64)
            + k * np.column_stack([section[:, 0], np.zeros(4), section[:, 1]])
            for p, k in ((start, 1.0), (end, 0.8))
        ]
    )


def _fish(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    tall, wide, wave = u(0.15, 0.42), u(0.08, 0.2), u(-0.25, 0.25)
    x = np.linspace(-0.9, 0.95, 22)
    shape = np.maximum(
        np.interp(x, [-0.9, -0.55, 0.2, 0.7, 0.95], [0.12, 0.4, 1, 0.75, 0.12]), 0.05
    )
    angle = np.arange(20) / 20 * 2 * np.pi
    swim = wave * np.maximum(-x, 0) ** 2
    body = loft(
        [
            np.column_stack(
                [np.full(20, a), s + wide * k * np.cos(angle), tall * k * np.sin(angle)]
            )
            for a, k, s in zip(x, shape, swim, strict=True)
        ]
    )
    parts.add('body', body)
    y = float(swim[0])

    def fin(points: ArrayLike, offset: float, across: Floats | None = None) -> Solid:
        outline = np.asarray(points, np.float64)
        rings = [
            np.column_stack([outline[:, 0], np.full(len(outline), d), outline[:, 1]])
            for d in (-0.02, 0.02)
        ]
        solid = loft(rings)
        return (solid if across is None else solid.rotated(across)).at(0, offset, 0)

    spread = u(0.2, 0.45)
    parts.add(
        'tail', fin([(-0.8, 0.03), (-1.25, spread), (-1.1, 0), (-1.25, -spread), (-0.8, -0.03)], y)
    )
    rise = tall + u(0.1, 0.3)
    parts.add(
        'fin',
        fin(
            [(-0.35, 0.4 * tall), (-0.4, rise), (u(0, 0.3), rise * u(0.7, 1)), (0.4, 0.4 * tall)], 0
        ),
    )
    if rng.random() < 0.6:
        parts.add('fin', fin([(-0.5, -0.3 * tall), (-0.5, -rise), (-0.1, -0.4 * tall)], 0))
    side = fin([(0.3, 0.05), (0, -0.2), (-0.05, -0.35), (0.2, -0.1)], 0, rotation('x', u(30, 70)))
    parts.add_mirrored('fin', side.at(0.15, 0.7 * wide, 0))
    parts.add_mirrored('eye', ellipsoid(0.045, 0.03, 0.045).at(0.72, 0.62 * wide, 0.15 * tall))


def _insect(rng: np.random.Generator, parts: Assembly) -> None:
    """Six or eight legs, two or three segments, perhaps wings."""
    u = rng.uniform
    pairs = int(rng.choice([3, 4]))
    abdomen, thorax, head = u(0.3, 0.6), u(0.15, 0.25), u(0.1, 0.17)
    parts.add(
        'abdomen',
        ellipsoid(abdomen, u(0.4, 0.8) * abdomen, u(0.35, 0.7) * abdomen).at(-abdomen, 0, 0.05),
    )
    parts.add('thorax', ellipsoid(1.2 * thorax, 0.9 * thorax, 0.8 * thorax).at(0.8 * thorax, 0, 0))
    front = 2 * thorax + 0.6 * head
    parts.add('head', ellipsoid(head, head, 0.9 * head).at(front, 0, 0))
    reach, knee, floor = u(0.45, 0.9), u(0.1, 0.4), -u(0.2, 0.4)
    for index in range(pairs):
        angle = np.radians(np.interp(index, [0, pairs - 1], [u(35, 55), u(125, 145)]))
        out = np.array([np.cos(angle), np.sin(angle), 0])
        hip = np.array([0.8 * thorax, 0, 0]) + 0.7 * thorax * out
        middle, end = hip + 0.45 * reach * out + (0, 0, knee), hip + reach * out + (0, 0, floor)
        parts.add_mirrored('leg', limb(hip, middle, 0.028, 0.022), limb(middle, end, 0.022, 0.012))
    path = smooth_curve(
        [(front, 0.04, head), (front + 0.2, 0.12, head + 0.15), (front + 0.4, 0.2, head)], 10
    )
    if pairs == 3:
        parts.add_mirrored('antenna', sweep(path, 0.014))
        if rng.random() < 0.6:
            sheet = ellipsoid(u(0.4, 0.6), u(0.14, 0.25), 0.018).at(-0.4, 0, 0)
            spread = sheet.turned('z', -u(10, 75)).turned('x', u(0, 25))
            parts.add_mirrored('wing', spread.at(thorax, 0.05, 0.75 * thorax))


def _snake(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    waves, t = u(1, 2.6), np.linspace(0, 1, 90)
    coil = rng.random() < 0.4
    angle = 2 * np.pi * waves * t
    if coil:
        radius = 0.8 - 0.5 * t
        path = np.column_stack(
            [radius * np.cos(angle), radius * np.sin(angle), u(0.1, 0.5) * t * waves]
        )
    else:
        path = np.column_stack(
            [2.4 * t, u(0.2, 0.4) * np.sin(angle), 0.3 * np.maximum(t - 0.85, 0) * 6]
        )
    radius = u(0.05, 0.085) * np.interp(t, [0, 0.25, 0.8, 0.95, 1], [0.2, 0.85, 1, 0.7, 0.7])
    parts.add('body', sweep(path, radius))
    forward = (path[-1] - path[-3]) / np.linalg.norm(path[-1] - path[-3])
    parts.add('head', limb(path[-1], path[-1] + 0.16 * forward, 0.085, 0.05))


def _robot(rng: np.random.Generator, parts: Assembly) -> None:
    """An articulated arm on a foot."""
    u = rng.uniform
    parts.add(
        'base', cylinder(u(0.3, 0.45), 0.14).at(0, 0, 0.07), cylinder(0.18, 0.3).at(0, 0, 0.25)
    )
    joints = [np.array([0, 0, 0.45])]
    heading, angle = rotation('z', u(-180, 180)), u(-40, 40)
    for index in range(int(rng.integers(2, 5))):
        direction = heading @ rotation('y', angle) @ (0, 0, 1)
        length = u(0.35, 0.7) * 0.88**index
        joints.append(joints[-1] + length * direction)
        thick = 0.11 * 0.85**index
        parts.add('link', limb(joints[-2], joints[-1], thick, 0.85 * thick))
        drum = cylinder(1.35 * thick, 2.6 * thick).turned('x', 90).rotated(heading)
        parts.add('joint', drum.at(*joints[-2]))
        angle += rng.choice([-1, 1]) * u(20, 80)
    end, along = joints[-1], (joints[-1] - joints[-2]) / np.linalg.norm(joints[-1] - joints[-2])
    across = heading @ (0, 1, 0)
    parts.add('gripper', box(0.1, 0.22, 0.06).rotated(heading).at(*(end + 0.06 * along)))
    for side in (-1, 1):
        start = end + 0.06 * along + 0.08 * side * across
        parts.add('gripper', limb(start, start + 0.2 * along, 0.025))


FAMILIES = (
    Family('human', ('torso', 'head', 'arm', 'hand', 'leg', 'foot'), _human, 'figure'),
    Family('quadruped', ('body', 'head', 'ear', 'leg', 'foot', 'tail'), _quadruped, 'figure'),
    Family('bird', ('body', 'head', 'beak', 'wing', 'tail', 'leg'), _bird, 'figure'),
    Family('fish', ('body', 'tail', 'fin', 'eye'), _fish, 'figure', rigid=False),
    Family('insect', ('abdomen', 'thorax', 'head', 'leg', 'antenna', 'wing'), _insect, 'figure'),
    Family('snake', ('body', 'head'), _snake, 'figure'),
    Family('robot_arm', ('base', 'link', 'joint', 'gripper'), _robot, 'figure'),
)
