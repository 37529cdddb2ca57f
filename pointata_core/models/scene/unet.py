# SPDX-License-Identifier: Apache-2.0
"""A small U-Net over the grid (Ronneberger et al., MICCAI 2015), with residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution without bias and the normalisation that follows it."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class _Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = convolution(width, width), convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class BirdsEyeUNet(nn.Module):
    """Image to image at the same resolution, with context from all of it.

    Args:
        inputs: Channels that come in.
        widths: Channels of the four levels, finest first.
    """

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.enter = convolution(inputs, widths[0], 1)
        self.fine = convolution(widths[0], widths[0])
        self.down = nn.ModuleList(convolution(wide, deep, 3, 2) for wide, deep in pairwise(widths))
        self.blocks = nn.ModuleList(_Residual(width) for width in widths[1:])
        self.up = nn.ModuleList(convolution(deep, wide, 1) for wide, deep in pairwise(widths))
        self.merge = nn.ModuleList(convolution(width, width) for width in widths[:-1])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network.

        Args:
            image: ``(F, inputs, S, S)``; S is a multiple of 8.

        Returns:
            The finest level ``(F, widths[0], S, S)`` and the next, ``(F, widths[1], S/2, S/2)``.
        """
        x = F.relu(self.enter(image))
        x = F.relu(x + self.fine(x))
        levels = [x]
        for down, block in zip(self.down, self.blocks, strict=True):
            x = block(F.relu(down(x)))
            levels.append(x)
        outputs = []
        for level in reversed(range(len(self.up))):
            raised = F.interpolate(self.up[level](x), scale_factor=2.0, mode='nearest')
            x = F.relu(raised + levels[level])
            x = F.relu(x + self.merge[level](x))
            outputs.append(x)
        return outputs[-1], outputs[-2]
