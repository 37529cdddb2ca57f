# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tool-like shapes, lying along x with the working end towards +x."""

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
from pointata_core.shapes.procedural.solids import Solid, rotation
from pointata_core.shapes.procedural.surfaces import lathe, prism, smooth_curve, sweep


def _grip(rng: np.random.Generator, length: float, radius: float) -> Solid:
    """A turned or oval handle from -length to 0 along x."""
    radii = radius * rng.uniform(0.75, 1.15, 5)
    knots = np.column_stack([radii, np.linspace(-length, 0, 5)])
    handle = lathe(smooth_curve(knots, 16), 16).turned('y', 90)
    return handle.scaled(1, 1, rng.uniform(0.7, 1))


def _hammer(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    length, thick, reach = u(0.7, 1.1), u(0.03, 0.045), u(0.14, 0.24)
    parts.add('handle', _grip(rng, length, thick))
    face = u(0.05, 0.1)
    parts.add(
        'head', cylinder(face, 0.1).at(0, 0, reach), rod((0, 0, -0.1), (0, 0, reach), 0.6 * face)
    )
    kind = rng.integers(3)
    if kind == 0:  # claw
        path = smooth_curve([(0, 0, -0.05), (-0.02, 0, -0.16), (-0.12, 0, -0.24)], 12)
        for y in (-0.03, 0.03):
            parts.add('peen', sweep(path + (0, y, 0), np.linspace(0.035, 0.012, 12)))
    elif kind == 1:
        parts.add('peen', ellipsoid(0.07, 0.07, 0.08).at(0, 0, -0.13))
    else:
        parts.add(
            'peen', cylinder(face, 0.1).at(0, 0, -reach), rod((0, 0, -reach), (0, 0, 0), 0.6 * face)
        )


def _screwdriver(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    grip, shaft, radius = u(0.3, 0.45), u(0.3, 0.9), u(0.012, 0.025)
    section = int(rng.integers(5, 9))
    outline = np.column_stack([np.cos(t := np.linspace(0, 2 * np.pi, 48, False)), np.sin(t)])
    outline *= (1 + 0.12 * np.cos(section * t))[:, None]
    path = np.column_stack([np.linspace(-grip, 0, 12), np.zeros((12, 2))])
    swell = u(0.055, 0.08) * (0.75 + 0.25 * np.sin(np.linspace(0.2, 2.9, 12)))
    parts.add('handle', sweep(path, swell, outline), ellipsoid(0.04, 0.055, 0.055).at(-grip, 0, 0))
    parts.add('shaft', rod((-0.02, 0, 0), (shaft, 0, 0), radius))
    if rng.random() < 0.5:
        parts.add('tip', box(0.1, 2.6 * radius, 0.7 * radius).at(shaft + 0.02, 0, 0))
    else:
        parts.add('tip', cylinder(radius, 0.1, 0.004, 4).turned('y', 90).at(shaft + 0.04, 0, 0))


def _wrench(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    length, thick, head = u(0.6, 1.1), u(0.04, 0.07), u(0.12, 0.2)
    parts.add('handle', cushion(length, u(0.08, 0.13), thick, 0.3))
    parts.add('jaw', cylinder(head, 1.3 * thick).at(length / 2, 0, 0))
    slot = box(2 * head, head, 1).at(1.15 * head, 0, 0).turned('z', u(-20, 20))
    parts.cut('jaw', slot.at(length / 2, 0, 0))
    if rng.random() < 0.6:
        eye = u(0.1, 0.17)
        parts.add('eye', cylinder(eye, 1.3 * thick).at(-length / 2, 0, 0))
        parts.cut('eye', cylinder(0.6 * eye, 1, segments=6).at(-length / 2, 0, 0))


def _knife(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    grip, blade, wide = u(0.25, 0.4), u(0.4, 0.9), u(0.06, 0.16)
    parts.add('handle', _grip(rng, grip, 0.04))
    point = u(-0.9, 0.4) * wide / 2
    edge = smooth_curve([(0, -wide / 2), (0.6 * blade, -0.5 * wide), (blade, point)], 12)
    outline = np.concatenate(
        [edge, [(0.7 * blade, wide / 2), (-0.03, wide / 2), (-0.03, -wide / 2)]]
    )
    parts.add('blade', prism(outline, 0.014).turned('x', 90))
    if rng.random() < 0.5:
        parts.add('guard', cushion(0.04, 0.08, wide + u(0.05, 0.2), 0.4))


def _spoon(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    length, x, y = u(0.6, 1), u(0.14, 0.22), u(0.09, 0.18)
    drop = u(0.02, 0.12)
    path = smooth_curve([(-length, 0, 0), (-0.5 * length, 0, drop), (0, 0, 0)], 20)
    section = np.array(
        [(1, 0.4), (0.4, 1), (-0.4, 1), (-1, 0.4), (-1, -0.4), (-0.4, -1), (0.4, -1), (1, -0.4)]
    )
    width = np.interp(np.linspace(0, 1, 20), [0, 0.2, 0.9, 1], [0.05, 0.04, 0.02, 0.03])
    parts.add('handle', sweep(path, width, section * (1, 0.45)))
    depth = u(0.04, 0.08)
    parts.add('bowl', ellipsoid(x, y, depth).at(0.85 * x, 0, 0))
    parts.cut(
        'bowl',
        ellipsoid(0.9 * x, 0.9 * y, depth).at(0.85 * x, 0, 0.025),
        box(1.75 * x, 4 * y, 1).at(0.95 * x, 0, 0.508),
    )


def _fork(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    length, tine, wide = u(0.5, 0.9), u(0.2, 0.4), u(0.08, 0.14)
    parts.add('handle', cushion(length, u(0.03, 0.07), 0.025, 0.5).at(-length / 2, 0, 0))
    parts.add('neck', cushion(0.16, 2.2 * wide, 0.03, 0.6).at(0.06, 0, 0))
    count, curve = int(rng.integers(2, 6)), u(0, 0.08)
    for y in np.linspace(-wide, wide, count):
        path = smooth_curve(
            [(0.05, y, 0), (0.05 + tine / 2, y, -curve), (0.05 + tine, y, curve)], 12
        )
        parts.add('tine', sweep(path, np.linspace(0.016, 0.006, 12)))


def _saw(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    length, wide, tip, teeth = u(0.7, 1.2), u(0.18, 0.3), u(0.06, 0.16), int(rng.integers(10, 24))
    x = np.linspace(0, length, 2 * teeth)
    low = -np.interp(x, [0, length], [wide, tip]) + 0.025 * (np.arange(2 * teeth) % 2)
    outline = np.concatenate([np.column_stack([x, low]), [(length, 0), (0, 0)]])
    parts.add('blade', prism(outline, 0.015).turned('x', 90))
    parts.add('handle', cushion(0.28, 0.06, 0.34, 0.4).at(-0.1, 0, -wide / 2))
    parts.cut('handle', cushion(0.12, 1, 0.2, 0.5).at(-0.11, 0, -wide / 2))


def _axe(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    length, reach, edge = u(0.7, 1.2), u(0.2, 0.35), u(0.15, 0.32)
    path = smooth_curve(
        [(-length, 0, u(-0.06, 0.02)), (-0.5 * length, 0, u(-0.03, 0.03)), (0.1, 0, 0)], 16
    )
    parts.add('handle', sweep(path, u(0.03, 0.045)))
    outline = np.concatenate(
        [
            [(-0.07, -0.08), (0.07, -0.08)],
            smooth_curve([(edge, reach), (0, reach + 0.07), (-edge, reach)], 10),
        ]
    )
    blade = prism(outline, 0.1).warped(
        lambda p: (
            p
            * np.column_stack(
                [np.ones((len(p), 2)), np.interp(p[:, 1], [0, reach + 0.08], [1, 0.1])]
            )
        )
    )
    sides = [blade.turned('x', 90)]
    if rng.random() < 0.3:
        sides.append(sides[0].turned('x', 180))
    parts.add('head', *sides)
    parts.add('head', box(0.14, 0.1, 0.2))


def _scissors(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    opening, blade, shank, eye = u(4, 35), u(0.5, 0.8), u(0.25, 0.5), u(0.1, 0.16)
    half = prism([(blade, 0), (0, 0.06), (-0.1, 0.03), (-0.1, -0.05), (0, -0.06)], 0.03)
    bow = torus(eye, 0.025).scaled(u(1, 1.5), 1, 1).at(-shank - eye, -0.6 * eye, 0)
    arm = rod((0, 0, 0), (-shank, -0.1, 0), 0.03)
    for side in (1, -1):
        turn = rotation('z', side * opening / 2)
        flip = (lambda s: s) if side > 0 else (lambda s: s.mirrored('y'))
        parts.add('blade', flip(half).rotated(turn).at(0, 0, side * 0.012))
        parts.add('handle', flip(arm).rotated(turn), flip(bow).rotated(turn))
    parts.add('pivot', cylinder(0.035, 0.1))


def _pliers(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    opening, length, jaw = u(6, 24), u(0.6, 0.9), u(0.15, 0.35)
    slim = u(0.3, 1)
    for side in (1, -1):
        turn = rotation('z', side * opening / 2)
        path = smooth_curve(
            [(0, 0, 0), (-0.3 * length, side * 0.12, 0), (-length, side * 0.07, 0)], 16
        )
        parts.add('handle', sweep(path, np.linspace(0.025, 0.04, 16)).rotated(turn))
        nose = prism([(0, 0), (jaw, 0), (jaw, 0.06 * slim), (0, 0.09)], 0.07)
        nose = nose if side < 0 else nose.mirrored('y')
        parts.add('jaw', nose.mirrored('y').rotated(turn))
    parts.add('pivot', cylinder(0.085, 0.085))


def _brush(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    parts.add('handle', _grip(rng, u(0.4, 0.9), 0.035))
    if rng.random() < 0.5:
        wide, tall = u(0.12, 0.3), u(0.18, 0.35)
        parts.add('ferrule', box(0.12, wide, 0.07).at(0.04, 0, 0))
        parts.add('bristle', beam((0.09, 0, 0), (0.09 + tall, 0, 0), 0.055, 0.95 * wide))
    else:
        parts.add('ferrule', cushion(0.5, 0.14, 0.05, 0.5).at(0.22, 0, 0))
        for x in np.linspace(0.02, 0.42, 7):
            parts.add_mirrored(
                'bristle', rod((x, 0.035, 0), (x, 0.04, -u(0.14, 0.16)), 0.022, segments=8)
            )


def _shovel(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    length, x, y = u(0.8, 1.5), u(0.25, 0.4), u(0.14, 0.22)
    parts.add('shaft', rod((-length, 0, 0), (0.05, 0, 0), u(0.022, 0.035)))
    if rng.random() < 0.6:
        parts.add('grip', rod((-length, -0.11, 0), (-length, 0.11, 0), 0.03))
    else:
        parts.add('grip', limb((-length, 0, 0), (-length + 0.15, 0, 0), 0.04))
    point = u(0, 0.2)
    outline = [(0, -y), (x, -0.9 * y), (x + point, 0), (x, 0.9 * y), (0, y)]
    curve = u(0.5, 1.6)
    blade = prism(outline, 0.025)
    parts.add(
        'blade',
        blade.warped(lambda p: p + np.column_stack([np.zeros((len(p), 2)), curve * p[:, 1] ** 2])),
    )
    parts.add('blade', rod((0, 0, 0), (0.5 * x, 0, 0.02), 0.03, 0.012))


FAMILIES = (
    Family('hammer', ('handle', 'head', 'peen'), _hammer, 'tool'),
    Family('screwdriver', ('handle', 'shaft', 'tip'), _screwdriver, 'tool'),
    Family('wrench', ('handle', 'jaw', 'eye'), _wrench, 'tool'),
    Family('knife', ('handle', 'blade', 'guard'), _knife, 'tool'),
    Family('spoon', ('handle', 'bowl'), _spoon, 'tool'),
    Family('fork', ('handle', 'neck', 'tine'), _fork, 'tool'),
    Family('saw', ('blade', 'handle'), _saw, 'tool'),
    Family('axe', ('handle', 'head'), _axe, 'tool'),
    Family('scissors', ('blade', 'handle', 'pivot'), _scissors, 'tool'),
    Family('pliers', ('handle', 'jaw', 'pivot'), _pliers, 'tool'),
    Family('brush', ('handle', 'ferrule', 'bristle'), _brush, 'tool'),
    Family('shovel', ('shaft', 'grip', 'blade'), _shovel, 'tool'),
)
