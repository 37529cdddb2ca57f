# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Heads that bring points and images into one space, and the encoder of the camera's pose.

Layout after Pic@Point (Herzog and Suwelack, arXiv 2410.09519): 1D convolutions for regions of the
cloud, MLPs (there 1 x 1 convolutions for cells of the image) for the rest; the pose, from view and
projection matrix, is 64 wide and joins the local point head. Where exactly is not
published: it must be followed by a non-linearity, since added linearly it shifts the score of a
cell by the same amount for all regions of a view. All outputs have unit length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.training.pretrain.settings import PoseJoin

POSE_WIDTH = 64


class PoseEncoder(nn.Module):
    """View and projection matrix, 32 numbers, through two layers.

    Args:
        radius: Distance of the cameras, by which the translation is divided.
    """

    def __init__(self, radius: float) -> None:
        super().__init__()
        self.radius = radius
        self.layers = nn.Sequential(
            nn.Linear(32, POSE_WIDTH), nn.ReLU(), nn.Linear(POSE_WIDTH, POSE_WIDTH)
        )

    def forward(self, view: Tensor, projection: Tensor) -> Tensor:
        """``view (..., 4, 4)`` and ``projection (4, 4)`` to ``(..., 64)``."""
        scale = torch.ones_like(view)
        scale[..., :3, 3] = 1 / self.radius
        flat = (view * scale).flatten(-2)
        return self.layers(torch.cat([flat, projection.flatten().expand_as(flat)], dim=-1))


class LocalPointHead(nn.Module):
    """Regions of a cloud, once per view: the pose makes one region match different cells."""

    def __init__(self, width: int, latent: int, join: PoseJoin) -> None:
        super().__init__()
        self.join = join
        first = POSE_WIDTH if join == 'input' else 0
        second = POSE_WIDTH if join == 'mid' else 0
        self.conv1 = nn.Conv1d(width + first, latent, 1, bias=False)
        self.norm1 = nn.BatchNorm1d(latent)
        self.conv2 = nn.Conv1d(latent + second, latent, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(latent)
        self.conv3 = nn.Conv1d(latent, latent, 1)

    def forward(self, tokens: Tensor, pose: Tensor) -> Tensor:
        """Project ``tokens (B, G, C)`` for the views ``pose (B, W, 64)`` to ``(B, W, G, d)``."""
        batch, views, width = pose.shape
        x = tokens.transpose(1, 2)
        spread = pose.reshape(batch * views, width, 1).expand(-1, -1, x.shape[-1])
        if self.join == 'input':
            x = torch.cat([x.repeat_interleave(views, dim=0), spread], dim=1)
        x = torch.relu(self.norm1(self.conv1(x)))
        if self.join != 'input':
            x = x.repeat_interleave(views, dim=0)
        if self.join == 'mid':
            x = torch.cat([x, spread], dim=1)
        x = self.conv3(torch.relu(self.norm2(self.conv2(x))))
        return F.normalize(x, dim=1).transpose(1, 2).unflatten(0, (batch, views))


class ProjectionHead(nn.Module):
    """Cells of a feature map, whole shapes or whole images: two layers, each vector by itself."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, latent, bias=False),
            nn.BatchNorm1d(latent),
            nn.ReLU(),
            nn.Linear(latent, latent),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Project ``(..., C)`` to ``(..., d)``."""
        return F.normalize(self.layers(x.flatten(0, -2)), dim=1).unflatten(0, x.shape[:-1])
