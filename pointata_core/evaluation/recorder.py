# SPDX-License-Identifier: Apache-2.0
"""Collects the predictions of one run, frame by frame, and turns them into results.

Memory grows with the number of frames, not of points: of a frame, counts, action and timings are
kept; only a few clouds are kept whole, for the images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pointata_core.evaluation import environment
from pointata_core.evaluation.label_digest import LabelDigest
from pointata_core.evaluation.metrics.actions import ActionScore, action_score
from pointata_core.evaluation.metrics.latency import LatencyLog
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.evaluation.results import CameraImage, EvaluationResults, Snapshot, Trace
from pointata_core.evaluation.timeline import NO_PREDICTION, action_segments

SNAPSHOTS = 6
BACKGROUND_ACTIONS = ('none',)


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run as a whole.

    The fields are those of the same names in
    :class:`~pointata_core.evaluation.results.EvaluationResults`.
    """

    kind: str
    source: str
    topic: str
    frames: int
    wall_s: float
    bundle: Mapping[str, Any]
    device: str
    state_bytes: int | None = None
    peak_rss_bytes: int | None = None
    points_per_second: float | None = None
    notes: Sequence[str] = ()


class RunRecorder:
    """Everything counted during one run.

    Args:
        segmentation_classes: Names of the per-point classes; empty without such a head.
        action_classes: Names of the actions; empty without such a head.
        expected_frames: About how many frames will come: the images are spread over them.

    Attributes:
        rejected: Malformed clouds, by reason.
        skipped: Clouds without a prediction because of stamp or transform, by reason.
        dropped: Clouds lost or dropped, by reason.
        resets: Resets of the temporal state, by reason.
    """

    def __init__(
        self,
        segmentation_classes: Sequence[str],
        action_classes: Sequence[str],
        expected_frames: int,
    ) -> None:
        self.segmentation_classes = tuple(segmentation_classes)
        self.action_classes = tuple(action_classes)
        self.rejected: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.resets: Counter[str] = Counter()
        self.latency = LatencyLog()
        self._confusion = ConfusionMatrix(self.segmentation_classes)
        self._camera_confusion = ConfusionMatrix(self.segmentation_classes)
        self._camera_clouds = self._camera_points = 0
        self._digest = LabelDigest()
        self._class_points = np.zeros(len(self.segmentation_classes), np.int64)
        self._points_per_cloud: list[int] = []
        self._stamps_ns: list[int] = []
        self._actions: list[int] = []
        self._action_scores: list[float] = []
        self._action_truth: list[int] = []
        self._snapshots: list[Snapshot] = []
        last = max(0, expected_frames - 1)
        self._rendered = {round(last * i / (SNAPSHOTS - 1)) for i in range(SNAPSHOTS)}

    @property
    def predicted(self) -> int:
        """Frames with a prediction so far."""
        return len(self._stamps_ns)

    @property
    def points(self) -> int:
        """Points of these frames."""
        return sum(self._points_per_cloud)

    def add(
        self,
        stamp_ns: int,
        points: np.ndarray,
        labels: np.ndarray,
        *,
        action: np.ndarray | None = None,
        timings_ms: Mapping[str, float] | None = None,
        truth: np.ndarray | None = None,
        action_truth: str | None = None,
        camera: CameraImage | None = None,
    ) -> None:
        """Add one frame with its prediction.

        Args:
            stamp_ns: Stamp of the frame.
            points: ``(N, 3)`` metres, in input order.
            labels: ``(N,)`` uint16.
            action: ``(A,)`` scores.
            timings_ms: Milliseconds by stage.
            truth: ``(N,)`` ground-truth labels in the same classes; outside them = none.
            action_truth: Name of the true action.
            camera: Image that shows some of the points.
        """
        if self.predicted in self._rendered:
            self._snapshots.append(self._snapshot(stamp_ns, points, labels, truth, camera))
        self._stamps_ns.append(int(stamp_ns))
        self._points_per_cloud.append(int(labels.size))
        self._digest.add(stamp_ns, labels)
        known = labels[labels < len(self._class_points)]
        self._class_points += np.bincount(known, minlength=self._class_points.size)
        best, score = NO_PREDICTION, 0.0
        if action is not None and len(action):
            best = int(np.argmax(action))
            score = float(action[best])
        self._actions.append(best)
        self._action_scores.append(score)
        self._action_truth.append(self._action_index(action_truth))
        if timings_ms:
            self.latency.add(timings_ms)
        if truth is not None:
            self.compare(truth, labels)
        if camera is not None:
            self._camera_clouds += 1
            self._camera_points += len(camera.seen)
            if truth is not None:
                self._camera_confusion.add(truth[camera.seen], labels[camera.seen])

    def compare(self, truth: np.ndarray, labels: np.ndarray) -> None:
        """Score labels whose ground truth arrived separately."""
        self._confusion.add(truth, labels)

    def results(self, facts: RunFacts) -> EvaluationResults:
        """Compute the results of the run."""
        start = self._stamps_ns[0] if self._stamps_ns else 0
        times = [(stamp - start) * 1e-9 for stamp in self._stamps_ns]
        points = self.points
        labelled = int(self._class_points.sum())
        computing_s = sum(self.latency.samples_ms.get('total', ())) * 1e-3
        speed = facts.points_per_second
        if speed is None:
            speed = points / computing_s if computing_s else 0.0
        return EvaluationResults(
            kind=facts.kind,
            source=facts.source,
            topic=facts.topic,
            frames=facts.frames,
            frames_predicted=self.predicted,
            points=points,
            points_labelled=labelled,
            labels_per_cloud=_spread(self._points_per_cloud),
            rejected=_sorted(self.rejected),
            skipped=_sorted(self.skipped),
            dropped=_sorted(self.dropped),
            resets=_sorted(self.resets),
            labels_sha256=self._digest.hexdigest(),
            duration_s=max(times, default=0.0),
            wall_s=facts.wall_s,
            points_per_second=speed,
            latency=self.latency.summary(),
            class_shares={
                name: int(count) / labelled if labelled else 0.0
                for name, count in zip(self.segmentation_classes, self._class_points)
            },
            action_timeline=action_segments(
                times, self._actions, self.action_classes, self._action_scores
            ),
            action_truth=action_segments(times, self._action_truth, self.action_classes),
            segmentation=self._confusion.score(),
            action=self._score_action(),
            action_background=self._background(),
            bundle=dict(facts.bundle),
            device=facts.device,
            state_bytes=facts.state_bytes,
            peak_rss_bytes=facts.peak_rss_bytes,
            machine=environment.machine(),
            versions=environment.versions(),
            notes=tuple(facts.notes),
            camera=self._camera_facts(),
            trace=Trace(
                tuple(self._snapshots), dict(self.latency.samples_ms), self._confusion_counts()
            ),
        )

    def _snapshot(
        self,
        stamp_ns: int,
        points: np.ndarray,
        labels: np.ndarray,
        truth: np.ndarray | None,
        camera: CameraImage | None,
    ) -> Snapshot:
        start = self._stamps_ns[0] if self._stamps_ns else stamp_ns
        time_s = (stamp_ns - start) * 1e-9
        # Copies: the arrays may be views of a buffer that the next frame overwrites.
        return Snapshot(
            np.array(points, np.float32),
            np.array(labels, np.uint16),
            time_s,
            None if truth is None else np.array(truth),
            None if camera is None else replace(camera, image=np.array(camera.image)),
        )

    def _camera_facts(self) -> dict[str, Any] | None:
        if not self._camera_clouds:
            return None
        return {
            'clouds': self._camera_clouds,
            'points': self._camera_points,
            'segmentation': self._camera_confusion.score(),
        }

    def _action_index(self, name: str | None) -> int:
        return self.action_classes.index(name) if name in self.action_classes else NO_PREDICTION

    def _confusion_counts(self) -> np.ndarray | None:
        counts = self._confusion.counts
        return counts.copy() if counts.any() else None

    def _background(self) -> tuple[str, ...]:
        return tuple(name for name in BACKGROUND_ACTIONS if name in self.action_classes)

    def _score_action(self) -> ActionScore | None:
        background = {self.action_classes.index(name) for name in self._background()}
        return action_score(self._actions, self._action_truth, background)


def _spread(counts: Iterable[int]) -> dict[str, int]:
    counts = sorted(counts)
    if not counts:
        return {'fewest': 0, 'median': 0, 'most': 0}
    return {'fewest': counts[0], 'median': counts[len(counts) // 2], 'most': counts[-1]}


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return {str(reason): counter[reason] for reason in sorted(counter)}
