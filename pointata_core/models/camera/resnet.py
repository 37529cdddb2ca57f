# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ResNet-18 and ResNet-34 (He et al., CVPR 2016), parameter names as in torchvision.

Equal names let ImageNet weights be read from torchvision's published files without having
torchvision; the files are not shipped, a person gives the path. With the stem's stride at 1 the
network keeps full resolution at the first map, for a U-Net's per-pixel features.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pointata_core.models.checkpoints.files import CheckpointError, read_checkpoint

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Basic blocks in each of the four stages, by depth."""

WIDTHS = (64, 128, 256, 512)
"""Channels of the four stages; the stem has as many as the first."""


class ResNetMaps(NamedTuple):
    """What each part of the encoder saw, each ``(B, C, h, w)``.

    ``stem`` is 64 wide at the stem's stride (before pooling); ``layer1`` to ``layer4`` are 64, 128,
    256 and 512 wide at 2, 4, 8 and 16 times that stride.
    """

    stem: Tensor
    layer1: Tensor
    layer2: Tensor
    layer3: Tensor
    layer4: Tensor


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    Args:
        in_channels: Channels coming in.
        out_channels: Channels going out.
        stride: Of the first convolution; the shortcut follows it by a 1x1 convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in, h, w) -> (B, out, h / stride, w / stride)``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nn.Module):
    """A residual encoder with an optional classifier.

    With 1000 classes and three image channels it has 11,689,512 (depth 18) or 21,797,672 (depth 34)
    parameters, as torchvision's.

    Args:
        depth: 18 or 34.
        classes: Classes of the linear classifier ``fc``; 0 leaves it out.
        stem_stride: Stride of the first convolution: 2 as published, 1 for full resolution.
        in_channels: Channels of the image.
        width: Channels of the stem; the stages have 1, 2, 4 and 8 times as many. Published weights
            fit 64 only.

    Raises:
        ValueError: Another depth.
    """

    def __init__(
        self,
        depth: int = 18,
        classes: int = 1000,
        stem_stride: int = 2,
        in_channels: int = 3,
        width: int = WIDTHS[0],
    ) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f'depth must be one of {sorted(BLOCKS)}, found {depth}')
        self.depth = depth
        widths = [width * w // WIDTHS[0] for w in WIDTHS]
        self.conv1 = nn.Conv2d(in_channels, widths[0], 7, stem_stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        first, second, third, fourth = BLOCKS[depth]
        self.layer1 = _stage(widths[0], widths[0], first, stride=1)
        self.layer2 = _stage(widths[0], widths[1], second, stride=2)
        self.layer3 = _stage(widths[1], widths[2], third, stride=2)
        self.layer4 = _stage(widths[2], widths[3], fourth, stride=2)
        self.fc = nn.Linear(widths[3], classes) if classes else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def stem(self, image: Tensor) -> Tensor:
        """First convolution, normalised: ``(B, C, H, W) -> (B, 64, H / stride, W / stride)``."""
        return torch.relu(self.bn1(self.conv1(image)))

    def maps(self, image: Tensor) -> ResNetMaps:
        """Return the maps of all stages of an image ``(B, C, H, W)``."""
        stem = self.stem(image)
        first = self.layer1(self.maxpool(stem))
        second = self.layer2(first)
        third = self.layer3(second)
        return ResNetMaps(stem, first, second, third, self.layer4(third))

    def forward(self, image: Tensor) -> Tensor:
        """Return class scores ``(B, classes)``, or the mean feature ``(B, 512)`` without ``fc``."""
        pooled = self.maps(image).layer4.mean(dim=(2, 3))
        return pooled if self.fc is None else self.fc(pooled)


def _stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    rest = [BasicBlock(out_channels, out_channels) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(in_channels, out_channels, stride), *rest)


def load_resnet_weights(network: ResNet, path: str | Path) -> None:
    """Fill an encoder with published weights; the network changes only if all of them fit.

    The file's classifier is left out where the network has none. Old files lack the batch counters
    of the normalisation layers, which nothing here reads.

    Args:
        network: The encoder to fill, in place.
        path: ``.pth`` as published for torchvision, or ``.safetensors``.

    Raises:
        CheckpointError: No such file, damaged, or weights of another network; names the tensor.
    """
    path = Path(path)
    weights = read_weights(path)
    if network.fc is None:
        weights = {k: v for k, v in weights.items() if k not in ('fc.weight', 'fc.bias')}
    own = network.state_dict()
    counters = {name for name in own if name.endswith('num_batches_tracked')}
    fix = f'Give the ImageNet weights of ResNet-{network.depth}'
    for problem, names in (
        ('lacks', sorted(own.keys() - weights.keys() - counters)),
        ('has the unknown tensor', sorted(weights.keys() - own.keys())),
    ):
        if names:
            more = f' and {len(names) - 1} more' if len(names) > 1 else ''
            raise CheckpointError(f'{path}: {problem} {names[0]!r}{more}', fix)
    for name, value in weights.items():
        if value.shape != own[name].shape:
            raise CheckpointError(
                f'{path}: {name!r} has shape {tuple(value.shape)}, '
                f'expected {tuple(own[name].shape)}',
                fix,
            )
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f'{path}: {name!r} holds values that are not finite', fix)
    network.load_state_dict({**own, **weights})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.safetensors`` or a checkpoint file.

    Raises:
        CheckpointError: No such file, or damaged.
    """
    if path.suffix != '.safetensors':
        return read_checkpoint(path)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f'{path}: found no readable safetensors file ({error})') from error
