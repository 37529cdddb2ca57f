# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""InfoNCE between points and images, with several positives and neutral pairs.

InfoNCE (van den Oord et al., 2018) classifies the true partner among candidates. Between regions
and cells two things are special. Several regions may lie in one cell: seen from the cell they are
all right, and none may count as the others' negative. And two views of one shape show the same
regions: the other view's cells are neither right nor wrong, so they stay out of the sums.

Alignment, uniformity and effective rank of the unit vectors tell whether the space is healthy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.training.pretrain.settings import Negatives


@dataclass(frozen=True)
class Contrast:
    """Outcome of one contrast.

    Attributes:
        loss: Scalar; zero, with a gradient of zero, when there was no pair.
        retrieval: Share of anchors whose best candidate is their own.
        pairs: Number of anchors R.
        candidates: Number of candidates M.
    """

    loss: Tensor
    retrieval: Tensor
    pairs: int
    candidates: int


def info_nce(
    anchors: Tensor, candidates: Tensor, owner: Tensor, allowed: Tensor, temperature: float
) -> Contrast:
    """Contrast anchors with candidates in both directions and average.

    Args:
        anchors: ``(R, d)`` unit vectors, such as regions.
        candidates: ``(M, d)`` unit vectors, such as cells.
        owner: ``(R,)`` the candidate that is each anchor's own.
        allowed: ``(R, M)`` which pairs enter the sums; own pairs always do.
        temperature: Divides the cosines.
    """
    if not len(anchors):
        nothing = anchors.sum() * 0 + candidates.sum() * 0
        return Contrast(nothing, nothing.detach(), 0, len(candidates))
    # Divided by a small temperature, half-precision cosines would be off by a tenth and more.
    with torch.autocast(anchors.device.type, enabled=False):
        logits = anchors.float() @ candidates.float().T / temperature
    own = F.one_hot(owner, len(candidates)).bool()
    logits = logits.masked_fill(~(allowed | own), -torch.inf)
    forth = F.cross_entropy(logits, owner)
    # Column by column: each own anchor against all that are not the candidate's own.
    others = logits.masked_fill(own, -torch.inf).logsumexp(dim=0)
    positive = logits.gather(1, owner[:, None]).squeeze(1)
    back = torch.logaddexp(positive, others[owner]) - positive
    count = torch.bincount(owner, minlength=len(candidates))
    weight = 1 / count[owner].to(back.dtype)
    back = (back * weight).sum() / weight.sum()
    with torch.no_grad():
        retrieval = (logits.argmax(dim=1) == owner).float().mean()
    return Contrast((forth + back) / 2, retrieval, len(anchors), len(candidates))


def local_contrast(
    regions: Tensor, cells: Tensor, cell_of_region: Tensor, temperature: float, negatives: Negatives
) -> Contrast:
    """Contrast regions with the cells that show them.

    Cells that show no region, mostly background, are no candidates.

    Args:
        regions: ``(B, W, G, d)`` one vector per view.
        cells: ``(B, W, H, d)``.
        cell_of_region: ``(B, W, G)`` int64, -1 where a region is hidden.
        temperature: Divides the cosines.
        negatives: Whether cells of all images or of the region's own compete.
    """
    batch, views, _, _ = regions.shape
    visible = cell_of_region >= 0
    image = torch.arange(batch * views, device=regions.device).view(batch, views, 1)
    place = (image * cells.shape[2] + cell_of_region)[visible]
    occupied, owner = place.unique(return_inverse=True)
    of_region = image.expand_as(visible)[visible][:, None]
    of_cell = occupied.div(cells.shape[2], rounding_mode='floor')[None]
    allowed = of_region == of_cell
    if negatives == 'batch':
        allowed = allowed | (of_region // views != of_cell // views)
    return info_nce(regions[visible], cells.flatten(0, 2)[occupied], owner, allowed, temperature)


def overall_contrast(shapes: Tensor, images: Tensor, temperature: float) -> Contrast:
    """Contrast shapes ``(B, d)`` with their images ``(B, W, d)``."""
    batch, views, width = images.shape
    anchors = shapes.unsqueeze(1).expand(-1, views, -1).reshape(-1, width)
    owner = torch.arange(batch * views, device=shapes.device)
    allowed = (owner[:, None] // views) != (owner[None] // views)
    return info_nce(anchors, images.flatten(0, 1), owner, allowed, temperature)


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
