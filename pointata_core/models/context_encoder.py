# SPDX-License-Identifier: Apache-2.0
"""The spatial-context encoder (SCE): one edge convolution inside a frame, shared by all blocks.

Edge features ``[x_i ; x_j - x_i ; MLP(c_j - c_i)]`` (DGCNN, Wang et al., TOG 2019) in a bottleneck,
max over the neighbours. The linear layer over the three parts is applied to each part where it is
cheapest: to nodes once per token, to positions once per frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.ops import gather


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
        self.place = nn.Linear(bottleneck, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        self.gates = nn.Parameter(torch.ones(depth))
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def places(self, centres: Tensor, index: Tensor) -> Tensor:
        """Encode where neighbours lie: ``(F, G, k, r)``, the same for every block of a frame."""
        offsets = gather(centres, index.clamp_min(0)) - centres.unsqueeze(2)
        return self.place(self.position(offsets))

    def forward(self, x: Tensor, places: Tensor, index: Tensor, block: int) -> Tensor:
        """Return the context branch for a block's stream.

        Args:
            x: ``(F, 1 + G, D)``; the class token takes no part.
            places: From :meth:`places`.
            index: ``(F, G, k)`` neighbours; ``-1`` is ignored.
            block: Which block asks.

        Returns:
            ``(F, 1 + G, D)``, zero for the class token.
        """
        latents = self.down(self.norm(x[:, 1:]))
        neighbours = gather(self.edge(latents), index.clamp_min(0))
        edges = (self.own(latents) - self.edge(latents)).unsqueeze(2) + neighbours + places
        edges = F.gelu(edges).masked_fill((index < 0).unsqueeze(-1), float('-inf'))
        pooled = edges.amax(dim=2)
        pooled = torch.where(torch.isinf(pooled), torch.zeros_like(pooled), pooled)
        return F.pad(self.gates[block] * self.up(pooled), (0, 0, 1, 0))
