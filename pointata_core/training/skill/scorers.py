# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts predictions of one task: actions of recordings, actions of frames, classes of points."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from pointata_core.evaluation.metrics.actions import TimelineScores
from pointata_core.evaluation.metrics.clips import VideoScores
from pointata_core.evaluation.metrics.segmentation import ClassMean, ConfusionMatrix
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.training.clips.clip_batch import ClipBatch
from pointata_core.training.clips.preparation import Task


@dataclass(frozen=True)
class SkillScore:
    """What was measured of one task on one split.

    Args:
        task: What was scored.
        metrics: Figures by name, each in 0..1.
        right: Right predictions (recordings, frames or points).
        total: Of how many.
        confusion: ``(C, C)`` counts by true and predicted class.
        classes: Class names.
        facts: Counts and notes.
        kind: Kind of recording that was scored; empty for all of the split.
        per_class: Accuracy of each class, or its IoU for points; those in the ground truth.
        per_subject: Accuracy for each person who is seen, where they are known.
    """

    task: Task
    metrics: dict[str, float]
    right: int
    total: int
    confusion: list[list[int]]
    classes: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    kind: str = ''
    per_class: dict[str, float] = field(default_factory=dict)
    per_subject: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return asdict(self)


class Origin(NamedTuple):
    """Where the clips of a batch come from: ``(B,)`` each.

    Attributes:
        videos: Recording.
        subjects: Who is seen; empty names where that is not known.
        truth: For points, ``(R, 4)`` rows of each clip, see ``preparation.point_truth``; empty
            where only the classes of voxels are known.
    """

    videos: np.ndarray
    subjects: list[str]
    truth: list[np.ndarray]


class Scorer(Protocol):
    """Counts predictions of one task."""

    def add(self, batch: ClipBatch, output: NetworkOutput, origin: Origin) -> None:
        """Count a batch of clips."""

    def score(self) -> SkillScore:
        """All that was counted."""


class VideoScorer:
    """Softmax summed over the clips of a recording, as public protocols do.

    Args:
        classes: Class names.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.scores = VideoScores(len(classes))
        self.subjects: dict[str, str] = {}

    def add(self, batch: ClipBatch, output: NetworkOutput, origin: Origin) -> None:
        """Count a batch of clips."""
        assert output.action is not None
        logits = output.action[:, -1].float().cpu().numpy()
        truth = batch.action[:, -1].tolist()
        for clip in zip(origin.videos, logits, truth, origin.subjects, strict=True):
            self.add_clip(*clip)

    def add_clip(self, video: int, logits: np.ndarray, label: int, subject: str = '') -> None:
        """Count one clip of a recording by its logits ``(C,)``."""
        self.scores.add(str(video), logits, label)
        self.subjects[str(video)] = subject

    def score(self) -> SkillScore:
        """All that was counted."""
        score = self.scores.score()
        assert score is not None
        metrics = {
            'accuracy': score.accuracy,
            'clip_accuracy': score.clip_accuracy,
            'mean_class_accuracy': float(np.mean([*score.class_accuracy.values()])),
        }
        subjects = defaultdict(list)
        for video, right in score.right.items():
            subjects[self.subjects[video]].append(right)
        return SkillScore(
            'clip',
            metrics,
            score.correct,
            score.videos,
            score.confusion.tolist(),
            self.classes,
            {'recordings': score.videos, 'clips': score.clips},
            per_class={self.classes[c]: share for c, share in score.class_accuracy.items()},
            per_subject=_shares(subjects),
        )


class FrameScorer:
    """Accuracy, segmental F1 and edit score of timelines.

    Args:
        classes: Class names.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.timelines = TimelineScores()
        self.matrix = np.zeros((len(classes),) * 2, np.int64)
        self.subjects: dict[str, list[bool]] = defaultdict(list)

    def add(self, batch: ClipBatch, output: NetworkOutput, origin: Origin) -> None:
        """Count a batch of clips."""
        assert output.action is not None
        predicted = output.action.argmax(-1).cpu().numpy()
        truth = batch.action.cpu().numpy()
        for row, true, subject in zip(predicted, truth, origin.subjects, strict=True):
            self.add_timeline(row, true, subject)

    def add_timeline(self, predicted: np.ndarray, truth: np.ndarray, subject: str = '') -> None:
        """Count the frames ``(T,)`` of one recording; a negative prediction is none."""
        self.timelines.add(predicted, truth)
        use = truth >= 0
        self.subjects[subject] += (truth[use] == predicted[use]).tolist()
        use &= predicted >= 0
        np.add.at(self.matrix, (truth[use], predicted[use]), 1)

    def score(self) -> SkillScore:
        """All that was counted."""
        score = self.timelines.score()
        assert score is not None
        metrics = {'accuracy': score.accuracy, 'edit': score.edit}
        metrics.update({f'f1_{k}': v for k, v in score.f1.items()})
        of_class, right = self.matrix.sum(1), self.matrix.diagonal()
        return SkillScore(
            'frames',
            metrics,
            int(right.sum()),
            score.frames,
            self.matrix.tolist(),
            self.classes,
            {'majority_share': float(of_class.max() / max(of_class.sum(), 1))},
            per_class={
                self.classes[c]: float(right[c] / of_class[c]) for c in of_class.nonzero()[0]
            },
            per_subject=_shares(self.subjects),
        )


