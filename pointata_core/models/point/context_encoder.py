# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The spatial-context encoder (SCE): one edge convolution inside a frame, shared by all blocks.

Edge features ``[x_i ; x_j - x_i ; MLP(c_j - c_i)]`` (DGCNN, Wang et al., TOG 2019) in a bottleneck,
max over the neighbours. The linear layer over the three parts is applied to each part where it is
cheapest: to nodes once per token, to positions once per frame.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pointata_core.models.activation import gelu
from pointata_core.ops import gather


class Neighbourhood(NamedTuple):
    """What a frame's tokens have around them, the same for every block.

    Attributes:
        positions: ``(F, G, k, r)``, where the neighbours lie, encoded.
        rows: ``(F * G * k,)``, their rows among the tokens of all frames.
        missing: ``(F, G, k, 1)``, true where there is none; ``None`` where none is missing.
    """

    positions: Tensor
    rows: Tensor
    missing: Tensor | None


class ContextEncoder(nn.Module):
    """Neighbouring tokens inform each other; zero until ``up`` is trained.

    Args:
        width: Token width D.
        bottleneck: Inner width r.
        depth: Number of blocks; each has a gate of its own.
    """

    def __init__(self, width: int, bottleneck: int, depth: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, bottleneck)
        self.position = nn.Sequential(nn.Linear(3, bottleneck), nn.GELU())
        self.own = nn.Linear(bottleneck, bottleneck, bias=False)
        self.edge = nn.Linear(bottleneck, bottleneck, bias=False)
        self.position_out = nn.Linear(bottleneck, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        self.gates = nn.Parameter(torch.ones(depth))
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def positions(self, centres: Tensor, index: Tensor) -> Neighbourhood:
        """Prepare what all blocks need of a frame.

        Args:
            centres: ``(F, G, 3)``.
            index: ``(F, G, k)`` neighbours; ``-1`` is ignored.
        """
        frames, tokens = index.shape[:2]
        offsets = gather(centres, index.clamp_min(0)) - centres.unsqueeze(2)
        first = tokens * torch.arange(frames, device=index.device).view(-1, 1, 1)
        missing = (index < 0).unsqueeze(-1)
        return Neighbourhood(
            positions=self.position_out(self.position(offsets)),
            rows=(index.clamp_min(0) + first).flatten(),
            missing=missing if bool(missing.any()) else None,
        )

    def forward(self, x: Tensor, around: Neighbourhood, block: int) -> Tensor:
        """Return the context branch for a block's stream.

        Args:
            x: ``(F, 1 + G, D)``; the class token takes no part.
            around: From :meth:`positions`.
            block: Number of the adapted block.

        Returns:
            ``(F, G, D)``, for the tokens alone.
        """
        latents = self.down(self.norm(x[:, 1:]))
        edge = self.edge(latents)
        neighbours = edge.flatten(0, 1).index_select(0, around.rows)
        edges = neighbours.view_as(around.positions) + around.positions
        edges = gelu(edges.add_((self.own(latents) - edge).unsqueeze(2)))
        if around.missing is not None:
            edges = edges.masked_fill(around.missing, float('-inf'))
        pooled = edges.amax(dim=2)
        if around.missing is not None:
            pooled = torch.where(torch.isinf(pooled), torch.zeros_like(pooled), pooled)
        return self.gates[block] * self.up(pooled)
