# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Synthia 4D: simulated streets with a class for every point, as prepared for MeteorNet.

Ros et al., The SYNTHIA Dataset, CVPR 2016; preparation and lists of Liu et al., MeteorNet, ICCV
2019. The root folder holds the lists ``train_raw.txt``, ``val_raw.txt``, ``test_raw.txt`` and
``trainval_raw.txt`` and, in ``pc`` or beside them, one ``SEQUENCE-FFFFFF.npz`` per frame with
``pc`` (N, 3), ``rgb`` (N, 3) in [0, 1], ``semantic`` (N,) raw ids and ``center`` (3,), the car.

Two modes. ``clean``: a clip is the whole scene. ``reference``: every scene is cut in two along z as
in the public loaders, each half with one metre of context, sampled to a fixed number of points;
points outside the half are ignored. The defects of the public augmentation are not part of it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import (
    DataError,
    damaged,
    damaged_items,
    missing,
    require_file,
    require_split,
)
from pointata_core.datasets.protocol import Clip, Description
from pointata_core.datasets.sampling import generator_for
from pointata_core.errors import ConfigError
from pointata_core.taxonomy import IGNORE

CLASSES = (
    'building', 'road', 'sidewalk', 'fence', 'vegetation', 'pole', 'car', 'traffic sign',
    'pedestrian', 'bicycle', 'lane marking', 'traffic light',
)  # fmt: skip
_NOTHING = IGNORE  # void (0), sky (1) and two reserved ids (13, 14)
_FROM_RAW = np.array(
    [_NOTHING, _NOTHING, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, _NOTHING, _NOTHING, 11], np.int64
)
_LISTS = {'train': 'train', 'validation': 'val', 'test': 'test', 'trainval': 'trainval'}
SPLITS = tuple(_LISTS)
PUBLISHED_FREQUENCIES = (
    0.416347, 0.270832, 0.114028, 0.029478, 0.088392, 0.016270, 0.033469, 0.002191, 0.003251,
    0.000360, 0.024561, 0.000820,
)  # fmt: skip
"""``labelweights.npz``: share of each class among all prepared frames, the test split included."""
CONTEXT_M = 1.0


def class_weights() -> NDArray[np.float32]:
    """Weights (12,) of the published training loss: 1 / ln(1.2 + frequency), the least being 1."""
    weights = 1 / np.log(1.2 + np.array(PUBLISHED_FREQUENCIES))
    return (weights / weights.min()).astype(np.float32)


def labels_from_raw(raw: NDArray) -> NDArray[np.int64]:
    """Translate raw ids 0 .. 15 (N,) into indices of ``CLASSES`` or ``IGNORE``."""
    return _FROM_RAW[raw]


@dataclass(frozen=True, eq=False)
class _Scene:
    points: NDArray[np.float32]
    colours: NDArray[np.float32]
    raw: NDArray[np.int64]
    centre: NDArray[np.float32]


