# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Furniture-like shapes: seats, tables, beds, shelves, lamps; front towards +x."""

from __future__ import annotations

import numpy as np

from pointata_core.shapes.procedural.assembly import Assembly
from pointata_core.shapes.procedural.family import Family
from pointata_core.shapes.procedural.primitives import (
    SEGMENTS,
    beam,
    box,
    cushion,
    cylinder,
    ellipsoid,
    plate,
    rod,
    torus,
)
from pointata_core.shapes.procedural.surfaces import lathe, smooth_curve, sweep, vessel


def _legs(
    rng: np.random.Generator, parts: Assembly, x: float, y: float, top: float, part: str = 'leg'
) -> None:
    """Four legs under a rectangle (half extents x, y) at height ``top``, in one of the usual ways.

    Straight or splayed, square or round, sledges, or one column with a foot.
    """
    u = rng.uniform
    thick, kind = u(0.03, 0.06), rng.integers(5)
    top += 0.01
    if kind == 4:
        parts.add(part, cylinder(thick, top).at(0, 0, top / 2))
        if rng.random() < 0.5:
            parts.add(part, cylinder(0.8 * min(x, y), 0.04).at(0, 0, 0.02))
        else:
            count = int(rng.integers(3, 6))
            foot = rod((0, 0, 0.12), (0.9 * min(x, y), 0, 0.02), 0.025)
            parts.add_around(part, count, foot, start=u(0, 90))
        return
    inset = thick + u(0, 0.05)
    splay = u(0, 0.1) if kind in (1, 2) else 0.0
    for sx in (-1, 1):
        low = np.array([sx * (x - inset + splay), y - inset + splay, 0])
        high = np.array([sx * (x - inset), y - inset, top])
        if kind in (0, 1):
            leg = beam(low, high, thick, thick)
        else:
            leg = rod(low, high, thick * u(0.35, 0.6), thick * 0.6)
        parts.add_mirrored(part, leg)
    if kind == 3 or rng.random() < 0.25:
        height = 0.02 if kind == 3 else u(0.1, 0.5) * top
        bar = beam((inset - x, y - inset, height), (x - inset, y - inset, height), 0.03, 0.03)
        parts.add_mirrored(part, bar)


def _back(
    rng: np.random.Generator, parts: Assembly, x: float, y: float, low: float, high: float
) -> None:
    """A back over the rear edge: closed, with slats, rungs or a hole."""
    u = rng.uniform
    thick, lean, kind = u(0.03, 0.07), u(0, 0.12), rng.integers(4)
    start, end = np.array([-x, 0, low - 0.02]), np.array([-x - lean, 0, high])
    if kind == 0:
        parts.add('back', beam(start, end, thick, 2 * y))
        if rng.random() < 0.4:
            parts.cut(
                'back',
                cushion(1, y * u(0.5, 1.2), (high - low) * u(0.3, 0.6)).at(
                    -x - lean / 2, 0, (low + high) / 2
                ),
            )
        return
    if kind == 1:
        parts.add('back', cushion(0.1, 2 * y, high - low).at(-x - lean / 2, 0, (low + high) / 2))
        return
    side = (0, y - 0.03, 0)
    parts.add_mirrored('back', beam(start + side, end + side, 0.04, 0.04))
    parts.add('back', beam(end - side, end + side, 0.06, 0.05))
    count = int(rng.integers(2, 6))
    for step in (np.arange(count) + 1) / (count + 1):
        if kind == 2:
            across = (0, (2 * step - 1) * (y - 0.03), 0)
            parts.add('back', rod(start + across, end + across, 0.012))
        else:
            middle = start + step * (end - start)
            parts.add('back', beam(middle - side, middle + side, 0.04, 0.02))


