# SPDX-License-Identifier: Apache-2.0
"""Pairs of source and target batches, a pure function of (seed, step): resuming needs no state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from pointata_core.datasets.camera.a2d2 import a2d2
from pointata_core.datasets.camera.exported import exported_frames
from pointata_core.datasets.camera.frames import CameraFrames
from pointata_core.datasets.camera.nuscenes_lidarseg import nuscenes_lidarseg
from pointata_core.datasets.camera.sample_config import PUBLISHED, SampleConfig
from pointata_core.datasets.camera.samples import CameraSample, CameraSamples
from pointata_core.datasets.camera.semantickitti_camera import semantickitti_camera
from pointata_core.datasets.camera.simulated_camera import simulated_camera
from pointata_core.datasets.camera.virtual_kitti import virtual_kitti
from pointata_core.errors import ConfigError
from pointata_core.models.camera.camera_lidar import CameraLidarBatch
from pointata_core.training.domain.configuration import Domain

_OPEN = {
    'nuscenes_lidarseg': nuscenes_lidarseg,
    'semantickitti': semantickitti_camera,
    'a2d2': a2d2,
    'virtual_kitti': virtual_kitti,
    'simulated': simulated_camera,
}


def open_frames(domain: Domain, task: str) -> CameraFrames:
    """Open the frames of a domain.

    Raises:
        ConfigError: Unknown data set, or one that the task does not fit.
        DataError: Something is missing or damaged.
    """
    if domain.dataset == 'exported':
        return exported_frames(domain.root, task, domain.images)
    if domain.dataset not in _OPEN:
        raise ConfigError(
            f"no camera data set is called '{domain.dataset}'",
            f'Choose one of {", ".join(_OPEN)}, exported',
        )
    return _OPEN[domain.dataset](domain.root, domain.split, task)


def sample_config(domain: Domain, frames: CameraFrames) -> SampleConfig:
    """How its frames become samples.

    Raises:
        ConfigError: Nothing is published for the data set, and nothing is given.
    """
    if domain.samples is not None:
        return domain.samples
    if frames.name not in PUBLISHED:
        raise ConfigError(
            f"nothing is published about samples of '{frames.name}'",
            'Give resize or bottom_crop under samples',
        )
    return PUBLISHED[frames.name]


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
    sizes = {None if sample.image is None else sample.image.shape[1:] for sample in samples}
    if len(sizes) > 1 and None in sizes:
        raise ConfigError(
            'some frames of one batch have an image and some have none',
            'Set training.images to false, and the LiDAR learns alone',
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
    coordinates = torch.cat([joined('coordinates'), number[:, None]], dim=1)
    return CameraLidarBatch(
        image=None if None in sizes else torch.from_numpy(np.stack([s.image for s in samples])),
        pixels=tuple(torch.from_numpy(sample.pixels) for sample in samples),
        coordinates=coordinates,
        features=torch.ones(len(coordinates), 1),
        labels=joined('labels'),
        image_pseudo_labels=joined('image_pseudo_labels'),
        cloud_pseudo_labels=joined('cloud_pseudo_labels'),
    )


def answered_at(batch: CameraLidarBatch, most: int) -> CameraLidarBatch:
    """Ask for answers at no more than ``most`` points of each sample, drawn by torch's generator.

    The sparse network sees all points as before; the fusion and the losses see those.
    """
    counts = [len(rows) for rows in batch.pixels]
    drawn = [torch.randperm(count)[:most].sort().values for count in counts]
    starts = np.cumsum([0, *counts[:-1]])
    rows = torch.cat([part + int(start) for part, start in zip(drawn, starts)])
    rows = rows.to(batch.coordinates.device)
    names = ('labels', 'image_pseudo_labels', 'cloud_pseudo_labels')
    values = {name: getattr(batch, name) for name in names}
    return replace(
        batch,
        pixels=tuple(pixels[part.to(pixels.device)] for pixels, part in zip(batch.pixels, drawn)),
        answered=rows if batch.answered is None else batch.answered[rows],
        **{name: None if value is None else value[rows] for name, value in values.items()},
    )


class Pairs(Dataset):
    """Samples of both domains, keyed by (place in the run, source frame, target frame).

    Args:
        source: Labelled samples.
        target: Samples without labels; labels that are there are taken away.
        labelled: A few samples of the target domain with labels, or None. They take the odd places.
    """

    def __init__(
        self,
        source: CameraSamples,
        target: CameraSamples,
        labelled: CameraSamples | None = None,
    ) -> None:
        self.source, self.target, self.labelled = source, target, labelled

    @property
    def frames(self) -> tuple[int, ...]:
        """Number of frames of each."""
        parts = (self.source, self.target, self.labelled)
        return tuple(len(part) for part in parts if part is not None)

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[CameraSample, CameraSample]:
        """One sample of each."""
        place, first, second = key
        known = self.labelled if self.labelled is not None and place % 2 else self.source
        return known.draw(first, place), self.target.draw(second, place)

    def collate(self, pairs: Sequence[tuple[CameraSample, CameraSample]]) -> Pair:
        """Put pairs into two batches; the target's labels, if any, stay behind."""
        return Pair(
            collate([source for source, _ in pairs]),
            collate([replace(target, labels=None) for _, target in pairs]),
            mixed=self.labelled is not None,
        )


class PairBatches(Sampler[list[tuple[int, int, int]]]):
    """Keys of a range of steps; every pass takes all frames of a domain once, in a new order.

    Each process of a distributed run takes its own part of every global batch.

    Args:
        frames: Number of frames of the source, of the target and, where there are any, of the
            labelled ones of the target domain. These take the odd places from the source.
        batch: Samples per domain, step and process.
        steps: First step and the one after the last.
        seed: Of the orders.
        rank: This process.
        processes: Number of processes.
    """

    def __init__(
        self,
        frames: tuple[int, ...],
        batch: int,
        steps: tuple[int, int],
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.frames, self.batch, self.steps, self.seed = frames, batch, steps, seed
        self.rank, self.processes = rank, processes
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def __len__(self) -> int:
        """Number of batches."""
        return self.steps[1] - self.steps[0]

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        """Yield lists of keys for `Pairs`."""
        for step in range(*self.steps):
            first = (step * self.processes + self.rank) * self.batch
            places = range(first, first + self.batch)
            yield [(place, self._known(place), self._frame(1, place)) for place in places]

    def _known(self, place: int) -> int:
        if len(self.frames) == 2:
            return self._frame(0, place)
        turn, odd = divmod(place, 2)
        return self._frame(2 if odd else 0, turn)

    def _frame(self, domain: int, place: int) -> int:
        sweep, position = divmod(place, self.frames[domain])
        if self._orders.get(domain, (None,))[0] != sweep:
            rng = np.random.default_rng([self.seed, domain, sweep])
            self._orders[domain] = sweep, rng.permutation(self.frames[domain])
        return int(self._orders[domain][1][position])
