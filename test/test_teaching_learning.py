# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle learns what was corrected, and clicks that are kept aside judge it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('lightning', reason='training needs the extra `train`')

from teaching_folders import street_project, truth_of
from teaching_server import TINY_TRAINING

from pointata_core.bundles.bundle import load_bundle
from pointata_core.cli.main import main
from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.errors import ConfigError
from pointata_core.safe_files import write_json
from pointata_core.taxonomy import UNLABELLED, class_id, labels_from_semantickitti
from pointata_core.teaching.clicks import label_points
from pointata_core.teaching.learning import (
    INDOOR_RECIPE,
    RECIPE,
    AsideScore,
    learn,
    recipe_of,
    score_edits,
)
from pointata_core.teaching.lessons import edits_aside, scans_to_learn, write_lessons
from pointata_core.teaching.predictions import (
    Prediction,
    bundle_digest,
    bundle_labels,
    read_prediction,
    write_prediction,
)
from pointata_core.teaching.propagation import THIS_SCAN
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.settings import TrainingSettings

SIDEWALK, TERRAIN, ROAD = class_id('sidewalk'), class_id('terrain'), class_id('road')


@pytest.fixture
def project(tmp_path):
    """Six scans; the bundle takes the sidewalk for terrain, and half of the views disagree."""
    with street_project(tmp_path / 'street', 6) as one:
        for number in range(len(one)):
            truth = truth_of(number)
            labels = np.where(truth == SIDEWALK, TERRAIN, truth).astype(np.uint16)
            sure = np.random.default_rng(number).uniform(0.5, 1, len(labels)).astype(np.float32)
            differs = np.where(np.arange(len(labels)) % 4, 0, 0.5).astype(np.float32)
            write_prediction(
                one, number, Prediction(labels, sure, differs, np.full(len(labels), np.nan))
            )
        facts = {'name': 'default', 'digest': bundle_digest(load_bundle('default'))}
        write_json(one.folder / 'teach' / 'predictions' / 'bundle.json', facts)
        yield one


def click(project, scan, label, part, parts=6):
    rows = np.flatnonzero(truth_of(scan) == label)
    names = project.classes.names
    return label_points(project, scan, np.array_split(rows, parts)[part], names[label], THIS_SCAN)


def written(lessons) -> list[np.ndarray]:
    folders = sorted((lessons.root / 'sequences').iterdir())
    return [
        labels_from_semantickitti(scan.label)
        for folder in folders
        for scan in SemanticKittiSequence(folder)
    ]


def test_corrections_and_sure_labels_are_learned_and_distrusted_ones_are_not(tmp_path, project):
    click(project, 0, SIDEWALK, 0)
    click(project, 0, ROAD, 0)
    lessons = write_lessons(project, tmp_path)
    assert lessons.distrusted == ('terrain',) and lessons.scans == 5 and lessons.aside == ()
    for number, labels in enumerate(written(lessons)):
        truth, known = truth_of(number), project.known(number)
        learned = labels != UNLABELLED
        assert (labels[learned] == truth[learned]).all(), 'no label of the mistaken class'
        own = learned & (known.by == 0)
        assert not own[::4].any(), 'views disagree there'
        assert 0.25 < own[truth == ROAD].mean() < 0.5
        np.testing.assert_array_equal(labels[known.by > 0], truth[known.by > 0])
    assert lessons.corrected == sum((project.known(n).by != 0).sum() for n in range(6))
    assert write_lessons(project, tmp_path / 'again').root.name == lessons.root.name
    click(project, 0, SIDEWALK, 1)
    assert write_lessons(project, tmp_path / 'again').root.name != lessons.root.name


def test_a_class_is_judged_by_the_labels_that_would_be_learned(tmp_path, project) -> None:
    prediction = read_prediction(project, 0)
    rows = np.flatnonzero(truth_of(0) == ROAD)
    unsure = rows[prediction.differs[rows] > 0]
    label_points(project, 0, unsure, 'sidewalk', THIS_SCAN)
    assert write_lessons(project, tmp_path).distrusted == ()
    label_points(project, 0, np.setdiff1d(rows, unsure), 'sidewalk', THIS_SCAN)
    assert write_lessons(project, tmp_path).distrusted == ('road',)


