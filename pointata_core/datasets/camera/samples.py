# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames as a network takes them: resized or cropped images, voxel coordinates, augmentation.

As published with xMUDA and FtD++, except that points outside of the voxel grid are dropped
together with their pixels and labels, and that a frame of which no crop holds enough points gives
way to another one instead of entering half cropped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.camera.frames import CameraFrame, CameraFrames, resize_image
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.datasets.errors import DataError
from pointata_core.taxonomy import IGNORE

_TRIES = 10


@dataclass(frozen=True, eq=False)
class CameraSample:
    """One frame for a network.

    Attributes:
        name: Of the frame.
        image: (3, H, W) float32 in [0, 1], or None where there is no camera.
        pixels: (N, 2) int64 row and column.
        coordinates: (N, 3) int64 voxels in [0, grid).
        labels: (N,) int64, or None.
        source: (N,) int64, which point of the frame each one was.
        image_pseudo_labels: (N,) int64, or None.
        cloud_pseudo_labels: (N,) int64, or None.
    """

    name: str
    image: NDArray[np.float32] | None
    pixels: NDArray[np.int64]
    coordinates: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    source: NDArray[np.int64]
    image_pseudo_labels: NDArray[np.int64] | None = None
    cloud_pseudo_labels: NDArray[np.int64] | None = None


