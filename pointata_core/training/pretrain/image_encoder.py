# SPDX-License-Identifier: Apache-2.0
"""The frozen image encoder: grey images in, one feature map and one vector out.

Pic@Point (Herzog and Suwelack, arXiv 2410.09519) takes a frozen ResNet-18. Its last map is 32
times coarser than the image, 7 x 7 at 224 pixels. Small images need finer maps: at stride s the
map is all stages from s on, the coarser ones repeated (hypercolumns, Hariharan et al., CVPR 2015),
which at stride 32 is the last stage alone, as published.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.errors import ConfigError
from pointata_core.models.camera.resnet import BLOCKS, WIDTHS, ResNet, load_resnet_weights
from pointata_core.models.checkpoints.files import CheckpointError

STRIDES = (4, 8, 16, 32)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as its weights expect


class ImageFeatures(NamedTuple):
    """``cells (P, C, h, h)`` and ``overall (P, 512)`` of P images."""

    cells: Tensor
    overall: Tensor


def normalise_images(grey: Tensor) -> Tensor:
    """Grey images ``(P, H, W)`` uint8 as the ``(P, 3, H, W)`` float input of a ResNet."""
    values = (grey.float() / 255).unsqueeze(1)
    mean, std = (torch.tensor(v, device=grey.device).view(1, 3, 1, 1) for v in (_MEAN, _STD))
    return (values - mean) / std


class FrozenImageEncoder(nn.Module):
    """A ResNet that gives features and never changes, batch statistics included.

    Args:
        trunk: The network; its classifier is not used.
        stride: Pixels per cell of the map: 4, 8, 16 or 32.
    """

    def __init__(self, trunk: ResNet, stride: int) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise ConfigError(f'map_stride is {stride}, expected one of {STRIDES}')
        self.trunk = trunk.requires_grad_(False).eval()
        self.first = STRIDES.index(stride)

    @property
    def width(self) -> int:
        """Channels C of the map."""
        return sum(WIDTHS[self.first :])

    def train(self, mode: bool = True) -> FrozenImageEncoder:
        """Stay in evaluation mode: batch statistics would drift otherwise."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, grey: Tensor) -> ImageFeatures:
        """Look at images ``(P, H, H)`` uint8."""
        stages = self.trunk.maps(normalise_images(grey))[1:]
        finest = stages[self.first]
        columns = [finest]
        columns += [
            F.interpolate(stage, size=finest.shape[-2:]) for stage in stages[self.first + 1 :]
        ]
        return ImageFeatures(torch.cat(columns, dim=1), stages[-1].mean(dim=(2, 3)))


def read_image_encoder(path: str | Path, stride: int) -> FrozenImageEncoder:
    """Read a frozen image encoder; its tensors decide whether it is a ResNet-18 or -34.

    Args:
        path: ``.safetensors`` of ``pretrain-image``, or ``.pth`` as published for torchvision.
        stride: Pixels per cell of the map.

    Raises:
        CheckpointError: No such file, damaged, or of neither network.
        ConfigError: There is no such stride.
    """
    failed: list[CheckpointError] = []
    for depth in BLOCKS:
        trunk = ResNet(depth, classes=0)
        try:
            load_resnet_weights(trunk, path)
        except CheckpointError as error:
            failed.append(error)
            continue
        return FrozenImageEncoder(trunk, stride)
    raise failed[0]