class PointScorer:
    """IoU over all points of the scored frames, or over the voxels of each clip's last frame.

    Args:
        classes: Class names.
        unscored: Classes that are taken out before the largest score is chosen.
        extra: Further classes that have no IoU, because no truth can be one of them.
        mean: Over which classes the mean IoU is taken.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        unscored: tuple[str, ...] = (),
        extra: tuple[str, ...] = (),
        mean: ClassMean = 'present',
    ) -> None:
        self.classes, self.mean = classes, mean
        self.scored = [name for name in classes if name not in (*unscored, *extra)]
        self.removed = [classes.index(name) for name in unscored]
        self.matrix = ConfusionMatrix(classes)

    def add(self, batch: ClipBatch, output: NetworkOutput, origin: Origin) -> None:
        """Count a batch of clips."""
        assert output.segmentation is not None
        logits = output.segmentation
        if self.removed:
            logits = logits.clone()
            logits[..., self.removed] = -np.inf
        predicted = logits.argmax(-1).cpu().numpy()
        if not origin.truth:
            self.add_points(predicted[:, -1], batch.label[:, -1].cpu().numpy())
            return
        for voxels, rows in zip(predicted, origin.truth, strict=True):
            frame, voxel, label, points = rows.T
            found = np.where(voxel < 0, -1, voxels[frame, voxel])
            self.matrix.add(label, found, points)

    def add_points(self, predicted: np.ndarray, truth: np.ndarray) -> None:
        """Count points of any shape; negative truth does not count."""
        self.matrix.add(truth.ravel().astype(np.int64), predicted.ravel())

    def score(self) -> SkillScore:
        """All that was counted."""
        score = self.matrix.score(self.scored, self.mean)
        assert score is not None
        metrics = {'miou': score.miou, 'accuracy': score.accuracy}
        counts = self.matrix.counts[:, : len(self.classes)]
        facts = {
            'points': score.points,
            'unpredicted': score.unpredicted,
            'mean_over': f'{len(score.iou)} classes of the ground truth'
            if self.mean == 'present'
            else f'all {len(self.scored)} classes',
        }
        right, matrix = int(np.trace(counts)), counts.tolist()
        return SkillScore(
            'points', metrics, right, score.points, matrix, self.classes, facts,
            per_class=score.iou,
        )  # fmt: skip


def _shares(right: dict[str, list[bool]]) -> dict[str, float]:
    """Share of right predictions by name, in numerical order; nothing without names."""
    names = sorted((name for name in right if name), key=lambda name: (len(name), name))
    return {name: float(np.mean(right[name])) for name in names}
