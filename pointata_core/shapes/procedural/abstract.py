# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes that are nothing in particular: superquadrics, turned, swept, stacked, carved ones."""

from __future__ import annotations

import numpy as np

from pointata_core.shapes.procedural.assembly import Assembly
from pointata_core.shapes.procedural.family import Family
from pointata_core.shapes.procedural.primitives import (
    box,
    cushion,
    cylinder,
    ellipsoid,
    rod,
    superquadric,
    torus,
)
from pointata_core.shapes.procedural.solids import Floats, Solid
from pointata_core.shapes.procedural.surfaces import (
    gear_outline,
    lathe,
    prism,
    smooth_curve,
    sweep,
    vessel,
)


def _random_rotation(rng: np.random.Generator) -> Floats:
    matrix, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))


def _block(rng: np.random.Generator) -> Solid:
    """One of the primitives, about a unit across."""
    u = rng.uniform
    kind = rng.integers(6)
    if kind == 0:
        return box(u(0.4, 1), u(0.4, 1), u(0.4, 1))
    if kind == 1:
        return cylinder(u(0.2, 0.5), u(0.4, 1.2), u(0.1, 0.5))
    if kind == 2:
        return ellipsoid(*u(0.25, 0.55, 3))
    if kind == 3:
        return torus(u(0.3, 0.5), u(0.08, 0.18))
    if kind == 4:
        return cylinder(u(0.3, 0.6), u(0.3, 1), u(0.02, 0.5), segments=int(rng.integers(3, 7)))
    return superquadric(*u(0.25, 0.55, 3), *u(0.2, 1.8, 2))


def _superquadric(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    parts.add('body', superquadric(*u(0.4, 1, 3), *u(0.15, 2, 2), detail=40))
    if rng.random() < 0.35:
        parts.cut('hole', cylinder(u(0.08, 0.25), 4).rotated(_random_rotation(rng)))


def _turned(rng: np.random.Generator, parts: Assembly) -> None:
    radii = rng.uniform(0.15, 1, int(rng.integers(4, 8)))
    knots = np.column_stack([radii, np.linspace(0, 2, len(radii))])
    parts.add('body', lathe(np.maximum(smooth_curve(knots, 24), (0.08, 0))))
    if rng.random() < 0.4:
        height = rng.uniform(0.3, 1.7)
        parts.add('ring', torus(rng.uniform(0.8, 1.1), rng.uniform(0.08, 0.15)).at(0, 0, height))
        parts.add('ring', box(2, 0.12, 0.12).at(0, 0, height))


def _tube(rng: np.random.Generator, parts: Assembly) -> None:
    steps = rng.normal(size=(int(rng.integers(4, 7)), 3))
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    steps[1:] += 1.2 * steps[:-1]
    path = smooth_curve(np.cumsum(steps, axis=0), 48)
    thick = rng.uniform(0.15, 0.3)
    radius = thick * (1 + rng.uniform(0, 0.4) * np.sin(np.linspace(0, rng.uniform(3, 12), 48)))
    parts.add('tube', sweep(path, radius))
    for end in (path[0], path[-1]):
        if rng.random() < 0.6:
            parts.add('end', ellipsoid(*np.full(3, rng.uniform(1.4, 2.2) * thick)).at(*end))


def _knot(rng: np.random.Generator, parts: Assembly) -> None:
    p, q = ((2, 3), (3, 2), (2, 5), (3, 4), (1, 3), (1, 5))[rng.integers(6)]
    t = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    ring = 1 + rng.uniform(0.3, 0.45) * np.cos(q * t)
    path = np.column_stack([ring * np.cos(p * t), ring * np.sin(p * t), 0.4 * np.sin(q * t)])
    parts.add('band', sweep(path, rng.uniform(0.08, 0.13), closed=True))


def _spring(rng: np.random.Generator, parts: Assembly) -> None:
    turns, wire = int(rng.integers(3, 8)), rng.uniform(0.05, 0.1)
    t = np.linspace(0, 1, 24 * turns)
    radius = 0.6 + rng.uniform(-0.3, 0.3) * t
    angle, height = 2 * np.pi * turns * t, turns * rng.uniform(0.25, 0.45)
    path = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height * t])
    parts.add('coil', sweep(path, wire))
    if rng.random() < 0.5:
        for level in (0, height):
            parts.add('plate', cylinder(0.95, 0.12).at(0, 0, level))


