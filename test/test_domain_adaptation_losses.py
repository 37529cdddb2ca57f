# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loss terms against point-by-point arithmetic, their gradients and their switches."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.errors import ConfigError
from pointata_core.models.camera.camera_lidar import CameraLidarOutput
from pointata_core.training.domain import losses
from pointata_core.training.domain.losses import (
    LossWeights,
    domain_terms,
    source_terms,
    target_terms,
)
from pointata_core.training.domain.settings import SETTINGS, loss_weights

HEADS = ('image', 'image_mimic', 'cloud', 'cloud_mimic')


def answers(points=6, classes=4, seed=0) -> CameraLidarOutput:
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(4, points, classes, generator=generator, dtype=torch.float64)
    return CameraLidarOutput(*(s.clone().requires_grad_() for s in scores))


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(v) for v in row)
    return [math.exp(v) / total for v in row]


def slow_divergences(teachers: list[list[float]], student: torch.Tensor) -> list[float]:
    """KL of each point, from probabilities of the teacher and scores of the student."""
    return [
        sum(p * math.log(p / q) for p, q in zip(teacher, softmax(row)))
        for teacher, row in zip(teachers, student.tolist())
    ]


def probabilities(scores: torch.Tensor) -> list[list[float]]:
    return [softmax(row) for row in scores.tolist()]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def reached_by(loss: torch.Tensor, output: CameraLidarOutput) -> set[str]:
    """Heads that a loss passes gradient to."""
    heads = [getattr(output, name) for name in HEADS]
    gradients = torch.autograd.grad(loss, heads, allow_unused=True)
    return {name for name, g in zip(HEADS, gradients) if g is not None and g.abs().max() > 0}


@given(st.integers(1, 8), st.integers(2, 5), st.integers(0, 1000))
def test_mimic_heads_learn_from_the_other_sensor(points, classes, seed):
    output = answers(points, classes, seed)
    terms = losses.modality_preserving(output)
    image = slow_divergences(probabilities(output.cloud), output.image_mimic)
    cloud = slow_divergences(probabilities(output.image), output.cloud_mimic)
    assert terms.image.item() == pytest.approx(mean(image), abs=1e-12)
    assert terms.cloud.item() == pytest.approx(mean(cloud), abs=1e-12)
    assert terms.total.item() == pytest.approx(mean(image) + mean(cloud), abs=1e-12)


@given(st.integers(1, 8), st.integers(2, 5), st.integers(0, 1000))
def test_domain_terms_follow_their_definition(points, classes, seed):
    stylised, source = answers(points, classes, seed), answers(points, classes, seed + 1)
    same = losses.same_modality(stylised, source)
    fused = losses.fused_modality(stylised, source)
    p2, p3 = probabilities(stylised.image), probabilities(stylised.cloud)
    joint = [softmax([a + b for a, b in zip(*rows)]) for rows in zip(p2, p3)]
    for found, teachers, student in (
        (same.image, p2, source.image),
        (same.cloud, p3, source.cloud),
        (fused.image, joint, source.image),
        (fused.cloud, joint, source.cloud),
    ):
        assert found.item() == pytest.approx(mean(slow_divergences(teachers, student)), abs=1e-12)


def test_only_students_receive_gradient():
    output, stylised = answers(), answers(seed=1)
    assert reached_by(losses.modality_preserving(output).image, output) == {'image_mimic'}
    assert reached_by(losses.modality_preserving(output).cloud, output) == {'cloud_mimic'}
    for term in (losses.same_modality, losses.fused_modality):
        assert reached_by(term(stylised, output).image, output) == {'image'}
        assert reached_by(term(stylised, output).cloud, output) == {'cloud'}
        total = term(stylised, output).total
        gradients = torch.autograd.grad(total, [stylised.image, stylised.cloud], allow_unused=True)
        assert gradients == (None, None)


def test_divergence_is_zero_only_for_equal_answers():
    scores = answers().image
    assert losses.divergence(scores.softmax(1), scores + 3).abs().max() < 1e-12
    assert losses.divergence(scores.softmax(1), scores.flip(1)).min() > 0


def test_divergence_is_differentiable_and_stable():
    teacher = answers().image.softmax(1).detach()
    student = answers(seed=1).cloud
    assert torch.autograd.gradcheck(lambda s: losses.divergence(teacher, s), student)
    certain = torch.tensor([[1.0, 0.0]])
    extreme = losses.divergence(certain, torch.tensor([[-500.0, 500.0]]))
    assert extreme.item() == pytest.approx(1000)


def test_joint_answer_is_flat_even_where_both_are_certain():
    """At most e^2 / (e^2 + K - 1): 0.60 for six classes."""
    certain = torch.full((1, 6), -200.0, dtype=torch.float64)
    certain[0, 0] = 200.0
    stylised = CameraLidarOutput(certain, certain, certain, certain)
    top = math.exp(2) / (math.exp(2) + 5)
    rest = (1 - top) / 5
    student = torch.log(torch.tensor([[top] + [rest] * 5], dtype=torch.float64))
    source = CameraLidarOutput(student, student, student, student)
    assert losses.fused_modality(stylised, source).total.item() == pytest.approx(0, abs=1e-9)
    assert round(top, 2) == 0.60


