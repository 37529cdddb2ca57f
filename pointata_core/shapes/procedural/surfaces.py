# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Solids from curves: lathe (a profile turned about z), sweep (a section along a path), prism."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pointata_core.shapes.procedural.primitives import SEGMENTS, circle
from pointata_core.shapes.procedural.solids import Floats, Solid, loft


def lathe(profile: ArrayLike, segments: int = SEGMENTS + 8, closed: bool = False) -> Solid:
    """Turn a profile about the z axis.

    Args:
        profile: (P, 2) of radius > 0 and height, in order.
        segments: Steps around the axis.
        closed: The profile is a closed curve that does not touch the axis (a vessel's wall, a
            ring); otherwise both ends are capped by discs.
    """
    profile = np.asarray(profile, np.float64)
    rings = [circle(radius, segments) + (0, 0, height) for radius, height in profile]
    return loft(rings, closed=closed)


def vessel(profile: ArrayLike, wall: float) -> Solid:
    """Turn an outer profile, (P, 2) from the bottom up, into a cup open at the top.

    Args:
        profile: Radius and height; radii must exceed ``wall``.
        wall: Thickness of wall and floor.
    """
    outer = np.asarray(profile, np.float64)
    inner = outer[::-1] - (wall, 0)
    inner[-1, 1] += wall
    inner[:, 1] = np.maximum(inner[:, 1], outer[0, 1] + wall)
    # Both ends of the profile are discs: the floor from below and, one wall higher, from inside.
    return lathe(np.concatenate([outer, inner]))


def smooth_curve(knots: ArrayLike, count: int) -> Floats:
    """Points (count, D) of a Catmull-Rom spline through knots (K, D), ends included."""
    knots = np.asarray(knots, np.float64)
    padded = np.concatenate([[2 * knots[0] - knots[1]], knots, [2 * knots[-1] - knots[-2]]])
    position = np.linspace(0, len(knots) - 1, count)
    index = np.minimum(position.astype(int), len(knots) - 2)
    t = (position - index)[:, None]
    p0, p1, p2, p3 = (padded[index + k] for k in range(4))
    return 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )


def sweep(
    path: ArrayLike, radius: ArrayLike, section: ArrayLike | None = None, closed: bool = False
) -> Solid:
    """Move a section along a path, turned as little as possible (parallel transport).

    Args:
        path: (P, 3) points; neighbours differ. The radius of curvature should exceed the section.
        radius: Scale of the section, one value or (P,).
        section: (S, 2) star-shaped outline; None = a circle of 12 points.
        closed: The path returns to its first point (which is not repeated).
    """
    path = np.asarray(path, np.float64)
    radius = np.broadcast_to(np.asarray(radius, np.float64), len(path))
    outline = circle(1, 12)[:, :2] if section is None else np.asarray(section, np.float64)
    if closed:
        tangents = np.roll(path, -1, 0) - np.roll(path, 1, 0)
    else:
        tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    normal = np.cross(tangents[0], np.eye(3)[np.abs(tangents[0]).argmin()])
    normals = []
    for tangent in tangents:
        normal = normal - (normal @ tangent) * tangent
        normal /= np.linalg.norm(normal)
        normals.append(normal)
    first = np.array(normals)
    second = np.cross(tangents, first)
    if closed:
        # What is left of the frame's turn after one round is spread over the whole path.
        carried = normals[-1] - (normals[-1] @ tangents[0]) * tangents[0]
        turn = np.arctan2(carried @ second[0], carried @ first[0])
        angle = -turn * np.arange(len(path))[:, None] / len(path)
        first, second = (
            np.cos(angle) * first + np.sin(angle) * second,
            np.cos(angle) * second - np.sin(angle) * first,
        )
    scaled = radius[:, None, None] * outline
    rings = path[:, None] + scaled[..., :1] * first[:, None] + scaled[..., 1:] * second[:, None]
    return loft(rings, closed=closed)


def prism(outline: ArrayLike, thickness: float) -> Solid:
    """Extrude any simple outline (P, 2) along z, centred at z = 0."""
    # It triangulates outlines that no single point overlooks, which our fans cannot.
    from manifold3d import CrossSection, FillRule, Manifold

    section = CrossSection([np.asarray(outline, np.float64)], FillRule.NonZero)
    mesh = Manifold.extrude(section, thickness).to_mesh64()
    vertices = mesh.vert_properties[:, :3] - (0, 0, thickness / 2)
    return Solid(vertices, mesh.tri_verts.astype(np.int32))


def gear_outline(teeth: int, radius: float, depth: float) -> Floats:
    """Outline (4 teeth, 2) of a gear wheel of outer ``radius`` with teeth of ``depth``."""
    steps = np.arange(4 * teeth)
    angles = (steps + 0.2 * np.isin(steps % 4, (1, 3)) - 0.2 * np.isin(steps % 4, (0, 2))) / (
        4 * teeth
    )
    radii = np.where(steps % 4 < 2, radius, radius - depth)
    return radii[:, None] * np.stack([np.cos(2 * np.pi * angles), np.sin(2 * np.pi * angles)], -1)
