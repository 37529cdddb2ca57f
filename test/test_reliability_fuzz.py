# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Twenty thousand hostile clouds: each is decoded or rejected with a reason, and none does harm."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from benchmarks.robustness.fuzz import main
from benchmarks.robustness.hostile_clouds import check, hostile_cloud, legal_cloud
from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.session import FrameResult, Skipped, StreamingSession
from pointata_core.io.cloud import RejectReason
from pointata_core.io.messages.point_cloud2 import decode
from pointata_core.taxonomy import UNLABELLED

COUNT = 20_000
CHUNK = 2_500


def run(seeds: range) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        try:
            outcomes[check(hostile_cloud(seed))] += 1
        except Exception as error:
            raise AssertionError(f'hostile_cloud({seed}) broke a promise') from error
    return outcomes


@pytest.fixture(scope='module')
def totals() -> Counter[str]:
    return Counter()


@pytest.mark.parametrize('start', range(0, COUNT, CHUNK))
def test_each_message_is_decoded_right_or_rejected_with_a_reason(start, totals):
    outcomes = run(range(start, start + CHUNK))
    totals.update(outcomes)
    assert outcomes.total() == CHUNK
    assert set(outcomes) <= {'cloud', *map(str, RejectReason)}
    # Two in five are legal by construction; if more are rejected the corpus has lost its teeth.
    assert 0.3 < outcomes['cloud'] / CHUNK < 0.8


def test_the_corpus_reaches_every_reason_for_a_rejection(totals):
    if totals.total() < COUNT:
        pytest.skip('needs the whole corpus: run the whole file')
    # Fractions matter to label fields alone.
    assert {str(one) for one in RejectReason} - {'not_integral', 'no_calibration'} <= set(totals)


def test_a_seed_makes_the_same_message_again():
    for seed in range(200):
        first, again = hostile_cloud(seed).message, hostile_cloud(seed).message
        assert check(hostile_cloud(seed)) == check(hostile_cloud(seed))
        assert type(first.data) is type(again.data)
        if isinstance(first.data, bytes):
            assert first.data == again.data


# ---------------------------------------------------------------------- through the network


@pytest.fixture(scope='module')
def bundle(untrained_bundle):
    return load_bundle(untrained_bundle)


def in_range(points: np.ndarray, bundle) -> np.ndarray:
    reach = bundle.manifest.preparation['max_range_m']
    with np.errstate(invalid='ignore', over='ignore'):
        return np.linalg.norm(points.astype(np.float64), axis=1) <= reach


def test_a_stream_of_hostile_clouds_gets_labels_for_every_usable_point(bundle):
    session = StreamingSession(bundle)
    random = np.random.default_rng(0)
    stamp_ns, answered, skipped = 10**18, 0, 0
    for seed in range(300):
        cloud = decode(legal_cloud(seed, most_columns=40, scale_m=60.0).message)
        # Now and then a duplicate, a straggler, a gap, a jump back, another frame.
        stamp_ns += int(random.choice([10**8] * 8 + [0, -(10**7), 10**10, -(10**11)]))
        frame_id = 'other' if random.random() < 0.05 else 'lidar'
        result = session.step(cloud.points, stamp_ns, cloud.features, frame_id)
        if isinstance(result, Skipped):
            skipped += 1
            continue
        assert isinstance(result, FrameResult)
        answered += 1
        np.testing.assert_array_equal(result.labels == UNLABELLED, ~in_range(cloud.points, bundle))
        np.testing.assert_array_equal(result.probabilities > 0, result.labels != UNLABELLED)
        assert result.non_finite == 0
        usable = bool((result.labels != UNLABELLED).any())
        assert (result.action is not None) == usable
        assert result.action is None or np.isfinite(result.action).all()
    assert answered + skipped == 300
    assert min(answered, skipped) > 0


@pytest.mark.parametrize('seed', range(10))
def test_labels_follow_their_points_whatever_the_order(bundle, seed):
    points = legal_cloud(seed + 10**6, most_columns=100, scale_m=30.0).points
    order = np.random.default_rng(seed).permutation(len(points))
    plain = StreamingSession(bundle).step(points, 0)
    shuffled = StreamingSession(bundle).step(points[order], 0)
    np.testing.assert_array_equal(shuffled.labels, plain.labels[order])
    np.testing.assert_array_equal(shuffled.probabilities, plain.probabilities[order])


def test_parts_of_a_fuzz_run_add_up(tmp_path):
    out = tmp_path / 'fuzz.json'
    words = ['--count', '40', '--processes', '1', '--add', '--output', str(out), '--first', '7']
    assert main(words) == main(words) == 0
    found = json.loads(out.read_text())
    assert found['settings']['seeds'] == [7, 87]
    assert found['tried'] == found['clouds'] + sum(found['rejected'].values()) == 80
