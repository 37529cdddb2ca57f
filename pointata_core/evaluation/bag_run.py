# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One pass over the clouds of a recording, or over a part of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pointata_core.errors import BagError
from pointata_core.evaluation.bag_plan import (
    DEFAULT_LABELS_FIELD,
    BagPlan,
)
from pointata_core.evaluation.bag_transforms import BagTransforms
from pointata_core.evaluation.ground_truth import StampMatcher
from pointata_core.evaluation.people_truth import TruePerson
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.cloud import CloudLimits, Rejected
from pointata_core.io.messages.byte_order import swapped_points
from pointata_core.io.messages.point_cloud2 import decode_labels
from pointata_core.io.messages.stamps import stamp_of
from pointata_core.io.transforms import TransformError

if TYPE_CHECKING:
    from pointata_core.evaluation.camera_bag import BagCamera
    from pointata_core.evaluation.results import EvaluationResults
    from pointata_core.evaluation.runner import BundleRunner

Progress = Callable[[int, int], None]
UNDECODABLE = 'undecodable_message'
NO_TRANSFORM = 'no_transform'
_FEWEST_WARM_UP = 30  # clouds that the time rules look back on


class Part(NamedTuple):
    """A stretch of the messages with clouds, counted from 0.

    Args:
        start: First cloud to answer.
        stop: The cloud behind the last one; ``None`` for the end.
    """

    start: int
    stop: int | None = None


def truth_notes(bad_truth: Mapping[str, int]) -> list[str]:
    """Sentences about ground truth that could not be used."""
    return [f'{count} clouds had unusable ground truth: {why}' for why, count in bad_truth.items()]


class BagRun:
    """One pass over a bag.

    Attributes:
        plan: Topics that are read.
        runner: The bundle at work.
        frames: Clouds met, readable or not.
        start_sha256: Of the state before the first answer of a part.
        bad_truth: Clouds whose ground truth could not be used, by reason.
    """

    def __init__(
        self,
        path: Path,
        plan: BagPlan,
        runner: BundleRunner,
        to_ours: Callable[[np.ndarray], np.ndarray],
        actions: dict[int, str],
        true_people: dict[int, tuple[TruePerson, ...]],
        transforms: BagTransforms,
        camera: BagCamera | None = None,
    ) -> None:
        self.path, self.plan, self.runner = path, plan, runner
        self.to_ours, self.actions, self.true_people = to_ours, actions, true_people
        self.transforms, self.camera = transforms, camera
        self._waiting: deque[Any] = deque()
        self.matcher = StampMatcher()
        self.frames = 0
        self.start_sha256 = ''
        self.bad_truth: dict[str, int] = {}
        self._problems: list[str] = []

    def read(self, reader: BagReader, progress: Progress | None, part: Part | None) -> None:
        """Answer the clouds of the bag, or of a part of it."""
        topics = [t for t in (self.plan.cloud_topic, self.plan.labels_topic) if t]
        if self.camera is not None:
            topics += self.camera.topics
        if part is None:
            self._take(reader.messages(topics), progress)
        else:
            records = reader.raw_messages(topics)
            # Twice the window, because some of these clouds may be unreadable.
            window = max(self.runner.session.window_frames, _FEWEST_WARM_UP)
            first = max(0, part.start - 2 * window)
            deque(islice(records, first), maxlen=0)
            with self.runner.warming_up():
                self._take(reader.deserialised(islice(records, part.start - first)), None)
            self.frames = 0
            self.bad_truth.clear()
            reader.skipped.clear()  # those of the part before
            self.start_sha256 = self.runner.state_sha256()
            count = None if part.stop is None else part.stop - part.start
            self._take(reader.deserialised(islice(records, count)), progress)
        undecodable = reader.skipped[self.plan.cloud_topic]
        if undecodable:
            self.runner.recorder.rejected[UNDECODABLE] += undecodable
        self.frames += undecodable
        self._problems = reader.problems

    def _take(self, messages: Iterable[tuple[str, int, Any]], progress: Progress | None) -> None:
        for topic, _, message in messages:
            if topic == self.plan.cloud_topic:
                self._waiting.append(message)
            elif self.camera is not None:
                self.camera.take(topic, message)
            self._answer_waiting(progress)
            if topic == self.plan.labels_topic:
                self._take_truth(message)
        self._answer_waiting(progress, at_end=True)

    def _answer_waiting(self, progress: Progress | None, at_end: bool = False) -> None:
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
            self._answer(self._waiting.popleft())
            if progress:
                progress(self.frames, self.plan.frames)

    def results(self, wall_s: float) -> EvaluationResults:
        """Results of the pass, which took so many seconds."""
        notes = (*self.notes(), *truth_notes(self.bad_truth))
        topic = self.plan.cloud_topic
        return self.runner.results('bag', self.path, self.frames, wall_s, notes, topic)

    def notes(self) -> list[str]:
        """Sentences about what could not be read, and about what seems to be wrong."""
        notes = [*self._problems, *self.runner.notes()]
        notes += [] if self.camera is None else self.camera.notes()
        if self.plan.labels_topic and self.matcher.unmatched:
            notes.append(
                f'{self.matcher.unmatched} answered clouds found no message with their stamp on '
                f'{self.plan.labels_topic}; they are not scored'
            )
        return notes

    def _answer(self, message: Any) -> None:
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
            truth = self._labels(message)
        result = self.runner.run(
            cloud,
            pose=pose,
            decode_ms=decode_ms,
            truth=truth,
            action_truth=self.actions.get(cloud.stamp_ns),
            true_people=self.true_people.get(cloud.stamp_ns),
            view=view,
            placement=placement,
            swapped=lambda: swapped_points(message, CloudLimits()),
        )
        if result is not None and self.plan.labels_topic:
            pair = self.matcher.prediction(cloud.stamp_ns, result.labels)
            self._score(pair, cloud.stamp_ns)

    def _take_truth(self, message: Any) -> None:
        truth = self._labels(message)
        if truth is not None:
            stamp_ns = stamp_of(message)
            self._score(self.matcher.truth(stamp_ns, truth), stamp_ns)

    def _labels(self, message: Any) -> np.ndarray | None:
        """Ground truth of a message in the bundle's classes; ``None`` (counted) if unusable."""
        raw = decode_labels(message, self.plan.labels_field or DEFAULT_LABELS_FIELD)
        if not isinstance(raw, Rejected):
            return self.to_ours(raw)
        if raw.reason == 'missing_field' and self.plan.label_names is None:
            # A name mistyped would otherwise only show as missing scores, after a long run.
            topic = self.plan.labels_topic or self.plan.cloud_topic
            raise BagError(
                f'{self.path}: topic {topic}: {raw.detail}',
                'Name the field with ground-truth labels with --labels-field',
            )
        self.bad_truth[str(raw)] = self.bad_truth.get(str(raw), 0) + 1
        return None

    def _score(self, pair: tuple[np.ndarray, np.ndarray] | None, stamp_ns: int) -> None:
        if pair is None:
            return
        labels, truth = pair
        if labels.shape != truth.shape:
            why = f'{truth.size} labels for a cloud of {labels.size} points'
            self.bad_truth[why] = self.bad_truth.get(why, 0) + 1
            return
        self.runner.recorder.compare(truth, labels, stamp_ns)
