# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OTDD as a loss: laws that a distance of data sets obeys, its gradient, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_sets import TIGHT, labelled_set, reference_otdd

from pointata_core.errors import ConfigError
from pointata_core.transport import (
    ConvergenceWarning,
    OtddConfig,
    OtddLoss,
    PerClass,
    TransportError,
)

pytestmark = pytest.mark.filterwarnings('error:.*Sinkhorn')

KINDS = ('exact', 'gaussian', 'none')
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**31)
sizes = st.integers(4, 10)


def tight(kind='exact', **changes):
    return OtddConfig(
        **{'label_distance': kind, 'regularisation': 3.0, 'standardise': False} | TIGHT | changes
    )


def distance(source, target, config):
    return float(OtddLoss(*source, config)(*target))


@settings(max_examples=6)
@given(seed=seeds, count=sizes, kind=kinds)
def test_a_set_is_at_distance_zero_from_itself_in_any_order(seed, count, kind):
    features, labels = labelled_set(seed, count, 3)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed % 1000))
    moved = features[order].requires_grad_()
    value = OtddLoss(features, labels, tight(kind))(moved, labels[order])
    value.backward()
    assert abs(float(value.detach())) < 1e-8
    assert moved.grad.abs().max() < 1e-8


@settings(max_examples=6)
@given(seed=seeds, count=sizes, kind=kinds)
def test_distance_is_the_same_both_ways(seed, count, kind):
    one, other = labelled_set(seed, count, 3), labelled_set(seed + 1, 7, 2, shift=0.5)
    config = tight(kind)
    assert distance(one, other, config) == pytest.approx(distance(other, one, config), abs=1e-8)


@settings(max_examples=6)
@given(seed=seeds, kind=kinds, step=st.floats(-3, 3))
def test_moving_a_set_as_a_whole_costs_the_square_of_the_way(seed, kind, step):
    # Half of it through the features, half through the distances of the classes; what else changes
    # in the costs belongs to one side alone and goes into the potentials.
    features, labels = labelled_set(seed, 8, 3)
    way = torch.tensor([step, -1.0, 0.5], dtype=torch.float64)
    expected = way.square().sum() * (0.5 if kind == 'none' else 1.0)
    value = distance((features, labels), (features + way, labels), tight(kind))
    assert value == pytest.approx(float(expected), abs=1e-7)


@settings(max_examples=6)
@given(seed=seeds, kind=kinds, debiased=st.booleans(), weight=st.sampled_from([0.5, 2.0]))
def test_distance_agrees_with_plain_loops_over_numpy(seed, kind, debiased, weight):
    source, target = labelled_set(seed, 9, 3), labelled_set(seed + 1, 7, 2, shift=0.3)
    config = tight(kind, debiased=debiased, label_weight=weight, feature_weight=1 / weight)
    assert distance(source, target, config) == pytest.approx(
        reference_otdd(source, target, config), abs=1e-6
    )


def test_classes_of_very_different_sizes_agree_with_plain_loops():
    labels = torch.tensor([0] * 20 + [1] * 9 + [2] * 2 + [3])
    features, _ = labelled_set(0, len(labels), 4)
    target = labelled_set(1, 8, 3)
    config = tight(tolerance=1e-9)
    assert distance((features, labels), target, config) == pytest.approx(
        reference_otdd((features, labels), target, config), abs=1e-6
    )


@pytest.mark.parametrize('debiased', [True, False])
@pytest.mark.parametrize('standardise', [True, False])
def test_gradient_is_that_of_the_value_with_the_classes_distances_held(debiased, standardise):
    source, (features, labels) = labelled_set(0, 9, 3), labelled_set(1, 5, 2, width=3)
    config = tight(
        'gaussian', debiased=debiased, standardise=standardise, regularisation=2.0, label_weight=2.0
    )
    loss = OtddLoss(*source, config)
    blocks = loss.label_blocks(features, labels)
    assert torch.autograd.gradcheck(
        lambda moving: loss.measure(moving, labels, blocks).value,
        features.clone().requires_grad_(),
        eps=1e-5,
        atol=1e-7,
    )


