# SPDX-License-Identifier: Apache-2.0
"""Run a bundle over a recorded bag, exactly as the live node would in ``block`` policy.

Decoder, session and order are those of the node, so its labels of a recording are those that the
robot will publish. Nothing is dropped for lack of time, so two runs give the same labels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pointata_core.errors import BagError
from pointata_core.evaluation.bag_transforms import BagTransforms
from pointata_core.evaluation.ground_truth import (
    ACTION_TRUTH_TOPIC,
    LABEL_NAMES_TOPIC,
    LabelTranslation,
    StampMatcher,
    classification_of,
    labels_by_name,
    labels_to_classes,
)
from pointata_core.inference.placement import OPTICAL, UNPLACED, parse_placement
from pointata_core.io.bags.depth_topics import find_depth_topic, find_info_topic, read_intrinsics
from pointata_core.io.bags.reader import BagReader, TopicInfo
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.byte_order import swapped_points
from pointata_core.io.messages.cloud_conversion import CLOUD_TYPES, to_point_cloud
from pointata_core.io.messages.depth_image import Intrinsics
from pointata_core.io.messages.message_types import DEPTH_TYPES, INPUT_TYPES, POINT_CLOUD
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_core.io.messages.stamps import stamp_of
from pointata_core.io.transforms import TransformError

if TYPE_CHECKING:
    from pointata_core.evaluation.camera_bag import BagCamera
    from pointata_core.evaluation.results import EvaluationResults
    from pointata_core.evaluation.runner import BundleRunner

Progress = Callable[[int, int], None]
DEFAULT_LABELS_FIELD = 'label'
UNDECODABLE = 'undecodable_message'
NO_TRANSFORM = 'no_transform'


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
) -> BagPlan:
    """Choose the topics, or say which of them is missing.

    Raises:
        BagError: No cloud topic, several of them without a choice, or a named one is absent.
    """
    if topic is None:
        sensors = [t.name for t in bag.point_topics(CLOUD_TYPES) if _is_sensor(t)]
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
    )


def evaluate_bag(
    bag: str | Path,
    *,
    topic: str | None = None,
    bundle: str | Path | None = None,
    labels_field: str | None = None,
    labels_topic: str | None = None,
    label_mapping: str | None = None,
    device: str = 'auto',
    precision: str = 'float32',
    fixed_frame: str = '',
    max_gap_s: float = 1.0,
    progress: Progress | None = None,
    image_topic: str | None = None,
    camera_extrinsics: str = '',
    image_tolerance_s: float = 0.05,
    input_scale: float = 1.0,
    sensor_pose: str = '',
    target_frame: str = '',
) -> EvaluationResults:
    """Answer every cloud of a bag and measure how well and how fast.

    Args:
        bag: rosbag2 folder or file (sqlite3, mcap).
        topic: Topic of the clouds; ``None`` = the only one there is.
        bundle: Folder of the bundle; ``None`` = the default bundle.
        labels_field: Integer field with ground-truth labels.
        labels_topic: Topic of clouds with ground truth, matched by stamp (field ``label`` unless
            ``labels_field`` names them).
        label_mapping: How raw labels become those of the bundle, see
            ``ground_truth.labels_to_classes``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32`` or ``bfloat16``.
        fixed_frame: Compensate ego motion with the recorded ``/tf`` against this frame; a cloud
            whose transform is missing is skipped, as the node does by default.
        max_gap_s: A longer pause between two stamps starts a new history.
        progress: Called with (messages done, messages in all).
        image_topic: Images for a camera bundle; ``None`` = the only ones there are, ``'none'`` =
            do without.
        camera_extrinsics: Pose of the LiDAR in the camera's frame (``x y z qx qy qz qw``), where
            the recording has no transform between them.
        image_tolerance_s: Largest difference between the stamps of a cloud and its image.
        input_scale: Metres per unit of the coordinates.
        sensor_pose: ``x y z roll pitch yaw`` of the sensor in a frame with z up.
        target_frame: Such a frame by name: the pose comes from the recorded ``/tf``.

    Raises:
        BagError: The bag cannot be read, or lacks what was asked for.
        BundleError: The bundle cannot be used.
        ConfigError: A setting is out of range.
    """
    started, path = perf_counter(), Path(bag)
    placement = parse_placement(input_scale, sensor_pose, target_frame)
    with BagReader(path) as reader:
        plan = plan_bag(reader, topic, labels_field, labels_topic)
        if placement is UNPLACED and plan.intrinsics is not None:
            placement = OPTICAL
        # Only now: a mistyped topic should not have to wait for torch.
        from pointata_core.evaluation.runner import BundleRunner
        from pointata_core.inference.loading import open_bundle

        loaded = open_bundle(bundle, device, precision)
        camera = None
        if loaded.takes_images:
            from pointata_core.evaluation.camera_bag import open_camera

            camera = open_camera(reader, image_topic, camera_extrinsics, image_tolerance_s)
        runner = BundleRunner(loaded, plan.frames, max_gap_s=max_gap_s)
        run = _BagRun(
            plan,
            runner,
            plan.translation(label_mapping, runner.segmentation_classes),
            read_actions(reader, plan.action_topic),
            BagTransforms(reader, fixed_frame, target_frame, placement),
            camera,
        )
        run.read(reader, path, progress)
        runner.recorder.rejected.update(_undecodable(reader, plan.cloud_topic))
    notes = (*reader.problems, *runner.notes(), *run.notes())
    frames = run.frames + reader.skipped[plan.cloud_topic]
    wall_s = perf_counter() - started
    return runner.results('bag', path, frames, wall_s, notes, plan.cloud_topic)


class _BagRun:
    """One pass over the bag."""

    def __init__(
        self,
        plan: BagPlan,
        runner: BundleRunner,
        to_ours: Callable[[np.ndarray], np.ndarray],
        actions: dict[int, str],
        transforms: BagTransforms,
        camera: BagCamera | None = None,
    ) -> None:
        self.plan, self.runner, self.to_ours, self.actions = plan, runner, to_ours, actions
        self.transforms, self.camera = transforms, camera
        self._waiting: deque[Any] = deque()
        self.matcher = StampMatcher()
        self.frames = 0
        self.bad_truth: dict[str, int] = {}

    def read(self, reader: BagReader, path: Path, progress: Progress | None) -> None:
        topics = [t for t in (self.plan.cloud_topic, self.plan.labels_topic) if t]
        if self.camera is not None:
            topics += self.camera.topics
        for topic, _, message in reader.messages(topics):
            if topic == self.plan.cloud_topic:
                self._waiting.append(message)
            elif self.camera is not None:
                self.camera.take(topic, message)
            self._answer_waiting(path, progress)
            if topic == self.plan.labels_topic:
                self._take_truth(message, path)
        self._answer_waiting(path, progress, at_end=True)

    def _answer_waiting(self, path: Path, progress: Progress | None, at_end: bool = False) -> None:
        """Answer the clouds whose image has come, or cannot come any more."""
        while self._waiting:
            first = self._waiting[0]
            if (
                self.camera is not None
                and not at_end
                and len(self._waiting) <= self.camera.most_waiting
                and not self.camera.has_all_for(stamp_of(first))
            ):
                return
            self._answer(self._waiting.popleft(), path)
            if progress:
                progress(self.frames, self.plan.frames)

    def notes(self) -> list[str]:
        """Sentences about ground truth and images that could not be used."""
        notes = [] if self.camera is None else self.camera.notes()
        notes += [
            f'{n} clouds had unusable ground truth: {why}' for why, n in self.bad_truth.items()
        ]
        if self.plan.labels_topic and self.matcher.unmatched:
            notes.append(
                f'{self.matcher.unmatched} answered clouds found no message with their stamp on '
                f'{self.plan.labels_topic}; they are not scored'
            )
        return notes

    def _answer(self, message: Any, path: Path) -> None:
        self.frames += 1
        start = perf_counter()
        message, cloud = self.plan.decode(message, self.runner.features)
        decode_ms = 1e3 * (perf_counter() - start)
        if isinstance(cloud, Rejected):
            self.runner.recorder.rejected[str(cloud.reason)] += 1
            return
        try:
            pose = self.transforms.pose(cloud.frame_id, cloud.stamp_ns)
            placement = self.transforms.placement(cloud.frame_id, cloud.stamp_ns)
        except TransformError:
            self.runner.recorder.skipped[NO_TRANSFORM] += 1
            return
        view = None
        if self.camera is not None:
            view = self.camera.view(cloud.frame_id, cloud.stamp_ns)
        truth = None
        if self.plan.labels_field and not self.plan.labels_topic:
            truth = self._labels(message, path)
        result = self.runner.run(
            cloud,
            pose=pose,
            decode_ms=decode_ms,
            truth=truth,
            action_truth=self.actions.get(cloud.stamp_ns),
            view=view,
            placement=placement,
            swapped=lambda: swapped_points(message, CloudLimits()),
        )
        if result is not None and self.plan.labels_topic:
            self._score(self.matcher.prediction(cloud.stamp_ns, result.labels))

    def _take_truth(self, message: Any, path: Path) -> None:
        truth = self._labels(message, path)
        if truth is not None:
            self._score(self.matcher.truth(stamp_of(message), truth))

    def _labels(self, message: Any, path: Path) -> np.ndarray | None:
        """Ground truth of a message in the bundle's classes; ``None`` (counted) if unusable."""
        raw = decode_labels(message, self.plan.labels_field or DEFAULT_LABELS_FIELD)
        if not isinstance(raw, Rejected):
            return self.to_ours(raw)
        if raw.reason == 'missing_field' and self.plan.label_names is None:
            # A name mistyped would otherwise only show as missing scores, after a long run.
            raise BagError(
                f'{path}: topic {self.plan.labels_topic or self.plan.cloud_topic}: {raw.detail}',
                'Name the field with ground-truth labels with --labels-field',
            )
        self.bad_truth[str(raw)] = self.bad_truth.get(str(raw), 0) + 1
        return None

    def _score(self, pair: tuple[np.ndarray, np.ndarray] | None) -> None:
        if pair is None:
            return
        labels, truth = pair
        if labels.shape != truth.shape:
            why = f'{truth.size} labels for a cloud of {labels.size} points'
            self.bad_truth[why] = self.bad_truth.get(why, 0) + 1
            return
        self.runner.recorder.compare(truth, labels)


def _undecodable(reader: BagReader, topic: str) -> dict[str, int]:
    """Messages whose very bytes made no sense, so that no cloud came of them."""
    return {UNDECODABLE: reader.skipped[topic]} if reader.skipped[topic] else {}


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
