# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The controls, and the protocol by which stage 1 uses any of the losses."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_sets import labelled_set

from pointata_core.errors import ConfigError
from pointata_core.transport import (
    AlignmentLoss,
    MeanLoss,
    MmdLoss,
    OtddConfig,
    OtddLoss,
    PerClass,
    TransportError,
    alignment_loss,
)

NAMES = ('otdd', 'mmd', 'l2')
CONTROLS = (MmdLoss, MeanLoss)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), make=st.sampled_from(CONTROLS))
def test_identical_sets_are_at_distance_zero(seed, make):
    features, _ = labelled_set(seed, 9, 3)
    assert abs(float(make(features)(features.flip(0)))) < 1e-12


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), make=st.sampled_from(CONTROLS))
def test_distance_is_the_same_both_ways(seed, make):
    (one, _), (other, _) = labelled_set(seed, 9, 3), labelled_set(seed + 1, 6, 2, shift=1.0)
    settings = {'bandwidths': (0.5, 2.0)} if make is MmdLoss else {}
    both = [
        float(make(source, standardise=False, **settings)(target))
        for source, target in ((one, other), (other, one))
    ]
    assert both[0] == pytest.approx(both[1])
    assert both[0] > 0


@pytest.mark.parametrize('name', NAMES)
def test_gradients_agree_with_finite_differences(name):
    source, (features, labels) = labelled_set(0, 9, 3), labelled_set(1, 4, 2)
    config = OtddConfig(label_distance='none', tolerance=1e-11, max_iterations=20_000)
    loss = alignment_loss(name, *source, config)
    assert torch.autograd.gradcheck(
        lambda moving: loss(moving, labels), features.requires_grad_(), eps=1e-5, atol=1e-7
    )


def test_mmd_of_two_points_is_what_their_kernels_say():
    bandwidths = (1.0, 4.0)
    loss = MmdLoss(torch.zeros(1, 2), bandwidths=bandwidths, standardise=False)
    expected = 2 - 2 * sum(math.exp(-4 / b) for b in bandwidths) / 2
    assert float(loss(torch.tensor([[2.0, 0.0]]))) == pytest.approx(expected)


def test_mmd_sees_what_means_do_not():
    generator = torch.Generator().manual_seed(0)
    narrow = torch.randn(50, 2, generator=generator)
    wide = narrow * 3 - 2 * narrow.mean(0)
    assert float(MeanLoss(narrow)(wide)) == pytest.approx(0, abs=1e-9)
    assert float(MmdLoss(narrow)(wide)) > 0.05


def test_bandwidths_follow_the_spread_of_the_source():
    features, _ = labelled_set(0, 30, 3)
    pairs = torch.cdist(features, features).square().mean()
    found = MmdLoss(features, standardise=False).bandwidths
    assert found[2] == pytest.approx(float(pairs))
    assert MmdLoss(10 * features, standardise=False).bandwidths[2] == pytest.approx(
        100 * float(pairs)
    )


def test_bandwidths_that_are_not_positive_are_refused():
    for bandwidths in ((), (1.0, 0.0)):
        with pytest.raises(ConfigError, match='bandwidths'):
            MmdLoss(torch.zeros(2, 2), bandwidths=bandwidths)


@pytest.mark.parametrize('name', NAMES)
def test_every_loss_follows_the_protocol(name):
    source, (features, labels) = labelled_set(0, 12, 3), labelled_set(1, 8, 2, shift=1.0)
    moving = features.float().requires_grad_()
    for loss in (alignment_loss(name, *source), PerClass(alignment_loss(name, *source))):
        assert isinstance(loss, AlignmentLoss)
        value = loss(moving, labels)
        (gradient,) = torch.autograd.grad(value, moving)
        assert (value.shape, value.dtype) == (torch.Size([]), torch.float32)
        assert gradient.isfinite().all()
        assert gradient.any()


@pytest.mark.parametrize('name', NAMES)
def test_broken_features_are_refused_by_every_loss(name):
    features, labels = labelled_set(0, 12, 3)
    loss = alignment_loss(name, features, labels)
    broken = features.clone()
    broken[2, 1] = float('nan')
    with pytest.raises(TransportError, match='first in sample 2'):
        loss(broken, labels)


def test_class_by_class_weighs_classes_by_their_share():
    source, (features, _) = labelled_set(0, 12, 3), labelled_set(1, 8, 2)
    labels = torch.tensor([4, 4, 4, 4, 4, 4, 9, 9])
    loss = OtddLoss(*source)
    parts = {
        label: float(loss(features[labels == label], labels[labels == label])) for label in (4, 9)
    }
    by_batch = float(PerClass(loss)(features, labels))
    assert by_batch == pytest.approx(0.75 * parts[4] + 0.25 * parts[9])
    by_set = float(PerClass(loss, {4: 0.1, 9: 0.9})(features, labels))
    assert by_set == pytest.approx(0.1 * parts[4] + 0.9 * parts[9])
    with pytest.raises(ConfigError, match='class 9'):
        PerClass(loss, {4: 1.0})(features, labels)


def test_names_select_losses_and_others_are_refused():
    source = labelled_set(0, 6, 2)
    made = [type(alignment_loss(name, *source)) for name in NAMES]
    assert made == [OtddLoss, MmdLoss, MeanLoss]
    with pytest.raises(ConfigError, match='otdd, mmd or l2'):
        alignment_loss('coral', *source)
