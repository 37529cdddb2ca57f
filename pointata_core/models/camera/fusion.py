# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MFFM: the fusion of pixel and point features of FtD++ (Wu et al., TCSVT 2025, section III).

Attention over the image map, external attention over the points, and a small mixer. Losses through
the fusion do not reach the features that it fuses: both are detached on entry.

The published form lets a softmax run over all points of a mini-batch, so what one sample gets
depends on the others it happens to be with. Here it runs within each sample by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pointata_core.models.camera.image_unet import gather_pixels

AttentionScope = Literal['sample', 'batch']
HEADS = 32
SLOTS = 64


class ImageAttention(nn.Module):
    """CBAM (Woo et al., ECCV 2018) with a residual around it: which channels, then where.

    Args:
        channels: Of the map.
        bottleneck: Channels between the two layers of the channel gate; a quarter when None.
    """

    def __init__(self, channels: int = 64, bottleneck: int | None = None) -> None:
        super().__init__()
        bottleneck = bottleneck or channels // 4
        self.channel_gate = nn.Sequential(
            nn.Conv2d(channels, bottleneck, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(bottleneck, channels, 1, bias=False),
        )
        self.spatial_gate = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W) -> (B, C, H, W)``."""
        highest, mean = x.amax(dim=(2, 3), keepdim=True), x.mean(dim=(2, 3), keepdim=True)
        chosen = x * torch.sigmoid(self.channel_gate(highest) + self.channel_gate(mean))
        summary = torch.cat([chosen.amax(1, keepdim=True), chosen.mean(1, keepdim=True)], dim=1)
        return x + chosen * torch.sigmoid(self.spatial_gate(summary))


class Dropout(nn.Dropout):
    """Dropout that on a CPU spends 16 random bits per element instead of a whole draw.

    A mini-batch has millions of attention weights, and drawing their mask took most of a training
    step. The share dropped is ``p`` to within 1/65536.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Zero elements at random and scale up the others; the identity in evaluation."""
        if not self.training or not 0 < self.p < 1 or x.device.type != 'cpu':
            return super().forward(x)
        count = x.numel()
        draws = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        keep = draws.view(torch.int16)[:count].view(x.shape) >= round(self.p * 2**16) - 2**15
        return x * (keep * (1 / (1 - self.p))).to(x.dtype)


class ExternalAttention(nn.Module):
    """Multi-head external attention (Guo et al., TPAMI 2022) over the points of a sample.

    The keys and values are two small linear layers that all heads share: 64 learned slots. Weights
    are normalised over the points first and over the slots after.

    Args:
        width: Of the features, a multiple of 8.
        dropout: On the attention and on the output.
        scope: Points that share a softmax: those of a ``sample``, or of the whole ``batch`` as
            published.

    Raises:
        ValueError: A width that does not divide into the heads, or an unknown scope.
    """

    def __init__(self, width: int, dropout: float = 0.2, scope: AttentionScope = 'sample') -> None:
        super().__init__()
        if width % 8:
            raise ValueError(f'the width of external attention must divide by 8, found {width}')
        if scope not in ('sample', 'batch'):
            raise ValueError(f"scope must be 'sample' or 'batch', found {scope!r}")
        self.scope = scope
        self.widen = nn.Linear(width, 4 * width)
        self.keys = nn.Linear(4 * width // HEADS, SLOTS)
        self.values = nn.Linear(SLOTS, 4 * width // HEADS)
        self.narrow = nn.Linear(4 * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, counts: Sequence[int]) -> Tensor:
        """``(N, width) -> (N, width)``; the rows of sample i follow those before it.

        Args:
            x: Features of all points.
            counts: Points of each sample; their sum is N.
        """
        heads = self.widen(x).view(len(x), HEADS, self.keys.in_features)
        parts = [len(x)] if self.scope == 'batch' else list(counts)
        inference = not self.training and not torch.is_grad_enabled()
        if inference and len(parts) == 1 and x.device.type == 'cpu':
            return self.narrow(self._head_by_head(heads))
        # Flat, because a softmax over the first of three axes is three times slower on a CPU.
        scores = self.keys(heads).flatten(1).split(parts)
        weights = torch.cat([part.softmax(dim=0) for part in scores]).view(len(x), HEADS, SLOTS)
        weights = self.dropout(weights / (1e-9 + weights.sum(dim=2, keepdim=True)))
        return self.dropout(self.narrow(self.values(weights).flatten(1)))

    def _head_by_head(self, heads: Tensor) -> Tensor:
        """The same for one sample: what belongs to a head stays in the cache, in half the time."""
        output = torch.empty_like(heads)
        for head in range(HEADS):
            weights = self.keys(heads[:, head]).softmax(dim=0)
            weights = weights / (1e-9 + weights.sum(dim=1, keepdim=True))
            output[:, head] = self.values(weights)
        return output.flatten(1)


class FusionModule(nn.Module):
    """MFFM: maps and point features to fused features; 104,775 parameters by default.

    Args:
        image_channels: Of the 2D map.
        cloud_channels: Of the point features.
        scope: See `ExternalAttention`.
    """

    def __init__(
        self,
        image_channels: int = 64,
        cloud_channels: int = 16,
        scope: AttentionScope = 'sample',
    ) -> None:
        super().__init__()
        width = self.out_channels = image_channels + cloud_channels
        self.image_attention = ImageAttention(image_channels)
        self.pixel_attention = ExternalAttention(image_channels, scope=scope)
        self.point_attention = ExternalAttention(cloud_channels, scope=scope)
        self.mix = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.mixed_attention = ExternalAttention(width, scope=scope)
        self.out = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU())

    def forward(self, maps: Tensor, cloud: Tensor, pixels: Sequence[Tensor]) -> Tensor:
        """Fuse.

        Args:
            maps: ``(B, image_channels, H, W)``; detached here.
            cloud: ``(N, cloud_channels)``, samples one after the other; detached here.
            pixels: B tensors ``(n_i, 2)`` int64 of row and column.

        Returns:
            ``(N, image_channels + cloud_channels)``.
        """
        counts = [len(rows) for rows in pixels]
        cloud = cloud.detach()
        seen = gather_pixels(self.image_attention(maps.detach()), pixels)
        seen = self.pixel_attention(seen, counts) + seen
        attended = self.point_attention(cloud, counts) + cloud
        mixed = self.mix(torch.cat([seen, attended], dim=1))
        return self.out(self.mixed_attention(mixed, counts) + mixed)
