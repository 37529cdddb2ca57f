# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Optimal transport dataset distance (OTDD) to a fixed source set, as a loss.

The cost of moving a sample to another is ``λ_x ½‖x − x'‖² + λ_y ½ W(y, y')``, W the squared
distance of the classes' feature clouds; the distance of the sets is the debiased Sinkhorn
divergence under that cost. (Alvarez-Melis and Fusi, Geometric Dataset Distances via Optimal
Transport, NeurIPS 2020; as a training loss: Shen et al., Cross-Modal Fine-Tuning: Align then
Refine, ICML 2023.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pointata_core.errors import ConfigError
from pointata_core.transport.label_distances import (
    ClassStatistics,
    ExactStatistics,
    GaussianStatistics,
    NoStatistics,
)
from pointata_core.transport.labelled import (
    LabelledSet,
    TransportError,
    check_features,
    full_precision,
    squared_distances,
    working_dtype,
)
from pointata_core.transport.scaling import FeatureScaling
from pointata_core.transport.sinkhorn import (
    BLOCK_ELEMENTS,
    SinkhornConfig,
    couple,
    self_plan,
    transport_to_itself,
)

LabelDistance = Literal['exact', 'gaussian', 'none']


@dataclass(frozen=True)
class OtddConfig(SinkhornConfig):
    """Which distance is measured.

    Args:
        regularisation: ε of samples and, with ``exact``, of classes too; absolute, in units of the
            (standardised) cost.
        label_distance: ``exact`` (Sinkhorn between the classes' samples), ``gaussian``
            (Bures-Wasserstein), or ``none`` (plain Sinkhorn divergence; labels are ignored).
        debiased: Subtract the transport of each set to itself, for samples and for classes.
        feature_weight: λ_x.
        label_weight: λ_y.
        standardise: Measure in units of the source set (`FeatureScaling`). Without it the
            regularisation has to be chosen for the network at hand.

    Raises:
        ConfigError: A value is out of range.
    """

    label_distance: LabelDistance = 'exact'
    debiased: bool = True
    feature_weight: float = 1.0
    label_weight: float = 1.0
    standardise: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label_distance not in get_args(LabelDistance):
            raise ConfigError(
                f'label_distance is {self.label_distance!r}',
                f'Take one of {", ".join(get_args(LabelDistance))}',
            )
        if not (self.feature_weight > 0 and self.label_weight >= 0):
            raise ConfigError(
                f'feature_weight is {self.feature_weight}, label_weight {self.label_weight}',
                'Give a positive weight of features and none below zero',
            )


@dataclass(frozen=True, eq=False)
class LabelBlocks:
    """Squared distances between classes: one block for each pair of sets.

    Args:
        cross: (C_s, C_t) source to target.
        target: (C_t, C_t) within the target; None where it is not debiased.
    """

    cross: Tensor
    target: Tensor | None


@dataclass(frozen=True, eq=False)
class OtddMeasurement:
    """A distance and what it is made of.

    Args:
        value: () distance, differentiable with respect to the target features. It is a squared
            distance (p = 2). Without label distances it is never negative; with them it may be,
            slightly.
        cross: Entropic cost from source to target.
        source: Of the source with itself (0 if not debiased).
        target: Of the target with itself (0 if not debiased).
        residual: Worst residual of the transports between samples.
        feature_norm: Mean Euclidean norm of the (standardised) target features; about 1 if they lie
            where the source's lie.
    """

    value: Tensor
    cross: float
    source: float
    target: float
    residual: float
    feature_norm: float


class OtddLoss:
    """OTDD of target features to a source set; an `AlignmentLoss`.

    Statistics of the source's classes, their mutual distances and the transport of the source to
    itself are computed here, once. Work is done in float64 on the source's device, under autocast
    as well.

    Args:
        features: (n, D) source features on the device to compute on.
        labels: (n,) their classes.
        config: Which distance.

    Attributes:
        scaling: Map of features to the units of the source.
        source: The source in these units.

    Raises:
        TransportError: The source cannot be used.

    Warns:
        ConvergenceWarning: A transport of the source did not converge.
    """

    def __init__(self, features: Tensor, labels: Tensor, config: OtddConfig | None = None) -> None:
        self.config = config or OtddConfig()
        source = LabelledSet.checked(features, labels, 'source')
        exact = source.features.to(working_dtype(source.features.device))
        scaling = (
            FeatureScaling.standardising if self.config.standardise else FeatureScaling.identity
        )
        with full_precision(exact.device):
            self.scaling = scaling(exact)
            self.source = replace(source, features=self.scaling(exact))
            self._statistics = self._describe(self.source)
            self._self_cost, self._self_residual = self._source_to_itself(source.features.dtype)

    def __call__(self, features: Tensor, labels: Tensor) -> Tensor:
        """Distance () of target features (B, D) with labels (B,) to the source.

        Gradients reach the features through the feature cost at the optimal coupling; the classes'
        distances enter as numbers.

        Raises:
            TransportError: Features or labels cannot be used.

        Warns:
            ConvergenceWarning: A transport did not converge; names it and its residual.
        """
        return self.measure(features, labels).value

    def measure(
        self, features: Tensor, labels: Tensor, label_blocks: LabelBlocks | None = None
    ) -> OtddMeasurement:
        """Distance of target features to the source, with its parts.

        Args:
            features: (B, D) target features.
            labels: (B,) their classes; need not be classes of the source.
            label_blocks: What `label_blocks` gave for the same labels, to keep it for several
                steps; None = compute it from these features.

        Raises:
            TransportError: Features or labels cannot be used.
        """
        with full_precision(self.source.features.device):
            scaled, target = self._in_source_units(features, labels)
            blocks = label_blocks or self._label_blocks(target)
            value, gradient, parts = self._solve(target, blocks)
            value = _WithGradient.apply(scaled, value, gradient)
        kind = torch.promote_types(features.dtype, torch.float32)
        return OtddMeasurement(value.to(features.device, kind), **parts)

    def label_blocks(self, features: Tensor, labels: Tensor) -> LabelBlocks:
        """Distances of the target's classes to the source's and to each other.

        Raises:
            TransportError: Features or labels cannot be used.
        """
        with full_precision(self.source.features.device):
            return self._label_blocks(self._in_source_units(features, labels)[1])

    def _in_source_units(self, features: Tensor, labels: Tensor) -> tuple[Tensor, LabelledSet]:
        """Scaled features with their graph, and the set that they make without it."""
        own = self.source.features
        features = check_features(features, 'target', own.shape[1])
        scaled = self.scaling(features.to(own.device, own.dtype))
        return scaled, LabelledSet.checked(scaled, labels, 'target')

    def _describe(self, labelled: LabelledSet) -> ClassStatistics:
        if self.config.label_distance == 'none' or not self.config.label_weight:
            return NoStatistics(labelled.features.new_zeros(len(labelled.classes)))
        if self.config.label_distance == 'gaussian':
            return GaussianStatistics.of(labelled.clouds())
        return ExactStatistics.of(labelled.clouds(), self.config, self.config.debiased)

    def _label_blocks(self, target: LabelledSet) -> LabelBlocks:
        statistics = self._describe(target)
        return LabelBlocks(
            self._statistics.distances(statistics),
            statistics.distances(statistics) if self.config.debiased else None,
        )

    def _cost(self, first: LabelledSet, second: LabelledSet, between_classes: Tensor) -> Tensor:
        features = squared_distances(first.features, second.features)
        classes = between_classes[first.class_of][:, second.class_of]
        return (self.config.feature_weight * features + self.config.label_weight * classes) / 2

    def _source_to_itself(self, dtype: torch.dtype) -> tuple[float, float]:
        """Cost and residual of the source's transport to itself; 0 if not debiased."""
        if not self.config.debiased:
            return 0.0, 0.0
        source, classes = self.source, self._statistics.distances(self._statistics)
        count = len(source.features)
        # The one matrix that grows with the square of the source: kept as precise as the features.
        cost = source.features.new_empty(count, count, dtype=dtype)
        rows = max(1, BLOCK_ELEMENTS // count)
        for begin in range(0, count, rows):
            part = slice(begin, begin + rows)
            some = replace(source, features=source.features[part], class_of=source.class_of[part])
            cost[part] = self._cost(some, source, classes)
        solved = transport_to_itself(cost[None], _equal(source), self.config, 'source with itself')
        return float(solved.value), solved.residual

    def _solve(
        self, target: LabelledSet, blocks: LabelBlocks
    ) -> tuple[Tensor, Tensor, dict[str, float]]:
        """Value (), its gradient (B, D) with respect to the scaled features, and its parts."""
        points = target.features
        cost = self._cost(self.source, target, blocks.cross)
        cross = couple(cost, self.config, 'source to target')
        value, residuals, own = cross.value, [cross.residual, self._self_residual], 0.0
        gradient = _pull(cross.plan, self.source.features, points)
        if self.config.debiased:
            if blocks.target is None:
                raise TransportError(
                    'label_blocks lack the distances between the classes of the target',
                    'Make them with OtddLoss.label_blocks of a debiased loss',
                )
            cost = self._cost(target, target, blocks.target)
            solved = transport_to_itself(
                cost[None], _equal(target), self.config, 'target with itself'
            )
            own = float(solved.value)
            value = value - (self._self_cost + own) / 2
            gradient = gradient - _pull(self_plan(cost, solved, self.config), points, points)
            residuals.append(solved.residual)
        return (
            value,
            self.config.feature_weight * gradient,
            {
                'cross': float(cross.value),
                'source': self._self_cost,
                'target': own,
                'residual': max(residuals),
                'feature_norm': float(points.norm(dim=1).mean()),
            },
        )


class _WithGradient(torch.autograd.Function):
    """A value whose gradient is known: that of the cost at the optimal coupling.

    By the envelope theorem the coupling's own change does not count, so neither it nor the cost
    matrix has to stay in memory for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return outer * gradient, None, None


def _pull(plan: Tensor, origins: Tensor, points: Tensor) -> Tensor:
    """Gradient (m, D) of ``Σ P_ij ½‖x'_j − x_i‖²`` with respect to the points x'."""
    return plan.sum(0).unsqueeze(1) * points - plan.T @ origins


def _equal(labelled: LabelledSet) -> Tensor:
    """Logarithms (1, n) of equal weights."""
    count = len(labelled.features)
    return labelled.features.new_full((1, count), -math.log(count))
