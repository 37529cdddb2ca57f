# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Guard rails, concrete barriers and noise walls; class fence, as in SemanticKITTI."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.solids import ShapeBuilder, up
from pointata_core.taxonomy import class_id

_FENCE = class_id('fence')


def _frame(start: np.ndarray, end: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Length, yaw and middle of a stretch."""
    along = end - start
    return (
        float(np.linalg.norm(along[:2])),
        float(np.arctan2(along[1], along[0])),
        (start + end) / 2,
    )


def guard_rail(
    builder: ShapeBuilder, start: np.ndarray, end: np.ndarray, rng: np.random.Generator
) -> None:
    """A steel rail on posts; steel mirrors most light away."""
    paint = {'label': _FENCE, 'reflectivity': 0.1}
    for level in (0.5, 0.62, 0.74):
        builder.capsule(start + up(level), end + up(level), 0.06, **paint)
    length, yaw, _ = _frame(start, end)
    for share in np.arange(0, 0.999, min(1.0, 2.0 / max(length, 0.1))):
        foot = start + (end - start) * share
        builder.box(foot + up(0.32), (0.04, 0.06, 0.35), yaw, **paint)


def concrete_barrier(
    builder: ShapeBuilder, start: np.ndarray, end: np.ndarray, rng: np.random.Generator
) -> None:
    """A low wall of concrete, wider at its foot."""
    paint = {'label': _FENCE, 'reflectivity': rng.uniform(0.25, 0.4)}
    length, yaw, middle = _frame(start, end)
    builder.box(middle + up(0.45), (length / 2, 0.1, 0.45), yaw, **paint)
    builder.box(middle + up(0.1), (length / 2, 0.28, 0.16), yaw, **paint)


def noise_wall(
    builder: ShapeBuilder,
    start: np.ndarray,
    end: np.ndarray,
    height: float,
    rng: np.random.Generator,
) -> None:
    """A wall of panels between posts."""
    paint = {'label': _FENCE, 'reflectivity': rng.uniform(0.2, 0.5)}
    length, yaw, middle = _frame(start, end)
    builder.box(middle + up(height / 2 - 0.2), (length / 2, 0.08, height / 2 + 0.2), yaw, **paint)
    for share in np.arange(0, 0.999, min(1.0, 4.0 / max(length, 0.1))):
        foot = start + (end - start) * share
        builder.box(foot + up(height / 2), (0.12, 0.14, height / 2 + 0.1), yaw, **paint)
