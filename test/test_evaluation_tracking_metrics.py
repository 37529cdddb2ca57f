# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""HOTA, IDF1 and MOTA are those of TrackEval, and hidden people do not count."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.evaluation.metrics.tracking import REACH, TrackingScores


def crowd(seed: int, frames: int = 30):
    """Random truth and a tracker that misses, invents, confuses and forgets."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 6))
    start, speed = rng.uniform(-4, 4, (count, 2)), rng.uniform(-1, 1, (count, 2))
    names = np.arange(count) + 10
    for frame in range(frames):
        there = rng.random(count) < 0.9
        place = (start + 0.1 * frame * speed)[there]
        if rng.random() < 0.1:
            names = rng.permutation(names) + int(rng.random() < 0.3)
        seen = rng.random(len(place)) < 0.85
        found = place[seen] + rng.normal(0, 0.3, (seen.sum(), 2))
        extra = rng.uniform(-4, 4, (int(rng.random() < 0.2), 2))
        found_names = np.concatenate([names[there][seen], [90] * len(extra)]).astype(int)
        yield np.flatnonzero(there), place, found_names, np.concatenate([found, extra])


def oracle(frames) -> dict[str, float]:
    """The same by TrackEval."""
    with contextlib.redirect_stdout(io.StringIO()):  # it reports what else could be installed
        trackeval = pytest.importorskip('trackeval', reason='trackeval is in requirements-dev.txt')
    frames = list(frames)
    true = sorted({int(name) for frame in frames for name in frame[0]})
    found = sorted({int(name) for frame in frames for name in frame[2]})
    data = {
        'num_timesteps': len(frames),
        'gt_ids': [np.array([true.index(n) for n in frame[0]], int) for frame in frames],
        'tracker_ids': [np.array([found.index(n) for n in frame[2]], int) for frame in frames],
        'similarity_scores': [
            np.maximum(0, 1 - np.linalg.norm(f[1][:, None] - f[3][None], axis=2) / REACH)
            for f in frames
        ],
        'num_gt_ids': len(true),
        'num_tracker_ids': len(found),
        'num_gt_dets': sum(len(frame[0]) for frame in frames),
        'num_tracker_dets': sum(len(frame[2]) for frame in frames),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        hota = trackeval.metrics.HOTA().eval_sequence(data)
        identity = trackeval.metrics.Identity().eval_sequence(data)
        clear = trackeval.metrics.CLEAR().eval_sequence(data)
    return {
        'hota': hota['HOTA'].mean(),
        'detection': hota['DetA'].mean(),
        'association': hota['AssA'].mean(),
        'idf1': identity['IDF1'],
        'mota': clear['MOTA'],
        'switches': clear['IDSW'],
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_scores_are_those_of_trackeval(seed):
    scores = TrackingScores()
    for frame in crowd(seed):
        scores.add(*frame)
    found, expected = scores.score(), oracle(crowd(seed))
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-9), name


def test_who_is_hidden_counts_neither_found_nor_missed():
    plain, with_hidden = TrackingScores(), TrackingScores()
    for number, (truth, places, found, found_places) in enumerate(crowd(3)):
        plain.add(truth, places, found, found_places)
        behind = np.append(places, [[50.0, 50.0]], axis=0)
        names, seen_at = found, found_places
        if number % 2:  # reported all the same
            names, seen_at = np.append(found, 77), np.append(found_places, [[50.2, 50.0]], axis=0)
        hidden = np.arange(len(behind)) == len(places)
        with_hidden.add(np.append(truth, 99), behind, names, seen_at, hidden)
    assert with_hidden.score() == plain.score()


def test_the_same_number_in_another_recording_is_somebody_else():
    scores, place = TrackingScores(), np.zeros((1, 2))
    for _ in range(2):
        for _ in range(5):
            scores.add(np.array([1]), place, np.array([1]), place)
        scores.next_recording()
    assert scores.score().hota == pytest.approx(1.0)
    swapped = TrackingScores()
    for number in (1, 2):
        for _ in range(5):
            swapped.add(np.array([number]), place, np.array([1]), place)
    assert swapped.score().idf1 == pytest.approx(0.5)


def test_without_anybody_there_is_no_score():
    scores = TrackingScores()
    scores.add(np.zeros(0, int), np.zeros((0, 2)), np.array([1]), np.zeros((1, 2)))
    assert scores.score() is None
