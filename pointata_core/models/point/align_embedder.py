# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The align embedder (PAE): the backbone's patch encoder, opened to the target sensor.

It starts as a copy. Columns for the sensor's features and for the time offset are added with zero
weights, so before training it gives exactly the 3D embedder's tokens (ORCA, Shen et al., ICML 2023,
initialises its embedder the same way).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.patch_encoder import PatchEncoder
from pointata_core.ops import gather


@dataclass(frozen=True, eq=False)
class EarlierFrame:
    """The points of the frame before that belong to each patch.

    Attributes:
        points: ``(F, N, 3)`` in this frame's coordinates.
        features: ``(F, N, C)`` or ``None``.
        index: ``(F, G, K)`` into these points; -1 for none.
    """

    points: Tensor
    features: Tensor | None
    index: Tensor


class AlignEmbedder(nn.Module):
    """Patches of points (with features, over one or two frames) to tokens.

    Args:
        backbone: Where the weights start from.
        features: Feature columns per point.
        frames: 1, or 2 to merge the neighbourhood of the frame before; adds a time column.
    """

    def __init__(self, backbone: Backbone, features: int, frames: int = 1) -> None:
        super().__init__()
        config = backbone.config
        self.timed = frames > 1
        columns = 3 + features + self.timed
        self.patch_encoder = PatchEncoder(columns, config.encoder_hidden, config.encoder_width)
        self.reduce = (
            nn.Linear(config.encoder_width, config.width)
            if config.encoder_width != config.width
            else nn.Identity()
        )
        self.copy_from(backbone)

    def patch_extents(self, points: Tensor, centres: Tensor, patch_index: Tensor) -> Tensor:
        """How far the points of every patch lie from its centre, on average.

        Args:
            points: ``(F, N, 3)`` normalised.
            centres: ``(F, G, 3)``.
            patch_index: ``(F, G, K)`` into the points.

        Returns:
            ``(F, G)``; those of slots without points are meaningless.
        """
        patches = self._patches(points, None, centres, patch_index, 0.0)
        return torch.linalg.vector_norm(patches[..., :3], dim=-1).mean(dim=-1)

    @torch.no_grad()
    def scale_offsets(self, factor: float) -> None:
        """See every patch larger (or smaller) by a factor; it goes into the first weights."""
        self.patch_encoder.point_in.weight[:, :3] *= factor

    def starts_from(self, backbone: Backbone) -> bool:
        """Tell whether offsets are still read with the 3D embedder's weights."""
        own = self.patch_encoder.point_in.weight[:, :3]
        return torch.equal(own, backbone.patch_encoder.point_in.weight)

    @torch.no_grad()
    def copy_from(self, backbone: Backbone) -> None:
        """Take over the 3D embedder; feature and time columns become zero."""
        state = backbone.patch_encoder.state_dict()
        weight = torch.zeros_like(self.patch_encoder.point_in.weight)
        weight[:, :3] = state['point_in.weight']
        self.patch_encoder.load_state_dict({**state, 'point_in.weight': weight})
        self.reduce.load_state_dict(backbone.reduce.state_dict())

    def forward(
        self,
        points: Tensor,
        features: Tensor | None,
        centres: Tensor,
        patch_index: Tensor,
        previous: EarlierFrame | None = None,
    ) -> Tensor:
        """Embed every patch.

        Args:
            points: ``(F, N, 3)`` normalised.
            features: ``(F, N, C)`` or ``None``.
            centres: ``(F, G, 3)``.
            patch_index: ``(F, G, K)`` into the points; ``-1`` in a patch repeats its first point.
            previous: Of the frame before, for a timed embedder.

        Returns:
            ``(F, G, D)`` tokens; those of slots without points are meaningless and masked later.
        """
        patches = self._patches(points, features, centres, patch_index, 0.0)
        if previous is not None:
            before = self._patches(
                previous.points, previous.features, centres, previous.index, -1.0
            )
            missing = (previous.index[..., :1] < 0).unsqueeze(-1)
            patches = torch.cat([patches, torch.where(missing, patches, before)], dim=2)
        frames, tokens = patches.shape[:2]
        encoded = self.reduce(self.patch_encoder(patches.flatten(0, 1)))
        return encoded.view(frames, tokens, -1)

    def _patches(
        self,
        points: Tensor,
        features: Tensor | None,
        centres: Tensor,
        index: Tensor,
        time: float,
    ) -> Tensor:
        filled = torch.where(index < 0, index[..., :1], index)
        offsets = gather(points, filled) - centres.unsqueeze(2)
        columns = [offsets]
        if features is not None and features.shape[-1]:
            columns.append(gather(features, filled))
        if self.timed:
            columns.append(torch.full_like(offsets[..., :1], time))
        return torch.cat(columns, dim=-1) if len(columns) > 1 else offsets
