# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera and LiDAR network of FtD++: two backbones, a fusion between them, four heads.

Each sensor has a main head, which predicts, and a mimic head, which learns from the other sensor's
prediction. Only the camera's main head reads the fusion; without it the network is that of xMUDA
(Jaritz et al., CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pointata_core.models.camera.fusion import AttentionScope, FusionModule
from pointata_core.models.camera.image_unet import ImageUNet, gather_pixels
from pointata_core.models.camera.sparse_unet import GRID, PLANES, SparseUNet
from pointata_core.ops.sparse import Backend


@dataclass(frozen=True, eq=False)
class CameraLidarBatch:
    """Samples of an image and the points that it sees.

    Attributes:
        image: ``(B, 3, H, W)`` float, normally in [0, 1], without normalisation; None without a
            camera.
        pixels: B tensors ``(n_i, 2)`` int64, row and column of each point with a prediction.
        coordinates: ``(M, 4)`` int64: voxel x, y, z, and sample; samples one after the other.
        features: ``(M, C)`` float, a constant 1 in the reference.
        labels: ``(N,)`` int64, -100 where unknown; None without labels.
        image_pseudo_labels: ``(N,)`` int64 as the 2D branch gave them, or None.
        cloud_pseudo_labels: ``(N,)`` int64 as the 3D branch gave them, or None.
        selected: ``(N,)`` int64, ascending: which of the M points get predictions; the others are
            input of the sparse network alone. None for all, with N = M.
    """

    image: Tensor | None
    pixels: tuple[Tensor, ...]
    coordinates: Tensor
    features: Tensor
    labels: Tensor | None = None
    image_pseudo_labels: Tensor | None = None
    cloud_pseudo_labels: Tensor | None = None
    selected: Tensor | None = None

    def __post_init__(self) -> None:
        points = sum(len(rows) for rows in self.pixels)
        per_point = ['labels', 'image_pseudo_labels', 'cloud_pseudo_labels']
        per_point += ['coordinates', 'features'] if self.selected is None else ['selected']
        for name in per_point:
            rows = getattr(self, name)
            if rows is not None and len(rows) != points:
                raise ValueError(f'{name} has {len(rows)} rows for {points} pixels')
        if self.image is not None and len(self.pixels) != len(self.image):
            raise ValueError(f'found pixels of {len(self.pixels)} for {len(self.image)} images')

    @property
    def samples(self) -> Tensor:
        """``(N,)`` sample of each point with a prediction."""
        samples = self.coordinates[:, 3]
        return samples if self.selected is None else samples[self.selected]

    def to(self, device: torch.device | str) -> CameraLidarBatch:
        """Return a copy on another device."""
        moved = {
            name: value.to(device) for name, value in vars(self).items() if torch.is_tensor(value)
        }
        return replace(self, pixels=tuple(rows.to(device) for rows in self.pixels), **moved)


@dataclass(frozen=True, eq=False)
class CameraLidarOutput:
    """Class scores before softmax, each ``(N, K)``.

    Attributes:
        image: Main head of the camera; has seen the fusion where there is one. None without an
            image.
        image_mimic: Mimic head of the camera, which has not; None likewise.
        cloud: Main head of the LiDAR.
        cloud_mimic: Mimic head of the LiDAR.
    """

    image: Tensor | None
    image_mimic: Tensor | None
    cloud: Tensor
    cloud_mimic: Tensor

    def rows(self, chosen: Tensor) -> CameraLidarOutput:
        """Scores of some of the points: indices, or ``(N,)`` bool."""
        return CameraLidarOutput(
            None if self.image is None else self.image[chosen],
            None if self.image_mimic is None else self.image_mimic[chosen],
            self.cloud[chosen],
            self.cloud_mimic[chosen],
        )

    @property
    def ensemble(self) -> Tensor:
        """Mean of both main heads' probabilities, ``(N, K)``: the cross-modal prediction."""
        if self.image is None:
            return self.cloud.softmax(dim=1)
        return (self.image.softmax(dim=1) + self.cloud.softmax(dim=1)) / 2


class ImageHeads(nn.Module):
    """Main and mimic head on pixel features.

    Args:
        channels: Of the pixel features.
        fused: Of the fusion; 0 where there is none, and the main head then reads pixels alone.
        classes: K.
    """

    def __init__(self, channels: int, fused: int, classes: int) -> None:
        super().__init__()
        self.project = nn.Linear(fused, channels) if fused else None
        self.join = nn.Linear(2 * channels, channels) if fused else None
        self.main = nn.Linear(channels, classes)
        self.mimic = nn.Linear(channels, classes)

    def forward(self, pixels: Tensor, fused: Tensor | None) -> tuple[Tensor, Tensor]:
        """``(N, channels)`` and ``(N, fused)`` to main and mimic scores ``(N, K)``."""
        joined = pixels
        if self.project is not None and self.join is not None and fused is not None:
            joined = self.join(torch.cat([pixels, torch.relu(self.project(fused))], dim=1))
        return self.main(joined), self.mimic(pixels)


class CameraLidarNetwork(nn.Module):
    """Images and clouds to four sets of class scores.

    With six classes and the fusion it has 26,421,999 parameters.

    Args:
        classes: K, at least 2.
        fusion: With MFFM (FtD++) or without it (xMUDA).
        depth: Of the image encoder, 34 or 18.
        width: Of the image network, a multiple of 8.
        planes: Channels of the sparse U-Net's levels.
        grid: Voxels along each axis.
        in_channels: Features per point.
        attention_scope: See `models.fusion`.
        backend: Of the sparse convolutions.

    Raises:
        ValueError: Fewer than two classes, or a value that a part refuses.
    """

    def __init__(
        self,
        classes: int,
        *,
        fusion: bool = True,
        depth: int = 34,
        width: int = 64,
        planes: Sequence[int] = PLANES,
        grid: int = GRID,
        in_channels: int = 1,
        attention_scope: AttentionScope = 'sample',
        backend: Backend = 'torch',
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f'classes must be at least 2, found {classes}')
        self.classes = classes
        self.image_net = ImageUNet(depth, width=width)
        self.cloud_net = SparseUNet(in_channels, planes, grid, backend)
        pixel, point = self.image_net.out_channels, self.cloud_net.out_channels
        self.fusion = FusionModule(pixel, point, attention_scope) if fusion else None
        fused = self.fusion.out_channels if self.fusion is not None else 0
        self.image_heads = ImageHeads(pixel, fused, classes)
        self.cloud_main = nn.Linear(point, classes)
        self.cloud_mimic = nn.Linear(point, classes)

    def forward(self, batch: CameraLidarBatch) -> CameraLidarOutput:
        """Predict every point; without an image, by the LiDAR's heads alone."""
        cloud = self.cloud_net(batch.coordinates, batch.features)
        if batch.selected is not None:
            cloud = cloud[batch.selected]
        if batch.image is None:
            return CameraLidarOutput(None, None, self.cloud_main(cloud), self.cloud_mimic(cloud))
        maps = self.image_net(batch.image)
        fused = None if self.fusion is None else self.fusion(maps, cloud, batch.pixels)
        image, image_mimic = self.image_heads(gather_pixels(maps, batch.pixels), fused)
        return CameraLidarOutput(
            image, image_mimic, self.cloud_main(cloud), self.cloud_mimic(cloud)
        )

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by branch: ``image``, ``cloud`` and, where there is one, ``fusion``."""
        groups = {
            'image': [*self.image_net.parameters(), *self.image_heads.parameters()],
            'cloud': [
                *self.cloud_net.parameters(),
                *self.cloud_main.parameters(),
                *self.cloud_mimic.parameters(),
            ],
        }
        if self.fusion is not None:
            groups['fusion'] = list(self.fusion.parameters())
        return groups
