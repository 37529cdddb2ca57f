# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""DGCNN (Wang et al., Dynamic Graph CNN, TOG 2019), the other backbone of the Pic@Point paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.point.encoders import PointFeatures
from pointata_core.ops import farthest_point_sample, gather

WIDTHS = (64, 64, 128, 256)


class EdgeConvolution(nn.Module):
    """Neighbours in feature space, a shared linear layer on ``[x_j - x_i ; x_i]``, maximum.

    The layer is linear before its norm, so it is applied to points, not to edges:
    ``W [x_j - x_i ; x_i] = A x_j + (B - A) x_i``.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        neighbours: k.
    """

    def __init__(self, in_channels: int, out_channels: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.linear = nn.Linear(2 * in_channels, out_channels, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, in) -> (B, N, out)``."""
        with torch.no_grad():
            nearest = torch.cdist(x, x).topk(self.neighbours, largest=False).indices
        half = x.shape[-1]
        relative, own = self.linear.weight[:, :half], self.linear.weight[:, half:]
        edges = gather(F.linear(x, relative), nearest) + F.linear(x, own - relative).unsqueeze(2)
        normed = self.norm(edges.flatten(0, 2)).view_as(edges)
        return F.leaky_relu(normed, 0.2).amax(dim=2)


class DgcnnEncoder(nn.Module):
    """Four edge convolutions, their outputs joined, 1,024 channels per point.

    Args:
        neighbours: k of every graph.
        positions: Points per cloud whose local feature is used.
    """

    def __init__(self, neighbours: int = 20, positions: int = 128) -> None:
        super().__init__()
        self.positions = positions
        self.local_width, self.overall_width = 1024, 2048
        ins = (3, *WIDTHS[:-1])
        self.edges = nn.ModuleList(
            EdgeConvolution(i, o, neighbours) for i, o in zip(ins, WIDTHS, strict=True)
        )
        self.join = nn.Linear(sum(WIDTHS), self.local_width, bias=False)
        self.norm = nn.BatchNorm1d(self.local_width)

    def forward(self, points: Tensor) -> PointFeatures:
        """Encode clouds ``(B, N, 3)``."""
        x, outputs = points, []
        for edge in self.edges:
            x = edge(x)
            outputs.append(x)
        joined = self.join(torch.cat(outputs, dim=-1))
        per_point = F.leaky_relu(self.norm(joined.flatten(0, 1)).view_as(joined), 0.2)
        overall = torch.cat([per_point.amax(dim=1), per_point.mean(dim=1)], dim=-1)
        index = farthest_point_sample(points, self.positions)
        return PointFeatures(index, gather(points, index), gather(per_point, index), overall)
