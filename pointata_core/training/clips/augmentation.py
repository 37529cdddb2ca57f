# SPDX-License-Identifier: Apache-2.0
"""Other looks of the same clip, made before sampling and neighbour search.

Every frame of a clip is changed alike: what moves stays what moves. As the change comes first,
everything computed from it (voxels, tokens, frozen features) is what a live stream would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import ConfigError


@dataclass(frozen=True)
class AugmentationConfig:
    """How much a clip is changed.

    Args:
        up_axis: Vertical axis of the sensor frame: ``y`` for cameras, ``z`` for LiDAR and radar.
        rotation_deg: Largest rotation about the vertical, either way.
        tilt_deg: Largest rotation about the other two axes, either way.
        scale: Smallest and largest factor, drawn for every axis by itself.
        mirror: Whether to reflect half of the clips about the forward axis; wrong where left and
            right are classes.
        jitter_m: Standard deviation of noise on every point.
        keep: Smallest share of points that is kept.
    """

    up_axis: Literal['y', 'z'] = 'z'
    rotation_deg: float = 0.0
    tilt_deg: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    mirror: bool = False
    jitter_m: float = 0.0
    keep: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high:
            raise ConfigError(f'augmentation.scale is {self.scale}, expected 0 < low <= high')
        if not 0 < self.keep <= 1:
            raise ConfigError(f'augmentation.keep is {self.keep}, expected above 0, at most 1')


def draw_transform(config: AugmentationConfig, generator: np.random.Generator) -> NDArray:
    """Draw one linear map ``(3, 3)`` for a clip: rotations, then a factor for every axis."""
    up = 'xyz'.index(config.up_axis)
    matrix = np.eye(3)
    for axis in range(3):
        limit = config.rotation_deg if axis == up else config.tilt_deg
        matrix = _rotation(axis, np.deg2rad(generator.uniform(-limit, limit))) @ matrix
    factors = generator.uniform(*config.scale, size=3)
    if config.mirror and generator.random() < 0.5:
        # x points right in camera frames; forward in LiDAR frames, where y points left.
        factors[0 if config.up_axis == 'y' else 1] *= -1
    return matrix * factors[:, None]


def augment_frames(
    points: Sequence[NDArray],
    config: AugmentationConfig,
    generator: np.random.Generator,
    matrix: NDArray | None = None,
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.intp]]]:
    """Change the frames of a clip.

    Args:
        points: T arrays ``(N_t, 3)`` metres.
        config: How much.
        generator: Source of randomness.
        matrix: Of :func:`draw_transform`, where the caller has drawn it.

    Returns:
        The changed frames, and for each the rows of the original that it kept.
    """
    matrix = draw_transform(config, generator) if matrix is None else matrix
    matrix = matrix.astype(np.float32)
    changed, kept = [], []
    for cloud in points:
        rows = np.arange(len(cloud))
        if config.keep < 1 and len(cloud):
            share = generator.uniform(config.keep, 1.0)
            count = max(1, round(share * len(cloud)))
            rows = np.sort(generator.choice(len(cloud), count, replace=False))
        moved = cloud[rows] @ matrix.T
        if config.jitter_m:
            noise = generator.normal(0.0, config.jitter_m, moved.shape)
            moved = moved + noise.astype(np.float32)
        changed.append(np.ascontiguousarray(moved, dtype=np.float32))
        kept.append(rows)
    return changed, kept


def _rotation(axis: int, angle: float) -> NDArray:
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix
