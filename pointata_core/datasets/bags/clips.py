# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips of rosbag2 recordings with ground truth, read as bag evaluation reads them.

The truth of points is an integer field of the clouds, or of clouds on a topic of their own with the
same stamps; the truth of frames is a ``vision_msgs/Classification`` on ``/ground_truth/action``. A
recording that names its labels on ``/ground_truth/label_info``, as simulated ones do, needs no
further settings.

The root folder is a recording, or holds recordings; those of the splits ``train``, ``validation``
and ``test`` lie in folders of that name. A file without a ``metadata.yaml`` beside it, as a killed
recorder leaves it, counts as one recording. Opening a recording reads it once, to find the usable
clouds; later reads go forwards only, so read clips in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.bags.index import BagIndex, BagSettings, index_bag
from pointata_core.datasets.bags.scans import BagScans
from pointata_core.datasets.errors import DataError, missing
from pointata_core.datasets.protocol import Frame
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.scan_clips import CAUSAL_CLIPS, ScanClips
from pointata_core.errors import ConfigError
from pointata_core.taxonomy import (
    ACTION_CLASSES,
    IGNORE,
    SEGMENTATION_CLASSES,
    UNLABELLED,
    labels_from_semantickitti,
)

SPLITS = ('train', 'validation', 'test', 'all')
LABEL_MAPPINGS = ('', 'semantickitti')


