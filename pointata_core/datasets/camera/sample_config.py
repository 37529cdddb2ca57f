# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How frames become samples, as plain data: a command line lists it without loading arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pointata_core.errors import ConfigError


@dataclass(frozen=True)
class SampleConfig:
    """How a frame becomes a sample.

    Args:
        voxel_m: Edge of a voxel, metres.
        grid: Voxels along each axis.
        resize: Width and height of the image, or None to leave it.
        bottom_crop: Width and height of a crop from the image's lower edge at a random place, or
            None. Not together with ``resize``.
        crop_points: A crop counts only with more points than this.
        points: Points drawn from each frame, or None for all.
        noise: Standard deviation of what is added to each entry of the rotation.
        flip_axis: Axis that is mirrored half of the time, or None.
        rotate: Turn about the vertical by any angle.
        shift: Move within the grid at random; else the cloud starts at its corner.
        jitter: Largest change of brightness, contrast and saturation.
        mirror: Mirror the image half of the time; points stay, they are linked by index.

    Raises:
        ConfigError: A value out of range.
    """

    voxel_m: float = 0.05
    grid: int = 4096
    resize: tuple[int, int] | None = None
    bottom_crop: tuple[int, int] | None = None
    crop_points: int = 100
    points: int | None = None
    noise: float = 0.1
    flip_axis: Literal['x', 'y'] | None = 'y'
    rotate: bool = True
    shift: bool = True
    jitter: float = 0.4
    mirror: bool = True

    def __post_init__(self) -> None:
        if not self.voxel_m > 0 or self.grid < 1 or self.noise < 0:
            raise ConfigError('voxel_m and grid must be positive, noise at least 0')
        if not 0 <= self.jitter < 1:
            raise ConfigError(f'jitter is {self.jitter}, expected 0 to 1')
        if self.resize and self.bottom_crop:
            raise ConfigError(
                'resize and bottom_crop exclude each other', 'Set one of them to null'
            )
        if self.points is not None and self.points < 1:
            raise ConfigError(f'points is {self.points}, expected at least 1')

    def without_chance(self) -> SampleConfig:
        """For evaluation: whole images, all points, nothing random."""
        return replace(
            self, bottom_crop=None, points=None, noise=0.0, flip_axis=None, rotate=False,
            shift=False, jitter=0.0, mirror=False,
        )  # fmt: skip


PUBLISHED = {
    'nuscenes_lidarseg': SampleConfig(resize=(400, 225), flip_axis='x'),
    'semantickitti': SampleConfig(bottom_crop=(480, 302)),
    'a2d2': SampleConfig(resize=(480, 302)),
    'virtual_kitti': SampleConfig(bottom_crop=(480, 302), points=10_000),
    'simulated': SampleConfig(resize=(320, 192)),
}
"""Settings for training, by data set; for our own simulator, images as they are."""
