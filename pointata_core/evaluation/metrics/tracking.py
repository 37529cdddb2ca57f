# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well people are followed: HOTA, IDF1 and MOTA.

HOTA after Luiten et al., IJCV 2021; IDF1 after Ristani et al., ECCV 2016; MOTA after Bernardin and
Stiefelhagen, 2008. Two places are alike by ``1 - distance / 2 m``, the usual measure for points on
the ground; a match of IDF1 and MOTA needs half of that, so it is at most a metre off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

REACH = 2.0
"""Metres at which two places are not alike at all."""

_THRESHOLDS = np.arange(0.05, 0.99, 0.05)
_MATCH = 0.5
_EPSILON = np.finfo(float).eps


@dataclass(frozen=True)
class TrackingScore:
    """Scores of all recordings together, shares in 0..1 (MOTA may be below 0).

    Attributes:
        hota: Geometric mean of detection and association, averaged over thresholds.
        detection: Detection accuracy of HOTA.
        association: Association accuracy of HOTA.
        idf1: Share of detections under the right identity.
        mota: One minus misses, false detections and changes of identity.
        switches: Changes of identity.
        people: True people times frames.
    """

    hota: float
    detection: float
    association: float
    idf1: float
    mota: float
    switches: int
    people: int


@dataclass(frozen=True, eq=False)
class _Frame:
    truth: np.ndarray  # indices of true people
    found: np.ndarray  # indices of followed people
    alike: np.ndarray  # (truth, found)


class TrackingScores:
    """Collects frames of one or several recordings."""

    def __init__(self) -> None:
        self._frames: list[_Frame] = []
        self._true: dict[tuple[int, int], int] = {}
        self._found: dict[tuple[int, int], int] = {}
        self._recording = 0

    def next_recording(self) -> None:
        """Identities of the frames to come are others than those so far."""
        self._recording += 1

    def add(
        self,
        truth: np.ndarray,
        truth_places: np.ndarray,
        found: np.ndarray,
        found_places: np.ndarray,
        hidden: np.ndarray | None = None,
    ) -> None:
        """Count one frame.

        Args:
            truth: (T,) identities.
            truth_places: (T, 2) metres.
            found: (P,) identities.
            found_places: (P, 2) metres.
            hidden: (T,) bool, who cannot be seen: neither finding nor missing them counts.
        """
        apart = np.linalg.norm(
            np.reshape(truth_places, (-1, 1, 2)) - np.reshape(found_places, (1, -1, 2)), axis=2
        )
        alike = np.maximum(0.0, 1.0 - apart / REACH)
        if hidden is not None and np.any(hidden):
            rows, columns = linear_sum_assignment(-alike)
            near = alike[rows, columns] >= _MATCH
            spared = columns[near & hidden[rows]]
            kept = np.setdiff1d(np.arange(len(found)), spared)
            seen = ~np.asarray(hidden, bool)
            truth, found, alike = truth[seen], found[kept], alike[np.ix_(seen, kept)]
        self._frames.append(
            _Frame(self._indices(self._true, truth), self._indices(self._found, found), alike)
        )

    def score(self) -> TrackingScore | None:
        """Scores so far; ``None`` where nobody was there."""
        people = sum(len(frame.truth) for frame in self._frames)
        if not people:
            return None
        hota, detection, association = self._hota()
        mota, switches = self._mota(people)
        return TrackingScore(hota, detection, association, self._idf1(), mota, switches, people)

    def _indices(self, known: dict[tuple[int, int], int], names: np.ndarray) -> np.ndarray:
        keys = [(self._recording, int(name)) for name in names]
        return np.array([known.setdefault(key, len(known)) for key in keys], np.int64)

    def _counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Frames of each true and each followed person."""
        true, found = np.zeros(len(self._true)), np.zeros(len(self._found))
        for frame in self._frames:
            true[frame.truth] += 1
            found[frame.found] += 1
        return true, found

    def _hota(self) -> tuple[float, float, float]:
        true, found = self._counts()
        common = np.zeros((len(true), len(found)))
        for frame in self._frames:
            total = frame.alike.sum(0)[None] + frame.alike.sum(1)[:, None] - frame.alike
            share = np.divide(frame.alike, total, out=np.zeros_like(total), where=total > _EPSILON)
            common[np.ix_(frame.truth, frame.found)] += share
        alignment = common / np.maximum(true[:, None] + found[None] - common, _EPSILON)
        pairs = np.zeros((len(_THRESHOLDS), len(true), len(found)))
        for frame in self._frames:
            cost = alignment[np.ix_(frame.truth, frame.found)] * frame.alike
            rows, columns = linear_sum_assignment(-cost)
            good = frame.alike[rows, columns][None] >= _THRESHOLDS[:, None] - _EPSILON
            pairs[:, frame.truth[rows], frame.found[columns]] += good
        matched = pairs.sum((1, 2))
        detection = matched / np.maximum(true.sum() + found.sum() - matched, 1)
        together = pairs / np.maximum(1, true[:, None] + found[None] - pairs)
        association = (pairs * together).sum((1, 2)) / np.maximum(1, matched)
        hota = np.sqrt(detection * association)
        return float(hota.mean()), float(detection.mean()), float(association.mean())

    def _idf1(self) -> float:
        true, found = self._counts()
        common = np.zeros((len(true), len(found)))
        for frame in self._frames:
            common[np.ix_(frame.truth, frame.found)] += frame.alike >= _MATCH
        rows, columns = linear_sum_assignment(-common)
        return float(2 * common[rows, columns].sum() / max(1.0, true.sum() + found.sum()))

    def _mota(self, people: int) -> tuple[float, int]:
        last = np.full(len(self._true), -1)  # identity under which each was found last
        before = np.full(len(self._true), -1)  # and in the frame before
        errors = switches = 0
        for frame in self._frames:
            kept = before[frame.truth][:, None] == frame.found[None]
            score = np.where(frame.alike >= _MATCH, 1000.0 * kept + frame.alike, 0.0)
            rows, columns = linear_sum_assignment(-score)
            good = score[rows, columns] > _EPSILON
            true, found = frame.truth[rows[good]], frame.found[columns[good]]
            switches += int(((last[true] >= 0) & (last[true] != found)).sum())
            errors += len(frame.truth) + len(frame.found) - 2 * len(true)
            before[:] = -1
            last[true] = before[true] = found
        return 1.0 - (errors + switches) / people, switches
