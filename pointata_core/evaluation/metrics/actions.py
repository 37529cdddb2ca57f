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
scripts average over batches, where a short last batch weighs too much). F1 averaged over classes
is another figure, which some papers print under the same name: it has to be asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

OVERLAPS = (0.10, 0.25, 0.50)
F1Average = Literal['pooled', 'class']


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
    """Harmonic mean of precision and recall; 1.0 where nothing was there and nothing was said."""
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
    """Takes in one timeline after another and scores them together.

    Timelines must not be joined end to end instead: a segment would run across the seam, and one
    edit distance over everything is no mean of edit scores.

    Args:
        background: Classes that form no segment, e.g. "none"; they do count in the accuracy.
    """

    def __init__(self, background: Collection[int] = ()) -> None:
        self._background = frozenset(background)
        self._matches: dict[float, dict[int, np.ndarray]] = {o: {} for o in OVERLAPS}
        self._edits: list[float] = []
        self._right = 0
        self._frames = 0

    def add(self, predicted: Sequence[int] | np.ndarray, truth: Sequence[int] | np.ndarray) -> None:
        """Count one timeline; one without any ground truth counts nothing.

        Args:
            predicted: ``(F,)`` class per frame; negative = no answer, which is an error.
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
        # "No answer" is no action of its own: it makes no segment, only a missing frame.
        said = segments(predicted, {*self._background, *predicted[predicted < 0].tolist()})
        meant = segments(truth, self._background)
        self._count(said, meant)
        self._edits.append(edit_score([s.label for s in said], [s.label for s in meant]))
        self._right += int((predicted == truth).sum())
        self._frames += int(known.sum())

    def score(self, average: F1Average = 'pooled') -> ActionScore | None:
        """Scores of all timelines so far; ``None`` where no frame had ground truth.

        Args:
            average: ``pooled``: one F1 from the counts of all classes. ``class``: the mean of one
                F1 per class, over the classes that form a segment in truth or answer.
        """
        if not self._frames:
            return None
        return ActionScore(
            accuracy=self._right / self._frames,
            f1={f'{round(100 * o)}': _averaged(self._matches[o], average) for o in OVERLAPS},
            edit=float(np.mean(self._edits)),
            frames=self._frames,
        )

    def class_f1(self, overlap: float) -> dict[int, float]:
        """F1 by class at one of ``OVERLAPS``, for classes that form a segment somewhere."""
        counts = self._matches[overlap]
        return {label: f1_score(*map(int, counts[label])) for label in sorted(counts)}

    def _count(self, said: Sequence[Segment], meant: Sequence[Segment]) -> None:
        # Segments match only within their class, so counting by class loses nothing.
        for label in {segment.label for segment in (*said, *meant)}:
            ours = [segment for segment in said if segment.label == label]
            theirs = [segment for segment in meant if segment.label == label]
            for overlap, counts in self._matches.items():
                matches = np.array(count_matches(ours, theirs, overlap), np.int64)
                counts[label] = counts.get(label, 0) + matches


def _averaged(counts: dict[int, np.ndarray], average: F1Average) -> float:
    if average == 'class':
        return float(np.mean([f1_score(*map(int, c)) for c in counts.values()])) if counts else 1.0
    if average != 'pooled':
        raise ValueError(f"average is {average!r}, expected 'pooled' or 'class'")
    return f1_score(*(int(n) for n in sum(counts.values(), np.zeros(3, np.int64))))


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
