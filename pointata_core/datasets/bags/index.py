# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The usable clouds of a recording, with ground truth and poses, found in one pass.

Choices are those of bag evaluation: the only cloud topic that is no ground truth, the field
``label`` where the recording names its labels, an unusable cloud counted and left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError
from pointata_core.errors import BagError
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.cloud import Cloud, Rejected
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_core.io.messages.stamps import stamp_of
from pointata_core.io.transforms import TransformBuffer, TransformError
from pointata_core.simulation.recording import ACTION_TOPIC, LABEL_INFO_TOPIC
from pointata_core.taxonomy import UNLABELLED

DEFAULT_LABELS_FIELD = 'label'
_TRUTH = '/ground_truth/'


@dataclass(frozen=True)
class BagSettings:
    """What to look for; see ``bag_clips.bag_clips``."""

    topic: str | None = None
    labels_field: str | None = None
    labels_topic: str | None = None
    fixed_frame: str = ''
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class BagIndex:
    """What was found in a recording.

    Args:
        path: The recording.
        topic: Topic of its clouds.
        labels_field: Field with the class of each point; None without truth.
        labels_topic: Topic of clouds with that field; None if the clouds themselves have it.
        positions: (F,) place of each usable cloud among all messages of ``topic``.
        stamps_ns: (F,) its stamp.
        labelled: Stamps of clouds whose labels fit.
        poses: (F, 4, 4) sensor to fixed frame; None without a fixed frame.
        actions: Stamp -> name of the action.
        label_names: Names of raw labels, where the recording stores them.
        highest_label: Largest raw label, other than "no label"; -1 without any.
        features: Features that every usable cloud has.
        notes: What could not be used, in words.
    """

    path: Path
    topic: str
    labels_field: str | None
    labels_topic: str | None
    positions: list[int]
    stamps_ns: list[int]
    labelled: frozenset[int]
    poses: NDArray[np.float64] | None
    actions: Mapping[int, str]
    label_names: Mapping[int, str] | None
    highest_label: int
    features: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def has_labels(self) -> bool:
        """Whether any cloud has usable labels."""
        return bool(self.labelled)


@dataclass
class _Findings:
    clouds: list[tuple[int, Cloud]] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    label_counts: dict[int, int] = field(default_factory=dict)
    highest: int = -1
    refused: Counter[str] = field(default_factory=Counter)


def index_bag(path: Path, settings: BagSettings) -> BagIndex:
    """Read a recording once.

    Raises:
        DataError: It cannot be read, lacks a wanted topic or feature, or holds no usable cloud.
    """
    try:
        with BagReader(path) as bag:
            return _index(bag, path, settings)
    except (BagError, TransformError) as error:
        raise DataError(error.message, error.fix, path) from error


def labels_of(message: Any, labels_field: str) -> NDArray[np.int64] | None:
    """Raw labels of a message; None if it has no usable ones."""
    labels = decode_labels(message, labels_field)
    return None if isinstance(labels, Rejected) else labels


def _index(bag: BagReader, path: Path, settings: BagSettings) -> BagIndex:
    topic = _cloud_topic(bag, settings.topic)
    labels_topic = settings.labels_topic and bag.select_point_topic(settings.labels_topic)
    recorded = {info.name for info in bag.topics if info.count}
    label_names = _label_names(bag) if LABEL_INFO_TOPIC in recorded else None
    labels_field = settings.labels_field
    if labels_field is None and (labels_topic or label_names is not None):
        labels_field = DEFAULT_LABELS_FIELD
    if labels_field not in (None, DEFAULT_LABELS_FIELD):
        label_names = None  # they are those of the default field
    actions = _actions(bag) if ACTION_TOPIC in recorded else {}
    found = _read(bag, topic, labels_topic, labels_field, settings)
    poses = _poses(bag, path, found, settings.fixed_frame)
    if not found.clouds:
        raise DataError(
            f'{path}: none of the clouds on {topic} can be used '
            f'({_listing(found.refused) or "there are none"})',
            'Run pointata evaluate --bag on it to see more',
            path,
        )
    labelled = frozenset(
        stamp for stamp, count in found.counts.items() if found.label_counts.get(stamp) == count
    )
    if labels_field and not labelled:
        raise DataError(
            f'{path}: no cloud on {labels_topic or topic} has usable labels in a field '
            f"'{labels_field}'; its fields are {', '.join(found.clouds[0][1].fields)}",
            'Name field and topic of the ground truth (labels_field, labels_topic)',
            path,
        )
    notes = [*bag.problems]
    if found.refused:
        notes.append(f'clouds left out: {_listing(found.refused)}')
    if labels_field and len(labelled) < len(found.counts):
        notes.append(f'{len(found.counts) - len(labelled)} clouds have no labels that fit')
    return BagIndex(
        path=path,
        topic=topic,
        labels_field=labels_field,
        labels_topic=labels_topic or None,
        positions=[position for position, _ in found.clouds],
        stamps_ns=[cloud.stamp_ns for _, cloud in found.clouds],
        labelled=labelled,
        poses=poses,
        actions=actions,
        label_names=label_names,
        highest_label=found.highest,
        features=tuple(
            name
            for name in settings.features
            if all(name in cloud.features for _, cloud in found.clouds)
        ),
        notes=tuple(notes),
    )


