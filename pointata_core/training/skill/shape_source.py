# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled features of 3D shapes: the target of the ``align`` stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.shapes.shape_sampling import SampledShapes, ShapeDataset, in_unit_sphere
from pointata_core.errors import ConfigError
from pointata_core.models.point.align_embedder import AlignEmbedder
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.training.skill.settings import AlignSettings

_BATCH = 32


@dataclass(frozen=True)
class LabelledFeatures:
    """Pooled features with classes.

    Args:
        features: ``(n, D)`` float32.
        labels: ``(n,)`` int64.
        classes: Names.
        extent: How far the points of their patches lie from the centre, on average.
    """

    features: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    extent: float


@torch.no_grad()
def source_features(
    backbone: Backbone,
    settings: AlignSettings,
    geometry: GeometryConfig,
    seed: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledFeatures:
    """Embed shapes with the frozen 3D embedder; a shape's feature is the mean of its tokens.

    Args:
        backbone: Whose patch encoder embeds.
        settings: Which shapes.
        geometry: Tokens and patches, as of the clips.
        seed: Of shapes and points.
        device: Where to compute.
        progress: Called with shapes done and their number.

    Raises:
        ConfigError: The data set holds no labelled shapes, or a package is not installed.
        DataError: It cannot be read.
    """
    embedder = AlignEmbedder(backbone, 0).to(device).eval()
    clouds: list[np.ndarray] = []
    labels: list[int] = []
    features: list[Tensor] = []
    extents: list[Tensor] = []
    classes, count, shapes = _shapes(settings, seed)

    def embed() -> None:
        points = torch.from_numpy(np.stack(clouds))
        layout = frame_geometry(points, None, geometry).map(lambda t: t.to(device))
        seen = points.to(device)
        tokens = embedder(seen, None, layout.centres, layout.patch_index)
        extents.append(embedder.patch_extents(seen, layout.centres, layout.patch_index).cpu())
        features.append(tokens.mean(dim=1).float().cpu())
        clouds.clear()

    for number, (points, label) in enumerate(shapes):
        clouds.append(points)
        labels.append(label)
        if len(clouds) == _BATCH:
            embed()
        if progress is not None:
            progress(number + 1, count)
    if clouds:
        embed()
    extent = float(torch.cat(extents).mean())
    return LabelledFeatures(torch.cat(features), torch.tensor(labels), classes, extent)


def _shapes(
    settings: AlignSettings, seed: int
) -> tuple[tuple[str, ...], int, Iterator[tuple[np.ndarray, int]]]:
    if settings.source == 'procedural':
        return _procedural(settings, seed)
    shapes = open_dataset(settings.source, settings.root, 'train')
    if not hasattr(shapes, 'categories'):
        raise ConfigError(
            f"align.source '{settings.source}' is no data set of labelled shapes",
            'Choose procedural, shapenet55, modelnet40, modelnet40_hdf5 or scanobjectnn',
        )
    chosen = SampledShapes(cast(ShapeDataset, shapes), settings.points, settings.shapes, seed)

    def drawn() -> Iterator[tuple[np.ndarray, int]]:
        for number in range(len(chosen)):
            shape = chosen[number]
            assert shape.category is not None
            yield shape.points, shape.category

    return tuple(chosen.classes), len(chosen), drawn()


def _procedural(
    settings: AlignSettings, seed: int
) -> tuple[tuple[str, ...], int, Iterator[tuple[np.ndarray, int]]]:
    try:
        from pointata_core.shapes import (
            FAMILIES,
            balanced_plan,
            generate,
            sample_surface,
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'procedural shapes need the package {error.name}',
            'Install it: pip install pointata_ros[pretrain]',
        ) from error
    classes = tuple(FAMILIES)
    plan = balanced_plan(settings.shapes, seed, classes)

    def drawn() -> Iterator[tuple[np.ndarray, int]]:
        for family, number in plan:
            shape = generate(family, number)
            samples = sample_surface(shape, settings.points, np.random.default_rng([seed, number]))
            yield in_unit_sphere(samples.points), classes.index(family)

    return classes, len(plan), drawn()