def test_every_fifth_click_is_kept_aside(tmp_path, project) -> None:
    edits = [click(project, 3, ROAD, part) for part in range(6)]
    assert edits_aside(project) == (edits[4].number,)
    lessons = write_lessons(project, tmp_path)
    kept = project.known(3).by == edits[4].number
    (labels,) = (one for n, one in zip(scans_to_learn(project), written(lessons)) if n == 3)
    assert kept.any() and (labels[kept] == UNLABELLED).all()
    bundle = load_bundle('default')
    ((_, found),) = bundle_labels(project, bundle, [3])
    score = score_edits(project, {3: found}, lessons.aside)
    assert score.points == kept.sum()
    assert score.right == pytest.approx((found[kept] == ROAD).mean())
    assert score_edits(project, {3: found}, ()) == AsideScore(0, 0.0, {})


@pytest.mark.parametrize(('corrected', 'expected'), [
    ({0}, range(5)), ({5}, range(1, 6)), ({2, 3}, range(6)),
])  # fmt: skip
def test_scans_are_learned_in_runs_with_their_neighbours(project, corrected, expected) -> None:
    for scan in corrected:
        click(project, scan, ROAD, 0)
    assert scans_to_learn(project) == list(expected)


def test_the_recipe_fits_the_place(project) -> None:
    assert recipe_of(project).endswith('teach.yaml')
    for number in range(6):
        labels = np.full(project.points(number), class_id('wall'), np.uint16)
        nothing = np.zeros((3, len(labels)), np.float32)
        write_prediction(project, number, Prediction(labels, *nothing))
    assert recipe_of(project).endswith('teach_indoor.yaml')
    for recipe in (RECIPE, INDOOR_RECIPE):
        assert read_settings(TrainingSettings, recipe).name == 'taught'


def test_nothing_to_learn_is_said(tmp_path, project) -> None:
    with pytest.raises(ConfigError, match='nothing was corrected'):
        write_lessons(project, tmp_path)
    label_points(project, 0, [0], None)
    for number in range(6):
        blank = project.points(number)
        write_prediction(project, number, Prediction(
            np.full(blank, UNLABELLED, np.uint16), *np.zeros((3, blank), np.float32)
        ))  # fmt: skip
    with pytest.raises(ConfigError, match='no correction is of a class'):
        write_lessons(project, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_command_learns_and_the_run_can_be_repeated_without_the_folder(
    tmp_path, project, capsys
) -> None:
    for part in range(5):
        click(project, 2, SIDEWALK, part)
    project.close()
    words = [
        'teach', 'learn', str(project.folder), f'output={tmp_path / "run"}',
        f'data.cache={tmp_path / "cache"}', *TINY_TRAINING,
        '--json',
    ]  # fmt: skip
    assert main(words) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert found['lessons']['aside'] == [5] and found['lessons']['distrusted'] == ['terrain']
    assert found['before']['points'] == found['after']['points'] > 0
    assert found == json.loads((tmp_path / 'run' / 'teaching.json').read_text())
    again = [
        sys.executable, '-m', 'pointata_core.cli.main', 'train', '--config',
        str(tmp_path / 'run' / 'settings.yaml'), f'output={tmp_path / "again"}',
    ]  # fmt: skip
    subprocess.run(again, check=True, capture_output=True, timeout=300)
    first, second = (
        load_bundle(tmp_path / name / 'bundle').network.state_dict() for name in ('run', 'again')
    )
    assert all((first[name] == second[name]).all() for name in first)


def test_a_bundle_with_other_classes_is_refused(tmp_path, project) -> None:
    settings = read_settings(TrainingSettings, 'config/training/teach.yaml', [f'output={tmp_path}'])
    with pytest.raises(ConfigError, match='nothing was corrected'):
        learn(project, 'default', settings)
    with pytest.raises(ConfigError, match='classes of its own'):
        learn(project, 'radhar', settings)
    facts = project.folder / 'teach' / 'predictions' / 'bundle.json'
    write_json(facts, {'name': 'street', 'digest': '0'})
    with pytest.raises(ConfigError, match='predictions are of street'):
        learn(project, 'default', settings)
