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

Counts are pooled over recordings before F1 is taken, as the public scripts do.
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
    """Scores of a timeline, each in 0..1.

    Args:
        accuracy: Frames with the right label / frames with ground truth, background included.
        f1: F1 by overlap threshold: keys ``'10'``, ``'25'``, ``'50'`` (percent).
        edit: Edit score.
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


def action_score(
    predicted: Sequence[int] | np.ndarray,
    truth: Sequence[int] | np.ndarray,
    background: Collection[int] = (),
) -> ActionScore | None:
    """Score one timeline.

    Args:
        predicted: ``(F,)`` class per frame; negative = no answer, which is an error.
        truth: ``(F,)`` class per frame; negative = no ground truth: the frame is cut out of both.
        background: Classes that form no segment, e.g. "none"; they do count in the accuracy.

    Returns:
        The scores, or ``None`` where no frame has ground truth.

    Raises:
        ValueError: The two are not of the same length.
    """
    predicted, truth = np.asarray(predicted, np.int64), np.asarray(truth, np.int64)
    if predicted.shape != truth.shape or truth.ndim != 1:
        raise ValueError(f'predicted {predicted.shape} and truth {truth.shape} must both be (F,)')
    known = truth >= 0
    if not known.any():
        return None
    predicted, truth = predicted[known], truth[known]
    # "No answer" is no action of its own: it makes no segment, only a missing frame.
    said = segments(predicted, {*background, *predicted[predicted < 0].tolist()})
    meant = segments(truth, background)
    return ActionScore(
        accuracy=float((predicted == truth).mean()),
        f1={
            f'{round(100 * overlap)}': f1_score(*count_matches(said, meant, overlap))
            for overlap in OVERLAPS
        },
        edit=edit_score([s.label for s in said], [s.label for s in meant]),
        frames=int(known.sum()),
    )