IMAGE_LABELS = torch.tensor([0, 3, -100, 1, -100, 2])
CLOUD_LABELS = torch.tensor([-100, -100, 2, 1, 0, 0])


def slow_cross_entropies(scores: torch.Tensor, labels: torch.Tensor) -> dict[int, float]:
    rows = enumerate(zip(scores.tolist(), labels.tolist()))
    return {i: -math.log(softmax(row)[label]) for i, (row, label) in rows if label >= 0}


@pytest.mark.parametrize('mode', ['plain', 'release', 'detached', 'pointwise'])
def test_pseudo_labels_are_damped_where_sensors_disagree(mode):
    output = answers()
    found = losses.pseudo_label_loss(output, IMAGE_LABELS, CLOUD_LABELS, mode)
    apart = (
        slow_divergences(probabilities(output.cloud), output.image_mimic),
        slow_divergences(probabilities(output.image), output.cloud_mimic),
    )
    entropies = (
        slow_cross_entropies(output.image, IMAGE_LABELS),
        slow_cross_entropies(output.cloud, CLOUD_LABELS),
    )
    for term, far, each in zip(found, apart, entropies):
        if mode == 'pointwise':
            expected = mean([math.exp(-far[i]) * value for i, value in each.items()])
        else:
            damping = 1 if mode == 'plain' else math.exp(-mean(far))
            expected = damping * mean(list(each.values()))
        assert term.item() == pytest.approx(expected, abs=1e-12)


def test_only_the_published_damping_passes_gradient_to_the_mimic_heads():
    output = answers()
    for mode in ('plain', 'release', 'detached', 'pointwise'):
        loss = losses.pseudo_label_loss(output, IMAGE_LABELS, CLOUD_LABELS, mode).total
        mimics = {'image_mimic', 'cloud_mimic'} if mode == 'release' else set()
        assert reached_by(loss, output) == {'image', 'cloud'} | mimics


def test_published_damping_rewards_disagreement():
    """The hazard for which the default is detached."""
    output = answers()
    apart = losses.modality_preserving(output).image
    loss = losses.pseudo_label_loss(output, IMAGE_LABELS, CLOUD_LABELS, 'release').image
    uphill = torch.autograd.grad(apart, output.image_mimic, retain_graph=True)[0]
    downhill = -torch.autograd.grad(loss, output.image_mimic)[0]
    assert (uphill * downhill).sum() > 0


def test_nothing_labelled_is_a_loss_of_zero_that_can_be_differentiated():
    output = answers()
    nothing = torch.full((6,), -100)
    for mode in ('plain', 'release', 'detached', 'pointwise'):
        loss = losses.pseudo_label_loss(output, nothing, nothing, mode).total
        assert loss.item() == 0
        assert torch.isfinite(torch.autograd.grad(loss, output.image)[0]).all()
    empty = answers(points=0)
    assert losses.modality_preserving(empty).total.item() == 0


def test_segmentation_loss_weighs_classes_and_ignores_the_unlabelled():
    scores, weights = answers().image, torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    found = losses.segmentation_loss(scores, IMAGE_LABELS, weights)
    each = slow_cross_entropies(scores, IMAGE_LABELS)
    shares = {i: weights[IMAGE_LABELS[i]].item() for i in each}
    expected = sum(shares[i] * each[i] for i in each) / sum(shares.values())
    assert found.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize('mode', ['detached', 'release', 'pointwise'])
def test_pseudo_label_loss_has_the_gradient_of_finite_differences(mode):
    output = answers()

    def loss(image):
        changed = CameraLidarOutput(
            image, output.image_mimic.detach(), output.cloud.detach(), output.cloud_mimic.detach()
        )
        return losses.pseudo_label_loss(changed, IMAGE_LABELS, CLOUD_LABELS, mode).image

    assert torch.autograd.gradcheck(loss, output.image)


def test_entropy_is_one_for_ignorance_and_zero_for_certainty():
    assert losses.entropy(torch.zeros(3, 5)).item() == pytest.approx(1)
    certain = torch.full((3, 5), -200.0)
    certain[:, 1] = 200
    assert losses.entropy(certain).item() == pytest.approx(0)
    scores = answers().image
    slow = mean([-sum(p * math.log(p) for p in row) for row in probabilities(scores)])
    assert losses.entropy(scores).item() == pytest.approx(slow / math.log(4), abs=1e-12)


