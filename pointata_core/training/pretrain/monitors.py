# SPDX-License-Identifier: Apache-2.0
"""Is the shared space healthy? Alignment, uniformity and effective rank of unit vectors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


@torch.no_grad()
def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of partners ``(R, d)``; 0 is perfect, 2 is chance.

    Reference: Wang and Isola, ICML 2020.
    """
    return (first.float() - second.float()).square().sum(dim=1).mean()


@torch.no_grad()
def uniformity(vectors: Tensor) -> Tensor:
    """Log of the mean Gaussian potential of pairs of ``(R, d)``; 0 is collapse, -4 the best.

    Reference: Wang and Isola, ICML 2020, with t = 2.
    """
    return F.pdist(vectors.float()).square().mul(-2).exp().mean().log()


@torch.no_grad()
def effective_rank(vectors: Tensor) -> Tensor:
    """Exponential of the entropy of the spectrum of ``(R, d)`` around its mean; 1 to min(R, d).

    Reference: Roy and Vetterli, EUSIPCO 2007.
    """
    centred = (vectors - vectors.mean(dim=0)).float()
    share = torch.linalg.svdvals(centred)
    share = share / share.sum().clamp_min(1e-12)
    return (-(share * share.clamp_min(1e-12).log()).sum()).exp()
