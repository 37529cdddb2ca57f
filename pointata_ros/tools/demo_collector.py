# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscribes to the perception node as any consumer would, and records its results."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Classification, LabelInfo

from pointata_core.bundles.manifest import Manifest
from pointata_core.evaluation.people_truth import DETECTIONS
from pointata_core.evaluation.recorder import RunRecorder
from pointata_core.io.cloud import Rejected
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_core.io.messages.stamps import stamp_of
from pointata_ros.message_classes import find_message_class
from pointata_ros.qos import latched_profile, small_profile
from pointata_ros.tools.demo_people import DemoPeople

_EVERYTHING = QoSProfile(
    history=QoSHistoryPolicy.KEEP_ALL, reliability=QoSReliabilityPolicy.RELIABLE
)


class Collector:
    """Subscribes to all results of one perception node.

    A cloud waits for the action of the same stamp, which the node publishes right after it.

    Args:
        node: Node to subscribe with; its owner spins it.
        source: Fully qualified name of the perception node.
        manifest: Of the bundle that the node loads.
        expected_frames: Clouds that will be sent.
        action_truth: True action by stamp.
        keep_labels: Keep all labels, for scoring afterwards: two bytes a point.
        people: Takes the people; ``None`` where the node follows nobody.

    Attributes:
        people: See above.
        recorder: The results.
        status: Latest diagnostics: ``'input'``, ``'processing'``, ``'model'`` to key-value pairs.
        reports: Diagnostics received.
        problems: What was not as documented, in words.
        labels: Labels by stamp, if they are to be kept.
        last_result_s: When the last result came, on ``time.monotonic``.
    """

    def __init__(
        self,
        node: Node,
        source: str,
        manifest: Manifest,
        expected_frames: int,
        action_truth: Mapping[int, str],
        keep_labels: bool = False,
        people: DemoPeople | None = None,
    ) -> None:
        # With a person skill the action is that of the nearest person, and no action of a frame.
        self._actions = () if people and people.actions else manifest.action_classes
        self.people = people
        self.recorder = RunRecorder(manifest.segmentation_classes, self._actions, expected_frames)
        self.status: dict[str, dict[str, str]] = {}
        self.reports = 0
        self.problems: list[str] = []
        self.labels: dict[int, np.ndarray] = {}
        self.last_result_s = 0.0
        self._source = source.lstrip('/')
        self._manifest = manifest
        self._action_truth, self._keep_labels = action_truth, keep_labels
        self._clouds: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        output = f'{source}/output'
        for message, topic, callback, profile in (
            (PointCloud2, f'{output}/segmentation', self._take_cloud, _EVERYTHING),
            (Classification, f'{output}/action', self._take_action, _EVERYTHING),
            (
                LabelInfo,
                f'{output}/segmentation/label_info',
                lambda message: self._check_labels(message, 'segmentation'),
                latched_profile(),
            ),
            (
                LabelInfo,
                f'{output}/action/label_info',
                lambda message: self._check_labels(message, 'action'),
                latched_profile(),
            ),
            (DiagnosticArray, f'{source}/debug/timings', self._take_timings, _EVERYTHING),
            (DiagnosticArray, '/diagnostics', self._take_diagnostics, small_profile()),
        ):
            node.create_subscription(message, topic, callback, profile)
        detections = find_message_class(DETECTIONS)
        if people is not None and detections is not None:
            node.create_subscription(
                detections, f'{output}/people', people.take_people, _EVERYTHING
            )

    def count(self, status: str, key: str) -> int:
        """A counter of the latest diagnostics; 0 if there is none."""
        return int(self.status.get(status, {}).get(key, 0))

    def reasons(self, status: str, prefix: str) -> dict[str, int]:
        """Counters of the latest diagnostics by reason, e.g. ``('processing', 'dropped')``."""
        pairs = self.status.get(status, {}).items()
        start = f'{prefix}.'
        return {key.removeprefix(start): int(value) for key, value in pairs if start in key}

    @property
    def settled(self) -> bool:
        """Whether the node has counted the end of every cloud it received."""
        done = (
            self.count('processing', 'published')
            + self.count('processing', 'dropped')
            + self.count('input', 'rejected')
        )
        return done == self.count('input', 'received')

    def finish(self) -> None:
        """Take in what is still waiting for its action."""
        self._release(None, None)

    def _take_cloud(self, message: PointCloud2) -> None:
        cloud = decode(message, wanted_features=())
        labels = decode_labels(message, 'class_id')
        if isinstance(cloud, Rejected) or isinstance(labels, Rejected):
            bad = cloud if isinstance(cloud, Rejected) else labels
            self.problems.append(f'the segmentation cloud could not be read: {bad}')
            return
        self.last_result_s = time.monotonic()
        labels = labels.astype(np.uint16)
        self._clouds[cloud.stamp_ns] = (cloud.points, labels)
        if self.people is not None:
            self.people.take_cloud(cloud.stamp_ns, cloud.points, labels)
        if not self._actions:
            self._release(cloud.stamp_ns, None)

    def _take_action(self, message: Classification) -> None:
        names = self._actions
        scores = np.zeros(len(names), np.float32)
        for hypothesis in message.results:
            if hypothesis.class_id in names:
                scores[names.index(hypothesis.class_id)] = hypothesis.score
        stamp_ns = stamp_of(message)
        if not names:
            return
        if not self._manifest.segmentation_classes:
            self.last_result_s = time.monotonic()
            self._clouds[stamp_ns] = (np.empty((0, 3), np.float32), np.empty(0, np.uint16))
        self._release(stamp_ns, scores)

    def _release(self, stamp_ns: int | None, scores: np.ndarray | None) -> None:
        """Account for all clouds up to a stamp; the scores belong to the one with that stamp."""
        for stamp in [s for s in self._clouds if stamp_ns is None or s <= stamp_ns]:
            points, labels = self._clouds.pop(stamp)
            self.recorder.add(
                stamp,
                points,
                labels,
                action=scores if stamp == stamp_ns else None,
                action_truth=self._action_truth.get(stamp),
            )
            if self._keep_labels:
                self.labels[stamp] = labels

    def _take_timings(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.recorder.latency.add({pair.key: float(pair.value) for pair in status.values})

    def _check_labels(self, message: LabelInfo, task: str) -> None:
        expected = getattr(self._manifest, f'{task}_classes')
        if task == 'action' and self.people is not None:
            expected = self.people.actions or expected
        names = tuple(entry.class_name for entry in message.class_map)
        if names != expected:
            self.problems.append(f'label_info of {task} is {names}, the bundle has {expected}')

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name, _, part = status.name.partition(': ')
            if name == self._source:
                self.status[part] = {pair.key: pair.value for pair in status.values}
        self.reports += 1
