# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trees, bushes and hedges: capsules of wood, and clouds of leaves in which rays end at random."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.solids import ShapeBuilder, Surface, Vector, up
from pointata_core.taxonomy import class_id

_TRUNK = class_id('trunk')
_VEGETATION = class_id('vegetation')


def _leaves(
    builder: ShapeBuilder,
    centre: np.ndarray,
    half: Vector,
    rng: np.random.Generator,
    density: float,
    yaw: float | None = None,
) -> None:
    builder.ellipsoid(
        centre,
        np.maximum(half, 0.05),
        rng.uniform(0, np.pi) if yaw is None else yaw,
        label=_VEGETATION,
        reflectivity=rng.uniform(0.2, 0.45),
        surface=Surface.LEAVES,
        detail=density,
    )


def tree(builder: ShapeBuilder, position: np.ndarray, rng: np.random.Generator) -> None:
    """A tree: broad-leaved mostly, conical or columnar at times."""
    style = rng.choice(['broad', 'cone', 'young'], p=[0.65, 0.15, 0.2])
    bark = {'label': _TRUNK, 'reflectivity': rng.uniform(0.25, 0.48)}
    lean = np.append(rng.normal(0, 0.04, 2), 1.0)
    if style == 'cone':
        height, radius = rng.uniform(4, 12), rng.uniform(0.08, 0.2)
        builder.capsule(position - up(0.3), position + lean * height * 0.8, radius, **bark)
        low = rng.uniform(0.2, 1.5)
        for level in np.linspace(low, height, 6):
            wide = 0.5 + 0.24 * (height - level)
            half = (wide, wide, 0.22 * height)
            _leaves(builder, position + up(level), half, rng, rng.uniform(1.5, 3.5))
        return
    trunk = rng.uniform(1.5, 3.8) if style == 'broad' else rng.uniform(1.0, 2.0)
    radius = rng.uniform(0.09, 0.28) if style == 'broad' else rng.uniform(0.04, 0.08)
    spread = rng.uniform(1.6, 4.0) if style == 'broad' else rng.uniform(0.7, 1.3)
    fork = position + lean * trunk
    builder.capsule(position - up(0.3), fork, radius, **bark)
    if radius > 0.15:  # the foot of an old trunk is wider
        builder.capsule(position - up(0.3), position + lean * 0.25, radius * 1.3, **bark)
    count = int(rng.integers(5, 10))
    for branch in range(count):
        angle = 2 * np.pi * (branch + rng.uniform(-0.3, 0.3)) / count
        reach = spread * rng.uniform(0.35, 0.8)
        rise = rng.uniform(0.2, 1.3) * spread
        tip = fork + np.array([reach * np.cos(angle), reach * np.sin(angle), rise])
        if branch < 5:
            # Branches are part of the crown, as in SemanticKITTI.
            bough = {'label': _VEGETATION, 'reflectivity': bark['reflectivity']}
            builder.capsule(fork - lean * rng.uniform(0, 0.6), tip, radius * 0.35, **bough)
        size = spread * rng.uniform(0.35, 0.6)
        half = (size, size * rng.uniform(0.7, 1.1), size * rng.uniform(0.6, 0.9))
        _leaves(builder, tip, half, rng, rng.uniform(0.6, 2.5))
    _leaves(builder, fork + up(1.2 * spread), np.full(3, 0.6 * spread), rng, 1.2)


def bush(builder: ShapeBuilder, position: np.ndarray, rng: np.random.Generator) -> None:
    """A bush of 0.3 to 2.5 m, leaves down to the ground, twigs sticking out."""
    height = np.exp(rng.uniform(np.log(0.3), np.log(2.5)))
    density = rng.uniform(1.8, 6.0)
    for _ in range(int(rng.integers(4, 10))):
        size = rng.uniform(0.15, 0.45) * height
        offset = np.append(rng.normal(0, 0.38 * height, 2), rng.uniform(0.15, 0.8) * height)
        half = (size, size * rng.uniform(0.7, 1.2), min(size, offset[2] + 0.1))
        _leaves(builder, position + offset, half, rng, density * rng.uniform(0.6, 1.6))
    # A thin veil around it all: single leaves and twigs well outside the body.
    veil = (0.8 * height, 0.7 * height, 0.6 * height)
    _leaves(builder, position + up(0.5 * height), veil, rng, rng.uniform(0.1, 0.8))


