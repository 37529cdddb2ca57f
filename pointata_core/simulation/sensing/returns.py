# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the geometry of a hit to what the receiver reports: lost, noisy, brighter or darker.

The signal of a diffuse (Lambertian) surface larger than the beam is proportional to reflectivity
and to the cosine of incidence, and falls with the square of the range. A return is detected with a
probability that rises smoothly with the signal around the threshold; its intensity is what is left
after the range correction sensors apply, with some scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointata_core.simulation.sensing.sensors import SensorModel
from pointata_core.simulation.solids import ShapeKind, Shapes, Surface

_PANE_RECESS = 0.14  # metres
_STOREY = 2.9
_SHARPNESS = 2.0
_FAINT = 9.0  # signal, in thresholds, that reads as half of what a strong one does


@dataclass(frozen=True)
class Returns:
    """What the sensor reports for M rays.

    Attributes:
        ray: (M,) flat ray index, ascending.
        distance: (M,) float32 metres, with noise.
        intensity: (M,) float32 in [0, 1].
    """

    ray: np.ndarray
    distance: np.ndarray
    intensity: np.ndarray


def incidence(
    shapes: Shapes,
    index: np.ndarray,
    direction: np.ndarray,
    distance: np.ndarray,
    normal: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine of incidence of each hit, and which hits lie on a window pane.

    Args:
        shapes: Shapes in the sensor frame.
        index: (M,) shape hit by each ray.
        direction: (3, M) unit directions.
        distance: (M,) ranges, metres.
        normal: (3, M) unit normals of hits on meshes, in the sensor frame.
        rng: Draws the attitude of leaves.

    Returns:
        cosine (M,) in [0, 1], pane (M,) bool.
    """
    rotation = shapes.rotation.astype(np.float32).transpose(0, 2, 1).reshape(-1, 9)
    turned = -(shapes.rotation.transpose(0, 2, 1) @ shapes.centre[:, :, None])[:, :, 0]
    turned = turned.astype(np.float32)
    half = shapes.half.astype(np.float32)
    kind = shapes.kind[index]
    cosine = np.ones(len(index), np.float32)
    pane = np.zeros(len(index), bool)
    for each in ShapeKind:
        at = np.flatnonzero(kind == each)
        if not len(at):
            continue
        if each == ShapeKind.MESH:
            facing = np.abs((normal[:, at] * direction[:, at]).sum(0))
            cosine[at] = np.minimum(facing, 1.0)
            continue
        shape = index[at]
        r, d = rotation[shape].T, direction[:, at]
        local = np.stack(
            [r[3 * k] * d[0] + r[3 * k + 1] * d[1] + r[3 * k + 2] * d[2] for k in range(3)], 1
        )
        point = turned[shape] + local * distance[at, None]
        cosine[at] = _cosine(each, point, local, half[shape])
        if each == ShapeKind.BOX:
            pane[at] = on_pane(shapes, shape, point, half[shape])
    leafy = shapes.surface[index] == Surface.LEAVES
    cosine[leafy] = rng.uniform(0.2, 1.0, int(leafy.sum()))
    return cosine, pane


def _cosine(kind: int, point: np.ndarray, direction: np.ndarray, half: np.ndarray) -> np.ndarray:
    rows = np.arange(len(point))
    if kind == ShapeKind.BOX:
        return np.abs(direction[rows, np.argmax(np.abs(point / half), axis=1)])
    if kind == ShapeKind.RECTANGLE:
        return np.abs(direction[:, 2])
    normal = point / half**2
    if kind == ShapeKind.CAPSULE:
        normal = point.copy()
        normal[:, 2] -= np.clip(point[:, 2], -half[:, 2], half[:, 2])
    elif kind == ShapeKind.CYLINDER:
        cap = np.abs(point[:, 2]) / half[:, 2] > np.hypot(point[:, 0], point[:, 1]) / half[:, 0]
        normal = np.where(cap[:, None], [[0, 0, 1]], point * [1, 1, 0])
    length = np.maximum(np.linalg.norm(normal, axis=1), 1e-9)
    return np.minimum(np.abs((normal * direction).sum(1)) / length, 1.0)


def on_pane(shapes: Shapes, shape: np.ndarray, point: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Panes fill the middle of each storey on the upright faces of a box with windows."""
    upright = np.abs(point[:, 2]) < half[:, 2] * 0.999
    along = np.where(
        np.abs(point[:, 0] / half[:, 0]) > np.abs(point[:, 1] / half[:, 1]),
        point[:, 1],
        point[:, 0],
    )
    pitch = np.maximum(shapes.detail[shape], 0.5)
    share = np.mod(along / pitch, 1.0)
    level = np.mod(point[:, 2] + half[:, 2] - 1.0, _STOREY)
    window = (np.abs(share - 0.5) < shapes.fill[shape] / 2) & (level > 0.9) & (level < 2.3)
    return upright & window & (shapes.surface[shape] == Surface.WINDOWS)


def receive(
    sensor: SensorModel,
    ray: np.ndarray,
    distance: np.ndarray,
    reflectivity: np.ndarray,
    cosine: np.ndarray,
    pane: np.ndarray,
    rng: np.random.Generator,
) -> Returns:
    """Drop what the receiver misses, and make range and intensity noisy.

    Args:
        sensor: The sensor.
        ray: (M,) flat ray indices.
        distance: (M,) true ranges.
        reflectivity: (M,) in [0, 1].
        cosine: (M,) cosine of incidence.
        pane: (M,) true on glass: mirrors most light away, returns the rest from behind.
        rng: Source of randomness.
    """
    count = len(ray)
    distance = distance + pane * (_PANE_RECESS / np.maximum(cosine, 0.25))
    reflectivity = np.where(pane, 0.25 * reflectivity, reflectivity)
    signal = 10 * reflectivity * (0.1 + 0.9 * cosine) * (sensor.sensitivity / distance) ** 2
    detected = signal**_SHARPNESS / (1 + signal**_SHARPNESS)
    detected *= (1 - sensor.dropout) * np.where(pane, 0.45, 1.0)
    kept = rng.random(count, np.float32) < detected

    spread = sensor.range_noise + sensor.range_noise_quadratic * distance**2
    distance = distance + rng.standard_normal(count, np.float32) * spread
    kept &= (distance > sensor.min_range) & (distance < sensor.max_range)
    strength = signal**2 / (signal**2 + _FAINT**2)
    # Range is corrected for, but a signal near the threshold reads as nothing.
    intensity = reflectivity * (1 - sensor.angular * (1 - cosine)) * strength
    scatter = rng.standard_normal((2, count), np.float32)
    intensity = sensor.gain * intensity * (1 + 0.18 * scatter[0]) + 0.02 * scatter[1]
    return Returns(
        ray[kept],
        distance[kept].astype(np.float32),
        np.clip(intensity[kept], 0, 1).astype(np.float32),
    )
