# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips of the LiDAR simulator: shards on disk, or simulated on the way in.

A split is decided by the seed of a recording alone (its last decimal digit: 0 to 7 train, 8
validation, 9 test), so that data simulated later never moves a scene from one split to another.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError, damaged, missing, require_split
from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scan_clips import CAUSAL_CLIPS, ScanClips
from pointata_core.errors import ConfigError
from pointata_core.io.files.folders import visible
from pointata_core.simulation import (
    Shard,
    ShardError,
    ShardJob,
    SimulatedFrame,
    read_shard,
    write_shards,
)
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES, class_id, or_ignored

SPLITS = ('train', 'validation', 'test', 'all')
MOVABLE_CLASSES = ('car', 'bicycle', 'person')
"""Classes of which some instances move; all others stand still."""

_MOVING = {'car': 'moving-car', 'person': 'moving-person'}
MOVING_OR_STANDING_CLASSES = (*SEGMENTATION_CLASSES, *_MOVING.values())
"""Cars and persons that move are classes of their own, the plain names are for standing ones; as in
SemanticKITTI's task of several scans. A bicycle under way stays ``bicycle``; its rider moves."""

Labels = Literal['semantic', 'moving']

_EXPECTED = 'a shard of the simulator (.npz)'
_OPEN_SHARDS = 4  # of some tens of megabytes each


def split_of_seed(seed: int) -> str:
    """``train`` for last digits 0 to 7 of the seed, ``validation`` for 8, ``test`` for 9."""
    return {8: 'validation', 9: 'test'}.get(seed % 10, 'train')


class _OpenShards:
    """The shards used last; a worker process begins with none."""

    def __init__(self) -> None:
        self._shards: OrderedDict[Path, Shard] = OrderedDict()

    def get(self, path: Path) -> Shard:
        if path not in self._shards:
            self._shards[path] = _open(path)
        self._shards.move_to_end(path)
        while len(self._shards) > _OPEN_SHARDS:
            self._shards.popitem(last=False)
        return self._shards[path]

    def __reduce__(self) -> tuple:
        return _OpenShards, ()


class ShardRecording:
    """Frames of one shard.

    Args:
        path: The shard.
        split: Split that it is read for.
        shards: Keeps shards open.
        labels: ``semantic``, or ``moving`` for ``MOVING_OR_STANDING_CLASSES``.

    Raises:
        DataError: It is no shard, or one without moving points.
    """

    has_poses = True

    def __init__(
        self, path: Path, split: str, shards: _OpenShards, labels: Labels = 'semantic'
    ) -> None:
        self.path, self.name, self.split, self.labels = path, path.stem, split, labels
        self._shards = shards
        shard = _open(path)
        if labels == 'moving' and not shard.has_moving:
            raise DataError(
                f'{path} is of format 1, which does not mark moving points',
                'Delete and simulate it again, or read it with labels=semantic',
                path,
            )
        self.seed = int(shard.metadata['seed'])
        self._count = int(shard.metadata['frames'])

    def __len__(self) -> int:
        """Number of frames."""
        return self._count

    def scan(self, number: int) -> tuple[Frame, int]:
        """Read one frame and what the nearest person does in it.

        Raises:
            DataError: The shard is cut.
        """
        shard = self._shards.get(self.path)
        try:
            frame = shard[number]
            start_ns = int(shard.arrays['stamp_ns'][0])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise damaged(self.path, str(error), _EXPECTED, 'Delete and simulate it') from error
        scan = Frame(
            points=frame.points,
            name=f'{self.name}/{number:06d}',
            features=frame.intensity[:, None],
            labels=self._labels(frame),
            sequence=self.name,
            split=self.split,
            time_s=(frame.stamp_ns - start_ns) * 1e-9,
            pose=frame.pose,
        )
        return scan, frame.action

    def _labels(self, frame: SimulatedFrame) -> NDArray[np.int64]:
        label = or_ignored(frame.label)
        if self.labels == 'moving':
            for standing, moving in _MOVING.items():
                rows = frame.moving & (frame.label == class_id(standing))
                label[rows] = MOVING_OR_STANDING_CLASSES.index(moving)
        return label


def simulated_clips(
    root: str | Path,
    split: str = 'train',
    *,
    sampling: ClipSampling = CAUSAL_CLIPS,
    task: Literal['segmentation', 'action'] = 'segmentation',
    labels: Labels = 'semantic',
    compensate: bool = False,
    jobs: Sequence[ShardJob] = (),
    processes: int = 1,
) -> ScanClips:
    """Open simulated recordings; clips hold both the classes of points and actions of frames.

    Args:
        root: Folder with shards.
        split: ``train``, ``validation``, ``test``, or ``all``.
        sampling: Which frames make a clip; by default 8 that end at every frame.
        task: Which names ``classes`` gives.
        labels: Classes of points: ``semantic``, or ``moving`` to separate moving cars and persons
            from standing ones.
        compensate: Bring all points of a clip into the sensor frame of its last frame.
        jobs: Recordings to simulate first, unless they are there.
        processes: Processes that simulate.

    Raises:
        DataError: There is no shard of the split, or one cannot be read.
        ConfigError: A setting is unknown.
    """
    require_split('the simulator', split, SPLITS)
    if task not in ('segmentation', 'action'):
        raise ConfigError(f"task is '{task}', expected segmentation or action")
    if labels not in get_args(Labels):
        raise ConfigError(f"labels is '{labels}', expected {' or '.join(get_args(Labels))}")
    root = Path(root)
    if jobs:
        write_shards(root, jobs, processes, progress=False)
    shards = _OpenShards()
    paths = sorted(visible(root.glob('*.npz')))
    recordings = [ShardRecording(path, split, shards, labels) for path in paths]
    recordings = [one for one in recordings if split in (split_of_seed(one.seed), 'all')]
    if not recordings:
        raise missing(
            root / '*.npz',
            f'shards of the split {split} ({len(paths)} are there)',
            f'Simulate them: pointata simulate {root} --format shard --count 20',
        )
    names = MOVING_OR_STANDING_CLASSES if labels == 'moving' else SEGMENTATION_CLASSES
    return ScanClips(
        'simulated',
        split,
        names if task == 'segmentation' else ACTION_CLASSES,
        recordings,
        sampling,
        feature_names=('intensity',),
        compensate=compensate,
    )


def _open(path: Path) -> Shard:
    try:
        return read_shard(path)
    except ShardError as error:
        raise DataError(error.message, error.fix, path) from error