def test_class_weights_follow_the_published_rule():
    counts = torch.tensor([100, 1000, 10, 500])
    found = losses.balanced_class_weights(counts)
    plain = [math.log(5 * 1610 / n) for n in (100, 1000, 10, 500)]
    torch.testing.assert_close(found, torch.tensor([w / min(plain) for w in plain]))
    with pytest.raises(ValueError, match='counts'):
        losses.balanced_class_weights(torch.zeros(3))


def test_objective_is_the_weighted_sum_of_its_terms():
    weights = LossWeights(
        cloud=0.3, modality_source=0.7, modality_target=0.2, domain=0.5, domain_same=0.4,
        domain_fused=0.6, pseudo_label=0.9, pseudo_label_mode='plain', entropy=0.8,
    )  # fmt: skip
    source, target, stylised = answers(seed=1), answers(seed=2), answers(seed=3)
    labels, classes = torch.tensor([0, 1, 2, 3, -100, 1]), torch.tensor([1.0, 2, 1, 3]).double()
    terms = {
        **source_terms(source, labels, weights, classes),
        **domain_terms(stylised, source, weights),
        **target_terms(target, weights, (IMAGE_LABELS, CLOUD_LABELS)),
    }
    expected = {
        'image_segmentation': losses.segmentation_loss(source.image, labels, classes),
        'cloud_segmentation': 0.3 * losses.segmentation_loss(source.cloud, labels, classes),
        'modality_source': 0.7 * losses.modality_preserving(source).total,
        'domain_same': 0.5 * 0.4 * losses.same_modality(stylised, source).total,
        'domain_fused': 0.5 * 0.6 * losses.fused_modality(stylised, source).total,
        'modality_target': 0.2 * losses.modality_preserving(target).total,
        'pseudo_label': 0.9
        * losses.pseudo_label_loss(target, IMAGE_LABELS, CLOUD_LABELS, 'plain').total,
        'entropy': 0.8 * (losses.entropy(target.image) + losses.entropy(target.cloud)),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)


def names_of(weights: LossWeights) -> set[str]:
    source, target, stylised = answers(seed=1), answers(seed=2), answers(seed=3)
    labels = torch.tensor([0, 1, 2, 3, -100, 1])
    return {
        *source_terms(source, labels, weights),
        *domain_terms(stylised, source, weights),
        *target_terms(target, weights, (IMAGE_LABELS, CLOUD_LABELS)),
    }


SEGMENTATION = {'image_segmentation', 'cloud_segmentation'}
MODALITY = {'modality_source', 'modality_target'}


@pytest.mark.parametrize('setting', SETTINGS)
def test_each_method_is_the_same_sum_with_other_terms(setting):
    def terms(method, second_stage=False):
        return names_of(loss_weights(method, setting, second_stage=second_stage))

    assert terms('source_only') == terms('pseudo_labels') == SEGMENTATION
    assert terms('min_entropy') == SEGMENTATION | {'entropy'}
    assert terms('pseudo_labels', True) == SEGMENTATION | {'pseudo_label'}
    assert terms('xmuda') == SEGMENTATION | MODALITY
    assert terms('xmuda', True) == SEGMENTATION | MODALITY | {'pseudo_label'}
    ftd = SEGMENTATION | MODALITY | {'domain_same', 'domain_fused'}
    assert terms('ftd++') == ftd
    assert terms('ftd++', True) == ftd | {'pseudo_label'}


@pytest.mark.parametrize(
    ('setting', 'published'),
    [
        ('day_to_night', (1.0, 0.1, 0.1, 1, 1)),
        ('usa_to_singapore', (1.0, 0.1, 0.1, 1, 1)),
        ('virtual_kitti_to_semantickitti', (0.1, 0.02, 0.01, 0.1, 0.1)),
        ('a2d2_to_semantickitti', (0.1, 0.02, 0.01, 0.1, 1)),
    ],
)
def test_weights_are_the_published_ones(setting, published):
    w = loss_weights('ftd++', setting)
    found = (w.modality_source, w.modality_target, w.domain_fused, w.domain_same, w.cloud)
    assert found == published
    assert w.domain == 0.1 and w.needs_teacher and w.needs_target
    plain = setting.startswith('virtual')
    mode = loss_weights('ftd++', setting, second_stage=True).pseudo_label_mode
    assert mode == ('plain' if plain else 'detached')


def test_source_only_asks_for_neither_teacher_nor_target():
    weights = loss_weights('source_only', 'usa_to_singapore')
    assert not weights.needs_teacher and not weights.needs_target


def test_bad_settings_are_explained():
    with pytest.raises(ConfigError, match='usa_to_singapore'):
        loss_weights('ftd++', 'mars')
    with pytest.raises(ConfigError, match='xmuda'):
        loss_weights('other', 'usa_to_singapore')
    with pytest.raises(ConfigError, match='second stage'):
        loss_weights('source_only', 'usa_to_singapore', second_stage=True)
    with pytest.raises(ConfigError, match='Write pseudo-labels'):
        target_terms(answers(), LossWeights(pseudo_label=1))
