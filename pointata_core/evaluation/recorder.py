# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Collects the predictions of one run, frame by frame, and turns them into results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from pointata_core.evaluation import environment
from pointata_core.evaluation.label_digest import LabelDigest
from pointata_core.evaluation.metrics.actions import ActionScore, action_score
from pointata_core.evaluation.recorded import SNAPSHOTS, Recorded
from pointata_core.evaluation.results import CameraImage, EvaluationResults, Snapshot, Trace
from pointata_core.evaluation.timeline import NO_PREDICTION, action_segments

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
        labels: Gets a copy of the bytes of the digest, see :class:`LabelDigest`.

    Attributes:
        recorded: The frames so far.
        rejected: Malformed clouds, by reason.
        skipped: Clouds without a prediction because of stamp or transform, by reason.
        dropped: Clouds lost or dropped, by reason.
        resets: Resets of the temporal state, by reason.
        latency: Timings.
    """

    def __init__(
        self,
        segmentation_classes: Sequence[str],
        action_classes: Sequence[str],
        expected_frames: int,
        labels: BinaryIO | None = None,
    ) -> None:
        self.segmentation_classes = tuple(segmentation_classes)
        self.action_classes = tuple(action_classes)
        self.recorded = Recorded(self.segmentation_classes)
        self.rejected, self.skipped = self.recorded.rejected, self.recorded.skipped
        self.dropped, self.resets = self.recorded.dropped, self.recorded.resets
        self.latency = self.recorded.latency
        self._digest = LabelDigest(labels)
        self._frame_at: dict[int, int] = {}
        last = max(0, expected_frames - 1)
        self._rendered = {round(last * i / (SNAPSHOTS - 1)) for i in range(SNAPSHOTS)}

    @property
    def predicted(self) -> int:
        """Frames with a prediction so far."""
        return len(self.recorded.stamps_ns)

    @property
    def points(self) -> int:
        """Points of these frames."""
        return sum(self.recorded.points_per_cloud)

    @property
    def labels_sha256(self) -> str:
        """Digest of the labels so far."""
        return self._digest.hexdigest()

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
        kept = self.recorded
        if self.predicted in self._rendered:
            kept.snapshots.append(self._snapshot(stamp_ns, points, labels, truth, camera))
        self._frame_at[int(stamp_ns)] = self.predicted
        kept.stamps_ns.append(int(stamp_ns))
        kept.points_per_cloud.append(int(labels.size))
        self._digest.add(stamp_ns, labels)
        known = labels[labels < len(kept.class_points)]
        kept.labelled_per_cloud.append(int(known.size))
        kept.class_points += np.bincount(known, minlength=kept.class_points.size)
        best, score = NO_PREDICTION, 0.0
        if action is not None and len(action):
            best = int(np.argmax(action))
            score = float(action[best])
        kept.actions.append(best)
        kept.action_scores.append(score)
        kept.action_truth.append(self._action_index(action_truth))
        kept.total_ms.append((timings_ms or {}).get('total'))
        kept.scored.append([0, 0])
        if timings_ms:
            self.latency.add(timings_ms)
        if truth is not None:
            self.compare(truth, labels, stamp_ns)
        if camera is not None:
            kept.camera[0] += 1
            kept.camera[1] += len(camera.seen)
            if truth is not None:
                kept.camera_confusion.add(truth[camera.seen], labels[camera.seen])

    def compare(self, truth: np.ndarray, labels: np.ndarray, stamp_ns: int) -> None:
        """Score the labels of a frame, whose ground truth may arrive later."""
        confusion = self.recorded.confusion
        before = int(confusion.counts.sum()), int(np.trace(confusion.counts))
        confusion.add(truth, labels)
        after = int(confusion.counts.sum()), int(np.trace(confusion.counts))
        frame = self._frame_at.get(int(stamp_ns))
        if frame is not None:
            self.recorded.scored[frame] = [a - b for a, b in zip(after, before)]

    def results(self, facts: RunFacts, labels_sha256: str | None = None) -> EvaluationResults:
        """Compute the results of the run.

        Args:
            facts: About the run as a whole.
            labels_sha256: Digest of the labels, where not all frames were added to this recorder.
        """
        kept = self.recorded
        times = kept.times_s
        points = self.points
        labelled = int(kept.class_points.sum())
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
            labels_per_cloud=_spread(kept.points_per_cloud),
            rejected=_sorted(self.rejected),
            skipped=_sorted(self.skipped),
            dropped=_sorted(self.dropped),
            resets=_sorted(self.resets),
            labels_sha256=labels_sha256 or self.labels_sha256,
            duration_s=max(times, default=0.0),
            wall_s=facts.wall_s,
            points_per_second=speed,
            latency=self.latency.summary(),
            class_shares={
                name: int(count) / labelled if labelled else 0.0
                for name, count in zip(self.segmentation_classes, kept.class_points)
            },
            action_timeline=action_segments(
                times, kept.actions, self.action_classes, kept.action_scores
            ),
            action_truth=action_segments(times, kept.action_truth, self.action_classes),
            segmentation=kept.confusion.score(),
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
                tuple(kept.snapshots),
                dict(self.latency.samples_ms),
                self._confusion_counts(),
                kept.frames(),
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
        stamps = self.recorded.stamps_ns
        time_s = (stamp_ns - (stamps[0] if stamps else stamp_ns)) * 1e-9
        # Copies: the arrays may be views of a buffer that the next frame overwrites.
        return Snapshot(
            np.array(points, np.float32),
            np.array(labels, np.uint16),
            time_s,
            None if truth is None else np.array(truth),
            None if camera is None else replace(camera, image=np.array(camera.image)),
        )

    def _camera_facts(self) -> dict[str, Any] | None:
        clouds, points = self.recorded.camera
        if not clouds:
            return None
        score = self.recorded.camera_confusion.score()
        return {'clouds': clouds, 'points': points, 'segmentation': score}

    def _action_index(self, name: str | None) -> int:
        return self.action_classes.index(name) if name in self.action_classes else NO_PREDICTION

    def _confusion_counts(self) -> np.ndarray | None:
        counts = self.recorded.confusion.counts
        return counts.copy() if counts.any() else None

    def _background(self) -> tuple[str, ...]:
        return tuple(name for name in BACKGROUND_ACTIONS if name in self.action_classes)

    def _score_action(self) -> ActionScore | None:
        background = {self.action_classes.index(name) for name in self._background()}
        return action_score(self.recorded.actions, self.recorded.action_truth, background)


def _spread(counts: Iterable[int]) -> dict[str, int]:
    counts = sorted(counts)
    if not counts:
        return {'fewest': 0, 'median': 0, 'most': 0}
    return {'fewest': counts[0], 'median': counts[len(counts) // 2], 'most': counts[-1]}


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return {str(reason): counter[reason] for reason in sorted(counter)}