@dataclass(frozen=True)
class _Translation:
    """Raw labels of a recording into classes of the data set."""

    classes: tuple[str, ...]
    names: Mapping[int, str] | None
    mapping: str

    def __call__(self, raw: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.mapping:
            ours = labels_from_semantickitti(raw).astype(np.int64)
            table = np.full(UNLABELLED + 1, IGNORE, np.int64)
            for number, name in enumerate(SEGMENTATION_CLASSES):
                table[number] = self._place(name)
            return table[ours]
        if self.names is not None:
            places = {label: self._place(name) for label, name in self.names.items()}
            found, back = np.unique(raw, return_inverse=True)
            return np.array([places.get(int(label), IGNORE) for label in found], np.int64)[back]
        known = (raw >= 0) & (raw < len(self.classes))
        return np.where(known, raw, IGNORE)

    def _place(self, name: str) -> int:
        return self.classes.index(name) if name in self.classes else IGNORE


class BagRecording:
    """Usable clouds of one recording, in order.

    Args:
        index: What was found in it.
        name: Name of the recording.
        split: Split that it is read for.
        translation: Raw labels into classes.
        action_classes: Names; other actions are ``IGNORE``.
        features: Features of the clouds to keep.
        keep: Clouds kept in memory, those read last.
    """

    def __init__(
        self,
        index: BagIndex,
        name: str,
        split: str,
        translation: _Translation,
        action_classes: tuple[str, ...],
        features: tuple[str, ...],
        keep: int,
    ) -> None:
        self.name, self.split, self.index = name, split, index
        self.has_poses = index.poses is not None
        self._translation, self._action_classes = translation, action_classes
        self._scans = BagScans(index, features, keep)

    def __len__(self) -> int:
        """Number of usable clouds."""
        return len(self.index.stamps_ns)

    def scan(self, number: int) -> tuple[Frame, int | None]:
        """One cloud, without its non-finite points, and its action where the recording has any.

        Raises:
            DataError: The recording cannot be read any more.
        """
        points, features, raw = self._scans.read(number)
        labels = None
        if self.index.has_labels:
            # A cloud without truth in a recording with truth: its points just do not count.
            labels = np.full(len(points), IGNORE, np.int64)
            if raw is not None:
                labels = self._translation(raw)
        stamps = self.index.stamps_ns
        frame = Frame(
            points=points,
            name=f'{self.name}/{number:06d}',
            features=features,
            labels=labels,
            sequence=self.name,
            split=self.split,
            time_s=(stamps[number] - stamps[0]) * 1e-9,
            pose=None if self.index.poses is None else self.index.poses[number],
        )
        return frame, self._action(stamps[number])

    def _action(self, stamp_ns: int) -> int | None:
        if not self.index.actions:
            return None
        name = self.index.actions.get(stamp_ns)
        return self._action_classes.index(name) if name in self._action_classes else IGNORE


def bag_clips(
    root: str | Path,
    split: str = 'all',
    *,
    sampling: ClipSampling = CAUSAL_CLIPS,
    topic: str | None = None,
    labels_field: str | None = None,
    labels_topic: str | None = None,
    label_mapping: str = '',
    fixed_frame: str = '',
    compensate: bool = False,
    classes: Sequence[str] | None = None,
    action_classes: Sequence[str] = ACTION_CLASSES,
    features: Sequence[str] = ('intensity',),
    task: Literal['segmentation', 'action'] = 'segmentation',
) -> ScanClips:
    """Open recordings; names of topics and fields as for ``pointata evaluate``.

    Args:
        root: A recording (folder or file), or a folder of recordings.
        split: ``train``, ``validation``, ``test``, or ``all`` for every recording below the root.
        sampling: Which clouds make a clip; by default 8 that end at every cloud.
        topic: Topic of the clouds; None takes the only one that is no ground truth.
        labels_field: Integer field with the class of each point.
        labels_topic: Topic of clouds that carry this field, matched by stamp.
        label_mapping: ``semantickitti`` if labels are raw ids of that data set.
        fixed_frame: Frame of ``/tf`` in which poses are given; empty for no poses.
        compensate: Bring all points of a clip into the sensor frame of its last cloud.
        classes: Classes of points; None takes the names in the recordings, our own taxonomy
            if ``label_mapping`` is set, else as many numbers as occur.
        action_classes: Classes of frames.
        features: Wanted features; one that a recording lacks is left out of all.
        task: Which names ``ScanClips.classes`` gives.

    Raises:
        DataError: There is no recording, or one lacks a wanted topic or feature.
        ConfigError: A setting is unknown.
    """
    if label_mapping not in LABEL_MAPPINGS:
        raise ConfigError(
            f"label_mapping is '{label_mapping}'", f'Choose one of {", ".join(LABEL_MAPPINGS[1:])}'
        )
    if task not in ('segmentation', 'action'):
        raise ConfigError(f"task is '{task}', expected segmentation or action")
    settings = BagSettings(topic, labels_field, labels_topic, fixed_frame, tuple(features))
    recordings = find_recordings(Path(root), split)
    indices = {name: index_bag(path, settings) for name, path in recordings.items()}
    if classes is None:
        classes = _classes_of(list(indices.values()), label_mapping)
    shared = tuple(f for f in features if all(f in index.features for index in indices.values()))
    names = (tuple(classes), tuple(action_classes))
    return ScanClips(
        'rosbag2',
        split,
        names[task == 'action'],
        [
            BagRecording(
                index,
                name,
                split,
                _Translation(names[0], None if label_mapping else index.label_names, label_mapping),
                names[1],
                shared,
                sampling.span,
            )
            for name, index in indices.items()
        ],
        sampling,
        feature_names=shared,
        compensate=compensate,
        notes=[f'{name}: {note}' for name, index in indices.items() for note in index.notes],
    )


def find_recordings(root: Path, split: str) -> dict[str, Path]:
    """Recordings of a split by name.

    Raises:
        DataError: There is none.
    """
    if split not in SPLITS:
        raise DataError(f"recordings have no split '{split}'", f'Choose one of {", ".join(SPLITS)}')
    if _is_recording(root):
        if split != 'all':
            raise DataError(
                f"{root} is one recording, which has no split '{split}'",
                "Open it with the split 'all'",
                root,
            )
        return {root.stem: root}
    home = root if split == 'all' else root / split
    found = {path.parent for path in home.rglob('metadata.yaml')}
    loose = {path for kind in ('*.mcap', '*.db3') for path in home.rglob(kind)}
    found |= {path for path in loose if path.parent not in found}
    if not found:
        raise missing(
            home, 'rosbag2 recordings: folders with metadata.yaml, or .mcap or .db3 files', ''
        )
    return {path.relative_to(root).as_posix(): path for path in sorted(found)}


def _is_recording(path: Path) -> bool:
    return path.is_file() or (path / 'metadata.yaml').is_file()


def _classes_of(indices: Sequence[BagIndex], mapping: str) -> tuple[str, ...]:
    if mapping:
        return SEGMENTATION_CLASSES
    named = [index.label_names for index in indices if index.label_names is not None]
    if named:
        return tuple(dict.fromkeys(name for names in named for _, name in sorted(names.items())))
    highest = max((index.highest_label for index in indices), default=-1)
    return tuple(f'class_{number:02d}' for number in range(highest + 1))
