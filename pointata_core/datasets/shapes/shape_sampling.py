# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes as stage 1 takes them: a balanced choice, few points each, in the unit sphere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import Description, Frame, FrameDataset
from pointata_core.datasets.sampling import choose_points, generator_for
from pointata_core.errors import ConfigError


class ShapeDataset(FrameDataset, Protocol):
    """Shapes whose classes are known before any of them is read.

    Attributes:
        categories: (S,) int64, class of every shape.
    """

    categories: NDArray[np.int64]


class SampledShapes:
    """Some shapes of a data set, each with a fixed number of points in the unit sphere.

    Choices depend on the seed and, for points, on the epoch and the number of the shape only.

    Args:
        shapes: Where they come from.
        points: Points of each shape.
        limit: Largest number of shapes, dealt out evenly over the classes; None takes all.
        seed: Of both choices.

    Attributes:
        chosen: Numbers of the shapes in the data set they come from, sorted.
        epoch: Mixed into the choice of points.

    Raises:
        ConfigError: A number is below 1.
    """

    def __init__(
        self, shapes: ShapeDataset, points: int = 1024, limit: int | None = 5000, seed: int = 0
    ) -> None:
        if points < 1 or (limit is not None and limit < 1):
            raise ConfigError(f'points is {points} and limit is {limit}, expected 1 or more')
        self.shapes, self.points, self.seed, self.epoch = shapes, points, seed, 0
        self.name, self.split = shapes.name, shapes.split
        self.classes, self.feature_names = shapes.classes, shapes.feature_names
        self.chosen = stratified(shapes.categories, limit, np.random.default_rng(seed))
        self.categories = shapes.categories[self.chosen]

    def __len__(self) -> int:
        """Number of chosen shapes."""
        return len(self.chosen)

    def __getitem__(self, index: int) -> Frame:
        """Read, sample and normalise one shape.

        Raises:
            DataError: It cannot be read or has no points.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'shape {index} of {len(self)}')
        frame = self.shapes[int(self.chosen[index])]
        if not len(frame.points):
            raise DataError(f'{frame.name} has no points')
        generator = generator_for(self.seed, self.epoch, int(self.chosen[index]))
        rows = choose_points(len(frame.points), self.points, generator)
        return replace(
            frame,
            points=in_unit_sphere(frame.points[rows]),
            features=None if frame.features is None else frame.features[rows],
            labels=None if frame.labels is None else frame.labels[rows],
        )

    def describe(self) -> Description:
        """Count of the whole data set, and how many shapes of it were chosen."""
        whole = self.shapes.describe()
        return replace(whole, notes=(*whole.notes, f'{len(self)} shapes are chosen'))

    def verify(self) -> Iterator[DataError | None]:
        """Read every file of the data set."""
        return self.shapes.verify()


def in_unit_sphere(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the mean of points (N, 3) and divide by the largest distance from it."""
    centred = points - points.mean(axis=0, dtype=np.float64)
    radius = np.linalg.norm(centred, axis=1).max()
    # A single point, or many in one place, have no size: they stay at the origin.
    return (centred / radius if radius > 0 else centred).astype(np.float32)


def stratified(
    categories: NDArray[np.int64], limit: int | None, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Choose at most ``limit`` of some wholes, from all classes as evenly as they allow.

    Args:
        categories: (S,) class of each.
        limit: Largest number; None takes all.
        generator: Source of randomness.

    Returns:
        Sorted indices.
    """
    if limit is None or limit >= len(categories):
        return np.arange(len(categories))
    # Deal: the first of every class, then the second of every class, and so on.
    order = generator.permutation(len(categories))
    turn = np.empty(len(categories), np.int64)
    for category in np.unique(categories):
        own = order[categories[order] == category]
        turn[own] = np.arange(len(own))
    dealt = order[np.argsort(turn[order], kind='stable')]
    return np.sort(dealt[:limit])
