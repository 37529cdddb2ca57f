# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips of SemanticKITTI: scans of a driving car, with separate standing and moving classes.

Behley et al., SemanticKITTI: A Dataset for Semantic Scene Understanding of LiDAR Sequences, ICCV
2019; splits and classes as in its development kit. Sequences lie in ``dataset/sequences/NN``,
``sequences/NN`` or ``NN`` below the root folder, or the root folder is itself one sequence, which
the split ``all`` then opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.camera.class_maps import tasks
from pointata_core.datasets.errors import DataError, missing, require_split
from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scan_clips import CAUSAL_CLIPS, ScanClips
from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.datasets.scenes.semantickitti_writer import FIRST_OWN_ID
from pointata_core.errors import CloudFileError, ConfigError
from pointata_core.taxonomy import IGNORE, SEGMENTATION_CLASSES, SEMANTICKITTI_TO_OURS

_TRAIN = ('00', '01', '02', '03', '04', '05', '06', '07', '09', '10')
_VALIDATION = ('08',)
SPLITS = {
    'train': _TRAIN,
    'validation': _VALIDATION,
    'test': tuple(str(number) for number in range(11, 22)),
    'trainval': tuple(sorted(_TRAIN + _VALIDATION)),
}
UNLABELLED_SPLITS = ('test', 'all')

_STANDING = {
    'car': (10,),
    'bicycle': (11,),
    'motorcycle': (15,),
    'truck': (18,),
    'other-vehicle': (13, 16, 20),  # bus, on rails, other
    'person': (30,),
    'bicyclist': (31,),
    'motorcyclist': (32,),
    'road': (40, 60),  # with lane markings
    'parking': (44,),
    'sidewalk': (48,),
    'other-ground': (49,),
    'building': (50,),
    'fence': (51,),
    'vegetation': (70,),
    'trunk': (71,),
    'terrain': (72,),
    'pole': (80,),
    'traffic-sign': (81,),
}
_MOVING = {
    'car': (252,),
    'bicyclist': (253,),
    'person': (254,),
    'motorcyclist': (255,),
    'other-vehicle': (256, 257, 259),  # on rails, bus, other
    'truck': (258,),
}
_OWN_IDS = range(FIRST_OWN_ID, FIRST_OWN_ID + 256)
_NOT_SCORED = (0, 1, 52, 99)  # unlabelled, outlier, other structure, other object

SINGLE_SCAN = {name: (*ids, *_MOVING.get(name, ())) for name, ids in _STANDING.items()}
MULTIPLE_SCANS = {**_STANDING, **{f'moving-{name}': ids for name, ids in _MOVING.items()}}
MOVING_OR_NOT = {
    # The moving-object task takes every labelled point, whatever its class.
    'static': (*(raw for ids in _STANDING.values() for raw in ids), 52, 99),
    'moving': tuple(raw for ids in _MOVING.values() for raw in ids),
}


@cache
def schemes() -> dict[str, dict[str, tuple[int, ...]]]:
    """Label schemes by name: class -> raw ids.

    ``single`` (19 classes), ``multi`` (25 with six moving ones), ``moving`` (moving or not),
    ``pointata`` (our own taxonomy), and the tasks that the data set shares with another one.
    """
    ours = {
        name: tuple(raw for raw, label in SEMANTICKITTI_TO_OURS.items() if label == number)
        for number, name in enumerate(SEGMENTATION_CLASSES)
    }
    own = {'single': SINGLE_SCAN, 'multi': MULTIPLE_SCANS, 'moving': MOVING_OR_NOT}
    shared = {
        name: task.members['semantickitti']
        for name, task in tasks().items()
        if 'semantickitti' in task.members
    }
    return {**own, 'pointata': ours, **shared}


def scheme_of(classes: Sequence[str]) -> str | None:
    """Name of the label scheme with exactly these classes."""
    return next((name for name, one in schemes().items() if tuple(one) == tuple(classes)), None)


def classes_of(scheme: str) -> tuple[str, ...]:
    """Class names of a label scheme.

    Raises:
        ConfigError: There is no such scheme.
    """
    if scheme not in schemes():
        raise ConfigError(f"label scheme is '{scheme}'", f'Choose one of {", ".join(schemes())}')
    return tuple(schemes()[scheme])


def translate(raw: NDArray, scheme: str) -> NDArray[np.int64]:
    """Raw ids (N,) as classes of a scheme; ``IGNORE`` where it does not score them.

    Raises:
        ValueError: An id is none of the data set.
    """
    unknown = ~_known_ids(scheme)[raw]
    if unknown.any():
        raise ValueError(f'raw class {raw[unknown][0]}')
    return _table(scheme)[raw]


@cache
def _table(scheme: str) -> NDArray[np.int64]:
    """Class of every raw id, (65536,)."""
    table = np.full(1 << 16, IGNORE, np.int64)
    if scheme == 'pointata':  # and classes that a person added
        table[list(_OWN_IDS)] = np.arange(len(_OWN_IDS))
    for number, ids in enumerate(schemes()[scheme].values()):
        table[list(ids)] = number
    return table


@cache
def _known_ids(scheme: str) -> NDArray[np.bool_]:
    known = np.zeros(1 << 16, np.bool_)
    known[list(_OWN_IDS)] = scheme == 'pointata'
    known[[*_NOT_SCORED, *(raw for ids in MULTIPLE_SCANS.values() for raw in ids)]] = True
    return known


