# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""3D backbones behind one interface: local features at known points, and one global feature.

What the heads and losses need is the same for a transformer, whose local features are its tokens,
and for DGCNN, which has a feature at every point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from pointata_core.models.point.backbone import Backbone
from pointata_core.ops import farthest_point_sample, gather, knn


@dataclass(frozen=True, eq=False)
class PointFeatures:
    """Features of B clouds.

    Attributes:
        index: ``(B, G)`` point at the centre of each local feature; -1 where there is none.
        centres: ``(B, G, 3)``.
        tokens: ``(B, G, C)`` local features.
        overall: ``(B, C')`` global feature.
    """

    index: Tensor
    centres: Tensor
    tokens: Tensor
    overall: Tensor


class PointEncoder(Protocol):
    """What pre-training and probes ask of a 3D backbone."""

    local_width: int
    overall_width: int

    def __call__(self, points: Tensor) -> PointFeatures:
        """Encode clouds ``(B, N, 3)`` inside the unit sphere."""


@dataclass(frozen=True, eq=False)
class Patches:
    """How B clouds fall into patches.

    Attributes:
        index: ``(B, G)`` point at the centre; -1 where there is no patch.
        centres: ``(B, G, 3)``.
        offsets: ``(B, G, K, 3)`` points relative to the centre.
    """

    index: Tensor
    centres: Tensor
    offsets: Tensor


def cut_patches(points: Tensor, tokens: int, patch_size: int) -> Patches:
    """Take the ``patch_size`` nearest points of ``tokens`` spread centres of ``(B, N, 3)``."""
    index = farthest_point_sample(points, tokens)
    centres = gather(points, index)
    mask = index >= 0
    member = knn(centres, points, patch_size, query_mask=mask).index
    offsets = gather(points, member.flatten(1)).view(*member.shape, 3) - centres.unsqueeze(2)
    return Patches(index, centres, offsets * (member >= 0).unsqueeze(-1))


def overall_feature(stream: Tensor, mask: Tensor) -> Tensor:
    """Class token beside the maximum over tokens: ``(B, 1 + G, D), (B, G) -> (B, 2 D)``."""
    most = stream[:, 1:].masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(dim=1)
    return torch.cat([stream[:, 0], most], dim=-1)


class TransformerEncoder(nn.Module):
    """Our point transformer, whole clouds as single frames.

    Args:
        backbone: The transformer.
        tokens: Patches per cloud G.
        patch_size: Points per patch K.
    """

    def __init__(self, backbone: Backbone, tokens: int = 64, patch_size: int = 32) -> None:
        super().__init__()
        self.backbone = backbone
        self.tokens = tokens
        self.patch_size = patch_size
        self.local_width = backbone.config.width
        self.overall_width = 2 * backbone.config.width

    def forward(self, points: Tensor) -> PointFeatures:
        """Encode clouds ``(B, N, 3)``."""
        return self.encode(cut_patches(points, self.tokens, self.patch_size))

    def encode(self, patches: Patches) -> PointFeatures:
        """Encode clouds that are cut already."""
        mask = patches.index >= 0
        stream = self.backbone(patches.offsets, patches.centres, mask)
        overall = overall_feature(stream, mask)
        return PointFeatures(patches.index, patches.centres, stream[:, 1:], overall)
