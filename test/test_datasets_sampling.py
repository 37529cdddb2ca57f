# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips out of recordings and points out of clouds: exact windows, reproducible choices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.datasets.protocol import Clip
from pointata_core.datasets.sampling import (
    ClipSampling,
    choose_points,
    generator_for,
    nearest_filled,
)
from pointata_core.datasets.sequences import with_fixed_points
from pointata_core.datasets.splits import SPLITS, belongs, held_out
from pointata_core.errors import ConfigError

QUICK = settings(max_examples=30)
SAMPLINGS = st.builds(
    ClipSampling,
    window=st.sampled_from(['sliding', 'causal', 'uniform', 'whole']),
    frames=st.integers(1, 30),
    stride=st.integers(1, 4),
    hop=st.integers(1, 12),
    short=st.sampled_from(['pad', 'drop']),
    pick=st.sampled_from(['first', 'middle', 'random', 'shifted']),
)


def clip_of(counts, features=False):
    generator = np.random.default_rng(1)
    points = [generator.normal(size=(n, 3)).astype(np.float32) for n in counts]
    return Clip(
        points=points,
        name='clip',
        features=[2 * cloud[:, :1] for cloud in points] if features else None,
        labels=[np.arange(n) for n in counts],
    )


@QUICK
@given(SAMPLINGS, st.integers(1, 150))
def test_every_clip_lies_within_the_recording_and_in_order_of_time(sampling, length):
    for number in range(sampling.clips_in(length)):
        frames = sampling.frames_of(length, number, generator_for(0, 0, number))
        assert len(frames) == (length if sampling.window == 'whole' else sampling.frames)
        assert frames.min() >= 0
        assert frames.max() < length
        assert (np.diff(frames) >= 0).all()


@QUICK
@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 12), st.integers(1, 150))
def test_sliding_windows_are_those_of_public_loaders(frames, stride, hop, length):
    sampling = ClipSampling('sliding', frames, stride, hop, short='drop')
    starts = range(0, length - stride * (frames - 1), hop)
    assert sampling.clips_in(length) == len(starts)
    for number, start in enumerate(starts):
        found = sampling.frames_of(length, number).tolist()
        assert found == [start + stride * step for step in range(frames)]


@QUICK
@given(SAMPLINGS, st.integers(1, 150))
def test_padding_changes_nothing_for_recordings_that_are_long_enough(sampling, length):
    padded = ClipSampling('sliding', sampling.frames, sampling.stride, sampling.hop)
    dropped = ClipSampling('sliding', sampling.frames, sampling.stride, sampling.hop, 'drop')
    if length >= padded.span:
        assert padded.clips_in(length) == dropped.clips_in(length)
    else:
        assert (padded.clips_in(length), dropped.clips_in(length)) == (1, 0)


def test_short_videos_vanish_only_where_asked():
    reference = ClipSampling('sliding', 24, short='drop')
    assert [reference.clips_in(n) for n in (23, 24, 25)] == [0, 1, 2]
    assert ClipSampling('sliding', 4).frames_of(2, 0).tolist() == [0, 1, 1, 1]


def test_causal_windows_end_at_their_frame_and_repeat_the_first_before_the_beginning():
    sampling = ClipSampling('causal', frames=3, stride=2, hop=2)
    clips = [sampling.frames_of(6, n).tolist() for n in range(sampling.clips_in(6))]
    assert clips == [[0, 0, 0], [0, 0, 2], [0, 2, 4]]
    full = ClipSampling('causal', frames=3, stride=2, hop=1, short='drop')
    assert [full.frames_of(6, n).tolist() for n in range(full.clips_in(6))] == [
        [0, 2, 4],
        [1, 3, 5],
    ]


@QUICK
@given(st.integers(1, 60), st.integers(1, 200))
def test_uniform_takes_one_frame_out_of_each_part(frames, length):
    first = ClipSampling('uniform', frames).frames_of(length, 0)
    assert first.tolist() == [int(j * length / frames + 1e-9) for j in range(frames)]
    ends = np.append(first[1:], length)
    for pick in ('middle', 'random'):
        sampling = ClipSampling('uniform', frames, pick=pick)
        chosen = sampling.frames_of(length, 0, np.random.default_rng(0))
        assert (chosen >= first).all()
        assert (chosen < np.maximum(ends, first + 1)).all()


@QUICK
@given(st.integers(2, 60), st.integers(60, 200), st.integers(0, 2**32))
def test_shifted_frames_lie_evenly_in_time(frames, length, seed):
    sampling = ClipSampling('uniform', frames, pick='shifted')
    chosen = sampling.frames_of(length, 0, np.random.default_rng(seed))
    gaps = np.diff(chosen)
    assert gaps.max() - gaps.min() <= 1
    # The drawn moment lies in the first part, and the last frame in the last one.
    assert 0 <= chosen[0] < length / frames
    assert length - length / frames - 1 <= chosen[-1] < length


@pytest.mark.parametrize(
    'options',
    [{'frames': 0}, {'stride': 0}, {'hop': -1}, {'points': 0}, {'window': 'moving'}, {'pick': 'x'}],
)
def test_impossible_sampling_is_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        ClipSampling(**options)


@QUICK
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**40))
def test_points_are_repeated_equally_often_and_only_if_there_are_too_few(available, count, seed):
    chosen = choose_points(available, count, np.random.default_rng(seed))
    times = np.bincount(chosen, minlength=available)
    assert len(chosen) == count
    assert times.max() - times.min() <= 1
    assert len(times) == available


@QUICK
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_empty_frames_take_the_last_filled_one_before_them(counts):
    source = nearest_filled(np.array(counts))
    for frame, taken in enumerate(source):
        before = [i for i in range(frame + 1) if counts[i]]
        after = [i for i in range(len(counts)) if counts[i]]
        assert taken == (before[-1] if before else after[0] if after else frame)


def test_fixed_points_keep_features_and_labels_with_their_points_and_mark_filled_frames():
    clip = clip_of([0, 5, 0, 40], features=True)
    fixed = with_fixed_points(clip, 16, np.random.default_rng(0))
    assert [cloud.shape for cloud in fixed.points] == [(16, 3)] * 4
    assert fixed.valid.tolist() == [False, True, False, True]
    for frame, source in enumerate([1, 1, 1, 3]):
        np.testing.assert_array_equal(fixed.points[frame], clip.points[source][fixed.labels[frame]])
        np.testing.assert_array_equal(fixed.features[frame], 2 * fixed.points[frame][:, :1])


def test_a_clip_without_any_point_becomes_zeros_that_are_not_valid():
    fixed = with_fixed_points(clip_of([0, 0]), 4, np.random.default_rng(0))
    assert not fixed.valid.any()
    assert [cloud.any() for cloud in fixed.points] == [False, False]


@QUICK
@given(st.sets(st.integers(0, 100), min_size=2, max_size=40))
def test_fit_and_validation_divide_the_training_split(subjects):
    validation = held_out(subjects)
    members = {
        split: {s for s in subjects if belongs(split, training=True, validation=s in validation)}
        for split in SPLITS
    }
    assert members['train'] == subjects
    assert members['test'] == set()
    assert members['fit'] | members['validation'] == subjects
    assert not members['fit'] & members['validation']
    assert 1 <= len(members['validation']) <= max(1, len(subjects) / 5)
