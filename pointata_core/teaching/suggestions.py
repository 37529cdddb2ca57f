# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which scans and segments are worth a look, and why.

A segment is worth as much as it holds points that nobody labelled and that the bundle probably got
wrong; points of rare classes count more. A scan is worth what its best segments are. Among scans of
like worth, the one least like those seen so far comes first (greedy k-centre; Sener and Savarese,
ICLR 2018).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointata_core.taxonomy import UNLABELLED
from pointata_core.teaching.predictions import Prediction, read_prediction
from pointata_core.teaching.project import Project

_FEWEST = 10  # points of a segment that is worth a click
_BEST = 5  # segments that make the worth of a scan
_HEIGHTS = np.array([-np.inf, -2.5, -1.5, -0.5, 0.5, 2.0, 5.0, np.inf])  # metres


@dataclass(frozen=True)
class Suggestion:
    """A scan or a segment, and why it is worth a look.

    Attributes:
        scan: Its number.
        segment: Of the segment; ``None`` for a scan.
        worth: Points that are probably wrong, those of rare classes counted more.
        reason: In words.
    """

    scan: int
    segment: int | None
    worth: float
    reason: str


def class_weights(project: Project) -> NDArray[np.float64]:
    """How much a point of each predicted class counts, ``(65536,)``: the rarer, the more."""
    count = np.zeros(1 << 16)
    for number in range(len(project)):
        count += np.bincount(read_prediction(project, number).labels, minlength=1 << 16)
    count[UNLABELLED] = 0
    share = np.maximum(count / max(count.sum(), 1), 1e-3)
    return np.sqrt(share.max() / share)


def suggest_segments(
    project: Project, number: int, weights: NDArray[np.float64], most: int | None = None
) -> list[Suggestion]:
    """Segments of a scan that are worth a click, the best first.

    Args:
        project: With predictions.
        number: Of the scan.
        weights: See :func:`class_weights`.
        most: How many to return; all if left out.
    """
    known, prediction = project.known(number), read_prediction(project, number)
    inside = known.segment >= 0
    if not inside.any():
        return []
    names, of_point = np.unique(known.segment[inside], return_inverse=True)
    unknown = (known.by == 0)[inside]
    risk = _risk(prediction)[inside] * weights[prediction.labels[inside]] * unknown
    worth = np.bincount(of_point, risk)
    count = np.bincount(of_point, unknown)
    order = [one for one in np.argsort(-worth, kind='stable') if count[one] >= _FEWEST]
    return [
        Suggestion(
            number, int(names[one]), float(worth[one]),
            _reason(prediction, np.flatnonzero(inside)[(of_point == one) & unknown]),
        )
        for one in order[:most]
        if worth[one] > 0
    ]  # fmt: skip


def suggest_scans(
    project: Project, weights: NDArray[np.float64], most: int, seen: Collection[int] = ()
) -> list[Suggestion]:
    """Scans that are worth a look, the best first.

    Args:
        project: With predictions.
        weights: See :func:`class_weights`.
        most: How many to find.
        seen: Scans that a person has looked at.
    """
    candidates = [candidate(project, number, weights) for number in range(len(project))]
    found = choose(candidates, most, [candidates[number] for number in seen])
    return [one for _, one in found]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A scan that may be suggested.

    Attributes:
        suggestion: What is said about it.
        described: Classes and heights of its points, to compare scans by.
    """

    suggestion: Suggestion
    described: NDArray[np.float64]


def candidate(project: Project, number: int, weights: NDArray[np.float64]) -> Candidate:
    """What a scan is worth, and what it is like.

    Args:
        project: With predictions.
        number: Of the scan.
        weights: See :func:`class_weights`.
    """
    segments = suggest_segments(project, number, weights, _BEST)
    unknown = np.flatnonzero(project.known(number).by == 0)
    reason = _reason(read_prediction(project, number), unknown)
    worth = sum(one.worth for one in segments)
    return Candidate(Suggestion(number, None, worth, reason), _descriptor(project, number))


def choose(
    candidates: Sequence[Candidate], most: int, seen: Sequence[Candidate] = ()
) -> list[tuple[int, Suggestion]]:
    """Scans that are worth a look, the best first, with their places among the candidates.

    Args:
        candidates: To choose from; they may be of several folders.
        most: How many to find.
        seen: Those that a person has looked at.
    """
    worth = np.array([one.suggestion.worth for one in candidates])
    described = np.stack([one.described for one in candidates])
    distance = np.full(len(candidates), np.inf)
    for other in seen:
        distance = np.minimum(distance, np.linalg.norm(described - other.described, axis=1))
    found: list[tuple[int, Suggestion]] = []
    while len(found) < most:
        free = worth * (worth > 0)
        free[[place for place, _ in found]] = 0
        if not free.any():
            break
        known = np.isfinite(distance).all()
        novelty = distance / max(distance.max(), 1e-9) if known else np.ones(len(candidates))
        chosen = int(np.argmax(free / worth.max() * (0.5 + 0.5 * novelty)))
        one = candidates[chosen].suggestion
        if known and novelty[chosen] > 0.5:
            one = replace(one, reason=f'{one.reason}; unlike the scans seen so far')
        found.append((chosen, one))
        distance = np.minimum(distance, np.linalg.norm(described - described[chosen], axis=1))
    return found


def _risk(prediction: Prediction) -> NDArray[np.float64]:
    """How likely each label is wrong, 0..1, as far as the bundle itself can tell."""
    unsure = np.minimum(2.0 * (1.0 - prediction.probability.astype(np.float64)), 1.0)
    flickers = np.nan_to_num(prediction.flickers, nan=0.0)
    risk = 0.4 * unsure + 0.4 * prediction.differs + 0.2 * flickers
    return np.where(prediction.labels == UNLABELLED, 0.0, risk)


def _reason(prediction: Prediction, rows: NDArray[np.intp]) -> str:
    """The strongest sign of an error among some points, in words."""
    if not len(rows):
        return 'all of it is labelled'
    flickers = prediction.flickers[rows]
    followed = np.isfinite(flickers)
    signs = {
        'the bundle is unsure of {} % of it': float((prediction.probability[rows] < 0.5).mean()),
        'mirrored or turned, {} % of it gets another label': float(prediction.differs[rows].mean()),
        'in the scan before, {} % of it had another label': float(flickers[followed].mean())
        if followed.any()
        else 0.0,
    }
    text, share = max(signs.items(), key=lambda item: item[1])
    return text.format(round(100 * share))


def _descriptor(project: Project, number: int) -> NDArray[np.float64]:
    """Classes and heights of a scan, to compare scans by."""
    prediction = read_prediction(project, number)
    labels = prediction.labels[prediction.labels != UNLABELLED]
    classes = np.bincount(labels, minlength=len(project.classes.names)) / max(len(labels), 1)
    height = project.scan(number).points[:, 2]
    heights, _ = np.histogram(height[np.isfinite(height)], _HEIGHTS)
    return np.sqrt(np.concatenate([classes, heights / max(heights.sum(), 1)]))
