# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vehicle-like shapes: cars, lorries, buses, aircraft, boats, two-wheelers; heading +x."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pointata_core.shapes.procedural.assembly import Assembly
from pointata_core.shapes.procedural.family import Family
from pointata_core.shapes.procedural.primitives import (
    beam,
    box,
    cushion,
    cylinder,
    ellipsoid,
    plate,
    rod,
    superquadric,
    torus,
)
from pointata_core.shapes.procedural.solids import Solid, loft
from pointata_core.shapes.procedural.surfaces import lathe, prism, smooth_curve


def _side_view(outline: ArrayLike, width: float) -> Solid:
    """A prism across the heading from an outline in (x, z)."""
    return prism(outline, width).turned('x', 90)


def _wheels(parts: Assembly, places: tuple[float, ...], y: float, radius: float) -> None:
    wheel = cylinder(radius, 0.35 * radius + 0.1).turned('x', 90)
    for x in places:
        parts.add_mirrored('wheel', wheel.at(x, y, radius))


def _wing(root: float, tip: float, span: float, sweep: float, thickness: float) -> Solid:
    """A tapered wing from the root at the origin towards +y, leading edge forward."""
    rings = []
    for chord, y, x in ((root, 0.0, 0.0), (tip, span, -sweep)):
        section = np.array(
            [(0.5, 0), (0.25, 0.5), (-0.1, 0.45), (-0.5, 0), (-0.1, -0.4), (0.25, -0.4)]
        )
        rings.append(
            np.column_stack(
                [x + chord * section[:, 0], np.full(6, y), thickness * chord * section[:, 1]]
            )
        )
    return loft(rings)


