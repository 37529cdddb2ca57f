# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Masked patch reconstruction, the second objective (Point-MAE, Pang et al., ECCV 2022).

Most patches are hidden; the backbone encodes the rest; a light decoder, given the centres of the
hidden ones, predicts their points relative to their centres. The loss is the Chamfer distance.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from pointata_core.models.point.backbone import Backbone, Block
from pointata_core.models.point.encoders import Patches


class MaskedReconstruction(nn.Module):
    """Decoder and loss.

    Args:
        backbone: The encoder's; its width and block style are taken over.
        patch_size: Points per patch.
        ratio: Share of the patches that is hidden.
    """

    def __init__(
        self, backbone: Backbone, patch_size: int, ratio: float = 0.6, depth: int = 2
    ) -> None:
        super().__init__()
        config = replace(backbone.config, block_style='pre_norm', class_visible=True)
        width = config.width
        self.ratio = ratio
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.position = nn.Sequential(nn.Linear(3, 128), nn.GELU(), nn.Linear(128, width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.points = nn.Linear(width, 3 * patch_size)

    def forward(self, backbone: Backbone, patches: Patches, generator: torch.Generator) -> Tensor:
        """Hide patches, chosen by a generator on the CPU; encode the others; return the loss."""
        shown, hidden = self.choose(patches.index, generator)
        centres = _take(patches.centres, shown)
        mask = torch.gather(patches.index, 1, shown) >= 0
        stream = backbone(_take(patches.offsets, shown), centres, mask)[:, 1:]
        targets = _take(patches.offsets, hidden)
        hidden_centres = _take(patches.centres, hidden)
        x = torch.cat([stream, self.mask_token.expand(*hidden.shape, -1)], dim=1)
        position = self.position(torch.cat([centres, hidden_centres], dim=1))
        for block in self.blocks:
            x = block(x + position, None)
        predicted = self.points(self.norm(x[:, -hidden.shape[1] :]))
        distance = chamfer(predicted.unflatten(-1, (-1, 3)).flatten(0, 1), targets.flatten(0, 1))
        use = (torch.gather(patches.index, 1, hidden) >= 0).flatten()
        return (distance * use).sum() / use.sum().clamp_min(1)

    def choose(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Split patches ``(B, G)`` at random into shown and hidden ones, missing ones hidden."""
        batch, tokens = index.shape
        order = torch.rand(batch, tokens, generator=generator).to(index.device)
        order = order.masked_fill(index < 0, torch.inf).argsort(dim=1)
        shown = max(1, tokens - round(self.ratio * tokens))
        return order[:, :shown], order[:, shown:]


def chamfer(first: Tensor, second: Tensor) -> Tensor:
    """Sum of both mean squared nearest distances: ``(P, K, 3), (P, L, 3) -> (P,)``."""
    distance = (first.unsqueeze(2) - second.unsqueeze(1)).square().sum(dim=-1)
    return distance.amin(dim=2).mean(dim=1) + distance.amin(dim=1).mean(dim=1)


def _take(values: Tensor, index: Tensor) -> Tensor:
    shape = (*index.shape, *[1] * (values.dim() - 2))
    return torch.gather(values, 1, index.view(shape).expand(*index.shape, *values.shape[2:]))
