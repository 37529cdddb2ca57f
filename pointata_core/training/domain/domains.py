# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Opened data of a run: frames of source and target, and how they become samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from pointata_core.datasets.camera.a2d2 import a2d2
from pointata_core.datasets.camera.exported import exported_frames
from pointata_core.datasets.camera.frames import CameraFrames
from pointata_core.datasets.camera.nuscenes_lidarseg import nuscenes_lidarseg
from pointata_core.datasets.camera.sample_config import PUBLISHED, SampleConfig
from pointata_core.datasets.camera.samples import class_counts
from pointata_core.datasets.camera.semantickitti_camera import semantickitti_camera
from pointata_core.datasets.camera.simulated_camera import simulated_camera
from pointata_core.datasets.camera.virtual_kitti import virtual_kitti
from pointata_core.errors import ConfigError
from pointata_core.training.domain.losses import balanced_class_weights
from pointata_core.training.domain.settings import Domain, DomainSettings

PARTS = ('source', 'target', 'test', 'labelled')

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


@dataclass(frozen=True)
class Domains:
    """Opened data of a run.

    Attributes:
        source: Labelled frames.
        target: Frames whose labels are unused.
        test: Labelled frames of the target domain, or None.
        samples: How frames of source, target and test become samples.
        labelled: A few frames of the target domain with labels, or None; they become samples as the
            target's do.
    """

    source: CameraFrames
    target: CameraFrames
    test: CameraFrames | None
    samples: tuple[SampleConfig, SampleConfig, SampleConfig]
    labelled: CameraFrames | None = None

    @staticmethod
    def open(settings: DomainSettings) -> Domains:
        """Open all of it.

        Raises:
            ConfigError: Something does not fit together.
            DataError: Something is missing or damaged.
        """
        source, target, test = settings.source, settings.target, settings.test
        frames = [open_frames(domain, settings.task) for domain in (source, target)]
        samples = [sample_config(d, f) for d, f in zip((source, target), frames, strict=True)]
        tested, last = None, samples[1]
        if test is not None:
            tested = open_frames(test, settings.task)
            last = sample_config(test, tested)
        if len({(config.grid, config.voxel_m) for config in (*samples, last)}) > 1:
            raise ConfigError('source, target and test need the same voxel_m and grid')
        few = None if settings.labelled is None else open_frames(settings.labelled, settings.task)
        return Domains(frames[0], frames[1], tested, (samples[0], samples[1], last), few)

    def without_images(self) -> Domains:
        """The same data as a LiDAR alone has it."""
        frames = {name: getattr(self, name) for name in PARTS}
        blind = {name: f.without_images() for name, f in frames.items() if f is not None}
        return replace(self, **blind)

    def facts(self) -> dict[str, dict[str, Any]]:
        """Name, split, number of frames and task of each part that is there."""
        frames = {name: getattr(self, name) for name in PARTS}
        return {
            name: {'name': f.name, 'split': f.split, 'frames': len(f), 'task': f.task}
            for name, f in frames.items()
            if f is not None
        }

    def weights(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Class weights ``(K,)`` of the source and, where there are any, of labelled frames."""
        return _weights(self.source), None if self.labelled is None else _weights(self.labelled)


def _weights(frames: CameraFrames) -> torch.Tensor:
    return balanced_class_weights(torch.from_numpy(class_counts(frames)))
