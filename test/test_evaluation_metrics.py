# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation scores: hand-made cases, properties, and torchmetrics as an independent judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.taxonomy import UNLABELLED

CLASSES = ('road', 'car', 'person')


def labels(size, low=-1):
    return hnp.arrays(np.int64, size, elements=st.integers(low, len(CLASSES) - 1))


@st.composite
def frames(draw, low=-1):
    size = draw(st.integers(1, 60))
    return draw(labels(size)), draw(labels(size, low=low))


def score(truth, answer, classes=CLASSES):
    matrix = ConfusionMatrix(classes)
    matrix.add(np.asarray(truth), np.asarray(answer))
    return matrix.score()


def test_hand_counted_frame():
    # road: 2 of 3 right, one more claimed wrongly -> 2/4; car: 1 right of 2, 1 wrong -> 1/3.
    result = score(truth=[0, 0, 0, 1, 1], answer=[0, 0, 1, 1, 0])
    assert result.iou == {'road': pytest.approx(2 / 4), 'car': pytest.approx(1 / 3)}
    assert result.miou == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert result.accuracy == pytest.approx(3 / 5)
    assert result.truth_points == {'road': 3, 'car': 2}


def test_class_absent_from_truth_is_not_averaged_but_its_points_are_errors():
    result = score(truth=[0, 0, 0, 0], answer=[0, 0, 0, 2])
    assert set(result.iou) == {'road'}
    assert result.miou == pytest.approx(3 / 4)


def test_point_without_truth_never_counts_and_point_without_answer_is_wrong():
    truth = np.array([0, 0, 255, -1, UNLABELLED])
    result = score(truth, np.array([0, UNLABELLED, 1, 0, 0], dtype=np.uint16))
    assert (result.points, result.unpredicted) == (2, 1)
    assert result.accuracy == pytest.approx(0.5)
    assert result.miou == pytest.approx(0.5)


def test_unscored_class_has_no_iou_but_its_points_stay_in_the_unions():
    matrix = ConfusionMatrix(CLASSES)
    matrix.add(np.array([0, 0, 1, 2]), np.array([0, 0, 0, 2]))
    result = matrix.score(scored=('road', 'person'))
    # The car called road is one of road's three points of union; car itself is not averaged.
    assert result.iou == {'road': pytest.approx(2 / 3), 'person': 1.0}
    assert result.miou == pytest.approx((2 / 3 + 1) / 2)
    assert result.accuracy == pytest.approx(3 / 4)
    assert matrix.score(scored=()) is None
    with pytest.raises(ValueError, match="'tree'"):
        matrix.score(scored=('tree',))


def test_no_truth_at_all_gives_no_score():
    assert score(truth=[-1, UNLABELLED], answer=[0, 1]) is None


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r'must both be \(N,\)'):
        ConfusionMatrix(CLASSES).add(np.zeros(3, int), np.zeros(4, int))


@given(frames())
def test_order_and_splitting_into_frames_do_not_matter(frame):
    truth, answer = frame
    whole, parts = ConfusionMatrix(CLASSES), ConfusionMatrix(CLASSES)
    whole.add(truth, answer)
    order = np.random.default_rng(0).permutation(truth.size)
    for piece in np.array_split(order, 3):
        parts.add(truth[piece], answer[piece])
    assert np.array_equal(whole.counts, parts.counts)


@given(labels(st.integers(1, 60), low=0))
def test_truth_itself_is_the_best_answer(truth):
    result = score(truth, truth)
    assert (result.miou, result.accuracy) == (1.0, 1.0)


@settings(deadline=None)  # the first example imports torch
@given(frames(low=0))
def test_agrees_with_torchmetrics(frame):
    torch = pytest.importorskip('torch')
    functional = pytest.importorskip('torchmetrics.functional.classification')
    truth, answer = frame
    result = score(truth, answer)
    if result is None:
        return
    arguments = {'num_classes': len(CLASSES), 'ignore_index': -1}
    pair = torch.from_numpy(answer), torch.from_numpy(truth)
    iou = functional.multiclass_jaccard_index(*pair, average='none', **arguments)
    accuracy = functional.multiclass_accuracy(*pair, average='micro', **arguments)
    counted = functional.multiclass_confusion_matrix(*pair, **arguments)
    matrix = ConfusionMatrix(CLASSES)
    matrix.add(truth, answer)
    assert np.array_equal(matrix.counts[:, :-1], counted.numpy())
    for name, value in result.iou.items():
        assert value == pytest.approx(float(iou[CLASSES.index(name)]), abs=1e-6)
    assert result.accuracy == pytest.approx(float(accuracy), abs=1e-6)
