# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The 3D transformer that stays frozen: patch encoder, positions, class token, blocks, norm.

Layout of Point-MAE (Pang et al., ECCV 2022): the position term is added again before every block.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.activation import gelu
from pointata_core.models.linear import Linear
from pointata_core.models.point.config import BackboneConfig
from pointata_core.models.point.patch_encoder import PatchEncoder


class Attention(nn.Module):
    """Multi-head self-attention inside one frame; q, k, v without bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width, bias=False)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Attend over ``x (F, S, D)``; ``mask (F, 1, 1|S, S)`` is true where a key may be seen."""
        frames, slots, width = x.shape
        qkv = self.qkv(x).view(frames, slots, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if q.requires_grad and q.dtype == torch.bfloat16 and q.device.type == 'cpu':
            # There, going back through it takes twice as long as in float32.
            with torch.autocast('cpu', enabled=False):
                q32, k32, v32 = q.float(), k.float(), v.float()
                y = F.scaled_dot_product_attention(q32, k32, v32, attn_mask=mask).to(q.dtype)
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(y.transpose(1, 2).reshape(frames, slots, width))


class Mlp(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., D)`` to ``(..., D)``."""
        return self.fc2(gelu(self.fc1(x)))


class Block(nn.Module):
    """One transformer block; ``replace_norm`` is ReCon's patch stream (Qi et al., ICML 2023)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.replace_norm = config.block_style == 'replace_norm'
        self.norm1 = nn.LayerNorm(config.width)
        self.attn = Attention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width)
        self.mlp = Mlp(config.width, config.mlp_ratio * config.width)

    def forward(
        self, x: Tensor, mask: Tensor | None, beside: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Run the block on ``x (F, S, D)``.

        Args:
            x: Class token and patch tokens.
            mask: See :class:`Attention`.
            beside: A branch for the patch tokens, added beside the MLP; it sees the MLP's input
                stream.
        """
        normed = self.norm1(x)
        x = self.attn(normed, mask).add_(normed if self.replace_norm else x)
        normed = self.norm2(x)
        y = self.mlp(normed).add_(normed if self.replace_norm else x)
        if beside is not None:
            y[:, 1:] += beside(x)
        return y


class Backbone(nn.Module):
    """The frozen part of every skill.

    Args:
        config: Widths and block style.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch_encoder = PatchEncoder(3, config.encoder_hidden, config.encoder_width)
        self.reduce = (
            nn.Linear(config.encoder_width, width)
            if config.encoder_width != width
            else nn.Identity()
        )
        self.position = nn.Sequential(nn.Linear(3, 128), nn.GELU(), nn.Linear(128, width))
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.class_position = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02 if module.in_features > 3 else 0.3)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for linear in (m for m in self.patch_encoder.modules() if isinstance(m, nn.Linear)):
            nn.init.kaiming_normal_(linear.weight, nonlinearity='relu')
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.class_position, std=0.02)

    def with_class(self, tokens: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        """Prepend the class token.

        Args:
            tokens: ``(F, G, D)``.
            centres: ``(F, G, 3)``, normalised.

        Returns:
            The stream and its position term, both ``(F, 1 + G, D)``.
        """
        frames = tokens.shape[0]
        stream = torch.cat([self.class_token.expand(frames, -1, -1), tokens], dim=1)
        position = self.position(centres)
        return stream, torch.cat([self.class_position.expand(frames, -1, -1), position], dim=1)

    def attention_mask(self, token_mask: Tensor) -> Tensor | None:
        """Return which keys each slot may see, or ``None`` when every slot may see all.

        Args:
            token_mask: ``(F, G)``, false where a frame has fewer tokens than slots.
        """
        frames, tokens = token_mask.shape
        if self.config.class_visible and bool(token_mask.all()):
            return None
        keys = F.pad(token_mask, (1, 0), value=True)[:, None, None, :]
        if self.config.class_visible:
            return keys
        seen = keys.expand(frames, 1, tokens + 1, tokens + 1).clone()
        seen[:, :, 1:, 0] = False
        # A frame without tokens would leave its (unused) patch rows nothing to attend to.
        seen[:, :, 1:, 0] |= ~token_mask.any(dim=1)[:, None, None]
        return seen

    def forward(self, patches: Tensor, centres: Tensor, token_mask: Tensor) -> Tensor:
        """Encode single frames, without adapters.

        Args:
            patches: ``(F, G, K, 3)`` offsets from the centres.
            centres: ``(F, G, 3)``.
            token_mask: ``(F, G)``.

        Returns:
            ``(F, 1 + G, D)``: the class token, then the patch tokens, after the final norm.
        """
        frames, tokens = centres.shape[:2]
        encoded = self.reduce(self.patch_encoder(patches.flatten(0, 1)))
        x, position = self.with_class(encoded.view(frames, tokens, -1), centres)
        mask = self.attention_mask(token_mask)
        for block in self.blocks:
            x = block(x + position, mask)
        return self.norm(x)
