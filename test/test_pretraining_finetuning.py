# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning: learns classes and parts, scores as the protocols say, refuses what it cannot."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pointata_core.errors import ConfigError
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import BackboneConfig
from pointata_core.models.point.encoders import TransformerEncoder
from pointata_core.training.pretrain.finetuning import FineTuningConfig, fine_tune, mean_iou
from pointata_core.training.pretrain.probe_sets import (
    LabelledClouds,
    consecutive,
    procedural_clouds,
)

SMALL = FineTuningConfig(epochs=12, batch=8, learning_rate=3e-3, width=32, dropout=0.0)


def clouds(count: int, seed: int) -> LabelledClouds:
    """Flat and upright discs; the part of a point says which half it is of."""
    rng = np.random.default_rng(seed)
    label = np.arange(count) % 2
    points = rng.uniform(-1, 1, (count, 64, 3)).astype(np.float32)
    points[label == 0, :, 2] *= 0.05
    points[label == 1, :, :2] *= 0.05
    upper = (points[..., 2] > 0).astype(np.int64)
    part = np.where(label[:, None] == 1, 2 + upper, 0)
    return LabelledClouds(points, label, ('flat', 'upright'), part, (range(0, 2), range(2, 4)))


def encoder(seed: int = 0) -> TransformerEncoder:
    torch.manual_seed(seed)
    shape = BackboneConfig(width=32, depth=2, heads=2, encoder_hidden=(16, 32), encoder_width=32)
    return TransformerEncoder(Backbone(shape), 8, 8)


def test_classes_are_learned_and_the_encoder_changes():
    network = encoder()
    before = network.backbone.class_token.detach().clone()
    score = fine_tune(network, clouds(32, 0), clouds(16, 1), SMALL)
    assert score.accuracy > 0.9
    assert score.instance_miou is None
    assert not torch.equal(before, network.backbone.class_token)


def test_parts_are_learned_and_scored_within_the_class():
    config = dataclasses.replace(SMALL, task='parts')
    score = fine_tune(encoder(), clouds(32, 0), clouds(16, 1), config)
    assert score.accuracy > 0.9
    assert score.instance_miou > 0.8
    assert score.class_miou == pytest.approx(score.instance_miou, abs=0.02)


def test_a_part_that_nobody_has_counts_as_right():
    truth = np.array([0, 0, 1, 1])
    assert mean_iou(truth, truth, range(3)) == 1.0
    assert mean_iou(np.array([0, 0, 0, 1]), truth, range(2)) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert mean_iou(np.array([0, 0, 1, 2]), truth, range(3)) == pytest.approx((1 + 0.5 + 0) / 3)


def test_ranges_follow_one_another():
    assert consecutive([2, 1, 3]) == (range(0, 2), range(2, 3), range(3, 6))


def test_clouds_without_parts_are_refused():
    plain = dataclasses.replace(clouds(16, 0), part=None)
    with pytest.raises(ConfigError, match='no parts'):
        fine_tune(encoder(), plain, plain, dataclasses.replace(SMALL, task='parts'))
    with pytest.raises(ConfigError, match='less than one batch'):
        fine_tune(encoder(), clouds(4, 0), clouds(4, 1), SMALL)
    with pytest.raises(ConfigError, match='task'):
        dataclasses.replace(SMALL, task='poetry')


@pytest.mark.parametrize('scanned', [False, True])
def test_procedural_parts_belong_to_their_family(scanned):
    pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')
    drawn = procedural_clouds(1, 60, families=('teapot', 'axe'), scanned=scanned)
    assert drawn.part.shape == (2, 60)
    for part, category in zip(drawn.part, drawn.label, strict=True):
        allowed = drawn.parts_of_class[category]
        assert set(part.tolist()) <= set(allowed)
        assert len(set(part.tolist())) > 1
