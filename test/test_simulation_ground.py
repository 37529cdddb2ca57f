# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rays meet the ground on its surface, kerbs included."""

from __future__ import annotations

import numpy as np
import pytest

from pointata_core.simulation.scenes.ground import Ground, rolling
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id


def make_ground(kerb: float, slope=(0.01, -0.008), waves=((0.05, 0.1, 0.07, 0.4),)) -> Ground:
    classes = np.full((400, 400), class_id('road'), np.uint8)
    raised = np.zeros((400, 400), bool)
    raised[:, 220:] = True  # a sidewalk from y = 5 on
    classes[:, 220:] = class_id('sidewalk')
    reflectivity = np.full(len(SEGMENTATION_CLASSES), 0.3, np.float32)
    heights = rolling((201, 201), (-50.0, -50.0), 0.5, slope, np.array(waves))
    return Ground(classes, raised, (-50.0, -50.0), 0.25, kerb, heights, 0.5, reflectivity)


def rays_down() -> np.ndarray:
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, 180), np.radians(np.linspace(-60, 5, 40))
    )
    rays = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    return rays.reshape(3, -1).astype(np.float32)


def first_below(ground: Ground, origin: np.ndarray, ray: np.ndarray, reach: float) -> float:
    """March in centimetres until the ray is below the ground."""
    t = np.arange(0.2, reach, 0.01)
    x, y, z = (origin[k] + t * ray[k] for k in range(3))
    below = np.flatnonzero(z <= ground.height(x, y))
    return float(t[below[0]]) if len(below) else np.inf


@pytest.mark.parametrize('kerb', [0.0, 0.12])
def test_ranges_agree_with_marching_along_the_ray(kerb):
    ground = make_ground(kerb)
    origin = np.array([2.0, 1.0, ground.height(2.0, 1.0) + 1.7])
    rays = rays_down()
    found = ground.cast(origin, rays, 30.0)
    chosen = np.random.default_rng(0).choice(rays.shape[1], 400, replace=False)
    hits = 0
    for ray in chosen:
        expected = first_below(ground, origin, rays[:, ray].astype(float), 30.0)
        if np.isfinite(expected) and np.isfinite(found[ray]):
            hits += 1
            assert found[ray] == pytest.approx(expected, abs=0.3 if expected > 15 else 0.12)
        elif expected < 20:
            pytest.fail(f'ray {ray} misses the ground at {expected:.2f} m')
    assert hits > 150


def test_the_kerb_shows_its_face():
    ground = make_ground(0.15, slope=(0.0, 0.0), waves=np.zeros((0, 4)))
    origin = np.array([0.0, 0.0, 1.7])
    elevation = np.radians(np.linspace(-25, -12, 400))
    rays = np.stack([np.zeros(400), np.cos(elevation), np.sin(elevation)]).astype(np.float32)
    t = ground.cast(origin, rays, 50.0)
    y, z = t * rays[1], 1.7 + t * rays[2]
    face = (z > 0.01) & (z < 0.14)
    assert face.any()
    np.testing.assert_allclose(y[face], 5.0, atol=0.05)
    np.testing.assert_allclose(z[(y > 5.1)], 0.15, atol=1e-3)
    np.testing.assert_allclose(z[(y < 4.9)], 0.0, atol=1e-3)


def test_normals_are_those_of_the_surface():
    ground = make_ground(0.0)
    x, y = np.array([3.1, -7.2]), np.array([-2.2, 1.1])
    step = 1e-2
    dx = (ground.surface(x + step, y) - ground.surface(x - step, y)) / (2 * step)
    dy = (ground.surface(x, y + step) - ground.surface(x, y - step)) / (2 * step)
    normal = ground.normal(x, y)
    np.testing.assert_allclose(normal[:, 0] / normal[:, 2], -dx, atol=1e-5)
    np.testing.assert_allclose(normal[:, 1] / normal[:, 2], -dy, atol=1e-5)