class KittiRecording:
    """Scans of one sequence in a label scheme.

    Args:
        folder: Folder with ``velodyne``.
        name: Name of the sequence.
        split: Split that it is read for.
        scheme: Label scheme, see :func:`schemes`.
        scans: First scan and the one after the last, to take a part of it.

    Raises:
        DataError: A file is missing, cut, or does not fit the others.
        ConfigError: The part is empty or outside the sequence.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        split: str,
        scheme: str = 'multi',
        scans: tuple[int, int] | None = None,
    ) -> None:
        self.name, self.split, self.scheme = name, split, scheme
        try:
            self._sequence = SemanticKittiSequence(folder)
        except CloudFileError as error:
            raise DataError(error.message, error.fix, folder) from error
        self.has_poses = self._sequence.poses is not None
        self.has_labels = self._sequence.has_labels
        self.notes = self._sequence.notes
        self._first, stop = scans or (0, len(self._sequence))
        if not 0 <= self._first < stop <= len(self._sequence):
            raise ConfigError(
                f'scans are {self._first} .. {stop}, {folder} has {len(self._sequence)} of them'
            )
        self._count = stop - self._first

    def __len__(self) -> int:
        """Number of scans."""
        return self._count

    def scan(self, number: int) -> tuple[Frame, None]:
        """Read one scan; the data set has no actions.

        Raises:
            DataError: A file of it is missing, cut, or does not fit the others.
        """
        try:
            scan = self._sequence[self._first + number]
        except CloudFileError as error:
            raise DataError(error.message, error.fix, self._sequence.folder) from error
        labels = None
        if scan.label is not None:
            try:
                labels = translate(scan.label, self.scheme)
            except ValueError as error:
                path = self._sequence.folder / 'labels' / f'{scan.name}.label'
                raise DataError(
                    f'{path}: found {error}, expected ids of the data set',
                    'Download the labels again',
                    path,
                ) from error
        frame = Frame(
            points=scan.points,
            name=f'{self.name}/{scan.name}',
            features=scan.intensity[:, None],
            labels=labels,
            sequence=self.name,
            split=self.split,
            time_s=scan.stamp_ns * 1e-9,
            pose=scan.pose,
        )
        return frame, None


def semantickitti_clips(
    root: str | Path,
    split: str = 'train',
    *,
    sampling: ClipSampling = CAUSAL_CLIPS,
    labels: str = 'multi',
    compensate: bool = False,
    sequences: Sequence[str] | None = None,
    scans: tuple[int, int] | None = None,
    strict: bool = True,
) -> ScanClips:
    """Open SemanticKITTI.

    Args:
        root: See the module.
        split: ``train``, ``validation``, ``test`` (without labels), ``trainval``, or ``all`` for
            whatever sequences are there.
        sampling: Which scans make a clip; by default 8 that end at every scan.
        labels: Label scheme, see :func:`schemes`.
        compensate: Bring all points of a clip into the frame of its last scan by the poses.
        sequences: Only these, such as ``('00',)``.
        scans: First scan and the one after the last, of every sequence.
        strict: Raise for a missing sequence, rather than go on without it.

    Raises:
        DataError: A sequence of the split, its labels or its poses are missing, or damaged.
        ConfigError: A setting is out of range.
    """
    classes = classes_of(labels)
    folders = _folders(Path(root), split, sequences)
    absent = [f'{folder}/velodyne' for folder in folders.values() if not _has_scans(folder)]
    if absent and strict:
        raise missing(Path(absent[0]), f"the scans of a sequence of the split '{split}'")
    recordings = [
        KittiRecording(folder, name, split, labels, scans)
        for name, folder in folders.items()
        if _has_scans(folder)
    ]
    for recording in recordings:
        if not recording.has_labels and split not in UNLABELLED_SPLITS:
            raise missing(folders[recording.name] / 'labels', 'labels of a sequence with labels')
    return ScanClips(
        'semantickitti',
        split,
        classes,
        recordings,
        sampling,
        feature_names=('intensity',),
        compensate=compensate,
        missing=absent,
        notes=[note for recording in recordings for note in recording.notes],
    )


def _has_scans(folder: Path) -> bool:
    return (folder / 'velodyne').is_dir()


def _folders(root: Path, split: str, wanted: Sequence[str] | None) -> dict[str, Path]:
    """Folder of every sequence to read, by name."""
    require_split('SemanticKITTI', split, (*SPLITS, 'all'))
    if _has_scans(root):
        if split != 'all' and root.name not in SPLITS[split]:
            raise DataError(
                f"{root} is one sequence, which is none of the split '{split}'",
                "Open it with the split 'all'",
                root,
            )
        return {root.name: root}
    home = next(
        (base for base in (root / 'dataset' / 'sequences', root / 'sequences') if base.is_dir()),
        root,
    )
    if split == 'all':
        names = sorted(path.parent.name for path in home.glob('*/velodyne'))
        if not names:
            raise missing(home / '00' / 'velodyne', 'the scans of a sequence')
    else:
        names = list(SPLITS[split])
    if wanted is not None:
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise DataError(
                f"sequence '{unknown[0]}' is not in the split '{split}'",
                f'Choose among {", ".join(names)}',
            )
        names = [name for name in names if name in wanted]
    return {name: home / name for name in names}
