# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features in units of the source set, so that a regularisation means the same for every network.

Sinkhorn's regularisation is absolute: 0.1 smooths much where squared distances are about 2 and
nothing where they are about 800, as between layer-normalised vectors of 384 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# A column that hardly varies in the source would be blown up; none counts for more than this share
# of the columns' root mean square deviation.
_LEAST_DEVIATION = 0.1


@dataclass(frozen=True, eq=False)
class FeatureScaling:
    """Affine map of feature columns: ``(features - centre) * factor``.

    Args:
        centre: (D,) subtracted.
        factor: (D,) multiplied.
    """

    centre: Tensor
    factor: Tensor

    @classmethod
    def standardising(cls, source: Tensor) -> FeatureScaling:
        """Give the source zero mean and its pairs a mean squared distance of about two.

        Every column is divided by its standard deviation and by √D.

        Args:
            source: (n, D) features.
        """
        source = source.detach()
        deviation = source.std(0, correction=0)
        least = _LEAST_DEVIATION * deviation.square().mean().sqrt()
        deviation = deviation.clamp_min(least) if least > 0 else torch.ones_like(deviation)
        return cls(source.mean(0), 1 / (deviation * source.shape[1] ** 0.5))

    @classmethod
    def identity(cls, source: Tensor) -> FeatureScaling:
        """Leave features as they are."""
        return cls(source.new_zeros(source.shape[1]), source.new_ones(source.shape[1]))

    def __call__(self, features: Tensor) -> Tensor:
        """Map (n, D) features; differentiable."""
        return (features - self.centre) * self.factor