def _chain(rng: np.random.Generator, parts: Assembly) -> None:
    wire, length = rng.uniform(0.08, 0.13), rng.uniform(1.1, 1.8)
    link = torus(0.45, wire).scaled(length, 1, 1)
    pitch = 2 * (0.45 * length - wire)
    for index in range(int(rng.integers(3, 7))):
        parts.add('link', link.turned('x', 90 * (index % 2)).at(0.94 * pitch * index, 0, 0))


def _blob(rng: np.random.Generator, parts: Assembly) -> None:
    centre = np.zeros(3)
    for index in range(int(rng.integers(3, 8))):
        radii = rng.uniform(0.25, 0.6, 3)
        parts.add('core' if index == 0 else 'lobe', ellipsoid(*radii).at(*centre))
        direction = rng.normal(size=3)
        centre = centre * rng.uniform(0, 1) + 0.55 * direction / np.linalg.norm(direction)


def _stack(rng: np.random.Generator, parts: Assembly) -> None:
    height = 0.0
    for index in range(int(rng.integers(2, 5))):
        block = _block(rng).scaled(*np.full(3, 0.85**index))
        low, high = block.vertices[:, 2].min(), block.vertices[:, 2].max()
        parts.add(('bottom', 'middle', 'top', 'tip')[index], block.at(0, 0, height - low - 0.02))
        height += high - low - 0.02


