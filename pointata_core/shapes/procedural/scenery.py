# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Things that stand outdoors: houses, towers, trees, potted plants, signs, cacti, fences."""

from __future__ import annotations

import numpy as np

from pointata_core.shapes.procedural.assembly import Assembly
from pointata_core.shapes.procedural.family import Family
from pointata_core.shapes.procedural.primitives import (
    beam,
    box,
    cylinder,
    ellipsoid,
    limb,
    plate,
    rod,
)
from pointata_core.shapes.procedural.solids import rotation
from pointata_core.shapes.procedural.surfaces import prism, smooth_curve, sweep, vessel


def _house(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, wall, rise = u(0.5, 0.9), u(0.5, 1.2), u(0.6, 1.4), u(0.3, 0.8)
    parts.add('wall', plate((-x, -y, 0), (x, y, wall)))
    for row in range(1 if wall < 1 else 2):
        z = 0.35 + 0.55 * row
        for place in np.linspace(-0.7 * y, 0.7 * y, int(rng.integers(2, 5))):
            if row or abs(place) > 0.2 or rng.random() < 0.5:
                parts.cut(
                    'window',
                    box(0.12, 0.2, 0.28).at(x, place, z),
                    box(0.12, 0.2, 0.28).at(-x, place, z),
                )
    parts.cut('door', box(0.1, 0.24, 0.9).at(x, u(-0.15, 0.15), 0))
    over = u(0.05, 0.18)
    if rng.random() < 0.7:
        gable = prism([(-x - over, 0), (x + over, 0), (0, rise)], 2 * (y + over)).turned('x', 90)
        parts.add('roof', gable.at(0, 0, wall - 0.01))
    else:
        hip = cylinder(1.0, rise, u(0.05, 0.5), 4).scaled((x + over) * 1.41, (y + over) * 1.41, 1)
        parts.add('roof', hip.at(0, 0, wall + rise / 2 - 0.01))
    if rng.random() < 0.6:
        parts.add(
            'chimney',
            box(0.16, 0.16, rise + 0.25).at(0.3 * x, u(-0.6, 0.6) * y, wall + rise / 2 + 0.15),
        )


def _tower(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    sides, radius, z = int(rng.choice([4, 6, 8, 24])), u(0.3, 0.5), 0.0
    for _ in range(int(rng.integers(1, 4))):
        tall = u(0.6, 1.4)
        parts.add(
            'shaft',
            cylinder(radius, tall + 0.02, radius * u(0.85, 1), sides).at(0, 0, z + tall / 2),
        )
        z += tall
        parts.add('ledge', cylinder(1.15 * radius, 0.08, segments=sides).at(0, 0, z))
        radius *= u(0.7, 0.95)
    if rng.random() < 0.6:
        peak = u(0.4, 1.2)
        parts.add('top', cylinder(1.1 * radius, peak, 0.02, sides).at(0, 0, z + peak / 2))
    else:
        parts.add('top', cylinder(1.2 * radius, 0.3, segments=sides).at(0, 0, z + 0.15))
        count = int(rng.integers(2, 5))
        gap = box(4, 0.25 * radius, 0.2).at(0, 0, z + 0.26)
        parts.cut('top', *(gap.turned('z', 180 * k / count) for k in range(count)))


def _tree(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    height, thick = u(0.5, 1), u(0.06, 0.13)
    parts.add('trunk', cylinder(thick, height + 0.3, 0.7 * thick, 12).at(0, 0, height / 2))
    if rng.random() < 0.4:  # conifer
        tiers, z, radius = int(rng.integers(2, 6)), 0.6 * height, u(0.45, 0.75)
        for _ in range(tiers):
            tall = u(0.45, 0.6)
            parts.add('crown', cylinder(radius, tall, 0.02, 20).at(0, 0, z + tall / 2))
            z, radius = z + 0.55 * tall, 0.78 * radius
        return
    for index in range(int(rng.integers(2, 6))):
        lean, turn = u(20, 65), u(0, 360)
        length = u(0.35, 0.7)
        end = rotation('z', turn) @ rotation('y', lean) @ (0, 0, length) + (0, 0, height)
        parts.add('branch', limb((0, 0, height - 0.05), end, 0.5 * thick, 0.3 * thick))
        if index == 0 or rng.random() < 0.85:
            parts.add('crown', ellipsoid(*u(0.22, 0.42, 3)).at(*end))


def _plant(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    low, high, tall = u(0.2, 0.3), u(0.28, 0.42), u(0.35, 0.6)
    parts.add('pot', vessel([(low, 0), ((low + high) / 2, tall / 2), (high, tall)], 0.04))
    parts.add('soil', cylinder(0.9 * high, 0.06).at(0, 0, 0.75 * tall))
    for index in range(int(rng.integers(4, 12))):
        turn, reach, rise, wide = u(0, 360), u(0.3, 0.7), u(0.3, 1), u(0.05, 0.1)
        path = smooth_curve(
            [
                (0.02, 0, 0.7 * tall),
                (0.3 * reach, 0, tall + 0.8 * rise),
                (reach, 0, tall + rise * u(0.4, 1)),
            ],
            12,
        )
        width = wide * np.sin(np.linspace(0.35, 3, 12))
        section = np.array(
            [(1, 0), (0.6, 0.16), (-0.6, 0.16), (-1, 0), (-0.6, -0.16), (0.6, -0.16)]
        )
        leaf = sweep(path, width, section[:, ::-1] if index % 2 else section)
        parts.add('leaf', leaf.turned('z', turn))


def _sign(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    height, sides = u(1.2, 2.2), int(rng.choice([3, 4, 4, 6, 8, 24]))
    parts.add('pole', cylinder(u(0.03, 0.06), height).at(0, 0, height / 2))
    parts.add('foot', cylinder(u(0.1, 0.25), 0.06).at(0, 0, 0.03))
    board = cylinder(u(0.25, 0.45), 0.05, segments=sides)
    board = (
        board.turned('z', 180 / sides - 90 * (sides == 3)).turned('y', 90).scaled(1, u(0.8, 1.8), 1)
    )
    parts.add('board', board.at(0.05, 0, height - 0.1))
    if rng.random() < 0.3:
        parts.add('board', box(0.04, u(0.4, 0.7), 0.18).at(0.05, 0, height - u(0.6, 0.8)))


def _cactus(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    height, thick = u(0.9, 1.6), u(0.13, 0.22)
    parts.add('stem', limb((0, 0, 0), (0, 0, height), thick))
    for _ in range(int(rng.integers(1, 5))):
        z, reach, rise = height * u(0.25, 0.65), u(0.3, 0.5), u(0.2, 0.55)
        path = smooth_curve([(0, 0, z), (reach, 0, z + 0.05), (reach + 0.05, 0, z + rise)], 16)
        turn = u(0, 360)
        parts.add('arm', sweep(path, 0.6 * thick).turned('z', turn))
        parts.add('arm', ellipsoid(*np.full(3, 0.6 * thick)).at(*path[-1]).turned('z', turn))


def _fence(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    half, height, posts = u(0.8, 1.4), u(0.6, 1), int(rng.integers(2, 5))
    for y in np.linspace(-half, half, posts):
        parts.add('post', box(0.09, 0.09, height + 0.1).at(0, y, height / 2))
    upright = rng.random() < 0.6
    rails = 2 if upright else int(rng.integers(2, 5))
    for z in np.linspace(0.2, 0.9, rails) * height:
        parts.add('rail', beam((0.02, -half, z), (0.02, half, z), 0.07, 0.04))
    if upright:
        for y in np.linspace(-0.95 * half, 0.95 * half, int(rng.integers(6, 16))):
            parts.add(
                'slat',
                prism(
                    [
                        (-0.045, 0),
                        (0.045, 0),
                        (0.045, height - 0.06),
                        (0, height),
                        (-0.045, height - 0.06),
                    ],
                    0.025,
                )
                .turned('x', 90)
                .turned('z', 90)
                .at(0.06, y, 0.04),
            )
    elif rng.random() < 0.5:
        parts.add('slat', rod((0.02, -half, 0.2 * height), (0.02, half, 0.9 * height), 0.03))


FAMILIES = (
    Family('house', ('wall', 'window', 'door', 'roof', 'chimney'), _house, 'scenery'),
    Family('tower', ('shaft', 'ledge', 'top'), _tower, 'scenery'),
    Family('tree', ('trunk', 'branch', 'crown'), _tree, 'scenery'),
    Family('potted_plant', ('pot', 'soil', 'leaf'), _plant, 'scenery'),
    Family('sign', ('pole', 'foot', 'board'), _sign, 'scenery'),
    Family('cactus', ('stem', 'arm'), _cactus, 'scenery'),
    Family('fence', ('post', 'rail', 'slat'), _fence, 'scenery'),
)
