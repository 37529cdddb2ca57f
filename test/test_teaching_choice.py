# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans and segments are offered where the bundle is probably wrong, and clicks there pay off."""

from __future__ import annotations

import json

import numpy as np
import pytest
from teaching_folders import street_project, truth_of, write_street

from pointata_core.bundles.bundle import load_bundle
from pointata_core.cli.main import main
from pointata_core.errors import CloudFileError, ConfigError
from pointata_core.taxonomy import SEGMENTATION_CLASSES, UNLABELLED, class_id
from pointata_core.teaching.annotator import annotate, read_truth, score_labels
from pointata_core.teaching.clicks import label_segment
from pointata_core.teaching.predictions import (
    Prediction,
    predict,
    prediction_path,
    read_prediction,
    require_predictions,
    write_prediction,
)
from pointata_core.teaching.propagation import THIS_SCAN
from pointata_core.teaching.segments import segment_scan
from pointata_core.teaching.suggestions import class_weights, suggest_scans, suggest_segments

CAR, TERRAIN, SIDEWALK = class_id('car'), class_id('terrain'), class_id('sidewalk')


def mistaken(number: int) -> np.ndarray:
    """The truth, but the sidewalk is taken for terrain."""
    truth = truth_of(number)
    return np.where(truth == SIDEWALK, TERRAIN, truth).astype(np.uint16)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """Segments and predictions of four scans; the bundle is unsure of its mistakes."""
    segments, predictions = [], []
    with street_project(tmp_path_factory.mktemp('prepared')) as one:
        for number in range(len(one)):
            scan, labels = one.scan(number), mistaken(number)
            wrong = labels != truth_of(number)
            segments.append(segment_scan(scan.points, scan.intensity, labels, SEGMENTATION_CLASSES))
            differs = np.where(wrong, 0.5, 0.0).astype(np.float32)
            unknown = np.full(len(labels), np.nan, np.float32)
            sure = np.where(wrong, 0.4, 0.99).astype(np.float32)
            predictions.append(Prediction(labels, sure, differs, unknown))
    return segments, predictions


@pytest.fixture
def project(tmp_path, prepared):
    with street_project(tmp_path / 'street') as one:
        for number, (segment, prediction) in enumerate(zip(*prepared, strict=True)):
            one.set_segments(number, segment)
            write_prediction(one, number, prediction)
        yield one


def test_the_mistakes_come_first_with_a_reason(project) -> None:
    weights = class_weights(project)
    found = suggest_segments(project, 0, weights)
    known = project.known(0)
    best = [one.segment for one in found[:3]]
    assert (truth_of(0)[np.isin(known.segment, best)] == SIDEWALK).all()
    assert found[0].reason == 'the bundle is unsure of 100 % of it'
    worth = [one.worth for one in found]
    assert worth == sorted(worth, reverse=True)
    assert weights[CAR] > weights[class_id('road')] == weights.min()


def test_what_is_labelled_is_not_offered_again(project) -> None:
    weights = class_weights(project)
    first = suggest_segments(project, 0, weights)[0].segment
    label_segment(project, 0, first, None, THIS_SCAN)
    assert first not in [one.segment for one in suggest_segments(project, 0, weights)]
    before = suggest_scans(project, weights, 4)
    label_segment(project, 0, suggest_segments(project, 0, weights)[0].segment, 'sidewalk')
    after = {one.scan: one.worth for one in suggest_scans(project, weights, 4)}
    assert all(after.get(one.scan, 0) < one.worth for one in before), 'carried over'


def test_a_scan_unlike_the_others_is_offered_before_its_equals(project, prepared) -> None:
    odd = prepared[1][2]
    labels = odd.labels.copy()
    labels[labels == class_id('building')] = class_id('fence')
    write_prediction(project, 2, Prediction(labels, *list(vars(odd).values())[1:]))
    weights = np.ones(1 << 16)
    scans = suggest_scans(project, weights, 4, seen=[0])
    assert scans[0].scan == 2 and 'unlike the scans seen so far' in scans[0].reason
    assert len({one.scan for one in scans}) == 4


