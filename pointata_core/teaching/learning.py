# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle trained further on corrections, and compared with what it was before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.bundles.bundle import SkillBundle, load_bundle
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.safe_files import make_output_folder, write_json
from pointata_core.teaching.lessons import Lessons, write_lessons
from pointata_core.teaching.predictions import bundle_labels, require_predictions
from pointata_core.teaching.project import Project
from pointata_core.training.domain.bundle_adaptation import going_on, load_start
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

RECIPE = 'config/training/teach.yaml'
_MARGIN = 0.01


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
        worse: Why it should not be used, as sentences.
    """

    bundle: Path
    lessons: Lessons
    before: AsideScore
    after: AsideScore
    worse: tuple[str, ...]


def learn(
    project: Project, start: str | Path, settings: TrainingSettings, **training: Any
) -> LearnResult:
    """Train a bundle further on the corrections of a folder.

    ``OUTPUT/settings.yaml`` repeats the training with ``pointata train``, without the folder.

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
    bundle = load_start(start)
    require_predictions(project, bundle)
    output = make_output_folder(settings.output)
    lessons = write_lessons(project, output)
    before = score_aside(project, bundle, lessons.aside)
    result = run_train(going_on(settings, bundle, lessons.root), **training)
    assert result is not None and result.bundle is not None
    after = score_aside(project, load_bundle(result.bundle), lessons.aside)
    found = LearnResult(result.bundle, lessons, before, after, tuple(_worse(before, after)))
    facts = asdict(found)
    facts['bundle'], facts['lessons']['root'] = str(found.bundle), str(lessons.root)
    write_json(output / 'teaching.json', facts)
    return found


def score_aside(project: Project, bundle: SkillBundle, aside: Sequence[int]) -> AsideScore:
    """Compare labels of a bundle with those clicks that were kept aside.

    Args:
        project: Open.
        bundle: To be scored.
        aside: Numbers of edits.
    """
    matrix = ConfusionMatrix(project.classes.names)
    asked = [number for number in range(len(project)) if _aside(project, number, aside).any()]
    if asked:
        for number, labels in bundle_labels(project, bundle, asked):
            rows = _aside(project, number, aside)
            true = project.classes.labels(project.known(number).words)
            matrix.add(true[rows], labels[rows])
    found = matrix.score()
    if found is None:
        return AsideScore(0, 0.0, {})
    return AsideScore(found.points, found.accuracy, dict(found.iou))


def _aside(project: Project, number: int, aside: Sequence[int]) -> np.ndarray:
    return np.isin(project.known(number).by, np.array(aside, np.int64))


def _worse(before: AsideScore, after: AsideScore) -> list[str]:
    if after.points and after.right < before.right - _MARGIN:
        return [
            f'of the points kept aside, {100 * after.right:.1f} % are right, '
            f'{100 * before.right:.1f} % before'
        ]
    return []
