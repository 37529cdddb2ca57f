# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of an action timeline: frame accuracy, segmental F1@k and edit score.

Frame accuracy hardly notices a timeline that flickers; the two segmental scores do. Definitions as
in Lea et al., "Temporal Convolutional Networks for Action Segmentation and Detection" (CVPR 2017)
and Farha and Gall, "MS-TCN" (CVPR 2019), which most published action-segmentation figures follow:

* A *segment* is a maximal run of frames with one label. Segments of a background class are left
  out of both timelines.
* F1@k: predicted segments are taken in order; each looks at the true segment of its own class that
  it overlaps best (IoU of the two intervals). It is a true positive if that IoU is at least k % and
  the true segment has not been claimed before, else a false positive. True segments never claimed
  are false negatives.
* Edit: 1 - (Levenshtein distance between the two sequences of segment labels) / (the longer one's
  length): the order of actions, whatever their duration.

Over several recordings, F1 is taken once from counts pooled over recordings and classes, as the
public scripts do; the edit score is the mean over recordings; accuracy pools frames (some public
scripts average over batches, where a short last batch weighs too much).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

OVERLAPS = (0.10, 0.25, 0.50)


@dataclass(frozen=True)
class Segment:
    """A run of frames with one label: frames ``start`` to ``end - 1``."""

    label: int
    start: int
    end: int

    def overlap(self, other: Segment) -> float:
        """Intersection over union of the two intervals of frames."""
        common = max(0, min(self.end, other.end) - max(self.start, other.start))
        return common / (self.end - self.start + other.end - other.start - common)


@dataclass(frozen=True)
class ActionScore:
    """Scores of one or more timelines, each in 0..1.

    Args:
        accuracy: Frames with the right label / frames with ground truth, background included.
        f1: F1 by overlap threshold: keys ``'10'``, ``'25'``, ``'50'`` (percent).
        edit: Edit score; the mean over timelines.
        frames: Frames with ground truth.
    """

    accuracy: float
    f1: dict[str, float]
    edit: float
    frames: int


def segments(labels: Sequence[int] | np.ndarray, background: Collection[int] = ()) -> list[Segment]:
    """Split per-frame labels into runs, leaving out those of ``background`` classes."""
    found, start = [], 0
    for label, run in groupby(int(label) for label in labels):
        end = start + sum(1 for _ in run)
        if label not in background:
            found.append(Segment(label, start, end))
        start = end
    return found


def count_matches(
    predicted: Sequence[Segment], truth: Sequence[Segment], overlap: float
) -> tuple[int, int, int]:
    """True positives, false positives and false negatives at one overlap threshold (> 0)."""
    claimed: set[int] = set()
    for segment in predicted:
        overlaps = [segment.overlap(t) if t.label == segment.label else 0.0 for t in truth]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= overlap:
            claimed.add(best)
    positives = len(claimed)
    return positives, len(predicted) - positives, len(truth) - positives


def f1_score(true_positives: int, false_positives: int, false_negatives: int) -> float:
    """Harmonic mean of precision and recall; 1.0 without any segment."""
    total = 2 * true_positives + false_positives + false_negatives
    return 2 * true_positives / total if total else 1.0


def edit_score(predicted: Sequence[int], truth: Sequence[int]) -> float:
    """1 - Levenshtein distance / longer length, of two label sequences; 1.0 if both are empty."""
    longest = max(len(predicted), len(truth))
    if not longest:
        return 1.0
    distance = list(range(len(truth) + 1))
    for row, label in enumerate(predicted, start=1):
        diagonal, distance[0] = distance[0], row
        for column, other in enumerate(truth, start=1):
            substitution = diagonal + (label != other)
            diagonal = distance[column]
            distance[column] = min(substitution, diagonal + 1, distance[column - 1] + 1)
    return 1.0 - distance[-1] / longest


class TimelineScores:
    """Scores of several timelines together.

    Timelines must not be joined end to end instead: a segment would run across the seam, and one
    edit distance over everything is no mean of edit scores.

    Args:
        background: Classes that form no segment, e.g. "none"; they do count in the accuracy.
    """

    def __init__(self, background: Collection[int] = ()) -> None:
        self._background = frozenset(background)
        self._matches = {overlap: np.zeros(3, np.int64) for overlap in OVERLAPS}
        self._edits: list[float] = []
        self._right = 0
        self._frames = 0

    def add(self, predicted: Sequence[int] | np.ndarray, truth: Sequence[int] | np.ndarray) -> None:
        """Count one timeline; one without any ground truth counts nothing.

        Args:
            predicted: ``(F,)`` class per frame; negative = no prediction, which is an error.
            truth: ``(F,)`` class per frame; negative = no ground truth: cut out of both.

        Raises:
            ValueError: The two are not of the same length.
        """
        predicted, truth = np.asarray(predicted, np.int64), np.asarray(truth, np.int64)
        if predicted.shape != truth.shape or truth.ndim != 1:
            raise ValueError(
                f'predicted {predicted.shape} and truth {truth.shape} must both be (F,)'
            )
        known = truth >= 0
        if not known.any():
            return
        predicted, truth = predicted[known], truth[known]
        # A frame without a prediction is an error, but forms no segment.
        found = segments(predicted, {*self._background, *predicted[predicted < 0].tolist()})
        true = segments(truth, self._background)
        for overlap in OVERLAPS:
            self._matches[overlap] += count_matches(found, true, overlap)
        self._edits.append(edit_score([s.label for s in found], [s.label for s in true]))
        self._right += int((predicted == truth).sum())
        self._frames += int(known.sum())

    def score(self) -> ActionScore | None:
        """Scores of all timelines so far; ``None`` where no frame had ground truth."""
        if not self._frames:
            return None
        return ActionScore(
            accuracy=self._right / self._frames,
            f1={f'{round(100 * o)}': f1_score(*map(int, self._matches[o])) for o in OVERLAPS},
            edit=float(np.mean(self._edits)),
            frames=self._frames,
        )


def action_score(
    predicted: Sequence[int] | np.ndarray,
    truth: Sequence[int] | np.ndarray,
    background: Collection[int] = (),
) -> ActionScore | None:
    """Score one timeline; see :class:`TimelineScores` for its arguments and for several.

    Returns:
        The scores, or ``None`` where no frame has ground truth.

    Raises:
        ValueError: The two are not of the same length.
    """
    scores = TimelineScores(background)
    scores.add(predicted, truth)
    return scores.score()