def test_descending_the_loss_brings_the_sets_together():
    source, (features, labels) = labelled_set(0, 20, 3), labelled_set(1, 16, 3, shift=3.0)
    loss = OtddLoss(*source, OtddConfig(regularisation=0.5))
    moving = features.clone().requires_grad_()
    before = loss(features, labels)
    for _ in range(8):
        (gradient,) = torch.autograd.grad(loss(moving, labels), moving)
        with torch.no_grad():
            moving -= 0.5 * len(features) * gradient / loss.scaling.factor.square()
    assert loss(moving, labels) < 0.1 * before
    assert (moving.mean(0) - source[0].mean(0)).norm() < 0.5


def test_a_sample_among_another_class_is_drawn_to_its_own_only_by_its_label():
    ends = torch.tensor([[-3.0, 0], [3.0, 0]], dtype=torch.float64)
    noise = 0.1 * torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.arange(20) % 2
    source = ends[labels] + noise
    place = labels.clone()
    place[:2] = 1 - place[:2]  # samples 0 and 1 have changed sides
    gradients = {}
    for kind in ('none', 'exact'):
        target = (ends[place] + noise.flip(0)).requires_grad_()
        loss = OtddLoss(source, labels, OtddConfig(label_distance=kind, label_weight=3.0))
        loss(target, labels).backward()
        gradients[kind] = target.grad[:2, 0]
    pull = torch.tensor([1.0, -1.0]) * gradients['exact']  # descent goes against it: back home
    assert (pull > 10 * gradients['none'].abs()).all()


def test_class_by_class_labels_do_not_influence_the_gradient():
    source, (features, labels) = labelled_set(0, 12, 3), labelled_set(1, 9, 3)
    gradients = []
    for kind in KINDS:
        moving = features.clone().requires_grad_()
        PerClass(OtddLoss(*source, tight(kind, tolerance=1e-9)))(moving, labels).backward()
        gradients.append(moving.grad)
    torch.testing.assert_close(gradients[0], gradients[2], atol=1e-7, rtol=0)
    torch.testing.assert_close(gradients[1], gradients[2], atol=1e-7, rtol=0)


@pytest.mark.parametrize('kind', KINDS)
def test_a_class_may_have_one_sample(kind):
    source, (features, _) = labelled_set(0, 8, 3), labelled_set(1, 4, 2)
    labels = torch.tensor([0, 1, 1, 1])
    config = tight(kind)
    value = distance(source, (features, labels), config)
    assert value == pytest.approx(reference_otdd(source, (features, labels), config), abs=1e-6)
    single = distance((features[:1], labels[:1]), (features[:1] + 1, labels[:1]), config)
    assert single == pytest.approx(1.5 if kind == 'none' else 3.0)


@pytest.mark.parametrize('kind', KINDS)
def test_a_class_without_samples_changes_nothing(kind):
    (features, labels), target = labelled_set(0, 8, 3), labelled_set(1, 6, 2)
    with_gaps = torch.tensor([2, 7, 30])[labels]
    config = tight(kind)
    assert distance((features, with_gaps), target, config) == pytest.approx(
        distance((features, labels), target, config), abs=1e-9
    )


def test_standardised_distance_does_not_depend_on_units():
    (features, labels), (target, target_labels) = labelled_set(0, 9, 3), labelled_set(1, 6, 2)
    config = tight(standardise=True)
    units = torch.tensor([100.0, 0.01, 3.0]).double()
    values = [
        distance((features * u + 5, labels), (target * u + 5, target_labels), config)
        for u in (torch.ones(3).double() * 7, torch.ones(3).double(), units * 0 + 1e-6)
    ]
    assert values[1:] == pytest.approx(values[:1] * 2, rel=1e-6)


def test_a_constant_column_of_the_source_does_not_drown_the_others():
    (features, labels), target = labelled_set(0, 9, 3), labelled_set(1, 6, 2)
    features[:, 1] = 4.0
    loss = OtddLoss(features, labels)
    assert loss.scaling.factor.max() <= 20 * loss.scaling.factor.min()
    assert loss(*target).isfinite()