def herbs(
    builder: ShapeBuilder, start: np.ndarray, end: np.ndarray, rng: np.random.Generator
) -> None:
    """Low plants in a strip from ``start`` to ``end`` (x, y, z on the ground): 0.1 to 0.7 m."""
    length = float(np.linalg.norm(end - start))
    height, breadth = rng.uniform(0.15, 0.6), rng.uniform(0.2, 1.2)
    across = np.array([start[1] - end[1], end[0] - start[0], 0.0]) / max(length, 1e-6)
    density = rng.uniform(2.0, 8.0)
    for share in rng.uniform(0, 1, max(2, int(length / rng.uniform(0.4, 0.9)))):
        top = height * rng.uniform(0.6, 1.3)
        middle = start + (end - start) * share + across * rng.normal(0, breadth / 2)
        half = (rng.uniform(0.25, 0.7), rng.uniform(0.2, 0.6), top)
        _leaves(builder, middle, half, rng, density * rng.uniform(0.6, 1.6))


def hedge(
    builder: ShapeBuilder, start: np.ndarray, end: np.ndarray, rng: np.random.Generator
) -> None:
    """A clipped or overgrown hedge from ``start`` to ``end`` (x, y, z on the ground)."""
    length = float(np.linalg.norm(end - start))
    height, thick = rng.uniform(0.7, 2.3), rng.uniform(0.3, 0.7)
    ragged = rng.uniform(0.03, 0.25)
    density = rng.uniform(2.5, 8.0)
    count = max(2, int(length / rng.uniform(0.5, 0.9)))
    yaw = float(np.arctan2(end[1] - start[1], end[0] - start[0]))
    for share in (np.arange(count) + 0.5) / count:
        top = height * (1 + rng.normal(0, ragged))
        middle = start + (end - start) * share + up(top * 0.42)
        middle[:2] += rng.normal(0, 0.5 * ragged, 2)
        half = (length / count * 0.9, thick * (1 + rng.normal(0, ragged)), top * 0.62)
        _leaves(builder, middle, half, rng, density, yaw)


def thicket(
    builder: ShapeBuilder,
    start: np.ndarray,
    end: np.ndarray,
    height: float,
    rng: np.random.Generator,
) -> None:
    """The edge of a wood or overgrown ground: ragged leaves of all heights, and a few stems."""
    length = float(np.linalg.norm(end - start))
    count = max(3, int(length / (0.6 + 0.22 * height)))
    across = np.array([start[1] - end[1], end[0] - start[0], 0.0]) / max(length, 1e-6)
    density = rng.uniform(0.5, 3.0)
    for share in rng.uniform(0, 1, count):
        top = height * rng.uniform(0.35, 1.15)
        half = (rng.uniform(0.4, 0.9) * (0.8 + 0.25 * top), rng.uniform(0.5, 1.6), top * 0.55)
        middle = start + (end - start) * share + across * rng.normal(0, 0.4 + 0.25 * height)
        _leaves(builder, middle + up(top * 0.45), half, rng, density * rng.uniform(0.5, 1.6))
        low = np.array([0.9, 0.9, rng.uniform(0.15, 0.5)])  # herbs at its foot
        place = middle + across * rng.normal(0, 1.2) + up(0.1)
        _leaves(builder, place, low, rng, rng.uniform(1.0, 4.0))
        if height > 3 and rng.random() < 0.3:
            lean = np.append(rng.normal(0, 0.06, 2), 1.0)
            wood = {'label': _TRUNK, 'reflectivity': rng.uniform(0.25, 0.45)}
            builder.capsule(middle - up(0.2), middle + lean * top * 0.8, rng.uniform(0.05, 0.16),
                            **wood)  # fmt: skip
