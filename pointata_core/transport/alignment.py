# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stage 1 needs of a loss, and how it gets one by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.transport.controls import MeanLoss, MmdLoss
from pointata_core.transport.labelled import LabelledSet
from pointata_core.transport.otdd import OtddConfig, OtddLoss


@runtime_checkable
class AlignmentLoss(Protocol):
    """How far target features are from a source set that the loss was made with."""

    def __call__(self, features: Tensor, labels: Tensor) -> Tensor:
        """Loss () of target features (B, D) with labels (B,); differentiable."""


class PerClass:
    """Mean of a loss over the target's classes, each weighted by its share of the samples.

    Every class is compared with the whole source by itself, as in the published use of OTDD as a
    loss (Shen et al., ICML 2023). Labels do not influence the gradient then: a call's samples share
    one label, so that its cost is the same for all of them.

    Args:
        loss: What to apply to each class.
        shares: Share of each class of the whole target set; None = of the batch at hand.
    """

    def __init__(self, loss: AlignmentLoss, shares: Mapping[int, float] | None = None) -> None:
        self.loss = loss
        self.shares = shares

    def __call__(self, features: Tensor, labels: Tensor) -> Tensor:
        """Loss () of target features (B, D) with labels (B,).

        Raises:
            TransportError: Features or labels cannot be used.
            ConfigError: A class has no share.
        """
        target = LabelledSet.checked(features, labels, 'target')
        labels = labels.to(features.device)
        losses = [
            self._share(label, labels)
            * self.loss(features[labels == label], labels[labels == label])
            for label in target.classes.tolist()
        ]
        return torch.stack(losses).sum()

    def _share(self, label: int, labels: Tensor) -> float:
        if self.shares is None:
            return float((labels == label).sum()) / len(labels)
        if label not in self.shares:
            raise ConfigError(f'class {label} has no share', 'Count it in the target set')
        return self.shares[label]


def alignment_loss(
    name: str, features: Tensor, labels: Tensor, config: OtddConfig | None = None
) -> AlignmentLoss:
    """Make a loss to a source set.

    Args:
        name: ``otdd``, ``mmd`` or ``l2``.
        features: (n, D) source features on the device to compute on.
        labels: (n,) their classes.
        config: Settings of ``otdd``; the controls take ``standardise`` from it.

    Raises:
        ConfigError: There is no such loss.
        TransportError: The source cannot be used.
    """
    config = config or OtddConfig()
    if name == 'otdd':
        return OtddLoss(features, labels, config)
    if name == 'mmd':
        return MmdLoss(features, standardise=config.standardise)
    if name == 'l2':
        return MeanLoss(features, standardise=config.standardise)
    raise ConfigError(f'There is no alignment loss {name!r}', 'Take otdd, mmd or l2')
