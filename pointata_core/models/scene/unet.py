# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small U-Net over a grid (Ronneberger et al., MICCAI 2015), with residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.activation import relu
from pointata_core.models.linear import Reducible

_CELLS = 800  # from which the mean of a frame is taken, about


class NormedConvolution(Reducible):
    """A convolution and the batch normalisation behind it; one operation when it is not trained.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Edge of the kernel, odd.
        stride: Of the convolution.
        own: How much of the mean and the variance come from the frame itself when the layer is not
            trained, 0..1. The rest comes from training. Other sensors and places have other
            statistics (Schneider et al., NeurIPS 2020, mix them over a batch).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, own: float = 0.0
    ) -> None:
        super().__init__()
        self.own = own
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.register_buffer('_reduced', None, persistent=False)

    def reduce(self, dtype: torch.dtype) -> None:
        """Be ready for images of ``dtype``; float32 undoes it."""
        weight = self.convolution.weight
        self._reduced = None if dtype == torch.float32 else weight.detach().to(dtype)

    def forward(self, image: Tensor) -> Tensor:
        """Convolve and normalise ``(F, inputs, H, W)``.

        Of an image with fewer channels the last ones count as zero, and cost nothing.
        """
        layer, norm = self.convolution, self.norm
        kernel = layer.weight[:, : image.shape[1]]
        if self.training:
            return norm(F.conv2d(image, kernel, None, layer.stride, layer.padding))
        assert norm.running_var is not None and norm.running_mean is not None
        if self.own:
            if self._reduced is not None and self._reduced.dtype == image.dtype:
                kernel = self._reduced[:, : image.shape[1]]
            kernel = kernel.to(image.dtype)
            values = F.conv2d(image, kernel, None, layer.stride, layer.padding)
            scale, shift = self._of_frames(values)
            return _scaled(values, scale, shift)
        if torch.is_grad_enabled():
            return norm(F.conv2d(image, kernel, None, layer.stride, layer.padding))
        # Folding costs a pass over the weights, which are far fewer than the values of an image.
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = (kernel * scale.view(-1, 1, 1, 1)).to(image.dtype)
        bias = (norm.bias - norm.running_mean * scale).to(image.dtype)
        return F.conv2d(image, weight, bias, layer.stride, layer.padding)

    def _of_frames(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift ``(F, C)`` of the normalisation of ``(F, C, H, W)``."""
        norm = self.norm
        assert norm.running_var is not None and norm.running_mean is not None
        # Every few rows are enough for a mean. In float32, for the sums must be exact, and as rows
        # of channels; a reduction over two axes of an image takes twenty times as long.
        step = max(1, values.shape[2] * values.shape[3] // _CELLS)
        rows = values[:, :, ::step].permute(0, 2, 3, 1).float().flatten(1, 2)
        mean = rows.mean(dim=1)
        variance = (rows.square().mean(dim=1) - mean.square()).clamp_min(0.0)
        variance = torch.lerp(norm.running_var, variance, self.own)
        scale = norm.weight * (variance + norm.eps).rsqrt()
        return scale, norm.bias - torch.lerp(norm.running_mean, mean, self.own) * scale


def _scaled(image: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``image * scale + shift`` of images ``(F, C, H, W)`` and float32 ``(F, C)``."""
    if image.dtype == torch.float32:
        return torch.addcmul(shift[..., None, None], image, scale[..., None, None])
    # `addcmul` of numbers of half the length is six times slower on a CPU; a normalisation whose
    # mean is zero and whose variance is one computes the same, with float32 inside.
    zero, one = torch.zeros_like(scale[0]), torch.ones_like(scale[0])
    normed = [
        F.batch_norm(one_image, zero, one, weight, bias, eps=0.0)
        for one_image, weight, bias in zip(image.split(1), scale, shift, strict=True)
    ]
    return normed[0] if len(normed) == 1 else torch.cat(normed)


class _Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int, own: float) -> None:
        super().__init__()
        self.first, self.second = (NormedConvolution(width, width, own=own) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.second(relu(self.first(x))) + x)


class GridUNet(Reducible):
    """Image to image at the same resolution, with context from all of it.

    Args:
        inputs: Channels that come in.
        widths: Channels of the four levels, finest first.
        own: See :class:`NormedConvolution`.
    """

    def __init__(self, inputs: int, widths: Sequence[int], own: float = 0.0) -> None:
        super().__init__()
        self._dtype = torch.float32
        layer = partial(NormedConvolution, own=own)
        self.enter = layer(inputs, widths[0], 1)
        self.fine = layer(widths[0], widths[0])
        self.down = nn.ModuleList(layer(wide, deep, 3, 2) for wide, deep in pairwise(widths))
        self.blocks = nn.ModuleList(_Residual(width, own) for width in widths[1:])
        self.up = nn.ModuleList(layer(deep, wide, 1) for wide, deep in pairwise(widths))
        self.merge = nn.ModuleList(layer(width, width) for width in widths[:-1])

    def reduce(self, dtype: torch.dtype) -> None:
        """Compute in ``dtype`` from now on, without gradients; float32 undoes it."""
        self._dtype = dtype

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network.

        Args:
            image: ``(F, inputs, R, S)``; R and S are multiples of 8.

        Returns:
            The finest level ``(F, widths[0], R, S)`` and the next, ``(F, widths[1], R/2, S/2)``.
        """
        outside = image.dtype
        if self._dtype != torch.float32:
            image = image.to(self._dtype)
        x = relu(self.enter(image))
        x = relu(self.fine(x) + x)
        levels = [x]
        for down, block in zip(self.down, self.blocks, strict=True):
            x = block(relu(down(x)))
            levels.append(x)
        outputs = []
        for level in reversed(range(len(self.up))):
            raised = F.interpolate(self.up[level](x), scale_factor=2.0, mode='nearest')
            x = relu(raised + levels[level])
            x = relu(self.merge[level](x) + x)
            outputs.append(x)
        return outputs[-1].to(outside), outputs[-2].to(outside)
