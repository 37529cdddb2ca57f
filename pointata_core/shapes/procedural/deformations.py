# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Smooth deformations of a whole shape: taper, twist, bend, bulge, stretch.

Global deformations after Barr, Global and Local Deformations of Solid Primitives, SIGGRAPH 1984.
All act on a mesh inside the unit sphere and stay one-to-one there for the strengths drawn here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pointata_core.shapes.procedural.solids import Floats

Deformation = Callable[[Floats], Floats]


def stretch(factors: Floats) -> Deformation:
    """Scale along the axes by (3,) positive factors."""
    return lambda points: points * factors


def taper(axis: int, strength: float) -> Deformation:
    """Scale sections across ``axis`` by 1 + strength * position; |strength| < 1."""

    def deform(points: Floats) -> Floats:
        factor = 1 + strength * points[:, axis : axis + 1]
        keep = np.arange(3) == axis
        return np.where(keep, points, points * factor)

    return deform


def twist(axis: int, radians: float) -> Deformation:
    """Turn sections across ``axis`` by ``radians`` per unit of position."""
    first, second = (axis + 1) % 3, (axis + 2) % 3

    def deform(points: Floats) -> Floats:
        angle = radians * points[:, axis]
        result = points.copy()
        result[:, first] = np.cos(angle) * points[:, first] - np.sin(angle) * points[:, second]
        result[:, second] = np.sin(angle) * points[:, first] + np.cos(angle) * points[:, second]
        return result

    return deform


def bend(axis: int, towards: int, curvature: float) -> Deformation:
    """Roll the line along ``axis`` to a circle towards another axis; 0 < |curvature| < 1."""

    def deform(points: Floats) -> Floats:
        angle = curvature * points[:, axis]
        radius = 1 / curvature - points[:, towards]
        result = points.copy()
        result[:, axis] = radius * np.sin(angle)
        result[:, towards] = 1 / curvature - radius * np.cos(angle)
        return result

    return deform


def bulge(direction: Floats, phase: float, strength: float) -> Deformation:
    """Push along a wave: p + strength * sin(direction . p + phase) * direction / |direction|^2.

    One-to-one for |strength| < 1.
    """
    scale = strength / float(direction @ direction)
    return lambda points: points + scale * np.sin(points @ direction + phase)[:, None] * direction


def random_deformations(rng: np.random.Generator, rigid: bool) -> list[Deformation]:
    """Draw none to a few gentle deformations; a rigid shape is only stretched."""
    found: list[Deformation] = []
    if rng.random() < 0.6:
        found.append(stretch(np.exp(rng.uniform(-0.18, 0.18, 3))))
    if rigid:
        return found
    axis, towards = rng.permutation(3)[:2]
    if rng.random() < 0.3:
        found.append(taper(int(axis), rng.uniform(-0.4, 0.4)))
    if rng.random() < 0.25:
        found.append(twist(2, rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.25:
        found.append(bend(int(axis), int(towards), rng.choice([-1, 1]) * rng.uniform(0.15, 0.6)))
    if rng.random() < 0.25:
        direction = rng.normal(size=3)
        direction *= rng.uniform(3, 6) / np.linalg.norm(direction)
        found.append(bulge(direction, rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.4)))
    return found