def test_suggested_clicks_find_mistakes_sooner_than_random_ones(tmp_path, project, prepared):
    truth = [truth_of(number) for number in range(4)]
    start = score_labels(project, truth, 0)
    assert (start.labelled, start.right) == (0, 1)
    clicks = [*annotate(project, truth, 8, choice='suggested')]
    assert clicks == list(range(1, 9)) and len(project.edits) == 8
    ours = score_labels(project, truth, 8)
    assert ours.miou > start.miou + 0.1 and ours.right > 0.97
    while project.undo():
        pass
    random = []
    for seed in range(3):
        assert len([*annotate(project, truth, 8, choice='random', seed=seed)]) == 8
        random.append(score_labels(project, truth, 8).miou)
        while project.undo():
            pass
    assert ours.miou > np.mean(random) + 0.05


def test_clicks_end_when_nothing_is_left(project) -> None:
    truth = [np.full(project.points(number), UNLABELLED, np.uint16) for number in range(4)]
    for choice in ('suggested', 'random'):
        done = [*annotate(project, truth, 10_000, choice=choice)]
        assert 0 < len(done) < 10_000
        assert not any(project.known(number).words.any() for number in range(4))
        while project.undo():
            pass


def test_a_missing_prediction_is_named(project) -> None:
    prediction_path(project, 1).unlink()
    with pytest.raises(CloudFileError, match=r'000001\.npz: found no prediction'):
        suggest_scans(project, np.ones(1 << 16), 1)


def test_a_bundle_is_asked_in_three_views(tmp_path) -> None:
    with street_project(tmp_path / 'p', 2) as project:
        done = []
        predict(project, load_bundle('default'), report=lambda *args: done.append(args))
        assert done == [(1, 2), (2, 2)]
        first, second = read_prediction(project, 0), read_prediction(project, 1)
        assert np.isnan(first.flickers).all() and np.isfinite(second.flickers).mean() > 0.3
        assert set(np.unique(second.differs)) <= {0, 0.5, 1} and second.differs.mean() < 0.6
        assert set(np.unique(second.flickers[np.isfinite(second.flickers)])) <= {0, 1}
        assert (second.probability[second.labels != UNLABELLED] > 0).all()
        segment = project.known(0).segment
        assert (segment >= 0).all()
        truth = read_truth(project, write_street(tmp_path / 'true', 2, labels=True))
        np.testing.assert_array_equal(truth[0], truth_of(0))
        require_predictions(project, load_bundle('default'))
        with pytest.raises(ConfigError, match='the predictions are of default'):
            require_predictions(project, load_bundle('radhar'))
        predict(project, load_bundle('default'))
        np.testing.assert_array_equal(read_prediction(project, 1).labels, second.labels)
        np.testing.assert_array_equal(project.known(0).segment, segment)


def test_the_command_measures_clicks(tmp_path, project, capsys) -> None:
    folder, labels = str(project.folder), str(write_street(tmp_path / 'true', labels=True))
    project.close()
    words = ['teach', 'simulate', folder, '--labels', labels, '--clicks', '3', '--json']
    assert main(words) == 0
    scores = json.loads(capsys.readouterr().out)['scores']
    assert [score['clicks'] for score in scores] == [0, 1, 2, 3]
    shares = [score['labelled'] for score in scores]
    assert shares == sorted(shares) and shares[0] == 0 < shares[1]
    assert main(['teach', 'score', folder, '--labels', labels, '--json']) == 0
    score = json.loads(capsys.readouterr().out)
    assert 0 < score['miou'] < 1 and set(score['iou']) == {'road', 'sidewalk', 'building', 'car'}
    for what in ('simulate', 'score'):
        assert main(['teach', what, folder]) == 2
        assert '--labels' in capsys.readouterr().err
    assert main(['teach', 'simulate', folder, '--labels', str(tmp_path)]) == 2
    assert '000000.label' in capsys.readouterr().err
