# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""U-Net on a ResNet encoder: a feature for every pixel of a camera image.

The 2D network of xMUDA (Jaritz et al., CVPR 2020) and FtD++ (Wu et al., TCSVT 2025). Its stem keeps
full resolution, so a point reads the feature of its own pixel; that is where its time goes, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.camera.resnet import ResNet, ResNetMaps

_MULTIPLE = 16  # four halvings behind the stem


class ImageUNet(nn.Module):
    """Images to maps at full resolution; 23,614,144 parameters at depth 34.

    Args:
        depth: Of the ResNet encoder, 34 or 18.
        dropout: After the encoder's two deepest stages.
        width: Channels of the encoder's stem and of the map that comes out.
    """

    def __init__(self, depth: int = 34, dropout: float = 0.4, width: int = 64) -> None:
        super().__init__()
        self.out_channels = width
        self.encoder = ResNet(depth, classes=0, stem_stride=1, width=width)
        self.dropout = nn.Dropout(dropout)
        w = width
        self.up5 = _raise(8 * w, 4 * w)
        self.merge4, self.up4 = _merge(8 * w, 4 * w), _raise(4 * w, 2 * w)
        self.merge3, self.up3 = _merge(4 * w, 2 * w), _raise(2 * w, w)
        self.merge2, self.up2 = _merge(2 * w, w), _raise(w, w)
        self.out = nn.Conv2d(2 * w, w, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Describe every pixel.

        Args:
            image: ``(B, 3, H, W)`` float in [0, 1], of any size.

        Returns:
            ``(B, width, H, W)``.
        """
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE))
        skip = self._encode(padded)
        x = self.up5(skip.layer4)
        x = self.up4(self.merge4(torch.cat([skip.layer3, x], dim=1)))
        x = self.up3(self.merge3(torch.cat([skip.layer2, x], dim=1)))
        x = self.up2(self.merge2(torch.cat([skip.layer1, x], dim=1)))
        x = self.out(torch.cat([skip.stem, x], dim=1))
        return x[..., :height, :width]

    def _encode(self, image: Tensor) -> ResNetMaps:
        net = self.encoder
        stem = net.stem(image)
        first = net.layer1(net.maxpool(stem))
        second = net.layer2(first)
        third = self.dropout(net.layer3(second))
        return ResNetMaps(stem, first, second, third, self.dropout(net.layer4(third)))


def gather_pixels(maps: Tensor, pixels: Sequence[Tensor]) -> Tensor:
    """Read the feature of each point's pixel.

    Args:
        maps: ``(B, C, H, W)``.
        pixels: B tensors ``(n_i, 2)`` int64 of row and column.

    Returns:
        ``(sum n_i, C)``, samples one after the other.

    Raises:
        ValueError: Another number of samples, or a pixel outside of the map.
    """
    height, width = maps.shape[-2:]
    if len(pixels) != len(maps):
        raise ValueError(f'found pixels of {len(pixels)} samples for {len(maps)} maps')
    limit = torch.tensor([height, width], device=maps.device)
    for rows in pixels:
        if len(rows) and not bool(((rows >= 0) & (rows < limit)).all()):
            raise ValueError(f'pixels (row, column) must lie in an image of {height} x {width}')
    samples = torch.cat([rows.new_full((len(rows),), i) for i, rows in enumerate(pixels)])
    row, column = torch.cat(list(pixels)).unbind(1)
    return maps[samples, :, row, column]


def _raise(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _merge(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