class Synthia4d:
    """Clips of a frame and its predecessors, in order of time.

    A predecessor that is not in the list is replaced by the last one found, whose number then
    occurs twice in ``Clip.frames``.

    Args:
        root: Folder with the lists and the frames.
        split: ``train``, ``validation``, ``test`` or ``trainval``.
        frames_per_clip: The public protocol takes 3.
        mode: ``clean`` or ``reference``, see the module.
        points: Points of each frame in reference mode; MeteorNet takes 8192, its successors 16384.
        seed: Of the sampling in reference mode, together with the number of the clip.

    Attributes:
        epoch: Mixed into random choices; set it before an epoch of training. Tests leave it at 0.

    Raises:
        DataError: The list is missing or a line of it is not understood.
        ConfigError: A setting is out of range.
    """

    name = 'synthia4d'
    classes = CLASSES
    feature_names = ('red', 'green', 'blue')

    def __init__(
        self,
        root: str | Path,
        split: str = 'train',
        frames_per_clip: int = 3,
        mode: str = 'clean',
        points: int = 16384,
        seed: int = 0,
    ) -> None:
        require_split('Synthia 4D', split, SPLITS)
        if mode not in ('clean', 'reference'):
            raise ConfigError(f"mode is '{mode}', expected clean or reference")
        if frames_per_clip < 1 or points < 1:
            raise ConfigError(
                f'frames_per_clip is {frames_per_clip} and points is {points}, expected 1 or more'
            )
        self.split, self.frames_per_clip, self.mode = split, frames_per_clip, mode
        self.points, self.seed, self.epoch = points, seed, 0
        root = Path(root)
        self._folder = root / 'pc' if (root / 'pc').is_dir() else root
        self._list = root / f'{_LISTS[split]}_raw.txt'
        self._frames = _read_list(self._list)
        self._listed = set(self._frames)

    def __len__(self) -> int:
        """Number of clips: one per frame, two in reference mode."""
        return len(self._frames) * self._halves

    def __getitem__(self, index: int) -> Clip:
        """Read one clip; in reference mode 2 i and 2 i + 1 are the halves of one scene.

        Raises:
            DataError: A frame of it is missing, cut or of another form.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'clip {index} of {len(self)}')
        sequence, newest = self._frames[index // self._halves]
        numbers = self._numbers(sequence, newest)
        scenes = {number: self._read(sequence, number) for number in set(numbers)}
        clip = [scenes[number] for number in numbers]
        labels = [labels_from_raw(scene.raw) for scene in clip]
        name = f'{sequence}-{newest:06d}'
        rows: Sequence[slice | NDArray] = [slice(None)] * len(clip)
        if self.mode == 'reference':
            half = index % 2
            name = f'{name}-{"front" if half == 0 else "back"}'
            rows, labels = self._cut(half, index, clip, labels)
        return Clip(
            points=[scene.points[chosen] for scene, chosen in zip(clip, rows, strict=True)],
            name=name,
            features=[scene.colours[chosen] for scene, chosen in zip(clip, rows, strict=True)],
            labels=[values[chosen] for values, chosen in zip(labels, rows, strict=True)],
            sequence=sequence,
            split=self.split,
            frames=np.array(numbers),
        )

    def describe(self) -> Description:
        """Count listed frames and those on disk."""
        there = {path.name for path in self._folder.glob('*.npz')}
        absent = [_file_name(*frame) for frame in self._frames if _file_name(*frame) not in there]
        return Description(
            self.name,
            {
                self.split: {
                    'sequences': len({sequence for sequence, _ in self._frames}),
                    'frames': len(self._frames) - len(absent),
                }
            },
            missing=tuple(absent),
            notes=(f'{len(self._frames)} frames are listed',),
        )

    def verify(self) -> Iterator[DataError | None]:
        """Read every listed frame."""
        yield from damaged_items(lambda frame: self._read(*frame), self._frames)

    @property
    def _halves(self) -> int:
        return 2 if self.mode == 'reference' else 1

    def _numbers(self, sequence: str, newest: int) -> list[int]:
        """Frames of a clip, oldest first."""
        numbers = [newest]
        for number in range(newest - 1, newest - self.frames_per_clip, -1):
            numbers.append(number if (sequence, number) in self._listed else numbers[-1])
        return numbers[::-1]

    def _cut(
        self, half: int, index: int, clip: list[_Scene], labels: list[NDArray[np.int64]]
    ) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
        """Rows of each frame to take, and labels that count strictly inside the half only.

        The newest frame's car divides all frames of the clip.
        """
        generator = generator_for(self.seed, self.epoch, index)
        towards = 1.0 if half == 0 else -1.0
        rows, kept = [], []
        for scene, values in zip(clip, labels, strict=True):
            ahead = towards * (scene.points[:, 2] - clip[-1].centre[2])
            rows.append(_fixed_number(np.flatnonzero(ahead > -CONTEXT_M), self.points, generator))
            kept.append(np.where(ahead > 0, values, IGNORE))
        return rows, kept

    def _read(self, sequence: str, number: int) -> _Scene:
        path = self._folder / _file_name(sequence, number)
        if not path.is_file():
            raise missing(path, f'a frame of {self._list.name}')
        expected = 'arrays pc (N, 3), rgb (N, 3), semantic (N,) and center (3,)'
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in ('pc', 'rgb', 'semantic', 'center')}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise damaged(path, str(error), expected) from error
        count = len(arrays['pc']) if arrays['pc'].ndim else 0
        wanted = {'pc': (count, 3), 'rgb': (count, 3), 'semantic': (count,), 'center': (3,)}
        for name, shape in wanted.items():
            if arrays[name].shape != shape:
                raise damaged(path, f'{name} {arrays[name].shape}', expected)
        points, centre = (np.asarray(arrays[name], np.float32) for name in ('pc', 'center'))
        if not (np.isfinite(points).all() and np.isfinite(centre).all()):
            raise damaged(path, 'NaN or infinity among the coordinates', 'finite metres')
        raw = arrays['semantic'].astype(np.int64)
        if raw.size and (raw.min() < 0 or raw.max() >= len(_FROM_RAW)):
            raise damaged(path, f'semantic ids {raw.min()} .. {raw.max()}', 'ids 0 .. 15')
        return _Scene(points, np.asarray(arrays['rgb'], np.float32), raw, centre)


def _file_name(sequence: str, number: int) -> str:
    return f'{sequence}-{number:06d}.npz'


def _fixed_number(
    rows: NDArray[np.int64], count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Some of the rows, or all of them and random ones again; none of none."""
    if len(rows) > count:
        return generator.choice(rows, count, replace=False)
    if not len(rows):
        return rows
    return np.concatenate([generator.choice(rows, count - len(rows)), rows])


def _read_list(path: Path) -> list[tuple[str, int]]:
    """Sequence and number of every listed frame, sorted as public loaders sort them."""
    require_file(path, 'a list of frames, SEQUENCE/point_clouds/NNNNNN.ply in each line')
    frames = []
    for row, line in enumerate(path.read_text(errors='replace').splitlines(), start=1):
        if not line.strip():
            continue
        parts = line.split()[0].split('/')
        number = parts[-1].partition('.')[0]
        if len(parts) < 2 or not number.isdecimal():
            raise damaged(path, f'{line!r} in line {row}', 'SEQUENCE/point_clouds/NNNNNN.ply')
        frames.append((parts[0], int(number)))
    if not frames:
        raise damaged(path, 'no lines', 'SEQUENCE/point_clouds/NNNNNN.ply in each line')
    return sorted(frames)
