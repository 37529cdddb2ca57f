# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The video adapter (PVA): the only place where time is mixed, causally and along tubes.

A bottleneck with a depth-wise temporal convolution, as in ST-Adapter (Pan et al., NeurIPS 2022),
made causal and applied along a token's tube instead of a fixed grid position. Because a frame
needs only the bottleneck values of the ``k - 1`` frames before, a stream keeps those as its state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pointata_core.models.activation import gelu


class VideoAdapter(nn.Module):
    """Residual bottleneck over a tube; the identity until ``up`` is trained.

    Args:
        width: Token width D.
        bottleneck: Inner width r.
        kernel: Frames seen k, the newest included.
    """

    def __init__(self, width: int, bottleneck: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, bottleneck)
        # One tap per frame of the tube, newest first.
        self.taps = nn.Parameter(torch.zeros(kernel, bottleneck))
        self.tap_bias = nn.Parameter(torch.zeros(bottleneck))
        self.mix = nn.Linear(bottleneck, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        nn.init.normal_(self.taps, std=0.5)
        with torch.no_grad():
            self.taps[0] += 1.0
        # Exactly one factor starts at zero: two in a row would never receive a gradient.
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def latents(self, x: Tensor) -> Tensor:
        """Project ``(..., D)`` down to ``(..., r)``: what later frames need of this one."""
        return self.down(self.norm(x))

    def forward(self, x: Tensor, latents: Tensor, past: list[Tensor]) -> Tensor:
        """Adapt the tokens of a frame.

        Args:
            x: ``(F, S, D)``.
            latents: ``(F, S, r)``, from :meth:`latents`.
            past: For each older tap, the tube's latents ``(F, S, r)``; zero where a tube has none.

        Returns:
            ``(F, S, D)``.
        """
        mixed = torch.addcmul(self.tap_bias, latents, self.taps[0])
        for tap, older in zip(self.taps[1:], past, strict=True):
            mixed = torch.addcmul(mixed, older, tap)
        return self.up(gelu(self.mix(mixed))).add_(x)
