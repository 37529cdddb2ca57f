# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The source in the target's style (MMST of FtD++): same content and labels, foreign looks.

Images take the target's low frequencies (FDA, Yang & Soatto, CVPR 2020) or a little of its image;
clouds are scaled to the target's density.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pointata_core.models.camera.camera_lidar import CameraLidarBatch
from pointata_core.training.domain.published import StyleConfig


def fourier_transfer(source: Tensor, target: Tensor, share: float = 0.1) -> Tensor:
    """Give the source the target's low-frequency amplitudes; its phases stay.

    Args:
        source: ``(B, C, H, W)``.
        target: The same shape.
        share: ``b = floor(share * min(H, W))``: the four corners of ``b x b`` of the spectrum
            are exchanged.

    Returns:
        ``(B, C, H, W)``, not clipped.

    Raises:
        ValueError: Shapes differ.
    """
    if source.shape != target.shape:
        raise ValueError(
            f'source and target images must have one shape, found {tuple(source.shape)} and '
            f'{tuple(target.shape)}'
        )
    edge = int(share * min(source.shape[-2:]))
    rows, columns = (torch.arange(size, device=source.device) for size in source.shape[-2:])
    low = ((rows < edge) | (rows >= len(rows) - edge)).unsqueeze(1)
    low = low & ((columns < edge) | (columns >= len(columns) - edge))
    spectrum = torch.fft.fft2(source)
    amplitude = torch.where(low, torch.fft.fft2(target).abs(), spectrum.abs())
    return torch.fft.ifft2(torch.polar(amplitude, spectrum.angle())).real


def mixup(source: Tensor, target: Tensor, share: float) -> Tensor:
    """``(1 - share) source + share target`` of equal shapes."""
    if source.shape != target.shape:
        raise ValueError(f'cannot mix images of {tuple(source.shape)} and {tuple(target.shape)}')
    return torch.lerp(source, target, share)


def density_scale(source: Tensor, target: Tensor) -> float:
    """Scale that gives a cloud the volume per point of another: ``(rho_s / rho_t) ** (-1/3)``.

    ``rho`` is the volume of the bounding box divided by the number of points. A flat or an empty
    cloud has no density; the scale is then 1.

    Args:
        source: ``(n, 3)`` voxel coordinates.
        target: ``(m, 3)`` voxel coordinates.
    """
    if not len(source) or not len(target):
        return 1.0
    of_source, of_target = (
        float((cloud.amax(dim=0) - cloud.amin(dim=0)).double().prod()) / len(cloud)
        for cloud in (source, target)
    )
    return (of_source / of_target) ** (-1 / 3) if min(of_source, of_target) > 0 else 1.0


def density_transfer(source: Tensor, target: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Scale each sample of a batch of clouds to the density of the other batch's.

    Args:
        source: ``(N, 4)`` int64 voxel x, y, z and sample.
        target: ``(M, 4)``, as many samples.
        grid: Voxels along each axis; a stretched cloud may have no room in it.

    Returns:
        ``(N, 4)`` int64 scaled and truncated coordinates, moved into the grid, and ``(N,)`` bool:
        which of them lie in it.
    """
    moved = source.clone()
    for sample in source[:, 3].unique().tolist():
        rows = source[:, 3] == sample
        other = target[target[:, 3] == sample, :3]
        scale = density_scale(source[rows, :3], other)
        places = (source[rows, :3].double() * scale).long()
        # A stretched cloud that sticks out of the grid is pushed back as far as it fits: to a
        # sparse network the position in the grid means nothing, but lost points do.
        outside = (places.amax(dim=0) - (grid - 1)).clamp(min=0)
        moved[rows, :3] = places - torch.minimum(outside, places.amin(dim=0))
    return moved, ((moved[:, :3] >= 0) & (moved[:, :3] < grid)).all(dim=1)


def stylise(
    source: CameraLidarBatch,
    target: CameraLidarBatch,
    config: StyleConfig,
    grid: int,
    generator: torch.Generator | None = None,
) -> tuple[CameraLidarBatch, Tensor]:
    """Make the stylised source for the teacher.

    The target has as many samples, and images of the same size.

    Returns:
        The batch, without labels, and ``(N,)`` bool: the selected points that it kept.
    """
    batch = replace(
        source,
        image=_restyled(source.image, target.image, config, generator),
        labels=None,
        image_pseudo_labels=None,
        cloud_pseudo_labels=None,
    )
    if not config.cloud:
        return batch, torch.ones_like(source.samples, dtype=torch.bool)
    coordinates, kept = density_transfer(source.coordinates, target.coordinates, grid)
    rows = source.selected
    selected = kept if rows is None else kept[rows]
    parts = selected.split([len(pixels) for pixels in source.pixels])
    batch = replace(
        batch,
        coordinates=coordinates[kept],
        features=source.features[kept],
        pixels=tuple(pixels[part] for pixels, part in zip(source.pixels, parts)),
        selected=None if rows is None else (kept.cumsum(0) - 1)[rows[selected]],
    )
    return batch, selected


def mixed_for_student(
    source: CameraLidarBatch, target: CameraLidarBatch, config: StyleConfig
) -> CameraLidarBatch:
    """The source as the student sees it, with ``student_share`` of the target's images."""
    if not config.student_share or source.image is None or target.image is None:
        return source
    return replace(source, image=mixup(source.image, target.image, config.student_share))


def _restyled(
    source: Tensor | None,
    target: Tensor | None,
    config: StyleConfig,
    generator: torch.Generator | None,
) -> Tensor | None:
    if source is None or target is None:
        return source
    style = config.image
    if style == 'either':
        style = 'fourier' if torch.rand((), generator=generator) < 0.5 else 'mixup'
    if style == 'fourier':
        return fourier_transfer(source, target)
    if style == 'mixup':
        return mixup(source, target, share=0.05)
    return source
