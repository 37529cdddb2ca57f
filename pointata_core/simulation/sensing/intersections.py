# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where rays enter unit solids, in the local frame of the solid.

Each function takes the components of the origin and the direction in the local frame (arrays that
broadcast against each other) and returns the parameter of the first entry, ``inf`` for a miss. All
work in float32: roots are taken from the point of closest approach, not from the textbook
discriminant, whose cancellation makes a thin pole flicker at 80 m (Press et al., Numerical Recipes,
section 5.6, names the effect).
"""

from __future__ import annotations

import numpy as np

_MISS = np.float32(np.inf)
_TINY = np.float32(1e-9)

Components = tuple[np.ndarray, np.ndarray, np.ndarray]


def box(o: Components, d: Components) -> np.ndarray:
    """First entry into the cube |x|, |y|, |z| <= 1 (slab method)."""
    enter = np.float32(-np.inf)
    leave = _MISS
    for origin, direction in zip(o, d):
        inverse = 1.0 / np.where(np.abs(direction) < _TINY, _TINY, direction)
        middle = -origin * inverse
        width = np.abs(inverse)
        enter = np.maximum(enter, middle - width)
        leave = np.minimum(leave, middle + width)
    return np.where((enter <= leave) & (enter > 0), enter, _MISS)


def rectangle(o: Components, d: Components) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crossing of |x|, |y| <= 1 in z = 0, and the local x, y of the crossing."""
    t = -o[2] / np.where(np.abs(d[2]) < _TINY, _TINY, d[2])
    x = o[0] + t * d[0]
    y = o[1] + t * d[1]
    return np.where((np.abs(x) <= 1) & (np.abs(y) <= 1) & (t > 0), t, _MISS), x, y


def ellipsoid(o: Components, d: Components) -> tuple[np.ndarray, np.ndarray]:
    """Entry into and exit from the unit ball; both ``inf`` for a miss."""
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    closest = -(o[0] * d[0] + o[1] * d[1] + o[2] * d[2]) / a
    room = 1 - sum((oi + closest * di) ** 2 for oi, di in zip(o, d))
    half_chord = np.sqrt(np.maximum(room, 0) / a)
    enter = closest - half_chord
    hit = (room > 0) & (enter > 0)
    return np.where(hit, enter, _MISS), np.where(hit, closest + half_chord, _MISS)


def _infinite_cylinder(o: Components, d: Components) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entry and exit of x² + y² <= 1, and whether the ray meets it at all."""
    a = np.maximum(d[0] * d[0] + d[1] * d[1], np.float32(1e-12))
    closest = -(o[0] * d[0] + o[1] * d[1]) / a
    room = 1 - (o[0] + closest * d[0]) ** 2 - (o[1] + closest * d[1]) ** 2
    half_chord = np.sqrt(np.maximum(room, 0) / a)
    return closest - half_chord, closest + half_chord, room >= 0


def cylinder(o: Components, d: Components) -> np.ndarray:
    """First entry into x² + y² <= 1, |z| <= 1, caps included."""
    side_in, side_out, meets = _infinite_cylinder(o, d)
    inverse = 1.0 / np.where(np.abs(d[2]) < _TINY, _TINY, d[2])
    middle, width = -o[2] * inverse, np.abs(inverse)
    enter = np.maximum(side_in, middle - width)
    leave = np.minimum(side_out, middle + width)
    return np.where(meets & (enter <= leave) & (enter > 0), enter, _MISS)


def capsule(o: Components, d: Components, half_length: np.ndarray) -> np.ndarray:
    """First entry into the set of points at most 1 from the segment |z| <= half_length."""
    side, _, meets = _infinite_cylinder(o, d)
    z = o[2] + side * d[2]
    end = np.copysign(half_length, z)
    cap, _ = ellipsoid((o[0], o[1], o[2] - end), d)
    t = np.where(np.abs(z) <= half_length, side, cap)
    return np.where(meets & (t > 0), t, _MISS)
