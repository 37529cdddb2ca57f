# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Mini-PointNet: one local patch of points becomes one token (Point-BERT, Yu et al., CVPR 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.linear import Linear, product


class PatchEncoder(nn.Module):
    """Two shared point MLPs with a max after each.

    The second MLP sees every point beside the patch's first max. Its first layer is applied to the
    two halves separately, which gives the same sum without repeating the pooled half per point.

    Args:
        in_channels: Columns per point (3 offsets, then features and time offset if any).
        hidden: Widths of the first stage.
        out_channels: Token width.
    """

    def __init__(self, in_channels: int, hidden: tuple[int, int], out_channels: int) -> None:
        super().__init__()
        h1, h2 = hidden
        self.point_in = nn.Linear(in_channels, h1)
        self.point_norm = nn.BatchNorm1d(h1)
        self.point_out = Linear(h1, h2)
        self.patch_in = Linear(2 * h2, 2 * h2)
        self.patch_norm = nn.BatchNorm1d(2 * h2)
        self.patch_out = Linear(2 * h2, out_channels)

    def forward(self, patches: Tensor) -> Tensor:
        """Encode patches ``(P, K, C)`` to tokens ``(P, D)``."""
        if patches.shape[0] == 0:
            return patches.new_zeros(0, self.patch_out.out_features)
        x = _linear_norm(self.point_in, self.point_norm, patches, self.training)
        x = self.point_out(x.relu_())
        half = x.shape[-1]
        weight, bias = self._patch_in_weights()
        pooled = F.linear(x.amax(dim=1), weight[:, :half], bias)
        x = product(x, weight[:, half:].to(self.patch_in.factor.dtype)).add_(pooled.unsqueeze(1))
        if self.training:
            x = self.patch_norm(x.flatten(0, 1)).view_as(x)
        return self.patch_out(x.relu_()).amax(dim=1)

    def _patch_in_weights(self) -> tuple[Tensor, Tensor]:
        if self.training:
            return self.patch_in.weight, self.patch_in.bias
        return _folded(self.patch_in, self.patch_norm)


def _folded(linear: nn.Linear, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Merge an evaluating BatchNorm into the linear layer before it."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    bias = (linear.bias - norm.running_mean) * scale + norm.bias
    return linear.weight * scale.unsqueeze(1), bias


def _linear_norm(linear: nn.Linear, norm: nn.BatchNorm1d, x: Tensor, training: bool) -> Tensor:
    if training:
        x = linear(x)
        return norm(x.flatten(0, 1)).view_as(x)
    return F.linear(x, *_folded(linear, norm))
