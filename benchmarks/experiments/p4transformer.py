# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""P4Transformer for action recognition, re-implemented from the paper in plain torch.

Fan, Yang and Kankanhalli, "Point 4D Transformer Networks for Spatio-Temporal Modeling in Point
Cloud Videos", CVPR 2021. A point 4D convolution turns the neighbourhood of every anchor, over
several frames, into one vector; a transformer lets all anchors of the clip attend to each other;
the maximum over anchors is classified.

Layers, widths and order of operations are those of the authors' release: with equal weights and
equal neighbourhoods the logits agree. What differs from the release:

* Farthest point sampling starts at the point farthest from the centroid, not at the first one, and
  does not pass over points within 3 cm of the origin. So the order of the points does not matter.
* Of more than ``neighbours`` points within the radius the nearest are taken, not the first.
* A frame without a point within the radius contributes nothing; the public ball query contributes
  the frame's first point.
* Frames beyond the end of a clip repeat its last one, as those before its beginning repeat the
  first. The release refuses clips that would need them.
* Padding is masked, and point features may be added, as the paper's equation has it.
* Training: the comparison trains it as all other methods (AdamW, cosine, their augmentation), and
  as narrow as the tiny backbone. The release uses SGD with steps and the width of ``msr_config``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.errors import ConfigError
from pointata_core.ops import farthest_point_sample, gather, knn


@dataclass(frozen=True)
class P4TransformerConfig:
    """Sizes of the network; the defaults are those published for MSR-Action3D.

    Attributes:
        classes: Number of actions.
        features: Columns of point features beside x, y, z.
        radius: Of the neighbourhood, in the units of the points. The published 0.7 is in units of
            0.3 m (the paper's text has 0.5).
        neighbours: Points taken per anchor and frame, at most.
        spatial_stride: Points per anchor.
        anchors: Anchors per frame, whatever the number of points; 0 for what the stride gives.
        temporal_kernel: Frames of a neighbourhood, odd.
        temporal_stride: Frames per frame with anchors.
        width: Token width.
        depth: Transformer layers.
        heads: Attention heads.
        head_width: Width of one head.
        mlp_width: Hidden width of the layers' MLPs and of the classifier.
        dropout: After the attention's projection and in MLPs.
        embedding_relu: Clip embeddings at zero, an option of the release that is off by default.
    """

    classes: int
    features: int = 0
    radius: float = 0.7
    neighbours: int = 32
    spatial_stride: int = 32
    anchors: int = 0
    temporal_kernel: int = 3
    temporal_stride: int = 2
    width: int = 1024
    depth: int = 5
    heads: int = 8
    head_width: int = 128
    mlp_width: int = 2048
    dropout: float = 0.0
    embedding_relu: bool = False

    def __post_init__(self) -> None:
        for name in ('classes', 'radius', 'neighbours', 'spatial_stride', 'temporal_kernel',
                     'temporal_stride', 'width', 'depth', 'heads', 'head_width',
                     'mlp_width'):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ConfigError(f'{name} is {getattr(self, name)}, expected > 0')
        if self.temporal_kernel % 2 == 0:
            raise ConfigError(
                f'temporal_kernel is {self.temporal_kernel}, expected an odd number',
                'A neighbourhood has its anchor in the middle',
            )


def msr_config(classes: int = 20, **changes: Any) -> P4TransformerConfig:
    """The published network: 44.1 million parameters for 20 classes."""
    return P4TransformerConfig(classes, **changes)


def small_config(classes: int, **changes: Any) -> P4TransformerConfig:
    """As wide as our tiny backbone, so that it trains on a CPU."""
    sizes = {'width': 192, 'depth': 4, 'heads': 3, 'head_width': 64, 'mlp_width': 384}
    return P4TransformerConfig(classes, **{**sizes, **changes})


