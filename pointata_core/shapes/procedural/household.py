# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vessels and devices: mugs, bottles, teapots, screens, headphones, guitars; front towards +x."""

from __future__ import annotations

import numpy as np

from pointata_core.shapes.procedural.assembly import Assembly
from pointata_core.shapes.procedural.family import Family
from pointata_core.shapes.procedural.primitives import (
    beam,
    box,
    cushion,
    cylinder,
    ellipsoid,
    limb,
    rod,
    torus,
)
from pointata_core.shapes.procedural.surfaces import lathe, prism, smooth_curve, sweep, vessel


def _mug(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    height, low, high, wall = u(0.7, 1.2), u(0.3, 0.45), u(0.35, 0.5), u(0.03, 0.06)
    belly = (low + high) / 2 * u(0.92, 1.15)
    profile = smooth_curve([(low, 0), (belly, height / 2), (high, height)], 14)
    # The handle comes first: what of it reaches inside falls to the hollow.
    z, reach = height * u(0.4, 0.6), u(0.18, 0.3)
    path = smooth_curve(
        [
            (0, belly - 0.04, z - 0.25),
            (0, belly + reach, z - 0.17),
            (0, belly + reach, z + 0.17),
            (0, belly - 0.04, z + 0.25),
        ],
        24,
    )
    parts.add('handle', sweep(path, u(0.035, 0.06)))
    if rng.random() < 0.15:
        parts.add('handle', sweep(path, 0.05).mirrored('y'))
    parts.add('body', lathe(profile, 40))
    parts.cut(
        'inside',
        lathe(np.maximum(profile - (wall, 0), 0.02), 40).at(0, 0, wall),
        cylinder(high - wall, 0.2).at(0, 0, height + 0.08),
    )


def _bottle(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    radius, body, shoulder, neck = u(0.22, 0.38), u(0.6, 1), u(0.1, 0.4), u(0.15, 0.4)
    thin = radius * u(0.25, 0.45)
    waist = radius * u(0.85, 1.02)
    profile = np.concatenate(
        [
            smooth_curve(
                [(0.9 * radius, 0), (radius, 0.06), (waist, body / 2), (radius, body)], 14
            ),
            smooth_curve([(0.95 * radius, body + 0.25 * shoulder), (thin, body + shoulder)], 8),
            [(thin, body + shoulder + neck)],
        ]
    )
    parts.add('body', lathe(profile, 40))
    top = body + shoulder + neck
    if rng.random() < 0.7:
        parts.add(
            'cap',
            cylinder(1.15 * thin, u(0.08, 0.2), segments=int(rng.choice([12, 32]))).at(0, 0, top),
        )
    else:
        parts.add('cap', torus(thin, 0.02).at(0, 0, top))
        parts.cut('cap', cylinder(0.75 * thin, neck).at(0, 0, top))
    if rng.random() < 0.3:
        path = smooth_curve(
            [
                (0, 0.5 * thin, top - 0.1),
                (0, radius + 0.15, top - 0.15),
                (0, radius - 0.03, 0.7 * body),
            ],
            20,
        )
        parts.add('handle', sweep(path, 0.035))


def _bowl(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    height, foot, flare = u(0.2, 0.8), u(0.2, 0.45), u(0.5, 1.6)
    t = np.linspace(0, 1, 14)
    profile = np.column_stack([foot + (1 - foot) * np.sin(t * np.pi / 2) ** flare, height * t**1.3])
    parts.add('body', vessel(profile, u(0.04, 0.08)))
    parts.add('foot', cylinder(0.9 * foot, 0.12, 0.8 * foot).at(0, 0, -0.03))
    if rng.random() < 0.25:
        parts.add('lid', ellipsoid(1.0, 1.0, u(0.2, 0.4)).at(0, 0, height))
        parts.add('lid', ellipsoid(0.12, 0.12, 0.12).at(0, 0, height + 0.42))


def _vase(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    height, wall = u(1, 1.8), u(0.04, 0.07)
    radii = np.array([u(0.2, 0.4), u(0.35, 0.65), u(0.25, 0.6), u(0.15, 0.3), u(0.2, 0.45)])
    profile = smooth_curve(np.column_stack([radii, np.linspace(0, height, 5)]), 26)
    profile[:, 0] = np.maximum(profile[:, 0], wall + 0.05)
    body = vessel(profile, wall)
    if rng.random() < 0.3:
        ribs = int(rng.integers(5, 14))
        body = body.warped(
            lambda p: (
                p
                * np.column_stack(
                    [
                        np.repeat(
                            1 + 0.05 * np.cos(ribs * np.arctan2(p[:, 1], p[:, 0]))[:, None], 2, 1
                        ),
                        np.ones(len(p)),
                    ]
                )
            )
        )
    parts.add('body', body)
    if rng.random() < 0.35:
        r = float(np.interp(0.65 * height, profile[:, 1], profile[:, 0]))
        loop = torus(0.2, 0.04).turned('y', 90).at(0, r + 0.12, 0.65 * height)
        parts.add_mirrored('handle', loop)
    stems = int(rng.integers(0, 5))
    for _ in range(stems):
        lean = rng.normal(size=2) * 0.25
        end = np.array([*lean, height + u(0.3, 0.9)])
        parts.add('flower', rod((0, 0, 0.3 * height), end, 0.02, segments=8))
        parts.add('flower', ellipsoid(*u(0.07, 0.16, 3)).at(*end))


def _teapot(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    radius, squash = 0.5, u(0.7, 1.1)
    parts.add('body', ellipsoid(radius, radius, radius * squash))
    parts.add('body', cylinder(0.3, 0.1).at(0, 0, -radius * squash))
    path = smooth_curve([(0.35, 0, -0.15), (0.65, 0, 0), (0.75, 0, 0.25), (u(0.85, 1), 0, 0.4)], 22)
    parts.add('spout', sweep(path, np.linspace(0.13, 0.055, 22)))
    path = smooth_curve([(-0.38, 0, 0.22), (-0.8, 0, 0.3), (-0.8, 0, -0.15), (-0.42, 0, -0.2)], 24)
    parts.add('handle', sweep(path, u(0.035, 0.06)))
    parts.add('lid', ellipsoid(0.27, 0.27, 0.12).at(0, 0, 0.96 * radius * squash))
    parts.add('lid', ellipsoid(0.07, 0.07, 0.08).at(0, 0, radius * squash + 0.15))


def _pan(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    height, low = u(0.12, 0.6), u(0.4, 0.5)
    parts.add('body', vessel([(low, 0), (0.5, 0.3 * height), (0.53, height)], 0.035))
    z = height * u(0.6, 0.85)
    if rng.random() < 0.65:
        parts.add(
            'handle', limb((-0.5, 0, z), (-0.5 - u(0.5, 0.9), 0, z + u(0, 0.15)), 0.045, 0.06)
        )
    else:
        ear = torus(0.14, 0.03).at(0, 0.57, z)
        parts.add_mirrored('handle', ear)
        parts.cut('handle', cylinder(0.45, height).at(0, 0, height / 2 + 0.05))
    if rng.random() < 0.3:
        parts.add(
            'lid',
            ellipsoid(0.53, 0.53, 0.13).at(0, 0, height),
            ellipsoid(0.08, 0.08, 0.08).at(0, 0, height + 0.16),
        )


def _laptop(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, thick = u(0.22, 0.3), u(0.32, 0.42), u(0.015, 0.035)
    parts.add('base', cushion(2 * x, 2 * y, thick, 0.1))
    rows, columns = 4, 10
    for row in range(rows):
        key = box(0.25 * x, 1.5 * y / columns, 0.01)
        for column in range(columns):
            place = (0.3 * x * (row - 2.2) - 0.1 * x, 1.8 * y * ((column + 0.5) / columns - 0.5))
            parts.add('key', key.at(*place, thick / 2 + 0.002))
    opening = u(80, 135)
    screen = cushion(2 * x, 2 * y, 0.7 * thick, 0.1).at(x, 0, 0).turned('y', -opening)
    parts.add('screen', screen.at(-x, 0, thick / 2))
    parts.add('hinge', rod((-x, -0.7 * y, thick / 2), (-x, 0.7 * y, thick / 2), 0.7 * thick))


def _monitor(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    y, tall, height, deep = u(0.4, 0.7), u(0.25, 0.4), u(0.45, 0.7), u(0.03, 0.09)
    if rng.random() < 0.3:
        parts.add(
            'back',
            cylinder(0.8 * tall, u(0.2, 0.5), 0.4 * tall).turned('y', -90).at(-0.2, 0, height),
        )
    parts.add('screen', box(deep, 2 * y, 2 * tall).at(0, 0, height))
    parts.cut('screen', box(0.03, 1.88 * y, 1.82 * tall).at(deep / 2, 0, height))
    parts.add('stand', beam((-0.05, 0, 0.02), (-0.02, 0, height), 0.04, u(0.06, 0.2)))
    if rng.random() < 0.5:
        parts.add('foot', cylinder(u(0.15, 0.25), 0.03).at(-0.03, 0, 0.015))
    else:
        parts.add('foot', cushion(0.26, u(0.3, 0.7), 0.03, 0.2).at(-0.03, 0, 0.015))


def _headphones(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    radius, cup, thick = u(0.4, 0.5), u(0.16, 0.24), u(0.1, 0.18)
    angle = np.linspace(0, np.pi, 30)
    arc = np.column_stack([np.zeros(30), radius * np.cos(angle), 1.1 * radius * np.sin(angle)])
    parts.add('band', sweep(arc, 0.035, np.array([(2, 1), (-2, 1), (-2, -1), (2, -1)]) * u(0.4, 1)))
    ear = cylinder(cup, thick).turned('x', 90).scaled(1, 1, u(1, 1.25))
    parts.add_mirrored('cup', ear.at(0, radius, -0.02))
    pad = torus(0.8 * cup, 0.25 * cup).turned('x', 90)
    parts.add_mirrored('pad', pad.at(0, radius - thick / 2, -0.02))
    if rng.random() < 0.35:
        path = smooth_curve(
            [(0, radius, -0.1), (0.2, radius, -0.3), (0.4, radius - 0.25, -0.32)], 14
        )
        parts.add('microphone', sweep(path, 0.018), ellipsoid(0.05, 0.04, 0.04).at(*path[-1]))


def _guitar(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    lower, upper, waist, deep = u(0.36, 0.46), u(0.26, 0.34), u(0.2, 0.26), u(0.05, 0.22)
    half = smooth_curve([(0.02, 0), (lower, 0.28), (waist, 0.58), (upper, 0.85), (0.04, 1.02)], 30)
    outline = np.concatenate([half, (half * (-1, 1))[::-1]])
    parts.add('body', prism(outline, deep).turned('x', 90).turned('z', 90))
    if rng.random() < 0.6:
        parts.cut('hole', cylinder(0.12, 0.5).turned('y', 90).at(0.23, 0, 0.66))
    face = deep / 2
    long = u(1.7, 2)
    parts.add('neck', box(0.06, 0.1, long - 0.75).at(face + 0.01, 0, (long + 0.75) / 2))
    parts.add(
        'head', box(0.05, u(0.14, 0.22), 0.3).turned('y', -12).at(face - 0.02, 0, long + 0.12)
    )
    for z in (0.03, 0.12, 0.21):
        parts.add(
            'peg',
            rod((face - 0.02, -0.17, long + z), (face - 0.02, 0.17, long + z), 0.018, segments=8),
        )
    parts.add('bridge', box(0.04, 0.3, 0.06).at(face + 0.015, 0, 0.32))


def _umbrella(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    ribs, height, low = int(rng.integers(6, 13)), u(1.2, 1.7), u(0.05, 0.6)
    angle = np.linspace(0.12, u(1.1, 1.5), 10)
    profile = np.column_stack([np.sin(angle), height - low + low * np.cos(angle)])
    section = np.concatenate([profile, (profile - (0, 0.05))[::-1]])
    parts.add(
        'canopy', lathe(section, ribs, closed=True), cylinder(0.2, 0.08).at(0, 0, height - 0.02)
    )
    parts.add('shaft', rod((0, 0, 0.02), (0, 0, height + 0.12), 0.022))
    if rng.random() < 0.7:
        path = smooth_curve([(0, 0, 0.1), (0, 0, -0.05), (0.08, 0, -0.16), (0.18, 0, -0.06)], 16)
        parts.add('handle', sweep(path, 0.035))
    else:
        parts.add('handle', cylinder(0.35, 0.06).at(0, 0, 0.02))


FAMILIES = (
    Family('mug', ('body', 'inside', 'handle'), _mug, 'household'),
    Family('bottle', ('body', 'cap', 'handle'), _bottle, 'household'),
    Family('bowl', ('body', 'foot', 'lid'), _bowl, 'household'),
    Family('vase', ('body', 'handle', 'flower'), _vase, 'household'),
    Family('teapot', ('body', 'spout', 'handle', 'lid'), _teapot, 'household'),
    Family('pan', ('body', 'handle', 'lid'), _pan, 'household'),
    Family('laptop', ('base', 'key', 'screen', 'hinge'), _laptop, 'household'),
    Family('monitor', ('screen', 'back', 'stand', 'foot'), _monitor, 'household'),
    Family('headphones', ('band', 'cup', 'pad', 'microphone'), _headphones, 'household'),
    Family('guitar', ('body', 'hole', 'neck', 'head', 'peg', 'bridge'), _guitar, 'household'),
    Family('umbrella', ('canopy', 'shaft', 'handle'), _umbrella, 'household'),
)
