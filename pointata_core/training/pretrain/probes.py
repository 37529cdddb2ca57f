# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Probes of frozen features: linear SVM and few-shot classification.

Features come from the 3D backbone before the heads. The SVM's constant is chosen on a part of the
training set, never on the test set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pointata_core.errors import ConfigError
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import BackboneConfig
from pointata_core.models.point.encoders import PointEncoder
from pointata_core.training.pretrain.probe_sets import LabelledClouds

CONSTANTS = (0.001, 0.01, 0.1, 1.0)
"""Values of C to choose from."""

FEW_SHOT = ((5, 10), (10, 10), (10, 1))
"""(ways, shots) of the few-shot probes; those that the data cannot fill are left out."""

_HOLD_OUT = 5  # a fifth of the training samples chooses C


@dataclass(frozen=True)
class ProbeScore:
    """Outcome of a linear probe.

    Attributes:
        accuracy: Share of test samples that are right.
        constant: C that was chosen.
        chance: Share of the most frequent test class.
    """

    accuracy: float
    constant: float
    chance: float


@dataclass(frozen=True)
class FewShotScore:
    """Outcome of few-shot probing: mean and standard deviation over the draws."""

    mean: float
    deviation: float
    ways: int
    shots: int
    draws: int


@torch.no_grad()
def overall_features(
    encoder: PointEncoder, points: NDArray[np.float32], batch: int = 32, device: str = 'cpu'
) -> NDArray[np.float32]:
    """Global features ``(S, C')`` of clouds ``(S, N, 3)``; the encoder must be evaluating."""
    features = [
        encoder(torch.from_numpy(points[start : start + batch]).to(device)).overall.cpu()
        for start in range(0, len(points), batch)
    ]
    return torch.cat(features).float().numpy()


def linear_probe(
    train: NDArray[np.float32],
    train_label: NDArray[np.int64],
    test: NDArray[np.float32],
    test_label: NDArray[np.int64],
    constants: tuple[float, ...] = CONSTANTS,
) -> ProbeScore:
    """Fit a linear SVM to standardised features, choose C on a fifth of the training set.

    Raises:
        ConfigError: There are several constants and no class with two samples.
    """
    best, constant = -1.0, constants[0]
    if len(constants) > 1:
        held = _held_out(train_label)
        for candidate in constants:
            model = _svm(candidate).fit(train[~held], train_label[~held])
            score = model.score(train[held], train_label[held])
            if score > best:
                best, constant = score, candidate
    model = _svm(constant).fit(train, train_label)
    accuracy = float(model.score(test, test_label))
    chance = float(np.bincount(test_label).max() / len(test_label))
    return ProbeScore(round(accuracy, 4), constant, round(chance, 4))


def few_shot(
    features: NDArray[np.float32],
    label: NDArray[np.int64],
    *,
    ways: int = 5,
    shots: int = 10,
    queries: int = 20,
    draws: int = 10,
    seed: int = 0,
) -> FewShotScore:
    """Draw classes and few samples of each, fit a linear SVM, score it on others of these classes.

    Args:
        features: ``(S, C)``.
        label: ``(S,)``.
        ways: Classes per draw.
        shots: Training samples per class.
        queries: Test samples per class.
        draws: Repetitions.
        seed: Of the draws.

    Raises:
        ConfigError: There are too few classes with enough samples.
    """
    counts = np.bincount(label)
    enough = np.flatnonzero(counts >= shots + queries)
    if len(enough) < ways:
        raise ConfigError(
            f'{len(enough)} classes have {shots + queries} samples, {ways} are needed',
            'Lower ways, shots or queries, or probe on more clouds',
        )
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        taken = [
            rng.permutation(np.flatnonzero(label == c))[: shots + queries]
            for c in rng.choice(enough, ways, replace=False)
        ]
        fit = np.concatenate([rows[:shots] for rows in taken])
        scored = np.concatenate([rows[shots:] for rows in taken])
        model = _svm(0.1).fit(features[fit], label[fit])
        scores.append(model.score(features[scored], label[scored]))
    mean, deviation = round(float(np.mean(scores)), 4), round(float(np.std(scores)), 4)
    return FewShotScore(mean, deviation, ways, shots, draws)


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
    scored = overall_features(encoder, test.points, device=device)
    features, label = np.concatenate([fit, scored]), np.concatenate([train.label, test.label])
    counts = np.bincount(label)
    few = tuple(
        few_shot(features, label, ways=ways, shots=shots)
        for ways, shots in FEW_SHOT
        if (counts >= shots + 20).sum() >= ways
    )
    return Scores(linear_probe(fit, train.label, scored, test.label), few)


def untrained(config: BackboneConfig, seed: int) -> Backbone:
    """A backbone of this shape with random weights, evaluating."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Backbone(config).eval()


def _held_out(label: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A fifth of each class, at least one; a class of a single sample keeps it."""
    held = np.zeros(len(label), bool)
    for value in np.unique(label):
        own = np.flatnonzero(label == value)
        if len(own) > 1:
            held[own[-max(1, len(own) // _HOLD_OUT) :]] = True
    if not held.any():
        raise ConfigError(
            'no class has two training samples, so no constant can be chosen',
            'Probe on more clouds, or name one constant',
        )
    return held


def _svm(constant: float) -> Any:
    try:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import LinearSVC
    except ModuleNotFoundError as error:
        raise ConfigError(
            'probing needs scikit-learn', "Install it: pip install 'pointata_ros[pretrain]'"
        ) from error
    return make_pipeline(StandardScaler(), LinearSVC(C=constant, dual=True, max_iter=5000))
