# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a recording are read for what; decided before the first frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pointata_core.evaluation.ground_truth import (
    ACTION_TRUTH_TOPIC,
    LABEL_NAMES_TOPIC,
    LabelTranslation,
    classification_of,
    labels_by_name,
    labels_to_classes,
)
from pointata_core.evaluation.people_truth import TRACKS_TRUTH_TOPIC
from pointata_core.io.bags.depth_topics import find_depth_topic, find_info_topic, read_intrinsics
from pointata_core.io.bags.reader import BagReader, TopicInfo
from pointata_core.io.cloud import Cloud, Rejected
from pointata_core.io.messages.cloud_conversion import CLOUD_TYPES, to_point_cloud
from pointata_core.io.messages.depth_image import Intrinsics
from pointata_core.io.messages.message_types import DEPTH_TYPES, INPUT_TYPES, POINT_CLOUD
from pointata_core.io.messages.point_cloud2 import decode

DEFAULT_LABELS_FIELD = 'label'


@dataclass(frozen=True)
class BagPlan:
    """Which topics of a bag are read for what; resolved before the first frame.

    Args:
        cloud_topic: The clouds to answer.
        frames: Their number.
        labels_field: Field of these clouds (or of those on ``labels_topic``) with ground truth.
        labels_topic: Topic of clouds that carry the ground truth; ``None`` = the clouds themselves.
        action_topic: Topic of true actions, if the bag has one.
        label_names: Names of the true labels, where the bag tells them and nothing else was asked.
        cloud_type: Type of the messages on ``cloud_topic``.
        intrinsics: Of the camera, where these are depth images.
        info_topic: Where they come from.
        tracks_topic: Topic of true people, if the bag has one.
    """

    cloud_topic: str
    frames: int
    labels_field: str | None = None
    labels_topic: str | None = None
    action_topic: str | None = None
    label_names: dict[int, str] | None = None
    cloud_type: str = POINT_CLOUD
    intrinsics: Intrinsics | None = None
    info_topic: str | None = None
    tracks_topic: str | None = None

    @property
    def input_type(self) -> str:
        """The key of ``INPUT_TYPES`` for these messages."""
        return next(kind for kind, names in INPUT_TYPES.items() if self.cloud_type in names)

    def decode(self, message: Any, features: Sequence[str]) -> tuple[Any, Cloud | Rejected]:
        """The message as a PointCloud2, and its cloud."""
        converted = to_point_cloud(message, self.cloud_type, self.intrinsics)
        if isinstance(converted, Rejected):
            return message, converted
        return converted, decode(converted, wanted_features=features)

    def translation(self, mapping: str | None, classes: Sequence[str]) -> LabelTranslation:
        """Function from raw labels to those of the bundle."""
        if self.label_names is not None and not mapping:
            return labels_by_name(self.label_names, classes)
        return labels_to_classes(mapping, classes)


def plan_bag(
    bag: BagReader,
    topic: str | None = None,
    labels_field: str | None = None,
    labels_topic: str | None = None,
    tracks_topic: str | None = None,
) -> BagPlan:
    """Choose the topics, or say which of them is missing.

    Raises:
        BagError: No cloud topic, several of them without a choice, or a named one is absent.
    """
    if topic is None:
        sensors = sensor_topics(bag)
        topic = sensors[0] if len(sensors) == 1 else None
        if not sensors:
            topic = find_depth_topic(bag)
    intrinsics = info_topic = None
    if topic is not None and bag.topic(topic).type in DEPTH_TYPES:
        cloud_topic = bag.topic(topic)
        info_topic = find_info_topic(bag, cloud_topic.name)
        intrinsics = read_intrinsics(bag, info_topic)
    else:
        cloud_topic = bag.topic(bag.select_point_topic(topic, CLOUD_TYPES))
    if labels_topic is not None:
        labels_topic = bag.select_point_topic(labels_topic)
        labels_field = labels_field or DEFAULT_LABELS_FIELD
    known = {info.name for info in bag.topics if info.count}
    action = ACTION_TRUTH_TOPIC if ACTION_TRUTH_TOPIC in known else None
    if tracks_topic is None and TRACKS_TRUTH_TOPIC in known:
        tracks_topic = TRACKS_TRUTH_TOPIC
    names = None
    if labels_field is None and LABEL_NAMES_TOPIC in known:
        # Simulated recordings say what their labels mean; nothing has to be asked for then.
        names = _read_label_names(bag)
        labels_field = DEFAULT_LABELS_FIELD
    return BagPlan(
        cloud_topic.name,
        cloud_topic.count,
        labels_field,
        labels_topic,
        action,
        names,
        cloud_topic.type,
        intrinsics,
        info_topic,
        tracks_topic,
    )


def sensor_topics(bag: BagReader) -> list[str]:
    """Topics with clouds of sensors; depth images are none of them."""
    return [topic.name for topic in bag.point_topics(CLOUD_TYPES) if _is_sensor(topic)]


def _is_sensor(topic: TopicInfo) -> bool:
    return topic.count > 0 and not topic.name.startswith('/ground_truth/')


def _read_label_names(reader: BagReader) -> dict[int, str]:
    """Names of the labels, out of the last ``vision_msgs/LabelInfo``."""
    names: dict[int, str] = {}
    for _, _, message in reader.messages([LABEL_NAMES_TOPIC]):
        names = {int(entry.class_id): entry.class_name for entry in message.class_map}
    return names


def read_actions(reader: BagReader, topic: str | None) -> dict[int, str]:
    """True action by stamp; a few bytes per frame, so all of them are read ahead."""
    if topic is None:
        return {}
    found = (classification_of(message) for _, _, message in reader.messages([topic]))
    return dict(pair for pair in found if pair is not None)