def _car(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    half, width, height, sill = u(1.7, 2.4), u(1.6, 1.9), u(1.25, 1.8), u(0.18, 0.35)
    belt = sill + (height - sill) * u(0.48, 0.6)
    nose, boot = u(0.5, 1.3), u(0.05, 0.9)
    front, rear = half - nose, boot - half
    outline = smooth_curve(
        [
            (-half, sill),
            (-half, belt - 0.05),
            (rear, belt),
            (front, belt),
            (half, belt - u(0.08, 0.25)),
            (half, sill),
        ],
        26,
    )
    parts.add('body', _side_view(outline, width))
    cabin = [
        (rear, belt - 0.05),
        (rear + u(0.1, 0.6), height),
        (front - u(0.3, 0.8), height),
        (front, belt - 0.05),
    ]
    parts.add('cabin', _side_view(cabin, width * u(0.82, 0.95)))
    radius = u(0.29, 0.38)
    _wheels(parts, (half - u(0.65, 0.85), u(0.6, 0.8) - half), width / 2 - 0.08, radius)
    if rng.random() < 0.7:
        mirror = cushion(0.1, 0.2, 0.13, 0.5).at(front - 0.3, width / 2 + 0.06, belt + 0.06)
        parts.add_mirrored('mirror', mirror)
    if rng.random() < 0.25:
        parts.add('spoiler', box(0.25, 0.85 * width, 0.04).at(0.1 - half, 0, belt + 0.2))
        parts.add_mirrored(
            'spoiler', box(0.1, 0.05, 0.28).at(0.12 - half, 0.3 * width, belt + 0.08)
        )


def _truck(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    half, width, cab = u(2.8, 5), u(2, 2.5), u(1.3, 2)
    floor, height = u(0.8, 1.1), u(2.2, 3)
    parts.add('chassis', box(2 * half - 0.2, 0.45 * width, 0.25).at(0, 0, floor - 0.15))
    bonnet = u(0, 1.1) if rng.random() < 0.4 else 0.0
    slope = u(0, 0.35)
    outline = [
        (half, 0.45),
        (half, 1.4),
        (half - bonnet, 1.5),
        (half - bonnet - slope, height),
        (half - bonnet - cab, height),
        (half - bonnet - cab, 0.45),
    ]
    parts.add('cab', _side_view(outline, width))
    rear = half - bonnet - cab - 0.12
    kind = rng.integers(3)
    if kind == 0:
        parts.add('cargo', plate((-half, -width / 2, floor), (rear, width / 2, u(2.4, 3.6))))
    elif kind == 1:
        tank = cylinder(width / 2.2, rear + half).turned('y', 90)
        parts.add('cargo', tank.at((rear - half) / 2, 0, floor + width / 2.4))
    else:
        high = floor + u(0.4, 0.9)
        parts.add('cargo', plate((-half, -width / 2, floor), (rear, width / 2, high)))
        hollow = plate(
            (0.08 - half, 0.08 - width / 2, floor + 0.1), (rear - 0.08, width / 2 - 0.08, 9)
        )
        parts.cut('cargo', hollow)
    places = (half - 0.9, 0.8 - half, 1.8 - half) if half > 3.4 else (half - 0.9, 0.9 - half)
    _wheels(parts, places, width / 2 - 0.12, u(0.42, 0.52))


def _bus(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    half, width, height = u(3.5, 6), u(2.1, 2.6), u(2.5, 3.3)
    parts.add('body', cushion(2 * half, width, height, u(0.08, 0.2)).at(0, 0, height / 2 + 0.35))
    count = int(rng.integers(4, 9))
    pitch = 1.8 * half / count
    for index in range(count):
        x = (index + 0.5) * pitch - 0.9 * half
        pane = box(0.75 * pitch, 0.14, 0.3 * height).at(x, width / 2, 0.7 * height + 0.3)
        parts.cut('window', pane, pane.mirrored('y'))
    parts.cut('window', box(0.2, 0.8 * width, 0.4 * height).at(half, 0, 0.65 * height + 0.3))
    _wheels(parts, (half - u(1, 1.8), u(1, 2) - half), width / 2 - 0.15, 0.48)
    if rng.random() < 0.4:
        parts.add('roof', cushion(1.5, 0.6 * width, 0.35).at(u(-2, 2), 0, height + 0.4))


def _airplane(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    half, radius = u(2.5, 4), u(0.25, 0.5)
    nose, tail = u(0.3, 0.8), u(0.9, 1.8)
    profile = smooth_curve(
        [
            (0.03, -half),
            (0.55 * radius, tail / 2 - half),
            (radius, tail - half),
            (radius, half - nose),
            (0.75 * radius, half - nose / 3),
            (0.05, half),
        ],
        26,
    )
    parts.add('fuselage', lathe(np.maximum(profile, (0.02, -9))).turned('y', 90))
    root, span, place = u(0.8, 1.6), u(2.2, 4.2), u(-0.3, 0.6)
    level = rng.choice([-0.6, 0.0, 0.8]) * radius
    wing = _wing(root, root * u(0.3, 0.9), span, u(-0.1, 1.6), u(0.1, 0.16))
    wing = wing.turned('x', u(0, 8)).at(place, 0, level)
    parts.add_mirrored('wing', wing)
    small = _wing(0.45 * root, 0.25 * root, 0.35 * span, u(0.1, 0.6), 0.12)
    parts.add_mirrored('tail', small.at(0.35 * root - half, 0, 0.2 * radius))
    fin = _wing(0.6 * root, 0.3 * root, u(0.7, 1.2), u(0.3, 0.8), 0.12).turned('x', 90)
    parts.add('tail', fin.at(0.4 * root - half, 0, 0.1))
    kind = rng.integers(4)
    if kind == 0:
        parts.add('engine', cylinder(0.08, 0.3).turned('y', 90).at(half, 0, 0))
        blade = box(0.05, 0.14, u(1, 1.6)).turned('x', u(0, 90))
        parts.add('engine', blade.at(half + 0.1, 0, 0))
    elif kind in (1, 2):
        engine = lathe([(0.12, -0.5), (0.2, -0.1), (0.22, 0.4), (0.16, 0.5)]).turned('y', 90)
        for share in (0.33, 0.6)[: int(kind)]:
            parts.add_mirrored('engine', engine.at(place + 0.2, share * span, level - 0.28))
            parts.add_mirrored('engine', box(0.4, 0.06, 0.3).at(place, share * span, level - 0.12))
    else:
        engine = lathe([(0.12, -0.5), (0.2, 0), (0.16, 0.5)]).turned('y', 90)
        parts.add_mirrored('engine', engine.at(0.9 - half, radius + 0.05, 0.1))


def _helicopter(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    parts.add(
        'fuselage', superquadric(u(1.1, 1.6), u(0.5, 0.75), u(0.6, 0.8), u(0.6, 1), u(0.6, 1))
    )
    boom = -u(2.6, 3.6)
    parts.add('tail', rod((-0.6, 0, 0.2), (boom, 0, 0.35), 0.22, 0.09))
    parts.add('tail', box(0.35, 0.06, 0.8).at(boom, 0, 0.55))
    parts.add('tail', box(0.06, 0.06, 0.9).turned('y', u(0, 90)).at(boom, 0.12, 0.5))
    parts.add('rotor', cylinder(0.08, 0.6).at(0, 0, 0.9))
    blades, span = int(rng.integers(2, 6)), u(2, 3)
    parts.add_around('rotor', blades, box(span, 0.16, 0.04).at(span / 2, 0, 1.15), start=u(0, 90))
    parts.add_mirrored('skid', rod((-0.9, 0.6, -1), (1.1, 0.6, -1), 0.045))
    for x in (-0.45, 0.45):
        parts.add_mirrored('skid', rod((x, 0.15, -0.4), (x, 0.6, -1), 0.035))


def _boat(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    half, beam_width, depth = u(2, 4), u(0.6, 1), u(0.5, 1)
    stations = np.linspace(-1, 1, 14)
    rings = []
    stern = u(0.5, 0.95)
    for s in stations:
        full = (1 - max(s, 0) ** 2.2) * (1 - (1 - stern) * max(-s, 0) ** 2) + 0.02
        angle = np.linspace(0, np.pi, 10)
        keel = -depth * (0.55 + 0.45 * full) * np.sin(angle)
        rings.append(
            np.column_stack(
                [
                    np.full(10, half * s),
                    beam_width * full * np.cos(angle),
                    keel + 0.25 * max(s, 0) ** 2 - 0.001,
                ]
            )
        )
    parts.add('hull', loft(rings))
    kind = rng.integers(3)
    if kind == 0:
        height = u(2.5, 4.5)
        parts.add('mast', rod((0.3, 0, -0.3), (0.3, 0, height), 0.06))
        sail = prism([(0, 0), (-u(1, 1.8), 0), (0, height - 0.7)], 0.05).turned('x', 90)
        parts.add('sail', sail.at(0.3, 0, 0.5))
        if rng.random() < 0.6:
            jib = prism([(0, 0), (half - 0.5, 0), (0, height - 1)], 0.04).turned('x', 90)
            parts.add('sail', jib.at(0.32, 0, 0.3))
    elif kind == 1:
        parts.add('deckhouse', box(u(1, 2), beam_width, u(0.7, 1.1)).at(-0.2 * half, 0, 0.25))
        parts.add('deckhouse', box(u(0.6, 1), 0.8 * beam_width, 0.6).at(-0.25 * half, 0, 0.9))
        parts.add('mast', rod((-0.3 * half, 0, 0.6), (-0.35 * half, 0, u(1.6, 2.4)), 0.12))
    else:
        hollow = superquadric(0.85 * half, 0.75 * beam_width, 0.5 * depth, 0.5, 0.8)
        parts.cut('hull', hollow.at(-0.05 * half, 0, 0.1))
        for x in (-0.4, 0.1):
            parts.add('bench', box(0.2, 1.7 * beam_width, 0.06).at(x * half, 0, -0.12))


def _rocket(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    radius, height = u(0.25, 0.5), u(1.8, 4)
    parts.add('body', cylinder(radius, height).at(0, 0, height / 2))
    nose = smooth_curve([(radius, 0), (0.75 * radius, u(0.3, 0.6)), (0.02, u(0.9, 1.4))], 12)
    parts.add('nose', lathe(np.maximum(nose, (0.015, 0))).at(0, 0, height - 0.01))
    fins, length = int(rng.integers(3, 6)), u(0.4, 0.9)
    fin = prism(
        [(0, 0), (radius + length, -u(0, 0.4)), (radius + length, 0.3), (0, u(0.6, 1.2))], 0.07
    )
    parts.add_around('fin', fins, fin.turned('x', 90).at(0, 0, 0.1))
    parts.add('nozzle', cylinder(0.75 * radius, 0.35, 0.4 * radius).at(0, 0, -0.15))
    if rng.random() < 0.4:
        booster = lathe([(0.14, 0), (0.16, 0.1), (0.16, 0.5 * height), (0.02, 0.5 * height + 0.4)])
        parts.add_around('booster', int(rng.choice([2, 4])), booster.at(radius + 0.12, 0, 0.05), 45)


def _bicycle(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    radius, base, tyre = u(0.26, 0.36), u(0.48, 0.58), u(0.015, 0.05)
    spokes = int(rng.integers(4, 11))
    for x in (-base, base):
        parts.add('wheel', torus(radius, tyre).turned('x', 90).at(x, 0, radius))
        for k in range(spokes):
            angle = np.pi * k / spokes
            reach = radius * np.array([np.cos(angle), 0, np.sin(angle)])
            centre = np.array([x, 0, radius])
            parts.add('wheel', rod(centre - reach, centre + reach, 0.006, segments=6))
        parts.add('wheel', cylinder(0.035, 0.1).turned('x', 90).at(x, 0, radius))
    crank, seat = np.array([-0.05, 0, 0.27]), np.array([-0.18, 0, u(0.75, 0.9)])
    head_low, head = np.array([base - 0.17, 0, 0.65]), np.array([base - 0.22, 0, u(0.8, 0.95)])
    pipe = u(0.014, 0.025)
    for a, b in ((crank, seat), (seat - (0, 0, 0.1), head), (crank, head_low), (head, head_low)):
        parts.add('frame', rod(a, b, pipe))
    for y in (-0.05, 0.05):
        rear, front = np.array([-base, y, radius]), np.array([base, y, radius])
        parts.add('frame', rod(rear, crank, 0.7 * pipe), rod(rear, seat - (0, 0, 0.12), 0.6 * pipe))
        parts.add('frame', rod(front, head_low, 0.7 * pipe))
    parts.add('saddle', cushion(0.26, 0.15, 0.06, 0.6).at(*seat))
    bar = head + (0, 0, 0.08)
    parts.add(
        'handlebar', rod(head, bar, 0.016), rod(bar - (0, 0.28, 0), bar + (0, 0.28, 0), 0.014)
    )
    parts.add_mirrored('handlebar', rod(bar + (0, 0.28, 0), bar + (-0.14, 0.28, -0.02), 0.018))
    parts.add('pedal', torus(0.09, 0.01).turned('x', 90).at(*crank))
    for y, angle in ((0.08, u(0, 360)),):
        reach = 0.17 * np.array([np.cos(angle), 0, np.sin(angle)])
        for sign in (1, -1):
            end = crank + sign * reach + (0, sign * y, 0)
            parts.add('pedal', rod(crank + (0, sign * 0.02, 0), end, 0.012))
            parts.add('pedal', box(0.09, 0.09, 0.02).at(*(end + (0, sign * 0.04, 0))))


def _train(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    boiler, length, cab = u(0.6, 0.8), u(3, 4.5), u(1.2, 1.6)
    parts.add('chassis', box(length + cab, 1.5, 0.3).at(0, 0, 0.9))
    back = -(length + cab) / 2
    barrel = cylinder(boiler, length).turned('y', 90)
    parts.add('boiler', barrel.at(cab / 2, 0, 1.05 + boiler))
    parts.add('cab', box(cab, 1.8, 1.9).at(back + cab / 2, 0, 1.9))
    parts.add('cab', box(cab + 0.4, 2, 0.12).at(back + cab / 2, 0, 2.9))
    parts.cut('cab', box(0.55 * cab, 4, 0.6).at(back + cab / 2, 0, 2.3))
    front = back + cab + length
    chimney = lathe([(0.16, 0), (0.16, 0.5), (u(0.17, 0.32), u(0.7, 0.9))])
    parts.add('chimney', chimney.at(front - 0.6, 0, 1 + 2 * boiler))
    parts.add('chimney', ellipsoid(0.3, 0.3, 0.35).at(front - 1.8, 0, 1.05 + 2 * boiler))
    count, radius = int(rng.integers(3, 6)), u(0.42, 0.55)
    _wheels(parts, tuple(np.linspace(back + 0.8, front - 0.7, count)), 0.72, radius)


def _motorcycle(rng: np.random.Generator, parts: Assembly) -> None:
    u = rng.uniform
    radius, base = u(0.28, 0.34), u(0.65, 0.8)
    for x in (-base, base):
        wheel = torus(radius - 0.07, u(0.06, 0.09)).turned('x', 90)
        parts.add('wheel', wheel.at(x, 0, radius))
        parts.add('wheel', cylinder(0.8 * radius, 0.05).turned('x', 90).at(x, 0, radius))
    parts.add('engine', cushion(0.5, 0.32, 0.38, 0.5).at(0, 0, 0.48))
    parts.add('tank', ellipsoid(u(0.25, 0.35), 0.17, 0.16).at(0.14, 0, u(0.78, 0.88)))
    parts.add('seat', cushion(u(0.5, 0.75), 0.26, 0.12, 0.5).at(-0.38, 0, 0.74))
    parts.add('frame', beam((-base, 0, radius), (0, 0, 0.5), 0.08, 0.1))
    parts.add('frame', beam((-0.55, 0, 0.7), (0.3, 0, 0.72), 0.08, 0.1))
    head = np.array([base - u(0.25, 0.45), 0, u(0.95, 1.1)])
    for y in (-0.1, 0.1):
        parts.add('fork', rod((base, y, radius), head + (0, y, 0), 0.03))
    parts.add('fork', beam(head - (0, 0.12, 0.02), head + (0, 0.12, -0.02), 0.06, 0.06))
    parts.add('frame', beam((0.25, 0, 0.75), head - (0, 0, 0.04), 0.07, 0.09))
    parts.add('handlebar', rod(head - (0.05, 0.38, 0), head + (-0.05, 0.38, 0), 0.022))
    parts.add('light', ellipsoid(0.11, 0.11, 0.11).at(*(head + (0.1, 0, -0.1))))
    parts.add_mirrored('exhaust', rod((0, 0.19, 0.35), (-base, 0.22, u(0.3, 0.45)), 0.05, 0.065))


FAMILIES = (
    Family('car', ('body', 'cabin', 'wheel', 'mirror', 'spoiler'), _car, 'vehicle'),
    Family('truck', ('chassis', 'cab', 'cargo', 'wheel'), _truck, 'vehicle'),
    Family('bus', ('body', 'window', 'wheel', 'roof'), _bus, 'vehicle'),
    Family('airplane', ('fuselage', 'wing', 'tail', 'engine'), _airplane, 'vehicle'),
    Family('helicopter', ('fuselage', 'tail', 'rotor', 'skid'), _helicopter, 'vehicle'),
    Family('boat', ('hull', 'mast', 'sail', 'deckhouse', 'bench'), _boat, 'vehicle'),
    Family('rocket', ('body', 'nose', 'fin', 'nozzle', 'booster'), _rocket, 'vehicle'),
    Family('bicycle', ('wheel', 'frame', 'saddle', 'handlebar', 'pedal'), _bicycle, 'vehicle'),
    Family('train', ('chassis', 'boiler', 'cab', 'chimney', 'wheel'), _train, 'vehicle'),
    Family(
        'motorcycle',
        ('wheel', 'engine', 'tank', 'seat', 'frame', 'fork', 'handlebar', 'light', 'exhaust'),
        _motorcycle,
        'vehicle',
    ),
)