def _carved(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    round_body = rng.random() < 0.5
    parts.add('body', cylinder(u(0.6, 0.9), u(0.8, 1.8)) if round_body else box(*u(0.8, 1.8, 3)))
    for _ in range(int(rng.integers(1, 4))):
        tool = (
            box(u(0.25, 0.6), u(0.25, 0.6), 4) if rng.random() < 0.4 else cylinder(u(0.12, 0.35), 4)
        )
        turn = (('x', 90.0), ('y', 90.0), ('z', u(0, 90)))[rng.integers(3)]
        parts.cut('hole', tool.turned(*turn).at(*u(-0.3, 0.3, 3)))


def _crystal(rng: np.random.Generator, parts: Assembly) -> None:
    sides = int(rng.integers(4, 8))
    for index in range(int(rng.integers(2, 7))):
        radius, length = rng.uniform(0.12, 0.3), rng.uniform(0.6, 1.6)
        spike = cylinder(radius, length, segments=sides).at(0, 0, length / 2)
        tip = cylinder(radius, 1.5 * radius, 0.01, sides).at(0, 0, length + 0.74 * radius)
        lean, turn = (0 if index == 0 else rng.uniform(20, 60)), rng.uniform(0, 360)
        parts.add('shaft', spike.turned('y', lean).turned('z', turn))
        parts.add('tip', tip.turned('y', lean).turned('z', turn))


def _star(rng: np.random.Generator, parts: Assembly) -> None:
    arms = rng.normal(size=(int(rng.integers(4, 10)), 3))
    arms /= np.linalg.norm(arms, axis=1, keepdims=True)
    core, thick = rng.uniform(0.25, 0.45), rng.uniform(0.06, 0.14)
    parts.add('core', ellipsoid(core, core, core))
    taper = rng.uniform(0.2, 1)
    for arm in arms:
        parts.add('arm', rod((0, 0, 0), arm, thick, thick * taper))
    if rng.random() < 0.5:
        for arm in arms:
            parts.add('knob', ellipsoid(*np.full(3, 1.8 * thick)).at(*arm))


def _gear(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    teeth, depth, thickness = int(rng.integers(8, 25)), u(0.08, 0.18), u(0.15, 0.5)
    parts.add('wheel', prism(gear_outline(teeth, 1, depth), thickness))
    if rng.random() < 0.6:
        parts.add('hub', cylinder(u(0.25, 0.4), thickness + u(0.1, 0.8)))
    holes = [cylinder(u(0.1, 0.2), 4)]
    if rng.random() < 0.5:
        count = int(rng.integers(3, 7))
        holes += [
            cylinder(0.13, 4).at(0.58, 0, 0).turned('z', 360 * k / count) for k in range(count)
        ]
    parts.cut('hole', *holes)


def _ring(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    wall, height = u(0.06, 0.25), u(0.2, 1)
    section = np.array([(0, -1), (1, -u(0.4, 1)), (1, u(0.4, 1)), (0, 1)]) * (wall, height / 2)
    parts.add('band', lathe(section + (1, 0), segments=48, closed=True))
    if rng.random() < 0.6:
        stone = superquadric(*u(0.15, 0.35, 3), *u(0.3, 1.8, 2))
        parts.add('stone', stone.at(1 + wall, 0, 0))


def _shell(rng: np.random.Generator, parts: Assembly) -> None:
    """A bowl with windows, or a screw surface of a snail."""
    u = rng.uniform
    if rng.random() < 0.5:
        turns = u(2, 3.5)
        t = np.linspace(0, 1, 80)
        growth, angle = np.exp(2.2 * t) / np.exp(2.2), 2 * np.pi * turns * t
        path = np.column_stack([np.cos(angle), np.sin(angle), u(0.8, 1.8) * (1 - t)])
        path[:, :2] *= growth[:, None]
        parts.add('body', sweep(path, 0.05 + 0.42 * growth))
        return
    angle = np.linspace(0.3, u(1.8, 2.4), 14)
    parts.add('body', vessel(np.column_stack([np.sin(angle), -np.cos(angle)]), u(0.06, 0.12)))
    count = int(rng.integers(3, 8))
    window = cylinder(u(0.1, 0.22), 3).turned('y', 90).at(1.5, 0, u(-0.3, 0))
    parts.cut('window', *(window.turned('z', 360 * k / count) for k in range(count)))


def _cross(rng: np.random.Generator, parts: Assembly) -> None:
    """Bars through one point along the axes: a frame of pipes or beams."""
    u = rng.uniform
    square, thick = rng.random() < 0.5, u(0.12, 0.28)
    for name, axis in (('upright', 'z'), ('long', 'y'), ('cross', 'x')):
        length = u(1, 2.4)
        bar = box(thick, thick, length) if square else cylinder(thick / 2, length)
        bar = bar.at(0, 0, u(-0.3, 0.3))
        parts.add(name, bar if axis == 'z' else bar.turned('x' if axis == 'x' else 'y', 90))
    if rng.random() < 0.5:
        edge = u(1.6, 2.6) * thick
        parts.add('hub', cushion(edge, edge, edge, u(0.2, 1)))


FAMILIES = (
    Family('superquadric', ('body', 'hole'), _superquadric, 'abstract', rigid=False),
    Family('turned', ('body', 'ring'), _turned, 'abstract', rigid=False),
    Family('tube', ('tube', 'end'), _tube, 'abstract', rigid=False),
    Family('knot', ('band',), _knot, 'abstract'),
    Family('spring', ('coil', 'plate'), _spring, 'abstract'),
    Family('chain', ('link',), _chain, 'abstract'),
    Family('blob', ('core', 'lobe'), _blob, 'abstract', rigid=False),
    Family('stack', ('bottom', 'middle', 'top', 'tip'), _stack, 'abstract', rigid=False),
    Family('carved', ('body', 'hole'), _carved, 'abstract', rigid=False),
    Family('crystal', ('shaft', 'tip'), _crystal, 'abstract'),
    Family('star', ('core', 'arm', 'knob'), _star, 'abstract', rigid=False),
    Family('gear', ('wheel', 'hub', 'hole'), _gear, 'abstract'),
    Family('ring', ('band', 'stone'), _ring, 'abstract'),
    Family('shell', ('body', 'window'), _shell, 'abstract'),
    Family('cross', ('upright', 'long', 'cross', 'hub'), _cross, 'abstract', rigid=False),
)
