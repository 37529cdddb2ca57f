# SPDX-License-Identifier: Apache-2.0
"""Pairs of source and target batches, a pure function of (seed, step): resuming needs no state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from pointata_core.data.datasets.camera.a2d2 import a2d2
from pointata_core.data.datasets.camera.exported import exported_frames
from pointata_core.data.datasets.camera.frames import CameraFrames
from pointata_core.data.datasets.camera.nuscenes_lidarseg import nuscenes_lidarseg
from pointata_core.data.datasets.camera.sample_config import PUBLISHED, SampleConfig
from pointata_core.data.datasets.camera.samples import CameraSample, CameraSamples
from pointata_core.data.datasets.camera.semantickitti_camera import semantickitti_camera
from pointata_core.data.datasets.camera.simulated_camera import simulated_camera
from pointata_core.data.datasets.camera.virtual_kitti import virtual_kitti
from pointata_core.domain_adaptation.configuration import Domain
from pointata_core.errors import ConfigError
from pointata_core.models.camera_lidar import CameraLidarBatch

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
        return exported_frames(domain.root, task, domain.pictures)
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
    """A batch of each domain."""

    source: CameraLidarBatch
    target: CameraLidarBatch


def collate(samples: Sequence[CameraSample]) -> CameraLidarBatch:
    """Put samples into one batch.

    Raises:
        ConfigError: Their pictures differ in size.
    """
    sizes = {sample.image.shape[1:] for sample in samples}
    if len(sizes) > 1:
        raise ConfigError(
            f'pictures of one batch have sizes {sorted(sizes)}',
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
        image=torch.from_numpy(np.stack([sample.image for sample in samples])),
        pixels=tuple(torch.from_numpy(sample.pixels) for sample in samples),
        coordinates=coordinates,
        features=torch.ones(len(coordinates), 1),
        labels=joined('labels'),
        image_pseudo_labels=joined('image_pseudo_labels'),
        cloud_pseudo_labels=joined('cloud_pseudo_labels'),
    )


class Pairs(Dataset):
    """Samples of both domains, keyed by (place in the run, source frame, target frame).

    Args:
        source: Labelled samples.
        target: Samples without labels; labels that are there are taken away.
    """

    def __init__(self, source: CameraSamples, target: CameraSamples) -> None:
        self.source, self.target = source, target

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[CameraSample, CameraSample]:
        """One sample of each."""
        place, first, second = key
        return self.source.draw(first, place), self.target.draw(second, place)


def collate_pairs(pairs: Sequence[tuple[CameraSample, CameraSample]]) -> Pair:
    """Put pairs into two batches; the target's labels, if any, stay behind."""
    return Pair(
        collate([source for source, _ in pairs]),
        collate([replace(target, labels=None) for _, target in pairs]),
    )


class PairBatches(Sampler[list[tuple[int, int, int]]]):
    """Keys of a range of steps; every pass takes all frames of a domain once, in a new order.

    Each process of a distributed run takes its own part of every global batch.

    Args:
        frames: Number of frames of the source and of the target.
        batch: Samples per domain, step and process.
        steps: First step and the one after the last.
        seed: Of the orders.
        rank: This process.
        processes: Number of processes.
    """

    def __init__(
        self,
        frames: tuple[int, int],
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
            yield [(place, self._frame(0, place), self._frame(1, place)) for place in places]

    def _frame(self, domain: int, place: int) -> int:
        sweep, position = divmod(place, self.frames[domain])
        if self._orders.get(domain, (None,))[0] != sweep:
            rng = np.random.default_rng([self.seed, domain, sweep])
            self._orders[domain] = sweep, rng.permutation(self.frames[domain])
        return int(self._orders[domain][1][position])
