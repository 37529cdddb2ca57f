# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""HOI4D: action segmentation and semantic segmentation of first-person recordings.

Liu et al., HOI4D: A 4D Egocentric Dataset for Category-Level Human-Object Interaction, CVPR 2022;
the files of its challenges. Action segmentation: ``train1.h5`` .. ``train4.h5``, ``test1.h5``,
``test2.h5`` and, without labels, ``test_wolabel.h5``, with ``pcd`` (n, 150, 2048, 3), ``center``
(n, 150, 3) and ``label`` (n, 150). Semantic segmentation: ``train1.h5`` .. ``train4.h5``,
``test1_right.h5``, ``test2_right.h5``, with ``pcd`` (n, 300, 8192, 3), ``center`` and ``semantic``
(n, 300, 8192).

Sequences are counted from the files. Public loaders assume 750 or 500 sequences per file and
misread other files without an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pointata_core.datasets.errors import DataError, damaged, damaged_items, require_split
from pointata_core.datasets.files.hdf5_files import Hdf5Rows, Shape, finite_points, labels_within
from pointata_core.datasets.protocol import Clip, Description
from pointata_core.datasets.splits import held_out
from pointata_core.errors import ConfigError
from pointata_core.taxonomy import IGNORE

ACTION_FILES = {
    'train': ('train1.h5', 'train2.h5', 'train3.h5', 'train4.h5'),
    'test': ('test1.h5', 'test2.h5'),
    'test_unlabelled': ('test_wolabel.h5',),
}
SEMANTIC_FILES = {
    'train': ('train1.h5', 'train2.h5', 'train3.h5', 'train4.h5'),
    'test': ('test1_right.h5', 'test2_right.h5'),
}

# The order of the names of the 19 actions was never published, so they go by number.
ACTION_NAMES = tuple(f'action_{number:02d}' for number in range(19))

UNSCORED_IDS = (0, 1)
"""Semantic ids ``no label`` and ``noise``."""

_SEMANTIC_NAMES = {
    0: 'no label', 1: 'noise', 2: 'chair', 3: 'table', 4: 'water dispenser', 5: 'ground',
    9: 'bucket', 10: 'garbage can', 11: 'wall', 12: 'sofa', 13: 'bag', 15: 'bowl',
    16: 'bottled drinks', 17: 'mug', 19: 'locker', 20: 'express box', 21: 'kettle',
    22: 'hammer', 23: 'pliers', 24: 'toy car', 25: 'laptop', 26: 'refrigerator', 27: 'safe',
    28: 'stapler', 29: 'desk lamp', 30: 'trolley case', 31: 'knife', 32: 'cupboard', 33: 'bed',
    34: 'bedside table', 35: 'door', 36: 'window', 37: 'mural', 38: 'counter', 39: 'curtain',
    40: 'pool', 41: 'pillow', 42: 'carpet', 43: 'television', 44: 'ceiling',
    45: 'other furniture', 46: 'other objects', 47: 'hand', 48: 'scissors',
}  # fmt: skip
SEMANTIC_NAMES = tuple(_SEMANTIC_NAMES.get(number, f'unused {number}') for number in range(49))
"""A label is the public id; five of the 49 ids are never used."""


