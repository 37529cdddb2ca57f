# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sums that do not depend on the order of their terms.

A centroid summed in another order (other padding, other device, permuted input) differs in its
last bit, and one bit decides a tie. Rounding the coordinates to a power-of-two grid fine enough for
float32 input, yet coarse enough that every partial sum stays an exact float64 integer, makes the
sum the same in every order.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FLOAT64_BIAS = 1023
_FLOAT64_FRACTION_BITS = 52


def grid_scale(largest: Tensor, terms: Tensor) -> Tensor:
    """Largest safe power of two by which to multiply values before rounding and adding them.

    Args:
        largest: Magnitude of the largest value, float32 range.
        terms: How many of them are added, at least 1 where it matters; same shape.

    Returns:
        Float64 of that shape: ``terms`` values up to ``largest``, times this, sum below 2**53.
    """
    _, bits_of_value = torch.frexp(largest.double())
    _, bits_of_terms = torch.frexp(terms.double())
    exponent = 52 - bits_of_value.long() - bits_of_terms.long()
    # Written into the exponent field: exact on every device, which pow and exp2 do not promise.
    return ((exponent + _FLOAT64_BIAS) << _FLOAT64_FRACTION_BITS).view(torch.float64)


def exact_mean(points: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of the valid points of each row, independent of order and padding.

    Args:
        points: ``(B, N, 3)`` float32, zero behind the mask.
        mask: ``(B, N)`` bool or None.

    Returns:
        ``(B, 3)`` float64; zero for a row without valid points. Its error is below
        ``largest * N / 2**50``, far less than the resolution of float32.
    """
    batch, available, _ = points.shape
    if mask is None:
        terms = points.new_full((batch, 1), available, dtype=torch.float64)
    else:
        terms = mask.sum(dim=1, keepdim=True).double()
    values = points.double()
    scale = grid_scale(values.abs().amax(dim=(1, 2)).unsqueeze(1), terms)
    total = values.mul_(scale.unsqueeze(1)).round_().sum(dim=1)
    return total / terms.clamp(min=1) / scale