def test_float32_agrees_with_float64_and_keeps_its_type():
    (features, labels), (target, target_labels) = labelled_set(0, 30, 3), labelled_set(1, 20, 3)
    config = OtddConfig(tolerance=1e-8)
    exact = OtddLoss(features, labels, config)(target, target_labels)
    moving = target.float().requires_grad_()
    single = OtddLoss(features.float(), labels, config)(moving, target_labels)
    single.backward()
    assert (single.dtype, moving.grad.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)


def test_autocast_does_not_reach_the_transport():
    source, (features, labels) = labelled_set(0, 12, 3), labelled_set(1, 9, 2)
    loss = OtddLoss(*source)
    outside = loss(features.float(), labels)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = loss(features.float(), labels)
        half = loss(features.bfloat16().requires_grad_(), labels)
    assert torch.equal(inside, outside)
    assert half.dtype == torch.float32
    assert half.requires_grad


def test_parts_add_up_and_kept_label_blocks_give_the_same_value():
    source, target = labelled_set(0, 12, 3), labelled_set(1, 9, 2)
    loss = OtddLoss(*source, tight())
    measured = loss.measure(*target)
    parts = measured.cross - (measured.source + measured.target) / 2
    assert float(measured.value) == pytest.approx(parts)
    assert measured.residual <= loss.config.tolerance
    again = loss.measure(*target, loss.label_blocks(*target))
    assert float(again.value) == float(measured.value)


def test_second_derivatives_are_refused_rather_than_wrong():
    source, (features, labels) = labelled_set(0, 8, 2), labelled_set(1, 6, 2)
    moving = features.requires_grad_()
    value = OtddLoss(*source)(moving, labels)
    (gradient,) = torch.autograd.grad(value, moving, create_graph=True)
    with pytest.raises(RuntimeError, match=r'differentiable|does not require grad'):
        gradient.sum().backward()


def test_a_transport_that_does_not_converge_is_reported_with_its_residual():
    source, target = labelled_set(0, 12, 3), labelled_set(1, 9, 2, shift=2.0)
    loss = OtddLoss(*source, tight('none', debiased=False, max_iterations=1, regularisation=0.1))
    with pytest.warns(ConvergenceWarning, match='source to target.*after 1 iterations') as caught:
        measured = loss.measure(*target)
    (warning,) = caught
    assert warning.message.residual == measured.residual > 1e-3
    assert f'{measured.residual:.2e}' in str(warning.message)
    assert measured.value.isfinite()


@pytest.mark.parametrize(
    ('features', 'labels', 'words'),
    [
        ([[1.0, 2, 3], [4, float('nan'), 6]], [0, 1], 'target features hold NaN.*1 of 2.*sample 1'),
        ([[1.0, 2, float('inf')]], [0], 'infinity'),
        ([[1.0, 2]], [0], '2 columns, those of the source 3'),
        ([[1, 2, 3]], [0], 'floating point'),
        ([1.0, 2, 3], [0, 0, 0], r'shape \(3,\)'),
        ([[1.0, 2, 3]], [0, 1], r'labels have shape \(2,\), expected \(1,\)'),
        ([[1.0, 2, 3]], [0.5], 'labels are torch.float32'),
        ([[1.0, 2, 3]], [-1], 'labels hold -1'),
    ],
)
def test_what_has_no_distance_is_refused_in_plain_words(features, labels, words):
    loss = OtddLoss(*labelled_set(0, 6, 2))
    with pytest.raises(TransportError, match=words) as error:
        loss(torch.tensor(features), torch.tensor(labels))
    assert error.value.fix


def test_no_samples_are_refused():
    with pytest.raises(TransportError, match='empty'):
        OtddLoss(torch.empty(0, 3), torch.empty(0, dtype=torch.int64))


def test_a_source_that_is_not_finite_is_refused():
    features, labels = labelled_set(0, 6, 2)
    features[3, 0] = float('inf')
    with pytest.raises(TransportError, match='source features'):
        OtddLoss(features, labels)


@pytest.mark.parametrize(
    'setting',
    [
        {'regularisation': 0.0},
        {'tolerance': -1.0},
        {'max_iterations': 0},
        {'label_distance': 'euclidean'},
        {'feature_weight': 0.0},
        {'label_weight': -0.1},
    ],
)
def test_settings_out_of_range_are_named(setting):
    (name,) = setting
    with pytest.raises(ConfigError, match=name):
        OtddConfig(**setting)
