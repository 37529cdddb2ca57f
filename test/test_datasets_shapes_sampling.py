# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes for stage 1: classes in balance, points reproducible, size and place taken out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene_datasets import write_modelnet_text, write_shapenet

from pointata_core.datasets.protocol import FrameDataset
from pointata_core.datasets.shapes.modelnet40 import ModelNet40Text
from pointata_core.datasets.shapes.shape_sampling import SampledShapes, in_unit_sphere, stratified
from pointata_core.datasets.shapes.shapenet55 import ShapeNet55
from pointata_core.errors import ConfigError


@given(
    categories=st.lists(st.integers(0, 6), min_size=1, max_size=80),
    limit=st.integers(1, 90),
    seed=st.integers(0, 99),
)
def test_no_class_gets_more_while_another_has_some_left(categories, limit, seed):
    categories = np.array(categories)
    chosen = stratified(categories, limit, np.random.default_rng(seed))
    assert len(chosen) == len(set(chosen.tolist())) == min(limit, len(categories))
    taken = np.bincount(categories[chosen], minlength=7)
    there = np.bincount(categories, minlength=7)
    for poor in np.flatnonzero(taken < there):
        assert taken.max() <= taken[poor] + 1


@given(
    shift=st.floats(-50, 50),
    scale=st.floats(0.01, 100),
    count=st.integers(2, 60),
)
def test_place_and_size_are_taken_out(shift, scale, count):
    points = np.random.default_rng(count).normal(size=(count, 3))
    sphere = in_unit_sphere((points * scale + shift).astype(np.float32))
    assert np.linalg.norm(sphere, axis=1).max() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(sphere.mean(axis=0), 0, atol=1e-4)
    if abs(shift) < 10 * scale:
        np.testing.assert_allclose(sphere, in_unit_sphere(points.astype(np.float32)), atol=1e-3)


def test_points_in_one_place_stay_finite():
    assert np.all(in_unit_sphere(np.full((4, 3), 7, np.float32)) == 0)


def test_sampled_shapes_are_reproducible_and_balanced(tmp_path):
    names = [f'03001627-{number:02d}' for number in range(12)] + ['02691156-0', '02691156-1']
    write_shapenet(tmp_path, names)
    shapes = SampledShapes(ShapeNet55(tmp_path), points=16, limit=6, seed=3)
    again = SampledShapes(ShapeNet55(tmp_path), points=16, limit=6, seed=3)
    other = SampledShapes(ShapeNet55(tmp_path), points=16, limit=6, seed=4)
    assert isinstance(shapes, FrameDataset)
    assert np.bincount(shapes.categories, minlength=55)[[0, 18]].tolist() == [2, 4]
    assert shapes.chosen.tolist() == again.chosen.tolist() != other.chosen.tolist()
    for index in range(6):
        frame = shapes[index]
        assert frame.points.shape == (16, 3)
        assert frame.category == shapes.categories[index]
        np.testing.assert_array_equal(frame.points, again[index].points)
    again.epoch = 1
    assert any(not np.array_equal(shapes[i].points, again[i].points) for i in range(6))
    assert '6 shapes are chosen' in shapes.describe().notes


def test_normals_stay_with_their_points(tmp_path):
    write_modelnet_text(tmp_path, ['airplane_0001'])
    whole = ModelNet40Text(tmp_path)[0]
    sampled = SampledShapes(ModelNet40Text(tmp_path), points=10)[0]
    # Sampling and scaling keep differences between normals and order of points apart.
    place = {tuple(normal): point for normal, point in zip(whole.features, whole.points)}
    originals = np.array([place[tuple(normal)] for normal in sampled.features])
    np.testing.assert_allclose(in_unit_sphere(originals), sampled.points, atol=1e-6)


def test_settings_are_checked(tmp_path):
    write_shapenet(tmp_path, ['03001627-0'])
    for options in ({'points': 0}, {'limit': 0}):
        with pytest.raises(ConfigError, match='expected 1 or more'):
            SampledShapes(ShapeNet55(tmp_path), **options)
