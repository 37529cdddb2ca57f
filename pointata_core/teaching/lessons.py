# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle learns from a folder: corrections, and labels of its own that are probably right.

Scans with corrections are written with their neighbours in runs, in the layout of SemanticKITTI, so
that :mod:`pointata_core.training` reads them like any recorded drive. A point that nobody labelled
keeps the label of the bundle if all views agree on it, the bundle is as sure of it as of the surer
half of its class, and corrections do not show that the bundle often errs in this class. Other
points have no label.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.scenes.semantickitti_writer import SequenceWriter
from pointata_core.errors import ConfigError
from pointata_core.taxonomy import UNLABELLED
from pointata_core.teaching.predictions import Prediction, read_prediction
from pointata_core.teaching.project import Project

_RUN = 5  # scans in a row, so that time can be learned from
_ASIDE = 5  # every so many clicks, one is kept aside to check what was learned
_FEWEST, _RIGHT = 50, 0.8  # points that judge a class, and the share that has to be right
_LABELS = ('segment', 'points', 'confirm', 'other_tool')


@dataclass(frozen=True)
class Lessons:
    """What was written.

    Attributes:
        root: Folder with ``sequences/NN``; named by its content.
        scans: How many.
        corrected: Points with a label of a person, here or carried over.
        own: Points with a label of the bundle.
        aside: Edits that were kept aside.
        distrusted: Classes of the bundle that corrections show to be often wrong.
    """

    root: Path
    scans: int
    corrected: int
    own: int
    aside: tuple[int, ...]
    distrusted: tuple[str, ...]


def write_lessons(project: Project, folder: Path, share: float = 0.5) -> Lessons:
    """Write what there is to learn.

    Args:
        project: With predictions and corrections.
        folder: Gets a folder with the scans.
        share: Of the points of every class, the surest, that keep the bundle's label.

    Raises:
        ConfigError: Nothing was corrected, or nothing that is of a class.
    """
    numbers = scans_to_learn(project)
    if not numbers:
        raise ConfigError(f'{project.folder}: nothing was corrected', 'Correct some segments first')
    aside = edits_aside(project)
    predictions = {number: read_prediction(project, number) for number in numbers}
    least = _thresholds(list(predictions.values()), share)
    distrusted = _distrusted(project, predictions, least, aside)
    least[list(distrusted)] = np.inf
    labels, corrected, own = {}, 0, 0
    for number, prediction in predictions.items():
        known = project.known(number)
        sure = _sure(prediction, least)
        label = np.where(sure, prediction.labels, UNLABELLED).astype(np.uint16)
        by_person = known.by != 0
        label[by_person] = project.classes.labels(known.words)[by_person]
        label[np.isin(np.abs(known.by), aside)] = UNLABELLED
        corrected += int((by_person & (label != UNLABELLED)).sum())
        own += int((~by_person & (label != UNLABELLED)).sum())
        labels[number] = project.classes.words(label, np.zeros(len(label), np.uint32))
    if not corrected or not any(words.any() for words in labels.values()):
        raise ConfigError(
            f'{project.folder}: no correction is of a class',
            f'Correct segments of {", ".join(project.classes.names)}',
        )
    digest = hashlib.sha256(b''.join(labels[number].tobytes() for number in numbers))
    root = folder / f'scans_{digest.hexdigest()[:12]}'
    for place, run in enumerate(_runs(numbers)):
        writer = SequenceWriter(root / 'sequences' / f'{place:02d}')
        for number in run:
            scan = project.scan(number)
            writer.add(scan.points, scan.intensity, labels[number], scan.stamp_ns, scan.pose)
        writer.close()
    names = tuple(project.classes.names[label] for label in distrusted)
    return Lessons(root, len(numbers), corrected, own, aside, names)


def scans_to_learn(project: Project) -> list[int]:
    """Scans with corrections, and so many around them that each run has five."""
    found: set[int] = set()
    for number in range(len(project)):
        if project.known(number).by.any():
            first = min(max(0, number - _RUN // 2), max(0, len(project) - _RUN))
            found.update(range(first, min(first + _RUN, len(project))), [number])
    return sorted(found)


def edits_aside(project: Project) -> tuple[int, ...]:
    """Numbers of the clicks that are not learned, one in five."""
    return _clicks(project)[_ASIDE - 1 :: _ASIDE]


def edits_taught(project: Project) -> tuple[int, ...]:
    """Numbers of the clicks that are learned."""
    aside = edits_aside(project)
    return tuple(number for number in _clicks(project) if number not in aside)


def _clicks(project: Project) -> tuple[int, ...]:
    return tuple(edit.number for edit in project.edits if edit.what.get('kind') in _LABELS)


def _distrusted(
    project: Project,
    predictions: dict[int, Prediction],
    least: NDArray[np.float32],
    aside: tuple[int, ...],
) -> tuple[int, ...]:
    """Classes of which labels are often wrong although the bundle is sure of them.

    Only such labels are judged: a person looks where the bundle is unsure, so its other labels are
    wrong there more often than elsewhere.
    """
    classes = len(project.classes.names)
    seen, right = np.zeros(classes), np.zeros(classes)
    for number, prediction in predictions.items():
        known = project.known(number)
        judged = (known.by != 0) & ~np.isin(np.abs(known.by), aside)
        judged &= _sure(prediction, least) & (prediction.labels < classes)
        true = project.classes.labels(known.words)[judged]
        said = prediction.labels[judged]
        seen += np.bincount(said, minlength=classes)
        right += np.bincount(said[said == true], minlength=classes)
    return tuple(np.flatnonzero((seen >= _FEWEST) & (right < _RIGHT * seen)).tolist())


def _sure(prediction: Prediction, least: NDArray[np.float32]) -> NDArray[np.bool_]:
    return (prediction.differs == 0) & (prediction.probability >= least[prediction.labels])


def _thresholds(predictions: list[Prediction], share: float) -> NDArray[np.float32]:
    """Least probability of each class that keeps the bundle's label, ``(65536,)``."""
    labels = np.concatenate([one.labels for one in predictions])
    sure = np.concatenate([one.probability for one in predictions])
    least = np.full(1 << 16, np.inf, np.float32)
    for label in np.unique(labels[labels != UNLABELLED]).tolist():
        least[label] = np.quantile(sure[labels == label], 1.0 - share)
    return least


def _runs(numbers: list[int]) -> list[list[int]]:
    """Consecutive numbers together, in runs that are short enough to be read at once."""
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    return [
        part.tolist()
        for run in np.split(np.array(numbers), cuts)
        for part in np.array_split(run, max(1, len(run) // _RUN))
    ]
