# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of whole videos, from the clips that were cut out of them.

Protocol of MeteorNet (Liu, Yan and Bohg, ICCV 2019) and of the networks compared with it on
MSR-Action3D and NTU RGB+D: the softmax of every clip is added up over the clips of its video, and
the largest sum is the prediction for the video. Public loaders cut no clip out of a video that is
too short, which then vanishes from the score; ``score(videos=...)`` counts such videos as errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VideoScore:
    """Scores of a recognition task; shares lie in 0..1.

    Args:
        accuracy: Correctly recognised videos / ``videos``.
        correct: Numerator of it. Two scores compare only where the denominators agree.
        videos: Videos scored: those with clips, or the number given to ``score``.
        clip_accuracy: Correctly recognised clips / clips; not comparable with ``accuracy``.
        clips: Clips seen.
        class_accuracy: ``accuracy`` among the videos of each class seen, by class index.
        confusion: ``(C, C)`` int64 videos, rows are true classes, columns predictions.
        right: Whether each video was recognised, by its identifier.
    """

    accuracy: float
    correct: int
    videos: int
    clip_accuracy: float
    clips: int
    class_accuracy: dict[int, float]
    confusion: np.ndarray
    right: dict[str, bool]


class VideoScores:
    """Adds up clips by the video they come from, in any order and batching.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._sums: dict[str, np.ndarray] = {}
        self._labels: dict[str, int] = {}
        self._clips = 0
        self._right_clips = 0

    def add(self, video: str, logits: np.ndarray, label: int) -> None:
        """Count one clip.

        Args:
            video: Identifier of the video that the clip was cut from.
            logits: ``(C,)`` of the clip, before the softmax.
            label: True class of the video.

        Raises:
            ValueError: Another number of classes, values that are not finite, a label out of range
                or one that differs from the label of an earlier clip of the video.
        """
        logits = np.asarray(logits, np.float64)
        if logits.shape != (self.classes,) or not np.isfinite(logits).all():
            raise ValueError(f'{video}: logits must be {self.classes} finite numbers')
        label = int(label)
        if not 0 <= label < self.classes:
            raise ValueError(f'{video}: label {label} is none of {self.classes} classes')
        if self._labels.setdefault(video, label) != label:
            raise ValueError(f'{video}: clips with the labels {self._labels[video]} and {label}')
        likely = np.exp(logits - logits.max())
        self._sums[video] = self._sums.get(video, 0.0) + likely / likely.sum()
        self._clips += 1
        self._right_clips += int(logits.argmax() == label)

    def score(self, videos: int | None = None) -> VideoScore | None:
        """Scores of all clips so far; ``None`` without any.

        Args:
            videos: Videos of the split, those without a clip included: they count as errors.
                ``None`` scores the videos with clips, as public scripts do.

        Raises:
            ValueError: More videos have been seen.
        """
        if not self._clips:
            return None
        seen = len(self._sums)
        if videos is not None and videos < seen:
            raise ValueError(f'clips of {seen} videos were added, which is more than {videos}')
        confusion = np.zeros((self.classes, self.classes), np.int64)
        for video, total in self._sums.items():
            confusion[self._labels[video], total.argmax()] += 1
        right, per_class = np.diagonal(confusion), confusion.sum(axis=1)
        scored = seen if videos is None else videos
        return VideoScore(
            accuracy=int(right.sum()) / scored,
            correct=int(right.sum()),
            videos=scored,
            clip_accuracy=self._right_clips / self._clips,
            clips=self._clips,
            class_accuracy={int(c): float(right[c] / per_class[c]) for c in per_class.nonzero()[0]},
            confusion=confusion,
            right={v: int(t.argmax()) == self._labels[v] for v, t in self._sums.items()},
        )
