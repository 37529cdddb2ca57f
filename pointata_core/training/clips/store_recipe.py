# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What prepared clips depend on, and how one of them is made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.protocol import Clip, ClipDataset, FrameDataset
from pointata_core.datasets.registry import dataset_info, open_dataset
from pointata_core.datasets.sampling import ClipSampling, generator_for
from pointata_core.datasets.single_frames import SingleFrames
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import GeometryConfig
from pointata_core.training.clips.augmentation import AugmentationConfig, augment_clip
from pointata_core.training.clips.preparation import Task, prepare_clip, scored_frames

_FORMAT = 4
_OF_THE_SPLIT = ('root', 'split', 'options', 'limit', 'variants', 'augmentation')


@dataclass(frozen=True)
class StoreRecipe:
    """What prepared clips depend on.

    Args:
        name: Data set, as ``pointata data list`` names it.
        root: Its folder.
        split: Split of it.
        sampling: How recordings become clips.
        variants: Copies of each clip; the first is not augmented.
        tasks: Which labels are kept.
        preparation: Voxels and normalisation.
        augmentation: How copies differ.
        geometry: Tokens and patches.
        options: Whatever else the loader takes.
        limit: Largest number of clips; 0 for all.
        motion: Whether the sensor's motion is kept.
        scored: Whether the classes of all points are kept, to score them.
    """

    name: str
    root: str
    split: str
    sampling: ClipSampling | None
    variants: int
    tasks: tuple[Task, ...]
    preparation: PreparationConfig
    augmentation: AugmentationConfig
    geometry: GeometryConfig
    options: dict[str, Any] = field(default_factory=dict)
    limit: int = 0
    motion: bool = False
    scored: bool = False

    @property
    def key(self) -> str:
        """Names the folder."""
        facts = {'format': _FORMAT, **asdict(self), 'root': str(Path(self.root).resolve())}
        if not self.scored:
            del facts['scored']  # as before it existed
        if self.geometry.anchors == 'sampled':
            del facts['geometry']['anchors']  # likewise
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def shared_key(self) -> str:
        """Names the folder of clips that do not depend on the split that holds them."""
        facts = {'format': _FORMAT, **asdict(self)}
        text = json.dumps({k: facts[k] for k in facts if k not in _OF_THE_SPLIT}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def open(self) -> ClipDataset:
        """Open the data set.

        Raises:
            DataError: It cannot be read.
            ConfigError: ``sampling`` does not fit it.
        """
        options = dict(self.options)
        single = dataset_info(self.name).kind == 'frames'
        if self.sampling is not None:
            if single:
                raise ConfigError(
                    f'{self.name} has single frames, of which data.sampling can make no clips',
                    'Set data.sampling to null',
                )
            options['sampling'] = self.sampling
        dataset = open_dataset(self.name, self.root, self.split, **options)
        return SingleFrames(cast(FrameDataset, dataset)) if single else cast(ClipDataset, dataset)

    def prepare(self, dataset: ClipDataset, index: int, variant: int) -> dict[str, np.ndarray]:
        """Read, augment and prepare one copy of a clip."""
        sampling = getattr(dataset, 'sampling', self.sampling)
        clip = _copy(dataset, index, variant, self.sampling)
        if variant:
            seed = 0 if self.sampling is None else self.sampling.seed
            generator = generator_for(seed, variant + 1, index)
            clip = augment_clip(clip, self.augmentation, generator)
        return prepare_clip(
            clip,
            FramePreparer(self.preparation),
            self.geometry,
            self.tasks,
            classes=len(dataset.classes),
            feature_names=dataset.feature_names,
            motion=self.motion,
            scored=scored_frames(clip, sampling) if self.scored else None,
        )


def task_classes(dataset: ClipDataset, task: Task, tasks: tuple[Task, ...]) -> tuple[str, ...]:
    """Class names of a task; where points and frames are learned, the data set names both.

    Raises:
        ConfigError: The data set has no such labels.
    """
    if task == 'clip' and getattr(dataset, 'labels', None) is None:
        raise ConfigError(
            f'{dataset.name} has no action per clip, which task clip needs',
            'Choose frames or points',
        )
    if task == 'points' or 'points' not in tasks:
        return tuple(dataset.classes)
    names = getattr(dataset, 'action_classes', ())
    if not names:
        raise ConfigError(
            f'{dataset.name} has classes of one kind only, which tasks {list(tasks)} share',
            'Choose one task',
        )
    return tuple(names)


def _copy(dataset: ClipDataset, index: int, variant: int, sampling: ClipSampling | None) -> Clip:
    """Read a clip; copies of a ``uniform`` one are taken a moment earlier or later."""
    if not variant or sampling is None or sampling.window != 'uniform':
        return dataset[index]
    shifted: Any = dataset
    shifted.epoch, shifted.sampling = variant, replace(sampling, pick='shifted')
    try:
        return dataset[index]
    finally:
        shifted.epoch, shifted.sampling = 0, sampling
