# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse 3D U-Net: a feature for every point of a voxelised cloud.

The network of SparseConvNet (Graham et al., CVPR 2018) in the form that xMUDA and FtD++ use: seven
levels, one submanifold convolution on the way down and one on the way up, no residuals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pointata_core.ops.sparse import (
    Backend,
    Rulebook,
    SparseGrid,
    average_by_voxel,
    convolve,
    sparse_grid,
)

PLANES = (16, 32, 48, 64, 80, 96, 112)
"""Channels of the seven levels."""

GRID = 4096
"""Voxels along each axis."""


class SparseConvolution(nn.Module):
    """Weights of one sparse convolution, without bias.

    Args:
        taps: Voxels of the kernel: 27 or 8.
        in_channels: Channels coming in.
        out_channels: Channels going out.
        backend: Who does the sums; see ``ops.sparse``.
    """

    def __init__(
        self, taps: int, in_channels: int, out_channels: int, backend: Backend = 'torch'
    ) -> None:
        super().__init__()
        self.backend = backend
        self.weight = nn.Parameter(torch.empty(taps, in_channels, out_channels))
        nn.init.normal_(self.weight, std=math.sqrt(2 / (in_channels * taps)))

    def forward(self, features: Tensor, rulebook: Rulebook) -> Tensor:
        """``(inputs, C_in) -> (outputs, C_out)``."""
        return convolve(features, self.weight, rulebook, self.backend)


class NormReLU(nn.Sequential):
    """Normalisation over all voxels of the batch, with SparseConvNet's constants, and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(VoxelNorm(channels, eps=1e-4, momentum=0.01), nn.ReLU())


class VoxelNorm(nn.BatchNorm1d):
    """Batch normalisation of ``(V, C)`` that lets batches too small for statistics through.

    The deepest level of a tiny cloud may hold a single voxel, of which nothing can be estimated;
    running statistics then serve, unchanged.
    """

    def forward(self, features: Tensor) -> Tensor:
        """``(V, C) -> (V, C)``."""
        if self.training and len(features) < 2:
            return nn.functional.batch_norm(
                features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(features)


class _Level(nn.Module):
    """One level of the U and everything below it."""

    def __init__(self, planes: Sequence[int], backend: Backend) -> None:
        super().__init__()
        here = planes[0]
        self.before = NormReLU(here)
        self.block = SparseConvolution(27, here, here, backend)
        self.below: _Level | None = None
        if len(planes) == 1:
            return
        deeper = planes[1]
        self.before_down = NormReLU(here)
        self.down = SparseConvolution(8, here, deeper, backend)
        self.below = _Level(planes[1:], backend)
        self.before_up = NormReLU(deeper)
        self.up = SparseConvolution(8, deeper, here, backend)
        self.before_merge = NormReLU(2 * here)
        self.merge = SparseConvolution(27, 2 * here, here, backend)

    def forward(self, x: Tensor, grid: SparseGrid) -> Tensor:
        around = grid.submanifold(3)
        x = self.block(self.before(x), around)
        if self.below is None:
            return x
        coarse, rules = grid.strided(2, 2)
        deep = self.below(self.down(self.before_down(x), rules), coarse)
        raised = self.up(self.before_up(deep), rules.transposed)
        return self.merge(self.before_merge(torch.cat([x, raised], dim=1)), around)


class SparseUNet(nn.Module):
    """Points on a grid to features of 16 channels; 2,688,656 parameters by default.

    Args:
        in_channels: Features per point; the reference gives a constant 1.
        planes: Channels of each level, finest first.
        grid: Voxels along each axis, a multiple of ``2 ** (levels - 1)``.
        backend: Who does the sums of the convolutions; see ``ops.sparse``.

    Raises:
        ValueError: A grid that cannot be halved often enough.
    """

    def __init__(
        self,
        in_channels: int = 1,
        planes: Sequence[int] = PLANES,
        grid: int = GRID,
        backend: Backend = 'torch',
    ) -> None:
        super().__init__()
        if grid < 1 or grid % 2 ** (len(planes) - 1):
            raise ValueError(
                f'grid must be a multiple of {2 ** (len(planes) - 1)} for {len(planes)} levels, '
                f'found {grid}'
            )
        self.grid = grid
        self.stem = SparseConvolution(27, in_channels, planes[0], backend)
        self.levels = _Level(planes, backend)
        self.out = NormReLU(planes[0])
        self.out_channels = planes[0]

    def forward(self, coordinates: Tensor, features: Tensor) -> Tensor:
        """Describe every point.

        Args:
            coordinates: ``(N, 4)`` int64: voxel x, y, z in ``[0, grid)``, and sample of the batch.
            features: ``(N, in_channels)``; points of one voxel are averaged.

        Returns:
            ``(N, planes[0])``; points of one voxel share theirs.
        """
        grid, voxel = sparse_grid(coordinates, (self.grid,) * 3)
        x = average_by_voxel(features, voxel, len(grid))
        x = self.levels(self.stem(x, grid.submanifold(3)), grid)
        return self.out(x)[voxel]
