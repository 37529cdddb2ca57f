# SPDX-License-Identifier: Apache-2.0
"""All probes of one encoder on one pair of labelled sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import BackboneConfig
from pointata_core.models.point.encoders import PointEncoder
from pointata_core.training.pretrain.probe_sets import LabelledClouds
from pointata_core.training.pretrain.probes import (
    FewShotScore,
    ProbeScore,
    few_shot,
    linear_probe,
    overall_features,
)

SETTINGS = ((5, 10), (10, 10), (10, 1))
"""(ways, shots) of the few-shot probes; those that the data cannot fill are left out."""


@dataclass(frozen=True)
class Probing:
    """What to fit and what to score on."""

    train: LabelledClouds
    test: LabelledClouds


@dataclass(frozen=True)
class Scores:
    """Linear accuracy, and few-shot accuracy on train and test clouds together."""

    linear: ProbeScore
    few_shot: tuple[FewShotScore, ...]


def score_features(encoder: PointEncoder, probing: Probing, device: str = 'cpu') -> Scores:
    """Encode both sets once and run all probes."""
    train, test = probing.train, probing.test
    fit = overall_features(encoder, train.points, device=device)
    ask = overall_features(encoder, test.points, device=device)
    features, label = np.concatenate([fit, ask]), np.concatenate([train.label, test.label])
    counts = np.bincount(label)
    few = tuple(
        few_shot(features, label, ways=ways, shots=shots)
        for ways, shots in SETTINGS
        if (counts >= shots + 20).sum() >= ways
    )
    return Scores(linear_probe(fit, train.label, ask, test.label), few)


def untrained(config: BackboneConfig, seed: int) -> Backbone:
    """A backbone of this shape with random weights, evaluating."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Backbone(config).eval()
