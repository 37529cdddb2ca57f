# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of source and target batches, a function of seed and draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from pointata_core.datasets.camera.samples import CameraSample, CameraSamples
from pointata_core.errors import ConfigError
from pointata_core.models.camera.camera_lidar import CameraLidarBatch
from pointata_core.training.engine.sampler import SampleOrder

PairKey = tuple[int, int, int]
"""Draw within the run, frame of the source, frame of the target."""


class Pair(NamedTuple):
    """A batch of each domain.

    Attributes:
        source: Labelled.
        target: Without labels.
        mixed: Whether every second sample of ``source`` is a labelled one of the target domain.
    """

    source: CameraLidarBatch
    target: CameraLidarBatch
    mixed: bool = False


def collate(samples: Sequence[CameraSample]) -> CameraLidarBatch:
    """Put samples into one batch.

    Raises:
        ConfigError: Their images differ in size, or some have one and some have none.
    """
    images = [sample.image for sample in samples if sample.image is not None]
    sizes = {image.shape[1:] for image in images}
    if images and len(images) < len(samples):
        raise ConfigError(
            'some frames of one batch have an image and some have none',
            'Set training.images to false, and the LiDAR is trained alone',
        )
    if len(sizes) > 1:
        raise ConfigError(
            f'images of one batch have sizes {sorted(sizes)}',
            'Set the same bottom_crop or resize for all, or a batch of 1',
        )

    def joined(name: str) -> torch.Tensor | None:
        parts = [getattr(sample, name) for sample in samples]
        if any(part is None for part in parts):
            return None
        return torch.from_numpy(np.concatenate(parts))

    counts = torch.tensor([len(sample.pixels) for sample in samples])
    number = torch.repeat_interleave(torch.arange(len(samples)), counts)
    voxels = torch.from_numpy(np.concatenate([sample.coordinates for sample in samples]))
    coordinates = torch.cat([voxels, number[:, None]], dim=1)
    return CameraLidarBatch(
        image=torch.from_numpy(np.stack(images)) if images else None,
        pixels=tuple(torch.from_numpy(sample.pixels) for sample in samples),
        coordinates=coordinates,
        features=torch.ones(len(coordinates), 1),
        labels=joined('labels'),
        image_pseudo_labels=joined('image_pseudo_labels'),
        cloud_pseudo_labels=joined('cloud_pseudo_labels'),
    )


def with_loss_points(batch: CameraLidarBatch, most: int) -> CameraLidarBatch:
    """Select at most ``most`` points of each sample, drawn by torch's generator.

    The sparse network takes all points as before; the fusion and the losses take those.
    """
    counts = [len(rows) for rows in batch.pixels]
    drawn = [torch.randperm(count)[:most].sort().values for count in counts]
    starts = np.cumsum([0, *counts[:-1]])
    rows = torch.cat([part + int(start) for part, start in zip(drawn, starts)])
    rows = rows.to(batch.coordinates.device)
    names = ('labels', 'image_pseudo_labels', 'cloud_pseudo_labels')
    values: dict[str, Any] = {name: getattr(batch, name) for name in names}
    values = {name: None if value is None else value[rows] for name, value in values.items()}
    return replace(
        batch,
        pixels=tuple(pixels[part.to(pixels.device)] for pixels, part in zip(batch.pixels, drawn)),
        selected=rows if batch.selected is None else batch.selected[rows],
        **values,
    )


class Pairs(Dataset):
    """Samples of both domains by :data:`PairKey`.

    Args:
        source: Labelled samples.
        target: Samples without labels; labels that are there are taken away.
        labelled: A few samples of the target domain with labels, or None. They take the odd draws.
    """

    def __init__(
        self, source: CameraSamples, target: CameraSamples, labelled: CameraSamples | None = None
    ) -> None:
        self.source, self.target, self.labelled = source, target, labelled

    @property
    def frames(self) -> tuple[int, ...]:
        """Number of frames of each."""
        parts = (self.source, self.target, self.labelled)
        return tuple(len(part) for part in parts if part is not None)

    def __getitem__(self, key: PairKey) -> tuple[CameraSample, CameraSample]:
        """One sample of each."""
        draw, first, second = key
        known = self.labelled if self.labelled is not None and draw % 2 else self.source
        return known.draw(first, draw), self.target.draw(second, draw)

    def batch(self, keys: Sequence[PairKey]) -> Pair:
        """The samples of several keys in two batches; the target's labels, if any, are left out."""
        pairs = [self[key] for key in keys]
        return Pair(
            collate([source for source, _ in pairs]),
            collate([replace(target, labels=None) for _, target in pairs]),
            mixed=self.labelled is not None,
        )


def pair_key(frames: Sequence[int], seed: int) -> Callable[[int], PairKey]:
    """Frames of every draw: each pass takes all frames of a domain once, in a new order.

    Args:
        frames: Number of frames of the source, of the target and, where there are any, of the
            labelled ones of the target domain. These take the odd draws from the source.
        seed: Of the orders.
    """
    orders = [SampleOrder(count, (seed, domain)) for domain, count in enumerate(frames)]

    def key(draw: int) -> PairKey:
        half, odd = divmod(draw, 2)
        first = orders[0][draw] if len(orders) == 2 else orders[2 if odd else 0][half]
        return draw, first, orders[1][draw]

    return key
