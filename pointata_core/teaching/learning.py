# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle trained further on corrections, and compared with what it was before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.bundles.bundle import load_bundle
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.safe_files import make_output_folder, write_atomically, write_json
from pointata_core.taxonomy import SEGMENTATION_CLASSES, UNLABELLED, class_id
from pointata_core.teaching.lessons import Lessons, edits_taught, scans_to_learn, write_lessons
from pointata_core.teaching.predictions import (
    bundle_labels,
    read_prediction,
    require_predictions,
)
from pointata_core.teaching.project import Project
from pointata_core.training.domain.bundle_adaptation import going_on, load_start
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

RECIPE, INDOOR_RECIPE = 'config/training/teach.yaml', 'config/training/teach_indoor.yaml'
_INDOOR = [class_id(name) for name in ('floor', 'wall', 'ceiling', 'furniture')]
RESULT = 'teaching.json'
_MARGIN = 0.01
_KEEP = 1.0  # see StageSettings.keep


@dataclass(frozen=True)
class AsideScore:
    """Labels of a bundle where a person labelled and the bundle did not learn.

    Attributes:
        points: How many; 0 if no click was kept aside.
        right: Share that has the person's label.
        iou: IoU by class.
    """

    points: int
    right: float
    iou: dict[str, float]


@dataclass(frozen=True)
class LearnResult:
    """What became of a bundle.

    Attributes:
        bundle: The bundle that learned.
        lessons: What it learned from.
        before: Score of the bundle that it began with.
        after: Score of the outcome.
        taught_before: The same on the clicks that it learned from.
        taught_after: The same for the outcome.
        worse: Why it should not be used, as sentences.
    """

    bundle: Path
    lessons: Lessons
    before: AsideScore
    after: AsideScore
    taught_before: AsideScore
    taught_after: AsideScore
    worse: tuple[str, ...]


def recipe_of(project: Project) -> str:
    """Recipe for the scans of a folder: what is simulated beside them is like the most of them.

    Args:
        project: With predictions.
    """
    indoor = labelled = 0
    for number in range(len(project)):
        labels = read_prediction(project, number).labels
        indoor += int(np.isin(labels, _INDOOR).sum())
        labelled += int((labels != UNLABELLED).sum())
    return INDOOR_RECIPE if 2 * indoor > labelled else RECIPE


def learn(
    project: Project, start: str | Path, settings: TrainingSettings, **training: Any
) -> LearnResult:
    """Train a bundle further on the corrections of a folder.

    ``OUTPUT/settings.yaml`` repeats the training with ``pointata train``, without the folder.
    ``OUTPUT/after/NNNNNN.npy`` has the labels that the outcome gives to the scans learned from.

    Args:
        project: With predictions of this bundle, and corrections.
        start: Bundle, by folder or name.
        settings: Of the run; data and start are filled in.
        training: See :func:`run_train`.

    Raises:
        ConfigError: The bundle has other classes, the predictions are of another bundle, or nothing
            was corrected.
        PointataError: Bundle or folder cannot be read.
    """
    bundle = load_start(start, project.classes.names)
    require_predictions(project, bundle)
    output = make_output_folder(settings.output)
    lessons = write_lessons(project, output)
    asked = scans_to_learn(project)
    before = {number: read_prediction(project, number).labels for number in asked}
    settings = _without_poses(_with_classes(settings, project), project)
    result = run_train(going_on(settings, bundle, lessons.root), **training)
    assert result is not None and result.bundle is not None
    after = dict(bundle_labels(project, load_bundle(result.bundle), asked))
    for number, labels in after.items():
        path = output / 'after' / f'{project.name(number)}.npy'
        write_atomically(path, partial(np.save, arr=labels))
    taught = edits_taught(project)
    first, second = (score_edits(project, labels, lessons.aside) for labels in (before, after))
    found = LearnResult(
        result.bundle,
        lessons,
        first,
        second,
        score_edits(project, before, taught),
        score_edits(project, after, taught),
        tuple(_worse(first, second)),
    )
    facts = asdict(found)
    facts['bundle'], facts['lessons']['root'] = str(found.bundle), str(lessons.root)
    write_json(output / RESULT, facts)
    return found


def score_edits(
    project: Project, labels: Mapping[int, NDArray[np.uint16]], edits: Collection[int]
) -> AsideScore:
    """Compare labels of a bundle with those that a person gave by some clicks.

    Args:
        project: Open.
        labels: ``(N,)`` of scans, by number, in classes of the folder.
        edits: Numbers of the clicks.
    """
    matrix = ConfusionMatrix(project.classes.names)
    for number, found in labels.items():
        known = project.known(number)
        rows = np.isin(known.by, np.array(sorted(edits), np.int64))
        matrix.add(project.classes.labels(known.words)[rows], found[rows])
    score = matrix.score()
    if score is None:
        return AsideScore(0, 0.0, {})
    return AsideScore(score.points, score.accuracy, dict(score.iou))


def _with_classes(settings: TrainingSettings, project: Project) -> TrainingSettings:
    """The same training, with the classes of the folder; those of the bundle are kept."""
    extra = project.classes.names[len(SEGMENTATION_CLASSES) :]
    if not extra:
        return settings
    options = {**settings.data.options, 'extra_classes': list(extra)}
    stages = tuple(replace(stage, keep=stage.keep or _KEEP) for stage in settings.plan)
    return replace(settings, data=replace(settings.data, options=options), stages=stages)


def _without_poses(settings: TrainingSettings, project: Project) -> TrainingSettings:
    """The same training, without the motion of the sensor where the scans do not have it."""
    if project.sequence.poses is not None:
        return settings
    return replace(settings, data=replace(settings.data, motion=False))


def _worse(before: AsideScore, after: AsideScore) -> list[str]:
    if after.points and after.right < before.right - _MARGIN:
        return [
            f'of the points kept aside, {100 * after.right:.1f} % are right, '
            f'{100 * before.right:.1f} % before'
        ]
    return []
