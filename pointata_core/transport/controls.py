# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Controls for OTDD that ignore labels: maximum mean discrepancy and the distance of means.

They test whether transport is worth its cost: an alignment that a cheaper loss gives as well
does not need it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.transport.labelled import (
    check_features,
    full_precision,
    squared_distances,
    working_dtype,
)
from pointata_core.transport.scaling import FeatureScaling
from pointata_core.transport.sinkhorn import BLOCK_ELEMENTS

# Around the mean squared distance of the source, doubling from kernel to kernel.
_MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)


class _UnlabelledLoss:
    """A loss between features alone, in units of the source; computed in float64."""

    def __init__(self, features: Tensor, standardise: bool) -> None:
        features = check_features(features, 'source').detach()
        features = features.to(working_dtype(features.device))
        make = FeatureScaling.standardising if standardise else FeatureScaling.identity
        self.scaling = make(features)
        self.source = self.scaling(features)

    def __call__(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Loss () of target features (B, D); differentiable. Labels are ignored.

        Raises:
            TransportError: The features cannot be used.
        """
        checked = check_features(features, 'target', self.source.shape[1])
        with full_precision(self.source.device):
            scaled = self.scaling(checked.to(self.source.device, self.source.dtype))
            return self._distance(scaled).to(features.device, checked.dtype)

    def _distance(self, scaled: Tensor) -> Tensor:
        raise NotImplementedError


class MeanLoss(_UnlabelledLoss):
    """Squared Euclidean distance of the means; an `AlignmentLoss`.

    Args:
        features: (n, D) source features on the device to compute on.
        labels: Not used.
        standardise: Measure in units of the source set (`FeatureScaling`).

    Raises:
        TransportError: The source cannot be used.
    """

    def __init__(
        self, features: Tensor, labels: Tensor | None = None, *, standardise: bool = True
    ) -> None:
        super().__init__(features, standardise)
        self._mean = self.source.mean(0)

    def _distance(self, scaled: Tensor) -> Tensor:
        return (scaled.mean(0) - self._mean).square().sum()


class MmdLoss(_UnlabelledLoss):
    """Squared maximum mean discrepancy under a mean of Gaussian kernels; an `AlignmentLoss`.

    The biased estimate, which is zero for identical sets and never negative. (Gretton et al., A
    Kernel Two-Sample Test, JMLR 2012; several bandwidths as in Long et al., Learning Transferable
    Features with Deep Adaptation Networks, ICML 2015.)

    Args:
        features: (n, D) source features on the device to compute on.
        labels: Not used.
        bandwidths: b of the kernels ``exp(−‖x − y‖² / b)``, in units of squared (standardised)
            distances; None = 1/4, 1/2, 1, 2 and 4 times the source's mean squared distance.
        standardise: Measure in units of the source set (`FeatureScaling`).

    Raises:
        TransportError: The source cannot be used.
        ConfigError: A bandwidth is not positive, or there is none.
    """

    def __init__(
        self,
        features: Tensor,
        labels: Tensor | None = None,
        *,
        bandwidths: Sequence[float] | None = None,
        standardise: bool = True,
    ) -> None:
        super().__init__(features, standardise)
        if bandwidths is None:
            # Of all pairs of the source; a source of one point has no unit of its own.
            spread = 2 * float(self.source.var(0, correction=0).sum()) or 1.0
            bandwidths = [multiple * spread for multiple in _MULTIPLES]
        if not bandwidths or not all(bandwidth > 0 for bandwidth in bandwidths):
            raise ConfigError(f'bandwidths are {list(bandwidths)}', 'Give positive numbers')
        self.bandwidths = tuple(bandwidths)
        rows = max(1, BLOCK_ELEMENTS // len(self.source))
        kernels = [self._kernel(block, self.source).mean(1) for block in self.source.split(rows)]
        self._within_source = torch.cat(kernels).mean()

    def _distance(self, scaled: Tensor) -> Tensor:
        across = self._kernel(self.source, scaled).mean()
        return self._within_source + self._kernel(scaled, scaled).mean() - 2 * across

    def _kernel(self, first: Tensor, second: Tensor) -> Tensor:
        distances = squared_distances(first, second)
        total = torch.zeros_like(distances)
        for bandwidth in self.bandwidths:
            total = total + (-distances / bandwidth).exp()
        return total / len(self.bandwidths)
