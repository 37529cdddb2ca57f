# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An image and the LiDAR points that it shows, and data sets of such frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.camera.class_maps import task_named, to_classes
from pointata_core.datasets.camera.projection import visible
from pointata_core.datasets.errors import DataError, damaged, missing


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """One image with the points that lie in it.

    Args:
        name: Which one, unique in its data set.
        image: (H, W, 3) uint8, or None where there is no camera.
        points: (N, 3) float32 metres in the LiDAR's frame: x forward, y left, z up.
        pixels: (N, 2) float32 row and column, in the image; without a meaning where there is
            none.
        labels: (N,) int64 raw ids of the data set or, from ``CameraFrames``, classes of the task;
            None without labels.

    Raises:
        ValueError: Shapes disagree, or a pixel lies outside of the image.
    """

    name: str
    image: NDArray[np.uint8] | None
    points: NDArray[np.float32]
    pixels: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        count = len(self.points)
        if self.points.shape != (count, 3) or self.pixels.shape != (count, 2):
            raise ValueError(
                f'{self.name}: points {self.points.shape} and pixels {self.pixels.shape}'
            )
        if self.labels is not None and self.labels.shape != (count,):
            raise ValueError(f'{self.name}: {len(self.labels)} labels for {count} points')
        if self.image is None:
            return
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f'{self.name}: the image is {self.image.dtype} {self.image.shape}')
        row, column = self.pixels[:, 0], self.pixels[:, 1]
        height, width = self.image.shape[:2]
        if not ((row >= 0) & (row < height) & (column >= 0) & (column < width)).all():
            raise ValueError(f'{self.name}: a pixel lies outside of {height} x {width}')


Reader = Callable[[np.random.Generator], CameraFrame]


class CameraFrames:
    """Frames of one split, by number; labels are classes of the task.

    Args:
        name: Of the data set.
        split: Which one.
        task: Name in `class_maps.tasks()`.
        label_set: Whose ids the raw labels are.
        readers: Frame names and functions that read them, in order. A reader may draw at random,
            such as the weather of an image, from its generator.

    Raises:
        ConfigError: The task does not fit the labels.
    """

    def __init__(
        self,
        name: str,
        split: str,
        task: str,
        label_set: str,
        readers: Sequence[tuple[str, Reader]],
    ) -> None:
        to_classes(np.zeros(0, np.int64), task, label_set)
        self.name, self.split, self.task, self.label_set = name, split, task, label_set
        self.classes = task_named(task).classes
        self._readers = list(readers)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._readers)

    def __getitem__(self, index: int) -> CameraFrame:
        """Read one frame, without chance."""
        return self.frame(index, np.random.default_rng(0))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all frames, in order."""
        return tuple(name for name, _ in self._readers)

    def without_images(self) -> CameraFrames:
        """The same frames as a LiDAR alone has them."""
        readers = [(name, partial(_blind, reader)) for name, reader in self._readers]
        return CameraFrames(self.name, self.split, self.task, self.label_set, readers)

    def frame(self, index: int, rng: np.random.Generator) -> CameraFrame:
        """Read one frame.

        Raises:
            DataError: A file is missing, cut, or not what its name promises.
        """
        raw = self.raw_frame(index, rng)
        if raw.labels is None:
            return raw
        labels = to_classes(raw.labels, self.task, self.label_set)
        return CameraFrame(raw.name, raw.image, raw.points, raw.pixels, labels)

    def raw_frame(self, index: int, rng: np.random.Generator) -> CameraFrame:
        """As ``frame``, with labels as they lie in the files."""
        return self._readers[index][1](rng)


def _blind(reader: Reader, rng: np.random.Generator) -> CameraFrame:
    return replace(reader(rng), image=None)


def seen(
    name: str,
    image: NDArray[np.uint8],
    points: NDArray,
    pixels: NDArray,
    labels: NDArray | None = None,
) -> CameraFrame:
    """Make a frame of those points whose pixels lie in the image (N rows in all)."""
    # Rounding to float32 may carry a pixel over the edge, so it comes first.
    pixels = pixels.astype(np.float32)
    kept = visible(pixels, *image.shape[:2])
    return CameraFrame(
        name,
        image,
        np.ascontiguousarray(points[kept], dtype=np.float32),
        np.ascontiguousarray(pixels[kept]),
        None if labels is None else labels[kept].astype(np.int64),
    )


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image, (H, W, 3) uint8.

    Raises:
        DataError: It is missing, damaged, or pillow is not installed.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise DataError(
            'images need the package pillow', 'Install it: pip install pillow'
        ) from error
    if not path.is_file():
        raise missing(path, 'an image')
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert('RGB'))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise damaged(path, error, 'an image') from error


def resize_image(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize (H, W, 3) uint8 by area-aware linear interpolation."""
    from PIL import Image

    if image.shape[:2] == (height, width):
        return image
    size = (width, height)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
