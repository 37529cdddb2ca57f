# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes, cylinders, limbs, ellipsoids, tori and superquadrics, centred at the origin.

Superquadrics: Barr, Superquadrics and Angle-Preserving Transformations, IEEE CG&A 1981.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pointata_core.shapes.procedural.solids import Floats, Solid, loft, rotation_to

SEGMENTS = 24  # around a round solid


def box(x: float, y: float, z: float) -> Solid:
    """A cuboid of the given edge lengths."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (x / 2, y / 2)
    return loft([np.column_stack([corners, np.full(4, h)]) for h in (-z / 2, z / 2)])


def plate(low: ArrayLike, high: ArrayLike) -> Solid:
    """A cuboid between two opposite corners, (3,) each."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return box(*(high - low)).at(*(low + high) / 2)


def cylinder(
    radius: float, height: float, top: float | None = None, segments: int = SEGMENTS
) -> Solid:
    """A cylinder, or a frustum with radius ``top`` above; few segments make a prism or pyramid."""
    radii = (radius, radius if top is None else top)
    ends = zip(radii, (-height / 2, height / 2), strict=True)
    return loft([circle(r, segments) + (0, 0, h) for r, h in ends])


def rod(
    start: ArrayLike,
    end: ArrayLike,
    radius: float,
    end_radius: float | None = None,
    segments: int = 12,
) -> Solid:
    """A cylinder or frustum from one point to another."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    upright = cylinder(radius, float(np.linalg.norm(end - start)), end_radius, segments)
    return upright.rotated(rotation_to(end - start)).at(*(start + end) / 2)


def beam(start: ArrayLike, end: ArrayLike, width: float, depth: float) -> Solid:
    """A bar of rectangular section from one point to another."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    upright = box(width, depth, float(np.linalg.norm(end - start)))
    return upright.rotated(rotation_to(end - start)).at(*(start + end) / 2)


def limb(start: ArrayLike, end: ArrayLike, radius: float, end_radius: float | None = None) -> Solid:
    """A rod with half spheres at both ends: an arm, a leg, a rounded handle."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    length = float(np.linalg.norm(end - start))
    end_radius = radius if end_radius is None else end_radius
    angle = np.radians([67.5, 45, 22.5, 0])
    low = np.column_stack([radius * np.cos(angle), -radius * np.sin(angle)])
    high = np.column_stack(
        [end_radius * np.cos(angle[::-1]), length + end_radius * np.sin(angle[::-1])]
    )
    rings = [circle(r, 16) + (0, 0, z) for r, z in np.concatenate([low, high])]
    upright = loft(rings, (0, 0, -radius), (0, 0, length + end_radius))
    return upright.rotated(rotation_to(end - start)).at(*start)


def ellipsoid(x: float, y: float, z: float) -> Solid:
    """An ellipsoid of the given semi-axes."""
    return superquadric(x, y, z, 1.0, 1.0)


def superquadric(
    x: float,
    y: float,
    z: float,
    upright: float = 1.0,
    around: float = 1.0,
    *,
    detail: int = SEGMENTS,
) -> Solid:
    """A superellipsoid: |x|^(2/e2) + |y|^(2/e2) to the power e2/e1, plus |z|^(2/e1), is 1.

    Args:
        x: Semi-axis, like ``y`` and ``z``.
        y: Semi-axis.
        z: Semi-axis.
        upright: e1; near 0 a box's profile, 1 an ellipse's, 2 a double cone's.
        around: e2; the same for the horizontal section.
        detail: Segments around; half as many from pole to pole.
    """
    latitude = np.linspace(-np.pi / 2, np.pi / 2, detail // 2 + 1)[1:-1]
    section = _signed_power_circle(around, detail) * (x, y)
    width = np.abs(np.cos(latitude)) ** upright
    height = z * np.sign(np.sin(latitude)) * np.abs(np.sin(latitude)) ** upright
    rings = np.concatenate(
        [
            width[:, None, None] * section,
            np.broadcast_to(height[:, None, None], (len(height), detail, 1)),
        ],
        axis=-1,
    )
    return loft(rings, (0, 0, -z), (0, 0, z))


def cushion(x: float, y: float, z: float, edge: float = 0.25) -> Solid:
    """A cuboid of full lengths x, y, z with rounded edges; ``edge`` 0.1 (sharp) to 1 (none)."""
    return superquadric(x / 2, y / 2, z / 2, edge, edge)


def torus(ring: float, tube: float, segments: int = 32) -> Solid:
    """A torus about z with the radii of its ring and of its tube."""
    angles = np.arange(segments) / segments * 2 * np.pi
    section = circle(tube, 14)
    rings = [
        np.stack(
            [
                (ring + section[:, 0]) * np.cos(angle),
                (ring + section[:, 0]) * np.sin(angle),
                section[:, 1],
            ],
            -1,
        )
        for angle in angles
    ]
    return loft(rings, closed=True)


def circle(radius: float, segments: int) -> Floats:
    """Points (S, 3) of a circle in the plane z = 0."""
    angles = (np.arange(segments) + 0.5) / segments * 2 * np.pi
    return radius * np.stack([np.cos(angles), np.sin(angles), np.zeros(segments)], -1)


def _signed_power_circle(exponent: float, segments: int) -> Floats:
    angles = (np.arange(segments) + 0.5) / segments * 2 * np.pi
    points = np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.sign(points) * np.abs(points) ** exponent
