# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Action timelines: small cases counted by hand and properties of the published definitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.evaluation.metrics.actions import (
    Segment,
    TimelineScores,
    action_score,
    count_matches,
    edit_score,
    segments,
)

timelines = st.lists(st.integers(0, 3), min_size=1, max_size=40)
pairs = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n)] * 2)
)


@given(timelines, st.sets(st.integers(0, 3)))
def test_segments_are_exactly_the_frames_outside_the_background(labels, background):
    rebuilt = [None] * len(labels)
    found = segments(labels, background)
    for segment in found:
        rebuilt[segment.start : segment.end] = [segment.label] * (segment.end - segment.start)
    assert rebuilt == [None if label in background else label for label in labels]
    for one, other in pairwise(found):  # maximal: neighbours touch only if labels differ
        assert one.end < other.start or (one.end == other.start and one.label != other.label)


@given(*[st.tuples(st.integers(0, 20), st.integers(1, 20))] * 2)
def test_overlap_equals_counting_frames_one_by_one(one, other):
    a = Segment(0, one[0], one[0] + one[1])
    b = Segment(0, other[0], other[0] + other[1])
    frames_a, frames_b = set(range(a.start, a.end)), set(range(b.start, b.end))
    assert a.overlap(b) == pytest.approx(len(frames_a & frames_b) / len(frames_a | frames_b))


def test_f1_counted_by_hand():
    truth = [1] * 10 + [2] * 10
    # One frame late at the border: overlaps 10/11 and 9/10. All thresholds are met.
    assert action_score([1] * 11 + [2] * 9, truth).f1 == {'10': 1.0, '25': 1.0, '50': 1.0}
    # 1 found at 4/10; 2 found exactly; 3 is false: at 50 % tp 1, fp 2, fn 1.
    score = action_score([1] * 4 + [3] * 6 + [2] * 10, truth)
    assert score.f1['25'] == pytest.approx(2 * 2 / (2 * 2 + 1 + 0))
    assert score.f1['50'] == pytest.approx(2 * 1 / (2 * 1 + 2 + 1))
    assert score.accuracy == pytest.approx(14 / 20)


def test_flicker_hurts_segments_far_more_than_frames():
    truth = [1] * 20
    flicker = [1, 1, 1, 1, 2] * 4
    score = action_score(flicker, truth)
    assert score.accuracy == pytest.approx(0.8)
    assert score.f1['10'] == pytest.approx(2 * 1 / (2 * 1 + 7))  # 8 segments said, 1 claimed
    assert score.edit == pytest.approx(1 / 8)


def test_true_segment_is_claimed_only_once():
    truth = [Segment(1, 0, 10)]
    assert count_matches([Segment(1, 0, 5), Segment(1, 5, 10)], truth, 0.5) == (1, 1, 0)


def test_background_makes_no_segment_but_counts_in_accuracy():
    score = action_score([0, 0, 1, 1], [0, 0, 0, 1], background={0})
    assert score.edit == 1.0
    assert score.accuracy == pytest.approx(3 / 4)
    assert score.f1['50'] == 1.0  # overlap 1/2 meets 50 %


def test_unanswered_frame_is_wrong_and_unknown_truth_is_cut_out():
    score = action_score([1, -1, 1, 2], [1, 1, 1, -1])
    assert (score.frames, score.accuracy) == (3, pytest.approx(2 / 3))
    assert action_score([1, 2], [-1, -1]) is None


@given(timelines)
def test_truth_itself_scores_one(labels):
    score = action_score(labels, labels)
    assert (score.accuracy, score.edit, set(score.f1.values())) == (1.0, 1.0, {1.0})


@given(pairs)
def test_scores_are_shares_and_f1_falls_as_more_overlap_is_asked(pair):
    score = action_score(*pair)
    assert all(0.0 <= v <= 1.0 for v in (score.accuracy, score.edit, *score.f1.values()))
    assert score.f1['10'] >= score.f1['25'] >= score.f1['50']


@given(pairs)
def test_matches_add_up_and_swapping_the_timelines_swaps_the_errors(pair):
    said, meant = (segments(labels) for labels in pair)
    # Above one half an interval has at most one partner, so matching is symmetric there.
    hits, false, missed = count_matches(said, meant, 0.51)
    assert (hits + false, hits + missed) == (len(said), len(meant))
    assert count_matches(meant, said, 0.51) == (hits, missed, false)


def brute_force_distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(
        brute_force_distance(a[1:], b[1:]) + (a[0] != b[0]),
        brute_force_distance(a[1:], b) + 1,
        brute_force_distance(a, b[1:]) + 1,
    )


@given(*[st.lists(st.integers(0, 2), max_size=5)] * 2)
def test_edit_distance_equals_trying_every_alignment(a, b):
    longest = max(len(a), len(b), 1)
    assert edit_score(a, b) == pytest.approx(1 - brute_force_distance(a, b) / longest)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r'must both be \(F,\)'):
        action_score(np.zeros(2, int), np.zeros(3, int))


def three_recordings():
    """Two timelines of two actions, counted by hand below, and one without ground truth."""
    scores = TimelineScores()
    scores.add([1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 2, 2])  # all right
    scores.add([1, 1, 1, 1], [2, 2, 2, 2])  # one segment of 1 said, one of 2 missed
    scores.add([1, 2], [-1, -1])
    return scores


def test_f1_pools_the_counts_of_all_recordings_and_edit_is_their_mean():
    score = three_recordings().score()
    # tp 2 (first recording), fp 1 and fn 1 (second); a mean of the two F1 would give 0.5.
    assert score.f1['50'] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert score.edit == pytest.approx((1.0 + 0.0) / 2)
    assert (score.frames, score.accuracy) == (10, pytest.approx(6 / 10))


def test_f1_pools_the_segments_of_all_classes():
    scores = TimelineScores()
    # Class 1: three segments, all found. Class 2: one segment, missed. Class 3: only predicted.
    scores.add([1, 0, 1, 0, 1, 3], [1, 0, 1, 0, 1, 2])
    assert scores.score().f1['50'] == pytest.approx(2 * 5 / (2 * 5 + 1 + 1))


def test_background_is_no_class_of_its_own():
    scores = TimelineScores(background={0})
    scores.add([0, 1, 1], [0, 0, 1])
    assert scores.score().f1 == {'10': 1.0, '25': 1.0, '50': 1.0}


@given(st.lists(pairs, min_size=1, max_size=4))
def test_order_of_the_recordings_does_not_matter(recordings):
    forwards, backwards = TimelineScores(), TimelineScores()
    for recording in recordings:
        forwards.add(*recording)
    for recording in reversed(recordings):
        backwards.add(*recording)
    one, other = forwards.score(), backwards.score()
    assert one.f1 == pytest.approx(other.f1)
    assert (one.edit, one.accuracy) == pytest.approx((other.edit, other.accuracy))
