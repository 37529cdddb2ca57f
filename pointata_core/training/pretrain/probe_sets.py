# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled clouds to probe features with: held-out procedural families, or public data sets."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.registry import dataset_info
from pointata_core.datasets.shapes.shape_sampling import SampledShapes
from pointata_core.datasets.shapes.shapenet_part import PART_COUNTS
from pointata_core.errors import ConfigError
from pointata_core.shapes import FAMILIES, Shape, sample_surface
from pointata_core.shapes.rendering import procedural_sources
from pointata_core.training.pretrain.splits import HELD_OUT_FAMILIES, PROBE_SEED

PROCEDURAL = ('procedural', 'procedural_scans')
_NOISE = 0.02  # standard deviation, of the unit sphere's radius


@dataclass(frozen=True, eq=False)
class LabelledClouds:
    """S clouds of equally many points with a class each.

    Attributes:
        points: ``(S, N, 3)`` float32 inside the unit sphere.
        label: ``(S,)`` int64.
        classes: Names.
        part: ``(S, N)`` int64 part of each point, counted on from class to class; None if unknown.
        parts_of_class: The parts that each class can have.
    """

    points: NDArray[np.float32]
    label: NDArray[np.int64]
    classes: tuple[str, ...]
    part: NDArray[np.int64] | None = None
    parts_of_class: tuple[range, ...] = ()

    def __len__(self) -> int:
        """Number of clouds S."""
        return len(self.label)


def procedural_clouds(
    per_family: int,
    points: int,
    *,
    seed: int = 0,
    families: Sequence[str] = HELD_OUT_FAMILIES,
    scanned: bool = False,
) -> LabelledClouds:
    """Draw shapes of families that pre-training does not use.

    Args:
        per_family: Shapes of each family.
        points: Points N of each.
        seed: Offset of the seeds; sets share no shape if theirs differ by ``per_family`` or more.
        families: Which.
        scanned: As a scanner would see them: one side alone, with noise.

    Every shape is turned about the vertical by a random angle.
    """
    clouds, parts = [], []
    parts_of = consecutive([len(FAMILIES[family].parts) for family in families])
    sources = procedural_sources(per_family * len(families), PROBE_SEED + seed, families)
    for source in sources:
        shape = source.load()
        rng = np.random.default_rng([zlib.crc32(shape.name.encode()), 1])
        if scanned:
            cloud, part = _scan(shape, points, rng)
        else:
            samples = sample_surface(shape, points, rng)
            cloud, part = samples.points, samples.part
        parts.append(part.astype(np.int64) + parts_of[families.index(source.family)].start)
        angle = rng.uniform(-np.pi, np.pi)
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float32)
        clouds.append(cloud @ turn.T)
    label = np.array([families.index(source.family) for source in sources])
    return LabelledClouds(np.stack(clouds), label, tuple(families), np.stack(parts), parts_of)


def consecutive(counts: Sequence[int]) -> tuple[range, ...]:
    """Ranges of these lengths, one behind the other from zero."""
    ends = np.cumsum(counts).tolist()
    return tuple(range(end - count, end) for end, count in zip(ends, counts, strict=True))


def _scan(
    shape: Shape, points: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Points of the faces that a distant viewer sees the front of, disturbed, scaled again."""
    samples = sample_surface(shape, 8 * points, rng)
    angle, height = rng.uniform(-np.pi, np.pi), rng.uniform(-0.2, 0.8)
    level = np.sqrt(1 - height**2)
    towards = np.array([level * np.cos(angle), level * np.sin(angle), height], np.float32)
    front = np.flatnonzero(samples.normals @ towards > 0.1)
    chosen = rng.choice(front, points, replace=len(front) < points)
    cloud = samples.points[chosen] + _NOISE * rng.standard_normal((points, 3))
    cloud -= (cloud.max(axis=0) + cloud.min(axis=0)) / 2
    scaled = cloud / np.linalg.norm(cloud, axis=1).max()
    return scaled.astype(np.float32), samples.part[chosen]


def dataset_clouds(
    name: str, root: str | Path, split: str, points: int, limit: int | None = None
) -> LabelledClouds:
    """Read clouds of ModelNet40 or ScanObjectNN, centred and scaled to the unit sphere.

    Args:
        name: As ``pointata data list`` names it.
        root: Its folder.
        split: ``train`` or ``test``.
        points: Points of each.
        limit: Largest number of shapes, dealt out over the classes.

    Raises:
        ConfigError: The data set has no category per cloud.
    """
    dataset: Any = dataset_info(name).open(root, split)
    if not hasattr(dataset, 'categories'):
        raise ConfigError(
            f'{name} does not name a class for each cloud', 'Choose modelnet40 or scanobjectnn'
        )
    shapes = SampledShapes(dataset, points, limit)
    frames = [shapes[index] for index in range(len(shapes))]
    clouds, label = np.stack([frame.points for frame in frames]), np.asarray(shapes.categories)
    if name != 'shapenet_part':
        return LabelledClouds(clouds, label, tuple(dataset.classes))
    part = np.stack([frame.labels for frame in frames if frame.labels is not None])
    parts_of = consecutive(list(PART_COUNTS.values()))
    return LabelledClouds(clouds, label, tuple(dataset.category_names), part, parts_of)