def _cloud_topic(bag: BagReader, topic: str | None) -> str:
    if topic is None:
        sensors = [t.name for t in bag.point_topics() if t.count and not t.name.startswith(_TRUTH)]
        topic = sensors[0] if len(sensors) == 1 else None
    return bag.select_point_topic(topic)


def _read(
    bag: BagReader,
    topic: str,
    labels_topic: str | None,
    labels_field: str | None,
    settings: BagSettings,
) -> _Findings:
    found, position = _Findings(), -1
    for name, _, message in bag.messages([topic, *([labels_topic] if labels_topic else [])]):
        if labels_field and name == (labels_topic or topic):
            _note_labels(found, message, labels_field)
        if name != topic:
            continue
        position += 1
        cloud = decode(message, wanted_features=settings.features)
        if isinstance(cloud, Rejected):
            found.refused[str(cloud.reason)] += 1
            continue
        found.counts[cloud.stamp_ns] = len(cloud)
        found.clouds.append((position, _without_points(cloud)))
    if bag.skipped[topic]:
        found.refused['undecodable_message'] += bag.skipped[topic]
    return found


def _note_labels(found: _Findings, message: Any, labels_field: str) -> None:
    labels = labels_of(message, labels_field)
    if labels is None:
        return
    found.label_counts[stamp_of(message)] = len(labels)
    counted = labels[labels != UNLABELLED]
    found.highest = max(found.highest, int(counted.max(initial=-1)))


def _without_points(cloud: Cloud) -> Cloud:
    """The header of a cloud: an index must not hold a whole recording in memory."""
    empty = np.empty((0, 3), np.float32)
    return Cloud(
        points=empty,
        features=dict.fromkeys(cloud.features, empty[:, 0]),
        finite=np.empty(0, np.bool_),
        width=0,
        height=0,
        stamp_ns=cloud.stamp_ns,
        frame_id=cloud.frame_id,
        fields=cloud.fields,
    )


def _poses(
    bag: BagReader, path: Path, found: _Findings, fixed_frame: str
) -> NDArray[np.float64] | None:
    """Poses of all clouds; those without one are taken out of ``found``, as the node skips them."""
    if not fixed_frame:
        return None
    transforms = TransformBuffer.from_recording(bag)
    if fixed_frame.removeprefix('/') not in transforms.frames:
        raise DataError(
            f"{path}: no transform mentions the frame '{fixed_frame}'; frames there are: "
            f'{", ".join(transforms.frames) or "(none)"}',
            'Name one of them as fixed_frame, or leave it out for no poses',
            path,
        )
    poses, placed = [], []
    for position, cloud in found.clouds:
        try:
            poses.append(transforms.lookup(fixed_frame, cloud.frame_id, cloud.stamp_ns))
        except TransformError:
            found.refused['no_transform'] += 1
            found.counts.pop(cloud.stamp_ns, None)
        else:
            placed.append((position, cloud))
    found.clouds = placed
    return np.array(poses).reshape(-1, 4, 4)


def _label_names(bag: BagReader) -> dict[int, str]:
    names: dict[int, str] = {}
    for _, _, message in bag.messages([LABEL_INFO_TOPIC]):
        names = {int(entry.class_id): entry.class_name for entry in message.class_map}
    return names


def _actions(bag: BagReader) -> dict[int, str]:
    actions = {}
    for _, _, message in bag.messages([ACTION_TOPIC]):
        if message.results:
            best = max(message.results, key=lambda result: result.score)
            actions[stamp_of(message)] = best.class_id
    return actions


def _listing(counts: Counter[str]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in counts.items())