@dataclass(frozen=True)
class AnchorGeometry:
    """Anchors of B clips and the points around them; ``-1`` means none.

    Attributes:
        frames: ``(A,)`` int64, frames that have anchors.
        centres: ``(B, A, G, 3)`` anchors; zero in slots without one.
        mask: ``(B, A, G)``, true where there is an anchor.
        nearby_frames: ``(A, K_t)`` int64, frames of each neighbourhood; at the ends of the clip the
            first and last frame stand in for those beyond.
        neighbours: ``(B, A, K_t, G, K)`` into the points of those frames.
    """

    frames: Tensor
    centres: Tensor
    mask: Tensor
    nearby_frames: Tensor
    neighbours: Tensor

    def to(self, device: torch.device | str) -> AnchorGeometry:
        """Move every tensor."""
        return AnchorGeometry(**{name: value.to(device) for name, value in vars(self).items()})


@torch.no_grad()
def anchor_geometry(
    points: Tensor, mask: Tensor | None, config: P4TransformerConfig
) -> AnchorGeometry:
    """Choose anchors and find their neighbourhoods; nothing here is learned.

    Args:
        points: ``(B, T, N, 3)``.
        mask: ``(B, T, N)``, false for padding; ``None`` when every slot holds a point.
        config: Radius, strides and sizes.
    """
    batch, length, slots = points.shape[:3]
    device = points.device
    frames = torch.arange(0, length, config.temporal_stride, device=device)
    reach = config.temporal_kernel // 2
    offsets = torch.arange(-reach, reach + 1, device=device)
    nearby = (frames.unsqueeze(1) + offsets).clamp(0, length - 1)
    anchored = points[:, frames].flatten(0, 1)
    anchored_mask = None if mask is None else mask[:, frames].flatten(0, 1)
    count = config.anchors or max(1, slots // config.spatial_stride)
    index = farthest_point_sample(anchored, count, anchored_mask)
    centres, centre_mask = gather(anchored, index), index >= 0
    around = points[:, nearby].flatten(0, 2)
    around_mask = None if mask is None else mask[:, nearby].flatten(0, 2)
    times = len(offsets)
    found = knn(
        centres.repeat_interleave(times, 0),
        around,
        config.neighbours,
        around_mask,
        centre_mask.repeat_interleave(times, 0),
    )
    inside = found.distance2 < config.radius**2
    shape = (batch, len(frames))
    return AnchorGeometry(
        frames=frames,
        centres=centres.unflatten(0, shape),
        mask=centre_mask.unflatten(0, shape),
        nearby_frames=nearby,
        neighbours=torch.where(inside, found.index, -1).unflatten(0, (*shape, times)),
    )


class Point4DConvolution(nn.Module):
    """Encodes displacements and features of a spatio-temporal neighbourhood; maximum over both.

    Every neighbour gives ``W_d (dx, dy, dz, dt) + W_f f`` (the paper's equation 1 with addition),
    of which the maximum over the points of a frame and then over the frames is taken. Linear maps
    without bias, as in the published network for MSR-Action3D.

    Args:
        features: Columns of point features; 0 leaves ``W_f`` out.
        width: Columns of the result.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.displacement = nn.Linear(4, width, bias=False)
        self.feature = nn.Linear(features, width, bias=False) if features else None

    def forward(
        self, points: Tensor, geometry: AnchorGeometry, features: Tensor | None = None
    ) -> Tensor:
        """Encode all anchors.

        Args:
            points: ``(B, T, N, 3)``.
            geometry: Of these points.
            features: ``(B, T, N, C)``, if there are any.

        Returns:
            ``(B, A, G, width)``; zero in slots without an anchor.
        """
        # The difference of two mapped places would drown in bfloat16.
        with torch.autocast(points.device.type, enabled=False):
            return self._convolve(points, geometry, features)

    def _convolve(
        self, points: Tensor, geometry: AnchorGeometry, features: Tensor | None
    ) -> Tensor:
        shape = geometry.neighbours.shape  # (B, A, K_t, G, K)
        batch, length, slots = points.shape[:3]
        # Maps are linear: what a neighbour adds does not depend on whose neighbour it is, so the
        # points are mapped, not the K_t G K pairs; what the anchor and dt add shifts a whole bag.
        space, time = self.displacement.weight.split([3, 1], dim=1)
        mapped = points @ space.t()
        if self.feature is not None:
            mapped = mapped + self.feature(features)
        table = F.pad(mapped.flatten(0, 2), [0, 0, 0, 1])
        missing, nothing = geometry.neighbours < 0, len(table) - 1
        clip = length * torch.arange(batch, device=points.device).view(-1, 1, 1)
        rows = geometry.neighbours + slots * (clip + geometry.nearby_frames)[..., None, None]
        bags = torch.where(missing, nothing, rows).flatten(0, 3)
        best = F.embedding_bag(bags, table, mode='max', padding_idx=nothing).view(*shape[:4], -1)
        reach = shape[2] // 2
        steps = torch.arange(-reach, reach + 1, device=points.device, dtype=points.dtype)
        anchors = (geometry.centres.to(points) @ space.t()).unsqueeze(2)
        encoded = best - anchors + steps.view(-1, 1, 1) * time[:, 0]
        pooled = encoded.masked_fill(missing.all(-1, keepdim=True), -torch.inf).amax(dim=2)
        return torch.where(geometry.mask.unsqueeze(-1), pooled, torch.zeros_like(pooled))


class TransformerLayer(nn.Module):
    """Pre-norm attention over all anchors of a clip, and an MLP.

    Args:
        config: Widths, heads and dropout.
    """

    def __init__(self, config: P4TransformerConfig) -> None:
        super().__init__()
        width, inner = config.width, config.heads * config.head_width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * inner, bias=False)
        self.project: nn.Module = nn.Identity()
        if config.heads > 1 or inner != width:
            self.project = nn.Sequential(
                nn.Linear(inner, width), nn.GELU(), nn.Dropout(config.dropout)
            )
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.mlp_width), nn.GELU(), nn.Dropout(config.dropout),
            nn.Linear(config.mlp_width, width), nn.Dropout(config.dropout),
        )  # fmt: skip

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Run the layer.

        Args:
            x: ``(B, S, width)``.
            mask: ``(B, S)``, false for slots that nobody may attend to.
        """
        q, k, v = self.query_key_value(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        seen = F.scaled_dot_product_attention(q, k, v, mask[:, None, None])
        x = x + self.project(seen.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class P4Transformer(nn.Module):
    """Point 4D convolution, transformer over the whole clip, maximum, classifier.

    Args:
        config: Sizes.
    """

    def __init__(self, config: P4TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.convolution = Point4DConvolution(config.features, config.width)
        self.position = nn.Linear(4, config.width)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.depth))
        self.classify = nn.Sequential(
            nn.LayerNorm(config.width), nn.Linear(config.width, config.mlp_width), nn.GELU(),
            nn.Linear(config.mlp_width, config.classes),
        )  # fmt: skip

    def forward(
        self,
        points: Tensor,
        features: Tensor | None = None,
        mask: Tensor | None = None,
        geometry: AnchorGeometry | None = None,
    ) -> Tensor:
        """Classify whole clips.

        Args:
            points: ``(B, T, N, 3)``, finite where the mask is true.
            features: ``(B, T, N, C)`` or ``None``.
            mask: ``(B, T, N)``, false for padding; ``None`` when every slot holds a point.
            geometry: Of these points, when computed before.

        Returns:
            Logits ``(B, classes)``; those of a clip without any point are those of no evidence.
        """
        if geometry is None:
            geometry = anchor_geometry(points, mask, self.config)
        tokens = self.convolution(points, geometry, features)
        number = torch.arange(1, tokens.shape[1] + 1, device=points.device).to(tokens)
        number = number.view(1, -1, 1, 1).expand(*tokens.shape[:3], 1)
        places = torch.cat([geometry.centres.to(tokens), number], dim=-1)
        x = (tokens + self.position(places)).flatten(1, 2)
        if self.config.embedding_relu:
            x = F.relu(x)
        present = geometry.mask.flatten(1)
        # A row of attention that may look at nothing would be NaN; its clip has no anchor at all.
        attended = present | ~present.any(dim=1, keepdim=True)
        for layer in self.layers:
            x = layer(x, attended)
        x = x.masked_fill(~present.unsqueeze(-1), -torch.inf).amax(dim=1)
        return self.classify(torch.where(torch.isfinite(x), x, torch.zeros_like(x)))
