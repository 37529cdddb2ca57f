# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every data set gives: clips or frames, class names, and counts that can be checked.

Points are metres, x right, y down, z forward for depth cameras (ROS's optical frame), x forward,
y left, z up for LiDAR, unless the data set's entry in the registry states other axes. Clouds keep
all their points, or as many as the sampling selects: a clip is a list of ragged arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError


@dataclass(frozen=True, eq=False)
class Clip:
    """Some frames of one recording, in order of time, with what is known about them.

    Args:
        points: T arrays (N_t, 3) float32, metres; N_t may be 0.
        name: Which clip, unique in its data set.
        features: T arrays (N_t, C) float32; columns as in ``feature_names``.
        labels: T arrays (N_t,) int64, class of every point or ``IGNORE``.
        action: Class of the whole clip.
        actions: (T,) int64, class of every frame or ``IGNORE``.
        sequence: Recording that the clip was cut from; clips of one video share it.
        split: Split of the data set that it belongs to.
        subject: Who is seen, in the data set's own numbering.
        frames: (T,) int64, number of each frame within the recording; a frame may occur twice.
        valid: (T,) bool, false where an empty frame was filled with the points of another one.
            None when all frames are their own.
        times_s: (T,) float64 seconds, where the data set has them.
        poses: (T, 4, 4) float64, sensor to world, where the data set has them.

    Raises:
        ValueError: Lengths or shapes disagree.
    """

    points: Sequence[NDArray[np.float32]]
    name: str
    features: Sequence[NDArray[np.float32]] | None = None
    labels: Sequence[NDArray[np.int64]] | None = None
    action: int | None = None
    actions: NDArray[np.int64] | None = None
    sequence: str = ''
    split: str = ''
    subject: str | None = None
    frames: NDArray[np.int64] | None = None
    valid: NDArray[np.bool_] | None = None
    times_s: NDArray[np.float64] | None = None
    poses: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        counts = [_cloud_size(cloud) for cloud in self.points]
        for name in ('features', 'labels'):
            per_point = getattr(self, name)
            if per_point is not None and [len(rows) for rows in per_point] != counts:
                raise ValueError(f'{self.name}: {name} do not have one row for every point')
        for name in ('actions', 'frames', 'valid', 'times_s', 'poses'):
            per_frame = getattr(self, name)
            if per_frame is not None and len(per_frame) != len(counts):
                raise ValueError(f'{self.name}: {len(per_frame)} {name} for {len(counts)} frames')

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.points)


@dataclass(frozen=True, eq=False)
class Frame:
    """One cloud or shape.

    Args:
        points: (N, 3) float32.
        name: Which one, unique in its data set.
        features: (N, C) float32.
        labels: (N,) int64, class of every point or ``IGNORE``.
        category: Class of the whole cloud, for data sets of shapes.
        sequence: Recording that it belongs to.
        split: Split of the data set.
        time_s: Seconds since the beginning of its recording.
        pose: (4, 4) float64, sensor to world.

    Raises:
        ValueError: Lengths or shapes disagree.
    """

    points: NDArray[np.float32]
    name: str
    features: NDArray[np.float32] | None = None
    labels: NDArray[np.int64] | None = None
    category: int | None = None
    sequence: str = ''
    split: str = ''
    time_s: float | None = None
    pose: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        count = _cloud_size(self.points)
        for name in ('features', 'labels'):
            rows = getattr(self, name)
            if rows is not None and len(rows) != count:
                raise ValueError(f'{self.name}: {len(rows)} {name} for {count} points')


@dataclass(frozen=True)
class Description:
    """What a data set on disk holds, for comparison with what was published.

    Args:
        name: Name in the registry.
        counts: Split -> what is counted (``videos``, ``clips``, ``frames``, ``shapes``, ...) -> how
            many. Keys match those of ``DatasetInfo.published``.
        per_class: Split -> class name -> how many (videos, shapes or clips; labelled wholes).
        missing: Files that the data set lists or that its naming scheme promises but that are not
            there.
        notes: Sentences worth reading beside the numbers.
        damaged: Errors of the files whose headers were read while listing.
    """

    name: str
    counts: Mapping[str, Mapping[str, int]]
    per_class: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


class _Dataset(Protocol):
    name: str
    split: str
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]

    def __len__(self) -> int: ...

    def describe(self) -> Description:
        """Counts of this split, from listings and headers: no file is read whole."""
        ...

    def verify(self) -> Iterator[DataError | None]:
        """Read every file of this split; yields after each one, None if it is whole."""
        ...


@runtime_checkable
class ClipDataset(_Dataset, Protocol):
    """Clips of one split, by number: a map-style data set as torch's loaders take it.

    Attributes:
        name: Name in the registry.
        split: The split that was opened.
        classes: Names; a label is an index into them.
        feature_names: Names of the columns of ``Clip.features``; empty if there are none.
    """

    def __getitem__(self, index: int) -> Clip: ...


@runtime_checkable
class FrameDataset(_Dataset, Protocol):
    """Single clouds of one split, by number; attributes as ``ClipDataset``."""

    def __getitem__(self, index: int) -> Frame: ...


def _cloud_size(points: NDArray) -> int:
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype != np.float32:
        raise ValueError(f'points are {points.dtype} {points.shape}, expected float32 (N, 3)')
    return len(points)