class LabelSource(Protocol):
    """Where pseudo-labels of a frame come from."""

    def labels(self, frame: str, points: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Labels of the 2D and the 3D branch, one for each of the frame's points."""
        ...


class CameraSamples:
    """Samples of a data set, by number: a map-style data set as torch's loaders take it.

    Attributes:
        epoch: Random choices are keyed by (seed, epoch, number of the sample).

    Args:
        frames: The data set.
        config: How a frame becomes a sample.
        seed: Of all choices.
        pseudo_labels: Their source, or None.
    """

    def __init__(
        self,
        frames: CameraFrames,
        config: SampleConfig,
        seed: int = 0,
        pseudo_labels: LabelSource | None = None,
    ) -> None:
        self.frames, self.config, self.seed = frames, config, seed
        self.pseudo_labels = pseudo_labels
        self.epoch = 0

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def __getitem__(self, index: int) -> CameraSample:
        """Make one sample of this epoch; see ``draw``."""
        return self.draw(index, self.epoch)

    def draw(self, index: int, turn: int) -> CameraSample:
        """Make one sample by choices that depend on (seed, turn, index) alone.

        Raises:
            DataError: A file is bad, or ten frames in a row have no crop with enough points.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng((self.seed, turn, index))
        for _ in range(_TRIES):
            frame = self.frames.frame(index, rng)
            sample = make_sample(frame, self.config, rng)
            if sample is not None:
                return self._with_pseudo_labels(sample, len(frame.points))
            index = int(rng.integers(len(self)))
        raise DataError(
            f'{self.frames.name}: {_TRIES} frames in a row have no crop with more than '
            f'{self.config.crop_points} points',
            'Give a larger crop or a smaller crop_points',
        )

    def _with_pseudo_labels(self, sample: CameraSample, points: int) -> CameraSample:
        if self.pseudo_labels is None:
            return sample
        image, cloud = self.pseudo_labels.labels(sample.name, points)
        return replace(
            sample,
            image_pseudo_labels=image[sample.source],
            cloud_pseudo_labels=cloud[sample.source],
        )


def make_sample(
    frame: CameraFrame, config: SampleConfig, rng: np.random.Generator
) -> CameraSample | None:
    """Make a sample of a frame; None where no crop holds enough points, or the grid none."""
    chosen = np.arange(len(frame.points))
    if config.points is not None and config.points < len(chosen):
        chosen = np.sort(rng.choice(len(chosen), config.points, replace=False))
    image, pixels = frame.image, frame.pixels[chosen]
    if image is None:
        pixels = np.zeros_like(pixels)
    elif config.bottom_crop is not None:
        crop = _bottom_crop(image, pixels, config.bottom_crop, config.crop_points, rng)
        if crop is None:
            return None
        image, pixels, kept = crop
        chosen = chosen[kept]
    elif config.resize is not None:
        image, pixels = _resized(image, pixels, *config.resize)
    rounded = np.floor(pixels).astype(np.int64)
    colours = None
    if image is not None:
        colours, rounded = _image(image, rounded, config, rng)
    coordinates, inside = voxelise(frame.points[chosen], config, rng)
    if not inside.any():
        return None
    labels = None if frame.labels is None else frame.labels[chosen][inside]
    return CameraSample(
        frame.name,
        colours,
        rounded[inside],
        coordinates[inside],
        labels,
        chosen[inside],
    )


def voxelise(
    points: NDArray, config: SampleConfig, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Turn, mirror, scale and shift points onto the grid.

    Args:
        points: (N, 3) metres.
        config: How.
        rng: Of all choices.

    Returns:
        (N, 3) int64 voxels, and (N,) bool: those in [0, grid).
    """
    matrix = np.eye(3) + config.noise * rng.standard_normal((3, 3))
    if config.flip_axis is not None:
        axis = 'xy'.index(config.flip_axis)
        matrix[axis, axis] *= rng.choice([-1, 1])
    if config.rotate:
        angle = rng.uniform(0, 2 * np.pi)
        sine, cosine = np.sin(angle), np.cos(angle)
        matrix = matrix @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    scaled = points.astype(np.float64) @ matrix / config.voxel_m
    if len(scaled):
        scaled -= scaled.min(axis=0)
        if config.shift:
            # A cloud that is too large is moved the other way, so that another part is cut off.
            scaled += (config.grid - 1e-3 - scaled.max(axis=0)) * rng.random(3)
    voxels = np.floor(scaled).astype(np.int64)
    return voxels, np.all((voxels >= 0) & (voxels < config.grid), axis=1)


def class_counts(frames: CameraFrames) -> NDArray[np.int64]:
    """Labelled points of each class over a whole split, (K,), for class weights."""
    counts = np.zeros(len(frames.classes), np.int64)
    for index in range(len(frames)):
        labels = frames[index].labels
        if labels is not None:
            counts += np.bincount(labels[labels != IGNORE], minlength=len(counts))
    return counts


def _bottom_crop(
    image: NDArray,
    pixels: NDArray,
    size: tuple[int, int],
    least_points: int,
    rng: np.random.Generator,
) -> tuple[NDArray, NDArray, NDArray[np.bool_]] | None:
    height, width = image.shape[:2]
    across, down = size
    if across > width or down > height:
        raise DataError(
            f'a crop of {across} x {down} does not fit an image of {width} x {height}',
            'Give a smaller bottom_crop',
        )
    top = height - down
    for _ in range(_TRIES):
        left = int(rng.integers(width - across + 1))
        row, column = pixels[:, 0] - top, pixels[:, 1] - left
        kept = (row >= 0) & (row < down) & (column >= 0) & (column < across)
        if kept.sum() > least_points:
            cut = image[top:, left : left + across]
            return cut, np.stack([row[kept], column[kept]], axis=1), kept
    return None


def _image(
    image: NDArray[np.uint8], rounded: NDArray, config: SampleConfig, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray]:
    """The image (3, H, W) with random colours and mirroring, and the pixels of the points."""
    colours = _jittered(image.astype(np.float32) / np.float32(255), config.jitter, rng)
    if config.mirror and rng.random() < 0.5:
        colours = colours[:, ::-1]
        rounded[:, 1] = colours.shape[1] - 1 - rounded[:, 1]
    return np.ascontiguousarray(colours.transpose(2, 0, 1)), rounded


def _resized(image: NDArray, pixels: NDArray, width: int, height: int) -> tuple[NDArray, NDArray]:
    # Pixels are floored first: scaling the exact place would name the neighbour now and then.
    scale = np.array([height / image.shape[0], width / image.shape[1]])
    return resize_image(image, width, height), np.floor(pixels) * scale


def _jittered(
    image: NDArray[np.float32], most: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change brightness, contrast and saturation, in random order, by factors around 1."""
    if not most:
        return image
    factors = rng.uniform(1 - most, 1 + most, 3).astype(np.float32)
    for kind in rng.permutation(3):
        image = np.clip(_CHANGES[kind](image, factors[kind]), 0, 1)
    return image


def _grey(image: NDArray) -> NDArray:
    return (image @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]


_CHANGES = (
    lambda image, factor: image * factor,
    lambda image, factor: (image - _grey(image).mean()) * factor + _grey(image).mean(),
    lambda image, factor: (image - _grey(image)) * factor + _grey(image),
)
