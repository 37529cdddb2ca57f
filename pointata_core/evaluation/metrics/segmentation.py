# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation scores from a confusion matrix that is summed over frames.

One matrix for the whole recording, then one division: the mean of per-frame IoUs would reward
frames in which a class is absent. A point without ground truth does not count at all; a point with
ground truth but *without a prediction* counts as an error: leaving points out gains nothing.

One rule for the mean over classes holds everywhere, ``ClassMean``: ``present`` takes the scored
classes that occur in the ground truth; ``all`` takes every scored class, and one without any point
counts 0. Each data set's entry in the catalogue tells which of the two its public protocol has, and
which classes are not scored. Recordings have ``present``.

Only NumPy is needed, because evaluation must run without the training packages.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

ClassMean = Literal['present', 'all']


@dataclass(frozen=True)
class SegmentationScore:
    """Scores of one recording; every share lies in 0..1.

    Args:
        miou: Mean IoU over classes, see the module.
        iou: IoU by class name, for the scored classes that occur in the ground truth. A class that
            is only predicted has no IoU of its own; its points are errors of the classes they
            belong to.
        accuracy: Correctly labelled points / points with ground truth.
        points: Points with ground truth.
        unpredicted: Those of them without a prediction; they count as errors.
        truth_points: Points of each class that occurs in the ground truth.
    """

    miou: float
    iou: dict[str, float]
    accuracy: float
    points: int
    unpredicted: int
    truth_points: dict[str, int]


class ConfusionMatrix:
    """Counts of (true class, predicted class) pairs, plus a last column for "no prediction".

    Args:
        classes: Class names; a label is an index into them.

    Attributes:
        counts: ``(C, C + 1)`` int64, rows true classes, columns predicted ones, "none" last.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.counts = np.zeros((len(self.classes), len(self.classes) + 1), dtype=np.int64)

    def add(
        self, truth: np.ndarray, predicted: np.ndarray, points: np.ndarray | None = None
    ) -> None:
        """Count one frame.

        Args:
            truth: ``(N,)`` integers; anything outside ``0..C-1`` means "no ground truth".
            predicted: ``(N,)`` integers; anything outside ``0..C-1`` means "no prediction".
            points: ``(N,)`` how many points each row stands for; one where left out.

        Raises:
            ValueError: They are not of the same length.
        """
        if truth.shape != predicted.shape or truth.ndim != 1:
            raise ValueError(
                f'truth {truth.shape} and predicted {predicted.shape} must both be (N,)'
            )
        classes = len(self.classes)
        # Signed and wide: -1 and 65535 must both stay outside the range of classes.
        truth, predicted = truth.astype(np.int64), predicted.astype(np.int64)
        known = (truth >= 0) & (truth < classes)
        truth, predicted = truth[known], predicted[known]
        predicted = np.where((predicted >= 0) & (predicted < classes), predicted, classes)
        weights = None if points is None else points[known]
        pairs = np.bincount(truth * (classes + 1) + predicted, weights, self.counts.size)
        self.counts += pairs.astype(np.int64).reshape(self.counts.shape)

    def score(
        self, scored: Collection[str] | None = None, mean: ClassMean = 'present'
    ) -> SegmentationScore | None:
        """Scores of everything counted so far.

        Args:
            scored: Classes that have an IoU; ``None`` for all. Points of the other classes still
                count: the class predicted there has them in its union, as in HOI4D's
                public evaluation, and in the accuracy.
            mean: Over which of them ``miou`` is taken.

        Returns:
            The scores, or ``None`` where no point of a scored class had ground truth.

        Raises:
            ValueError: A scored class is not one of the matrix.
        """
        unknown = sorted(set(scored or ()) - set(self.classes))
        if unknown:
            raise ValueError(f'{unknown[0]!r} is none of the classes {self.classes}')
        total = int(self.counts.sum())
        if not total:
            return None
        classes = len(self.classes)
        right = np.diagonal(self.counts[:, :classes])
        truth = self.counts.sum(axis=1)
        union = truth + self.counts[:, :classes].sum(axis=0) - right
        present = [c for c in np.flatnonzero(truth) if scored is None or self.classes[c] in scored]
        if not present:
            return None
        iou = right[present] / union[present]
        over = len(present) if mean == 'present' else len(set(scored or self.classes))
        return SegmentationScore(
            miou=float(iou.sum() / over),
            iou={self.classes[c]: float(v) for c, v in zip(present, iou)},
            accuracy=float(right.sum() / total),
            points=total,
            unpredicted=int(self.counts[:, classes].sum()),
            truth_points={self.classes[c]: int(truth[c]) for c in present},
        )
