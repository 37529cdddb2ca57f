# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Preparation: every point finds its way back, the budget holds, order does not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.bundles.preparation_config import FeatureSpec, PreparationConfig
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.ops.range_compression import compress_range


def cloud(count: int, seed: int = 0, spread: float = 30.0) -> np.ndarray:
    """Points around a sensor, denser close by."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return (direction * rng.gamma(1.5, spread / 3, (count, 1))).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(count=st.integers(0, 400), seed=st.integers(0, 1000), voxels=st.integers(8, 80))
def test_voxels_stay_in_budget_and_each_is_the_mean_of_its_points(count, seed, voxels):
    points = cloud(count, seed)
    config = PreparationConfig(max_voxels=voxels, max_range_m=1e6, scale_m=5.0)
    frame = FramePreparer(config).prepare(points)
    assert len(frame.points) <= voxels
    assert frame.voxel_of_point.shape == (count,)
    for voxel in range(len(frame.points)):
        mine = points[frame.voxel_of_point == voxel].astype(np.float64)
        assert len(mine) > 0
        np.testing.assert_allclose(
            frame.points[voxel].numpy() * 5.0, mine.mean(axis=0), rtol=1e-4, atol=1e-3
        )


def test_unusable_points_have_no_voxel_and_the_others_do_not_notice():
    points = cloud(500)
    bad = points.copy()
    bad[3], bad[77, 1], bad[200] = np.nan, np.inf, 1e4
    config = PreparationConfig(min_range_m=0.5, max_range_m=500.0)
    frame = FramePreparer(config).prepare(bad)
    inside = np.linalg.norm(points, axis=1) >= 0.5
    unusable = np.zeros(500, bool)
    unusable[[3, 77, 200]] = True
    np.testing.assert_array_equal(frame.voxel_of_point < 0, unusable | ~inside)
    kept = FramePreparer(config).prepare(points[~unusable & inside])
    assert torch.equal(kept.points, frame.points)


def test_input_order_does_not_change_the_cells():
    points = cloud(800, 4)
    order = np.random.default_rng(0).permutation(800)
    preparer = FramePreparer(PreparationConfig(max_voxels=200))
    straight, shuffled = preparer.prepare(points), preparer.prepare(points[order])
    torch.testing.assert_close(straight.points, shuffled.points)
    np.testing.assert_array_equal(straight.voxel_of_point[order], shuffled.voxel_of_point)


def test_features_are_normalised_averaged_and_defaulted():
    points = np.repeat(np.float32([[1, 1, 1], [9, 9, 1]]), 2, axis=0)
    config = PreparationConfig(
        features={'intensity': FeatureSpec(10.0, 4.0, 2.0), 'velocity': FeatureSpec(default=3.0)}
    )
    frame = FramePreparer(config).prepare(points, {'intensity': np.float32([10, 18, 30, np.nan])})
    np.testing.assert_allclose(frame.features.numpy(), [[1.0, 3.0], [2.5, 3.0]])


def test_a_feature_of_another_length_is_refused():
    config = PreparationConfig(features={'intensity': FeatureSpec()})
    with pytest.raises(ValueError, match='intensity'):
        FramePreparer(config).prepare(cloud(5), {'intensity': np.zeros(4)})


def test_motion_in_normalised_units_moves_prepared_points_like_metres():
    rng = np.random.default_rng(1)
    angle = 0.3
    transform = np.eye(4)
    transform[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    transform[:3, 3] = [1.0, -2.0, 0.5]
    origin = np.array([4.0, 5.0, 6.0])
    preparer = FramePreparer(PreparationConfig(scale_m=7.0))
    metres = rng.normal(size=(10, 3)) * 10
    motion = preparer.motion(transform, origin)[0].numpy()
    normalised = (metres - origin) / 7.0
    moved = normalised @ motion[:3, :3].T + motion[:3, 3]
    expected = (metres @ transform[:3, :3].T + transform[:3, 3] - origin) / 7.0
    np.testing.assert_allclose(moved, expected, atol=1e-5)


@given(st.floats(0.0, 500.0), st.floats(0.1, 50.0))
def test_range_compression_keeps_direction_and_order_and_never_stretches(distance, knee):
    direction = torch.tensor([[0.6, 0.0, 0.8]])
    near = compress_range(direction * distance, knee)
    far = compress_range(direction * (distance + 1.0), knee)
    assert near.norm() <= distance * (1 + 1e-5)
    assert far.norm() > near.norm()
    torch.testing.assert_close(
        torch.linalg.cross(near, direction), torch.zeros(1, 3), atol=1e-3, rtol=0
    )


def test_config_round_trip_and_refusals():
    config = PreparationConfig(features={'ring': FeatureSpec(0.0, 64.0)}, origin='first_frame')
    assert PreparationConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match='voxel'):
        PreparationConfig.from_dict({'voxel': 1})
    with pytest.raises(ConfigError, match='max_voxels'):
        PreparationConfig(max_voxels=0)
    with pytest.raises(ConfigError, match='origin'):
        PreparationConfig(origin='map')