def _chair(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, height = u(0.19, 0.27), u(0.19, 0.28), u(0.4, 0.52)
    thick = u(0.03, 0.1)
    seat = cushion(2 * x, 2 * y, thick) if rng.random() < 0.4 else box(2 * x, 2 * y, thick)
    parts.add('seat', seat.at(0, 0, height))
    _legs(rng, parts, x, y, height - thick / 2)
    _back(rng, parts, x, y, height, height + u(0.3, 0.65))
    if rng.random() < 0.4:
        rest = height + u(0.16, 0.26)
        parts.add_mirrored('arm', beam((-x, y, rest), (0.7 * x, y, rest), 0.05, 0.04))
        parts.add_mirrored('arm', beam((0.5 * x, y, height - 0.02), (0.5 * x, y, rest), 0.03, 0.03))


def _stool(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    radius, height, thick = u(0.16, 0.25), u(0.35, 0.85), u(0.03, 0.09)
    parts.add('seat', cylinder(radius, thick, radius * u(0.85, 1.1)).at(0, 0, height))
    count, foot = int(rng.integers(3, 6)), radius * u(0.8, 1.4)
    leg = rod((foot, 0, 0), (0.7 * radius, 0, height), u(0.012, 0.03))
    parts.add_around('leg', count, leg)
    if rng.random() < 0.6:
        level = u(0.2, 0.5)
        parts.add(
            'ring', torus(foot + level * (0.7 * radius - foot), 0.014).at(0, 0, level * height)
        )


def _table(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, height, thick = u(0.35, 0.6), u(0.4, 1.1), u(0.35, 0.8), u(0.025, 0.06)
    if rng.random() < 0.35:
        y = x
        top = cylinder(x, thick, segments=int(rng.choice([6, 8, 2 * SEGMENTS])))
        x, y = 0.75 * x, 0.75 * y
    else:
        top = cushion(2 * x, 2 * y, thick, 0.1) if rng.random() < 0.2 else box(2 * x, 2 * y, thick)
    parts.add('top', top.at(0, 0, height))
    _legs(rng, parts, x, y, height - thick / 2)
    if rng.random() < 0.3:
        parts.add('shelf', box(2 * x - 0.08, 2 * y - 0.08, 0.025).at(0, 0, u(0.15, 0.4) * height))


def _desk(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, height = u(0.3, 0.42), u(0.55, 0.85), u(0.68, 0.78)
    parts.add('top', box(2 * x, 2 * y, 0.035).at(0, 0, height))
    sides = (1, -1) if rng.random() < 0.4 else (rng.choice([-1, 1]),)
    width = u(0.3, 0.42)
    for side in (1, -1):
        if side not in sides:
            parts.add('leg', box(1.8 * x, 0.04, height).at(0, side * (y - 0.03), height / 2))
            continue
        middle = side * (y - width / 2 - 0.01)
        parts.add('cabinet', box(1.8 * x, width, height - 0.05).at(0, middle, height / 2))
        count = int(rng.integers(2, 5))
        for level in range(count):
            tall = (height - 0.1) / count
            z = 0.06 + (level + 0.5) * tall
            parts.add('drawer', box(0.03, 0.88 * width, 0.85 * tall).at(0.9 * x + 0.01, middle, z))
            parts.add(
                'handle',
                rod((0.9 * x + 0.05, middle - 0.06, z), (0.9 * x + 0.05, middle + 0.06, z), 0.012),
            )
            parts.add('handle', box(0.05, 0.02, 0.02).at(0.9 * x + 0.03, middle, z))


def _sofa(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    seats = int(rng.integers(1, 5))
    x, width, height = u(0.35, 0.48), u(0.5, 0.7), u(0.36, 0.46)
    y, arm, edge = seats * width / 2, u(0.08, 0.22), u(0.1, 0.5)
    parts.add('base', box(2 * x, 2 * y, height - 0.18).at(0, 0, (height - 0.18) / 2 + 0.08))
    for index in range(seats):
        middle = (index + 0.5) * width - y
        parts.add('seat', cushion(1.8 * x, width * 0.98, 0.22, 0.3).at(0.05, middle, height - 0.08))
        parts.add('back', cushion(0.24, width * 0.98, 0.55, 0.35).at(-0.75 * x, middle, 0.65))
    parts.add('back', box(0.12, 2 * y, u(0.55, 0.8)).at(0.02 - x, 0, 0.45))
    rest = u(0.45, 0.65)
    parts.add_mirrored(
        'arm', cushion(2 * x, arm, rest, edge).at(0, y + arm / 2 - 0.01, rest / 2 + 0.05)
    )
    parts.add_mirrored('leg', cylinder(0.03, 0.12).at(x - 0.1, y - 0.06, 0.05))
    parts.add_mirrored('leg', cylinder(0.03, 0.12).at(0.1 - x, y - 0.06, 0.05))


def _bed(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, height = u(0.95, 1.08), u(0.42, 0.9), u(0.25, 0.45)
    parts.add('frame', box(2 * x, 2 * y, 0.14).at(0, 0, height))
    parts.add('mattress', cushion(1.94 * x, 1.9 * y, u(0.18, 0.3), 0.15).at(0, 0, height + 0.15))
    _legs_of_bed(parts, x, y, height)
    tall = u(0.3, 0.7)
    parts.add('headboard', box(0.06, 2 * y, height + tall).at(-x, 0, (height + tall) / 2))
    if rng.random() < 0.4:
        parts.add('headboard', box(0.06, 2 * y, height + 0.2).at(x, 0, (height + 0.2) / 2))
    pillows = 2 if y > 0.6 else 1
    for index in range(pillows):
        middle = (2 * index - pillows + 1) * y / 2
        parts.add('pillow', cushion(0.38, 0.62, 0.18, 0.6).at(0.28 - x, middle, height + 0.32))


def _legs_of_bed(parts: Assembly, x: float, y: float, height: float) -> None:
    for sx in (-1, 1):
        parts.add_mirrored('leg', box(0.07, 0.07, height).at(sx * (x - 0.06), y - 0.06, height / 2))


def _bookshelf(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, height, thick = u(0.13, 0.22), u(0.3, 0.7), u(0.7, 2.1), u(0.02, 0.04)
    rows, columns = int(rng.integers(2, 6)), int(rng.integers(1, 4))
    parts.add_mirrored('side', box(2 * x, thick, height).at(0, y, height / 2))
    for level in range(rows + 1):
        z = thick / 2 + level * (height - thick) / rows
        parts.add('board', box(2 * x, 2 * y, thick).at(0, 0, z))
    for column in range(1, columns):
        middle = 2 * y * column / columns - y
        parts.add('side', box(2 * x, thick, height).at(0, middle, height / 2))
    if rng.random() < 0.6:
        parts.add('back', box(0.015, 2 * y, height).at(0.007 - x, 0, height / 2))
    room = (height - thick) / rows
    for level in range(rows):
        position = 0.04 - y
        while rng.random() < 0.75 and position < y - 0.12:
            wide, tall = u(0.02, 0.06), room * u(0.5, 0.85)
            z = thick + level * room + tall / 2 - 0.004
            parts.add('book', box(1.6 * x, wide, tall).at(0.01, position + wide / 2, z))
            position += wide + 0.004


def _cabinet(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, height, foot = u(0.2, 0.35), u(0.25, 0.8), u(0.6, 2.0), u(0.05, 0.18)
    parts.add('body', plate((-x, -y, foot), (x, y, height)))
    for sx in (-1, 1):
        parts.add_mirrored(
            'foot', cylinder(0.03, foot + 0.02).at(sx * (x - 0.05), y - 0.05, foot / 2)
        )
    doors, rows = max(1, round(2 * y / u(0.35, 0.6))), int(rng.integers(1, 5))
    wide, tall = 2 * y / doors, (height - foot) / rows
    for column in range(doors):
        for row in range(rows):
            middle, z = (column + 0.5) * wide - y, foot + (row + 0.5) * tall
            parts.add('door', box(0.04, 0.92 * wide, 0.92 * tall).at(x, middle, z))
            knob = ellipsoid(0.03, 0.018, 0.018)
            parts.add('knob', knob.at(x + 0.035, middle + 0.35 * wide * (-1) ** column, z))


def _lamp(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    foot, height = u(0.12, 0.22), u(0.35, 1.5)
    parts.add('foot', cylinder(foot, 0.04, foot * u(0.3, 1)).at(0, 0, 0.02))
    reach = 0.0
    if rng.random() < 0.35:
        reach = u(0.15, 0.5)
        path = smooth_curve(
            [
                (0, 0, 0.02),
                (0, 0, 0.7 * height),
                (0.5 * reach, 0, 1.1 * height),
                (reach, 0, height),
            ],
            28,
        )
        parts.add('stem', sweep(path, 0.015))
    elif rng.random() < 0.4:
        knots = np.column_stack([u(0.02, 0.09, 6), np.linspace(0.02, height, 6)])
        parts.add('stem', lathe(np.maximum(smooth_curve(knots, 20), (0.012, 0))))
    else:
        parts.add('stem', rod((0, 0, 0.02), (0, 0, height), u(0.01, 0.03)))
    low, high, tall = u(0.14, 0.26), u(0.06, 0.16), u(0.14, 0.3)
    shade = vessel([(high, 0), ((low + high) / 2, tall / 2), (low, tall)], 0.012)
    parts.add('shade', shade.turned('x', 180).at(reach, 0, height + 0.03))
    parts.add('bulb', ellipsoid(0.035, 0.035, 0.05).at(reach, 0, height - 0.01))


def _bench(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    x, y, height = u(0.17, 0.25), u(0.6, 1.1), u(0.38, 0.48)
    slats = int(rng.integers(2, 6))
    for index in range(slats):
        wide = 2 * x / slats
        slat = box(0.85 * wide, 2 * y, 0.035)
        parts.add('seat', slat.at((index + 0.5) * wide - x, 0, height))
    place = y * u(0.6, 0.9)
    parts.add_mirrored('frame', box(2 * x, 0.06, 0.05).at(0, place, height - 0.04))
    for sx in (-1, 1):
        parts.add_mirrored(
            'frame', beam((sx * (x - 0.03), place, 0), (sx * (x - 0.06), place, height), 0.05, 0.06)
        )
    if rng.random() < 0.7:
        tall = u(0.3, 0.45)
        parts.add_mirrored(
            'frame',
            beam((0.02 - x, place, height - 0.02), (-x - 0.1, place, height + tall), 0.04, 0.05),
        )
        for level in np.linspace(0.35, 0.95, int(rng.integers(2, 4))):
            back = box(0.03, 2 * y, 0.09).turned('y', -15)
            parts.add('back', back.at(0.02 - x - 0.12 * level, 0, height + level * tall))


FAMILIES = (
    Family('chair', ('seat', 'leg', 'back', 'arm'), _chair, 'furniture'),
    Family('stool', ('seat', 'leg', 'ring'), _stool, 'furniture'),
    Family('table', ('top', 'leg', 'shelf'), _table, 'furniture'),
    Family('desk', ('top', 'leg', 'cabinet', 'drawer', 'handle'), _desk, 'furniture'),
    Family('sofa', ('base', 'seat', 'back', 'arm', 'leg'), _sofa, 'furniture'),
    Family('bed', ('frame', 'mattress', 'headboard', 'pillow', 'leg'), _bed, 'furniture'),
    Family('bookshelf', ('side', 'board', 'back', 'book'), _bookshelf, 'furniture'),
    Family('cabinet', ('body', 'door', 'knob', 'foot'), _cabinet, 'furniture'),
    Family('lamp', ('foot', 'stem', 'shade', 'bulb'), _lamp, 'furniture'),
    Family('bench', ('seat', 'frame', 'back'), _bench, 'furniture'),
)
