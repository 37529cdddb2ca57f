# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A descriptor of the actor: the points that the segmentation head assigns to the actor class.

An actor fills about one per cent of a scene, so pooling over all tokens hides it. This module pools
over the actor's own points, in coordinates about their centre. The trace beside the learned
descriptor holds position and extent; the action head computes speed from its differences in time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Steepness of the soft choice of points: sharp enough to shut out a thousand weak background
# points, smooth enough that rounding cannot flip a descriptor.
_SHARPNESS = 20.0
# Likeliest points that are looked at; a person ten metres away has fewer than a hundred. The last
# of them fade out, so that rounding cannot exchange one for another.
_CANDIDATES = 512
_TAIL = 1e-3
# Lengths in normalised units: at a scale of 10 m, tenths are metres.
# Points within half a metre on the ground back each other; five make a body, fewer are noise.
_NEIGHBOURHOOD = 0.05
_BODY = 5.0
_LONELY = 0.5
_FARTHEST = -80.0
# How sharply the nearest body is preferred, how far its limbs reach, and how fast the rest fades.
_PREFERENCE = 0.005
_REACH = 0.1
_FADE = 0.01

TRACE_WIDTH = 8
"""Presence in 0..1, centre (3), spread (3) and height of the highest point, in tenths of a unit."""


class ActorPooling(nn.Module):
    """Soft-masked PointNet (Qi et al., CVPR 2017) over the nearest body of one class.

    Args:
        width: Width of the learned descriptor.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_width = width + TRACE_WIDTH
        self.lift = nn.Linear(5, width // 2)
        self.encode = nn.Linear(width // 2, width)
        self.merge = nn.Linear(2 * width + 8, width)

    def forward(self, points: Tensor, probability: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pool the actor's points.

        Args:
            points: ``(F, N, 3)`` normalised.
            probability: ``(F, N)`` of the actor class.
            mask: ``(F, N)`` valid points, or ``None``.

        Returns:
            ``(F, width + TRACE_WIDTH)``, the trace last; without evidence, the descriptor of an
            empty set and a presence of zero.
        """
        points, weight = choose_actor(points, probability, mask)
        weight = weight.unsqueeze(-1)
        total = weight.sum(dim=1)
        share = weight / (total.unsqueeze(1) + 1e-2)
        centre = (share * points).sum(dim=1)
        offset = (points - centre.unsqueeze(1)) * 10.0
        # The square root's slope at zero spread is infinite.
        spread = ((share * offset.square()).sum(dim=1) + 1e-4).sqrt()
        radius = torch.linalg.vector_norm(offset[..., :2], dim=-1, keepdim=True)
        columns = torch.cat([offset, radius, points[..., 2:] * 10.0], dim=-1).clamp(-4, 4)
        encoded = F.relu(self.encode(F.gelu(self.lift(columns)))) * weight
        # One empty entry, so that the max of a frame without points is defined.
        peak = F.pad(encoded, (0, 0, 0, 1)).amax(dim=1)
        mean = encoded.sum(dim=1) / (total + 1e-2)
        reach = torch.linalg.vector_norm(centre, dim=1, keepdim=True)
        # Enough is enough: how densely a sensor samples a near person tells no action.
        summary = [total.clamp_max(64.0).log1p(), centre * 10.0, spread, reach]
        descriptor = self.merge(torch.cat([peak, mean, *summary], dim=1))
        heights = F.pad(points[..., 2:] * 10.0 - 20.0 * (1.0 - weight), (0, 0, 0, 1), value=-20.0)
        top = heights.amax(dim=1).clamp_min(-10.0)
        presence = total / (total + 1.0)
        return torch.cat([descriptor, presence, centre * 10.0, spread, top], dim=1)


@torch.no_grad()
def choose_actor(
    points: Tensor, probability: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Find the nearest body among likely points, softly: no threshold that rounding could cross.

    A chair that was taken for a person in front of one, or a stray point, must not become the
    actor: points without company are moved away, and what lies beyond a limb's reach of the nearest
    body fades.

    Args:
        points: ``(F, N, 3)`` normalised.
        probability: ``(F, N)`` of the actor class.
        mask: ``(F, N)`` valid points, or ``None``.

    Returns:
        The K likeliest points ``(F, K, 3)`` and their weights ``(F, K)`` in 0..1.
    """
    if mask is not None:
        probability = probability * mask
    least = probability.new_zeros(())
    if points.shape[1] > _CANDIDATES:
        probability, index = probability.topk(_CANDIDATES, dim=1)
        points = torch.gather(points, 1, index.unsqueeze(-1).expand(-1, -1, 3))
        least = probability[:, -1:]
    weight = torch.sigmoid(_SHARPNESS * (probability - 0.5))
    weight = weight * ((probability - least) / _TAIL).clamp(0.0, 1.0)
    ground = points[..., :2]
    # Differences, not cdist: its matrix form loses the digits of close pairs.
    x, y = ground.unbind(dim=-1)
    apart = (x.unsqueeze(2) - x.unsqueeze(1)).square()
    apart += (y.unsqueeze(2) - y.unsqueeze(1)).square()
    # Farther points do not count; a smaller exponential would be denormal and ten times slower.
    closeness = (apart / -(_NEIGHBOURHOOD**2)).clamp_min(_FARTHEST)
    # Closeness is symmetric, so the three sums over company are three long rows, not columns.
    rows = torch.stack([weight * x, weight * y, weight], dim=1)
    x_sum, y_sum, support = (rows @ torch.exp(closeness)).unbind(dim=1)
    centroids = torch.stack([x_sum, y_sum], dim=-1) / (support.unsqueeze(-1) + 1e-6)
    lonely = _LONELY * F.relu(1.0 - support / _BODY)
    remoteness = torch.linalg.vector_norm(ground, dim=-1) + lonely + 10.0 * (1.0 - weight)
    share = torch.softmax(-remoteness / _PREFERENCE, dim=1)
    anchor = (share.unsqueeze(-1) * centroids).sum(dim=1, keepdim=True)
    away = torch.linalg.vector_norm(ground - anchor, dim=-1)
    return points, weight * torch.sigmoid((_REACH - away) / _FADE)
