# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far two classes are apart: squared 2-Wasserstein distance of their feature clouds.

``exact`` solves entropic transport between the samples, ``gaussian`` compares means and covariances
in closed form. (Alvarez-Melis and Fusi, Geometric Dataset Distances via Optimal Transport, NeurIPS
2020.) Distances are numbers without a gradient, as in the published use of OTDD as a loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pointata_core.transport.labelled import squared_distances
from pointata_core.transport.sinkhorn import (
    BLOCK_ELEMENTS,
    SinkhornConfig,
    entropic_costs,
    transport_to_itself,
)


class ClassStatistics(Protocol):
    """Statistics of the classes of one set, computed once per set."""

    def distances(self, other: Any) -> Tensor:
        """Squared distances (C, C') to the classes of a set with statistics of this kind."""


@dataclass(frozen=True, eq=False)
class ExactStatistics:
    """Class clouds with the entropic cost of each with itself.

    Args:
        clouds: C tensors (n_c, D).
        self_costs: (C,) entropic cost of each cloud with itself; zeros = biased distances.
        config: Regularisation and limits; the cost is the squared distance, not half of it.
    """

    clouds: Sequence[Tensor]
    self_costs: Tensor
    config: SinkhornConfig

    @classmethod
    def of(
        cls, clouds: Sequence[Tensor], config: SinkhornConfig, debiased: bool = True
    ) -> ExactStatistics:
        """Collect what the distances of these classes need.

        Args:
            clouds: C tensors (n_c, D), each with at least one sample.
            config: Regularisation and limits.
            debiased: Subtract the costs of the classes with themselves, so that a class is at
                distance zero from itself.
        """
        costs = clouds[0].new_zeros(len(clouds))
        if debiased:
            for chosen, padded, log_weight in _batches(clouds, range(len(clouds)), None):
                cost = squared_distances(padded, padded)
                costs[chosen] = transport_to_itself(
                    cost, log_weight, config, 'a class with itself'
                ).value
        return cls(clouds, costs, config)

    def distances(self, other: ExactStatistics) -> Tensor:
        """Squared distances (C, C'), zero on the diagonal for the set itself."""
        distances = self.self_costs.new_zeros(len(self.clouds), len(other.clouds))
        for row, cloud in enumerate(self.clouds):
            columns = range(row + 1 if other is self else 0, len(other.clouds))
            log_equal = cloud.new_full((len(cloud),), -math.log(len(cloud)))
            for chosen, padded, log_weight in _batches(other.clouds, columns, len(cloud)):
                value = entropic_costs(
                    squared_distances(cloud, padded),
                    log_equal.expand(len(chosen), -1),
                    log_weight,
                    self.config,
                    'between two classes',
                )
                debiasing = (self.self_costs[row] + other.self_costs[chosen]) / 2
                distances[row, chosen] = (value - debiasing).clamp_min(0)
        return distances + distances.T if other is self else distances


@dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Means and covariances of classes, the latter as factors F with covariance FᵀF.

    Args:
        mean: (C, D).
        factor: (C, r, D), zero rows are padding; r is at most D and at most the largest class.
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def of(cls, clouds: Sequence[Tensor]) -> GaussianStatistics:
        """Describe classes; a class of one sample is a point without extent.

        Args:
            clouds: C tensors (n_c, D), each with at least one sample.
        """
        means, factors = [], []
        for cloud in clouds:
            means.append(cloud.mean(0))
            factor = (cloud - means[-1]) / len(cloud) ** 0.5
            if factor.shape[0] > factor.shape[1]:
                factor = torch.linalg.qr(factor, mode='r').R
            factors.append(factor)
        return cls(torch.stack(means), pad_sequence(factors, batch_first=True))

    def distances(self, other: GaussianStatistics) -> Tensor:
        """Squared Bures-Wasserstein distances (C, C').

        The trace of the square root that couples two covariances is the sum of the singular values
        of the product of their factors: no root of a singular matrix has to be taken.
        """
        overlap = self.factor.new_zeros(len(self.mean), len(other.mean))
        for row, factor in enumerate(self.factor):
            begin = row if other is self else 0
            products = factor @ other.factor[begin:].transpose(1, 2)
            overlap[row, begin:] = torch.linalg.svdvals(products).sum(1)
        if other is self:
            overlap = overlap.triu() + overlap.triu(1).T
        trace, other_trace = (f.square().sum((1, 2)) for f in (self.factor, other.factor))
        bures = trace.unsqueeze(1) + other_trace - 2 * overlap
        distances = squared_distances(self.mean, other.mean) + bures.clamp_min(0)
        if other is self:
            distances.fill_diagonal_(0)
        return distances


@dataclass(frozen=True, eq=False)
class NoStatistics:
    """Classes that do not matter: every distance is zero.

    Args:
        zeros: (C,) zeros.
    """

    zeros: Tensor

    def distances(self, other: NoStatistics) -> Tensor:
        """Zeros (C, C')."""
        return self.zeros.new_zeros(len(self.zeros), len(other.zeros))


def _batches(
    clouds: Sequence[Tensor], chosen: range, rows: int | None
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Yield clouds of similar size together, padded, as many as the memory of a block allows.

    Args:
        clouds: (n_c, D) each.
        chosen: Which of them.
        rows: Rows of the cost matrix that each will have; None = as many as it has columns.

    Yields:
        tuple: Positions, padded clouds (K, m, D), logarithms of their weights (K, m).
    """
    waiting = sorted(chosen, key=lambda position: len(clouds[position]))
    while waiting:
        size = len(clouds[waiting[-1]])
        count = max(1, BLOCK_ELEMENTS // (size * (rows or size)))
        # Clouds of less than half the size would be padding for the most part.
        batch = [i for i in waiting[-count:] if 2 * len(clouds[i]) >= size]
        waiting = waiting[: len(waiting) - len(batch)]
        members = [clouds[position] for position in batch]
        weights = [cloud.new_full((len(cloud),), -math.log(len(cloud))) for cloud in members]
        yield (
            batch,
            pad_sequence(members, batch_first=True),
            pad_sequence(weights, batch_first=True, padding_value=-math.inf),
        )