class Hoi4dActions:
    """Action segmentation: a clip is a whole sequence, with a label for every frame.

    Args:
        root: Folder with the challenge files.
        split: ``train``, ``test`` (labelled, not public), ``fit`` or ``validation``
            (together ``train``), or ``test_unlabelled``.
        strict: Raise for a missing or damaged file, rather than go on without its sequences.

    Raises:
        DataError: A file is missing, cut or of another form.
    """

    name = 'hoi4d_actions'
    classes = ACTION_NAMES
    feature_names: tuple[str, ...] = ()

    def __init__(self, root: str | Path, split: str = 'train', strict: bool = True) -> None:
        self.split = split
        self._labelled = split != 'test_unlabelled'
        columns: dict[str, Shape] = {'pcd': (None, None, 3), 'center': (None, 3)}
        if self._labelled:
            columns['label'] = (None,)
        self._sequences = ChallengeSequences(Path(root), ACTION_FILES, split, columns, strict)

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self._sequences.rows)

    def __getitem__(self, index: int) -> Clip:
        """Read one sequence.

        Raises:
            DataError: Its bytes cannot be read, are not finite, or a label is not in 0 .. 18.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'clip {index} of {len(self)}')
        file, row = self._sequences.rows[index]
        name = self._sequences.name(index)
        points = finite_points(file.read('pcd', row), file.path, f'sequence {row}')
        actions = None
        if self._labelled:
            actions = labels_within(file.read('label', row), len(ACTION_NAMES), file.path)
            if len(actions) != len(points):
                raise damaged(file.path, f'{len(actions)} labels', f'{len(points)}, one per frame')
        return Clip(
            points=list(points),
            name=name,
            actions=actions,
            sequence=name,
            split=self.split,
            frames=np.arange(len(points)),
        )

    def describe(self) -> Description:
        """Count the sequences in the headers of the files."""
        return self._sequences.describe(self.name, {})

    def verify(self) -> Iterator[DataError | None]:
        """Read every sequence."""
        yield from self._sequences.verify(self)


class Hoi4dSemantics:
    """Semantic segmentation: clips of a few frames that follow each other without overlap.

    Args:
        root: Folder with the challenge files.
        split: ``train``, ``test``, ``fit`` or ``validation`` (together ``train``).
        frames_per_clip: The public protocol takes 3 of 300; a rest at the end is left out.
        mode: ``reference`` keeps the ids 0 (no label) and 1 (noise) as classes, as the public
            training does; its score counts their points as mistakes. ``clean`` ignores them.
        strict: Raise for a missing or damaged file, rather than go on without its sequences.

    Raises:
        DataError: A file is missing, cut or of another form.
        ConfigError: A setting is out of range.
    """

    name = 'hoi4d_semantics'
    classes = SEMANTIC_NAMES
    feature_names: tuple[str, ...] = ()

    def __init__(
        self,
        root: str | Path,
        split: str = 'train',
        frames_per_clip: int = 3,
        mode: str = 'clean',
        strict: bool = True,
    ) -> None:
        if frames_per_clip < 1:
            raise ConfigError(f'frames_per_clip is {frames_per_clip}, expected 1 or more')
        if mode not in ('clean', 'reference'):
            raise ConfigError(f"mode is '{mode}', expected clean or reference")
        self.split, self.frames_per_clip, self.mode = split, frames_per_clip, mode
        columns: dict[str, Shape] = {
            'pcd': (None, None, 3),
            'center': (None, 3),
            'semantic': (None, None),
        }
        self._sequences = ChallengeSequences(Path(root), SEMANTIC_FILES, split, columns, strict)
        lengths = [file.row_shape('pcd')[0] for file, _ in self._sequences.rows]
        self._ends = np.cumsum([length // frames_per_clip for length in lengths], dtype=np.int64)

    def __len__(self) -> int:
        """Number of clips."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Clip:
        """Read one clip; only its own frames are read.

        Raises:
            DataError: The bytes cannot be read, are not finite, or a label is not in 0 .. 48.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'clip {index} of {len(self)}')
        which = int(np.searchsorted(self._ends, index, side='right'))
        file, row = self._sequences.rows[which]
        first = (index - (int(self._ends[which - 1]) if which else 0)) * self.frames_per_clip
        frames = slice(first, first + self.frames_per_clip)
        points = finite_points(file.read('pcd', (row, frames)), file.path, f'sequence {row}')
        labels = labels_within(
            file.read('semantic', (row, frames)), len(SEMANTIC_NAMES), file.path, 'semantic id'
        )
        if labels.shape != points.shape[:2]:
            raise damaged(file.path, f'semantic {labels.shape}', f'{points.shape[:2]} as pcd has')
        if self.mode == 'clean':
            labels[np.isin(labels, UNSCORED_IDS)] = IGNORE
        sequence = self._sequences.name(which)
        return Clip(
            points=list(points),
            name=f'{sequence}/{first:03d}',
            labels=list(labels),
            sequence=sequence,
            split=self.split,
            frames=np.arange(frames.start, frames.stop),
        )

    def describe(self) -> Description:
        """Count sequences and clips in the headers of the files."""
        return self._sequences.describe(self.name, {'clips': len(self)})

    def verify(self) -> Iterator[DataError | None]:
        """Read every clip."""
        yield from self._sequences.verify(self)


class ChallengeSequences:
    """Sequences of one split, file after file.

    Args:
        root: Folder with the files.
        files: Names of the files of ``train``, ``test`` and so on.
        split: One of these, or ``fit`` or ``validation``: four fifths and the last fifth of
            ``train``.
        columns: Arrays of a file and the shapes of a row.
        strict: Raise for a missing or damaged file.

    Attributes:
        rows: File and row of every sequence.

    Raises:
        DataError: The split is unknown or, if ``strict``, a file is missing or damaged.
    """

    def __init__(
        self,
        root: Path,
        files: Mapping[str, tuple[str, ...]],
        split: str,
        columns: Mapping[str, Shape],
        strict: bool,
    ) -> None:
        splits = (*files, 'fit', 'validation')
        self.split = require_split('HOI4D', split, splits)
        self._missing: list[str] = []
        self._damaged: list[DataError] = []
        self.rows: list[tuple[Hdf5Rows, int]] = []
        for name in files[split if split in files else 'train']:
            try:
                file = Hdf5Rows(root / name, columns)
            except DataError as error:
                if strict:
                    raise
                if (root / name).is_file():
                    self._damaged.append(error)
                else:
                    self._missing.append(name)
            else:
                self.rows += [(file, row) for row in range(len(file))]
        if split not in files:
            aside = held_out(range(len(self.rows))) if self.rows else frozenset()
            wanted = [n for n in range(len(self.rows)) if (n in aside) == (split == 'validation')]
            self.rows = [self.rows[number] for number in wanted]

    def name(self, index: int) -> str:
        """Name of a sequence: file and row."""
        file, row = self.rows[index]
        return f'{file.path.stem}/{row:05d}'

    def describe(self, dataset: str, counts: Mapping[str, int]) -> Description:
        """Count sequences, beside other counts; name the sizes that occur."""
        shapes = sorted({file.row_shape('pcd')[:2] for file, _ in self.rows})
        return Description(
            dataset,
            {self.split: {'sequences': len(self.rows), **counts}},
            missing=tuple(self._missing),
            notes=tuple(f'{frames} frames of {points} points' for frames, points in shapes),
            damaged=tuple(error.message for error in self._damaged),
        )

    def verify(self, dataset: Hoi4dActions | Hoi4dSemantics) -> Iterator[DataError | None]:
        """Read every clip of a data set."""
        yield from self._damaged
        yield from damaged_items(dataset.__getitem__, range(len(dataset)))
