# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A person whose answers are known, to measure what clicks are worth.

Scans and segments are chosen, and the true labels answer: a click gives a segment the class of most
of its points. What the labels of the folder are worth is measured on all of its scans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointata_core.bundles.bundle import SkillBundle
from pointata_core.errors import CloudFileError
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix, SegmentationScore
from pointata_core.taxonomy import UNLABELLED
from pointata_core.teaching.clicks import label_segment
from pointata_core.teaching.predictions import bundle_labels, read_prediction
from pointata_core.teaching.project import Project
from pointata_core.teaching.propagation import DEFAULT_REACH, Reach
from pointata_core.teaching.suggestions import class_weights, suggest_scans, suggest_segments

Choice = Literal['suggested', 'random']
_FEWEST = 10  # points of a segment that is drawn at random


@dataclass(frozen=True)
class LabelScore:
    """What the labels of a folder are worth, against the truth.

    Attributes:
        clicks: So far.
        labelled: Share of the points that have a label of the person, here or carried over.
        right: Share of those that are right; 1 without any.
        miou: Mean IoU of the person's labels, and of the bundle's where there are none, over the
            classes that occur.
    """

    clicks: int
    labelled: float
    right: float
    miou: float


def read_truth(project: Project, folder: str | Path) -> list[NDArray[np.uint16]]:
    """True classes of all scans of a folder.

    Args:
        project: Open.
        folder: Holds ``NNNNNN.label``, or a folder ``labels`` with them.

    Raises:
        CloudFileError: A file is missing, or belongs to another scan.
    """
    home = Path(folder) / 'labels' if (Path(folder) / 'labels').is_dir() else Path(folder)
    truth = []
    for number in range(len(project)):
        path = home / f'{project.name(number)}.label'
        if not path.is_file() or path.stat().st_size != 4 * project.points(number):
            raise CloudFileError(
                f'{path}: found no {project.points(number)} labels',
                'Give the folder with the labels of these very scans',
            )
        truth.append(project.classes.labels(np.fromfile(path, '<u4').astype(np.uint32)))
    return truth


def annotate(
    project: Project,
    truth: Sequence[NDArray[np.uint16]],
    clicks: int,
    *,
    choice: Choice = 'suggested',
    per_scan: int = 5,
    seed: int = 0,
    reach: Reach = DEFAULT_REACH,
) -> Iterator[int]:
    """Click on one segment after the other; yields the number of clicks after each.

    Args:
        project: With predictions and segments.
        truth: ``(N,)`` classes of each scan; ``UNLABELLED`` where it is none of them.
        clicks: How many; fewer if nothing is left.
        choice: ``suggested`` follows :mod:`.suggestions`; ``random`` draws scans and segments.
        per_scan: Clicks in one scan before the next is chosen.
        seed: Of the random choice.
        reach: See :func:`~pointata_core.teaching.clicks.label_segment`.
    """
    chosen = _suggested(project, per_scan) if choice == 'suggested' else _random(project, seed)
    for done, (scan, segment) in enumerate(chosen):
        if done >= clicks:
            break
        inside = truth[scan][project.known(scan).segment == segment]
        label = int(np.bincount(inside).argmax())
        name = None if label == UNLABELLED else project.classes.names[label]
        label_segment(project, scan, segment, name, reach)
        yield done + 1


def _suggested(project: Project, per_scan: int) -> Iterator[tuple[int, int]]:
    weights, seen = class_weights(project), set[int]()
    while scans := suggest_scans(project, weights, 1, seen):
        number = scans[0].scan
        seen.add(number)
        for _ in range(per_scan):
            segments = suggest_segments(project, number, weights, 1)
            if not segments or segments[0].segment is None:
                break
            yield number, segments[0].segment


def _random(project: Project, seed: int) -> Iterator[tuple[int, int]]:
    generator = np.random.default_rng(seed)
    left = set(range(len(project)))
    while left:
        number = int(generator.choice(sorted(left)))
        known = project.known(number)
        free = (known.segment >= 0) & ~known.confirmed
        segments, count = np.unique(known.segment[free], return_counts=True)
        if not (count >= _FEWEST).any():
            left.discard(number)
            continue
        yield number, int(generator.choice(segments[count >= _FEWEST]))


def score_bundle(
    project: Project, truth: Sequence[NDArray[np.uint16]], bundle: SkillBundle
) -> SegmentationScore | None:
    """Compare the labels of a bundle alone with the truth; ``None`` without any truth.

    Args:
        project: Open; its labels play no part.
        truth: See :func:`annotate`.
        bundle: To be scored, as a stream of all scans.
    """
    matrix = ConfusionMatrix(project.classes.names)
    for number, labels in bundle_labels(project, bundle, range(len(project))):
        matrix.add(truth[number], labels)
    return matrix.score()


def score_labels(project: Project, truth: Sequence[NDArray[np.uint16]], clicks: int) -> LabelScore:
    """Compare the labels of a folder with the truth.

    Args:
        project: With predictions.
        truth: See :func:`annotate`.
        clicks: So far.
    """
    matrix = ConfusionMatrix(project.classes.names)
    points = labelled = right = 0
    for number, expected in enumerate(truth):
        known = project.known(number)
        own = project.classes.labels(known.words)
        by_person = (expected != UNLABELLED) & (known.by != 0)
        points += int((expected != UNLABELLED).sum())
        labelled += int(by_person.sum())
        right += int((own == expected)[by_person].sum())
        matrix.add(expected, np.where(known.by != 0, own, read_prediction(project, number).labels))
    found = matrix.score()
    return LabelScore(
        clicks,
        labelled / max(points, 1),
        right / labelled if labelled else 1.0,
        0.0 if found is None else found.miou,
    )
