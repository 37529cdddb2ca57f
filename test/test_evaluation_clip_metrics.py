# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Videos are judged by the sum of their clips' softmax, whatever the order of the clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.evaluation.metrics.clips import VideoScores


def logits_of(*shares):
    return np.log(np.array(shares))


def test_sum_of_softmax_counted_by_hand():
    scores = VideoScores(3)
    # 0.6 + 0.3 + 0.3 = 1.2 against 0.4 + 0.5 + 0.5 = 1.4: class 1, although the first is surest.
    scores.add('a', logits_of(0.6, 0.4, 1e-9), 1)
    scores.add('a', logits_of(0.3, 0.5, 0.2), 1)
    scores.add('a', logits_of(0.3, 0.5, 0.2), 1)
    # Two weak votes for 2 lose against one sure vote for 0: neither a majority nor summed logits.
    scores.add('b', logits_of(0.9, 0.05, 0.05), 2)
    scores.add('b', logits_of(0.3, 0.3, 0.4), 2)
    scores.add('b', logits_of(0.3, 0.3, 0.4), 2)
    result = scores.score()
    assert (result.correct, result.videos, result.accuracy) == (1, 2, 0.5)
    assert (result.clips, result.clip_accuracy) == (6, pytest.approx(4 / 6))
    assert result.class_accuracy == {1: 1.0, 2: 0.0}
    assert result.confusion.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_videos_without_a_clip_count_as_errors_where_their_number_is_known():
    scores = VideoScores(2)
    scores.add('a', logits_of(0.9, 0.1), 0)
    assert scores.score().accuracy == 1.0
    result = scores.score(videos=4)
    assert (result.correct, result.videos, result.accuracy) == (1, 4, 0.25)
    with pytest.raises(ValueError, match='more than 0'):
        scores.score(videos=0)


def test_nothing_seen_gives_no_score():
    assert VideoScores(2).score() is None


clips = st.lists(
    st.tuples(st.integers(0, 4), st.lists(st.floats(-50, 50), min_size=3, max_size=3)),
    min_size=1,
    max_size=20,
)


@given(clips, st.randoms(use_true_random=False))
def test_order_of_clips_and_height_of_logits_do_not_matter(found, random):
    one, other = VideoScores(3), VideoScores(3)
    for video, logits in found:
        one.add(str(video), np.array(logits), video % 3)
    random.shuffle(found)
    for video, logits in found:
        other.add(str(video), np.array(logits) + 7.0, video % 3)
    for video, total in one._sums.items():
        assert other._sums[video] == pytest.approx(total, abs=1e-9)
        assert total.sum() == pytest.approx(sum(v == int(video) for v, _ in found))
    assert one.score().clips == other.score().clips == len(found)


@pytest.mark.parametrize(
    'logits, label, problem',
    [
        ([0.0, 1.0], 0, '3 finite'),
        ([0.0, np.nan, 1.0], 0, '3 finite'),
        ([0.0, 0.0, 1.0], 3, 'label 3'),
        ([0.0, 0.0, 1.0], 2, 'labels 1 and 2'),
    ],
)
def test_bad_clips_are_refused_by_name(logits, label, problem):
    scores = VideoScores(3)
    scores.add('clap', np.zeros(3), 1)
    with pytest.raises(ValueError, match=problem) as error:
        scores.add('clap', np.array(logits), label)
    assert 'clap' in str(error.value)
