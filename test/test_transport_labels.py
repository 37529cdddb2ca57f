# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Distances between classes: closed forms of Gaussians, and the same answer in any batch."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_sets import TIGHT, class_distance, labelled_set

from pointata_core.transport import label_distances
from pointata_core.transport.label_distances import ExactStatistics, GaussianStatistics
from pointata_core.transport.labelled import LabelledSet
from pointata_core.transport.sinkhorn import SinkhornConfig


def cloud_with(mean, deviations, count=12, seed=0):
    """Samples whose mean and (diagonal) covariance are exactly these."""
    raw = torch.randn(
        count, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    raw = raw - raw.mean(0)
    white = torch.linalg.qr(raw).Q * count**0.5
    deviations, mean = torch.tensor([deviations, mean], dtype=torch.float64)
    return white * deviations + mean


def clouds(seed, count, classes):
    return LabelledSet.checked(*labelled_set(seed, count, classes), 'test').clouds()


positive = st.lists(st.floats(0.1, 5), min_size=3, max_size=3)
anywhere = st.lists(st.floats(-5, 5), min_size=3, max_size=3)


@settings(max_examples=30)
@given(mean=anywhere, other_mean=anywhere, deviations=positive, other_deviations=positive)
def test_axis_aligned_gaussians_differ_by_means_and_deviations(
    mean, other_mean, deviations, other_deviations
):
    one = GaussianStatistics.of([cloud_with(mean, deviations, 12, 0)])
    other = GaussianStatistics.of([cloud_with(other_mean, other_deviations, 7, 1)])
    expected = sum((a - b) ** 2 for a, b in zip(mean, other_mean)) + sum(
        (a - b) ** 2 for a, b in zip(deviations, other_deviations)
    )
    assert float(one.distances(other)) == pytest.approx(expected, abs=1e-9)


def test_gaussian_distance_of_turned_covariances_agrees_with_numpy():
    one, other = clouds(0, 30, 3), clouds(1, 20, 2)
    found = GaussianStatistics.of(one).distances(GaussianStatistics.of(other))
    moments = [
        [np.stack([moment(cloud.numpy()) for cloud in members]) for members in (one, other)]
        for moment in (lambda x: x.mean(0), lambda x: np.cov(x.T, bias=True))
    ]
    expected = ot.gaussian.bures_wasserstein_distance(*moments[0], *moments[1]) ** 2
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-8)


def test_a_class_of_one_sample_is_a_point():
    point = GaussianStatistics.of([torch.zeros(1, 3).double()])
    cloud = GaussianStatistics.of([cloud_with([1.0, 0, 0], [1.0, 2.0, 3.0])])
    assert float(point.distances(cloud)) == pytest.approx(1 + 1 + 4 + 9)
    assert float(point.distances(GaussianStatistics.of([torch.ones(1, 3).double()]))) == 3


def test_exact_distance_of_points_is_their_squared_distance():
    config = SinkhornConfig(0.1)
    one = ExactStatistics.of([torch.zeros(1, 2).double(), torch.ones(1, 2).double()], config)
    other = ExactStatistics.of([torch.tensor([[3.0, 4.0]]).double()], config)
    torch.testing.assert_close(one.distances(other), torch.tensor([[25.0], [13.0]]).double())


@pytest.mark.parametrize('debiased', [True, False])
def test_exact_distances_agree_with_numpy_class_by_class(debiased):
    config = SinkhornConfig(1.0, **TIGHT)
    one, other = clouds(0, 14, 3), clouds(1, 9, 2)
    found = ExactStatistics.of(one, config, debiased).distances(
        ExactStatistics.of(other, config, debiased)
    )
    for row, first in enumerate(one):
        for column, second in enumerate(other):
            expected = class_distance(first.numpy(), second.numpy(), 'exact', 1.0, debiased)
            assert float(found[row, column]) == pytest.approx(expected, abs=1e-8)


def test_small_batches_give_the_same_distances(monkeypatch):
    config = SinkhornConfig(1.0, **TIGHT)
    one, other = clouds(0, 14, 3), clouds(1, 20, 5)

    def distances():
        return ExactStatistics.of(one, config).distances(ExactStatistics.of(other, config))

    together = distances()
    monkeypatch.setattr(label_distances, 'BLOCK_ELEMENTS', 1)
    torch.testing.assert_close(distances(), together)


@pytest.mark.parametrize('kind', ['exact', 'gaussian'])
def test_distances_within_a_set_are_symmetric_with_zeros_and_those_to_its_copy(kind):
    config = SinkhornConfig(1.0, **TIGHT)

    def describe(members):
        if kind == 'gaussian':
            return GaussianStatistics.of(members)
        return ExactStatistics.of(members, config)

    members = clouds(0, 14, 4)
    one, copy = describe(members), describe([cloud.clone() for cloud in members])
    within = one.distances(one)
    assert torch.equal(within.diagonal(), torch.zeros(4).double())
    torch.testing.assert_close(within, within.T)
    torch.testing.assert_close(one.distances(copy), within, atol=1e-8, rtol=0)
