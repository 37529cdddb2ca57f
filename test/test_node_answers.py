# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a running node answers, seen through DDS."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from node_harness import Bench
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Classification, LabelInfo
from visualization_msgs.msg import Marker, MarkerArray

from benchmarks.robustness.ros_graph import (
    BEST_EFFORT,
    LATCHED,
    PERIOD_NS,
    START_NS,
    cloud,
    street,
    wait_until,
)
from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.session import StreamingSession
from pointata_core.inference.threads import choose_threads
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_core.taxonomy import UNLABELLED

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module')
def shared_bench(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), device='cpu', diagnostics_period=0.1) as bench:
        bench.wait_for_state('active')
        yield bench


@pytest.fixture
def bench(shared_bench):
    """A node in its default policy; nothing of an earlier test is still on its way."""
    yield shared_bench
    shared_bench.settle()


@pytest.fixture(scope='module')
def stamps():
    """Stamps that never repeat within the module."""
    return iter(range(START_NS, START_NS + 10_000 * PERIOD_NS, PERIOD_NS))


def test_each_answer_has_the_header_shape_and_order_of_its_cloud(bench, stamps):
    answers = bench.collect('output/segmentation', PointCloud2)
    actions = bench.collect('output/action', Classification)
    publisher = bench.publisher()
    sent = []
    for seed in range(4):
        points = street(seed, points=400 + 40 * seed)
        points[seed] = np.nan
        sent.append(cloud(points, next(stamps), frame_id='lidar_top', height=4))
        publisher.publish(sent[-1])
        answers.wait_for(seed + 1)
    for message, answer, action in zip(sent, answers.messages, actions.wait_for(4)):
        assert answer.header == action.header == message.header
        assert (answer.width, answer.height) == (message.width, message.height)
        np.testing.assert_array_equal(decode(answer).points, decode(message).points)
        labels = decode_labels(answer, 'class_id')
        np.testing.assert_array_equal(labels == UNLABELLED, ~decode(message).finite)
        layout = [(one.name, one.offset) for one in answer.fields]
        assert layout == [('x', 0), ('y', 4), ('z', 8), ('class_id', 12), ('probability', 16)]
        assert len(answer.data) == answer.point_step * len(labels)
        assert not answer.is_dense
        scores = [one.score for one in action.results]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    'points',
    [np.empty((0, 3), np.float32), np.full((5, 3), np.nan, np.float32), np.ones((1, 3))],
    ids=['no points', 'only NaN', 'one point'],
)
def test_a_cloud_with_next_to_nothing_in_it_is_answered_too(bench, stamps, points):
    answers = bench.collect('output/segmentation', PointCloud2)
    message = cloud(points.astype(np.float32), next(stamps))
    bench.publisher().publish(message)
    answer = answers.wait_for(1)[0]
    assert (answer.header, answer.width, answer.height) == (
        message.header,
        message.width,
        message.height,
    )
    labels = decode_labels(answer, 'class_id')
    np.testing.assert_array_equal(labels == UNLABELLED, ~np.isfinite(points).all(axis=1))


def test_who_subscribes_late_still_gets_the_label_tables(bench, untrained_bundle):
    manifest = load_bundle(untrained_bundle).manifest
    for task in ('segmentation', 'action'):
        table = bench.collect(f'output/{task}/label_info', LabelInfo, LATCHED).wait_for(1)[0]
        names = {one.class_id: one.class_name for one in table.class_map}
        assert names == dict(enumerate(getattr(manifest, f'{task}_classes')))


def test_the_coloured_cloud_is_made_only_while_somebody_listens(bench, stamps, monkeypatch):
    from pointata_ros.node import publishers

    made = []
    original = publishers.rgb_message
    monkeypatch.setattr(publishers, 'rgb_message', lambda *args: made.append(1) or original(*args))
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    publisher.publish(cloud(street(1), next(stamps)))
    answers.wait_for(1)
    assert made == []
    coloured = bench.collect('output/segmentation_rgb', PointCloud2)
    message = cloud(street(2), next(stamps))
    publisher.publish(message)
    answer = coloured.wait_for(1)[0]
    assert answer.header == message.header
    assert [one.name for one in answer.fields] == ['x', 'y', 'z', 'rgb']
    np.testing.assert_array_equal(decode(answer).points, decode(message).points)


def test_a_best_effort_sensor_is_heard(bench, stamps):
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher(BEST_EFFORT)
    # Best effort promises nothing for a single message.
    wait_until(
        lambda: publisher.publish(cloud(street(3), next(stamps))) or answers.messages, 'an answer'
    )
    assert len(answers.messages[0].data) == 20 * 600


def test_malformed_clouds_are_counted_by_reason_and_the_next_good_one_is_answered(bench, stamps):
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    before = bench.diagnostics('input')

    def broken(**changes):
        message = cloud(street(4), next(stamps))
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    reasons = {
        'truncated_data': broken(data=b'short'),
        'missing_field': broken(fields=[]),
        'bad_point_step': broken(point_step=0),
        'too_many_points': broken(width=2**32 - 1, height=2**32 - 1),
    }

    def counted(reason):
        key = f'rejected.{reason}'
        return int(bench.diagnostics('input').get(key, 0)) - int(before.get(key, 0))

    for reason, message in reasons.items():
        publisher.publish(message)
        wait_until(lambda reason=reason: counted(reason) == 1, f'{reason} to be counted')
    good = cloud(street(5), next(stamps))
    publisher.publish(good)
    assert answers.wait_for(1)[0].header == good.header
    assert int(bench.diagnostics('input')['rejected']) == int(before['rejected']) + len(reasons)


def test_a_threshold_set_at_run_time_unlabels_what_is_less_certain(bench, stamps):
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    publisher.publish(cloud(street(6), next(stamps)))
    probabilities = decode(answers.wait_for(1)[0], wanted_features=('probability',)).features[
        'probability'
    ]
    threshold = float(np.median(probabilities))
    tables = bench.collect('output/segmentation/label_info', LabelInfo, LATCHED)
    assert bench.set(score_threshold=threshold)[0].successful
    try:
        wait_until(
            lambda: tables.messages and tables.messages[-1].threshold == np.float32(threshold),
            'the new table',
        )
        publisher.publish(cloud(street(6), next(stamps)))
        answer = answers.wait_for(2)[1]
        probabilities = decode(answer, wanted_features=('probability',)).features['probability']
        labels = decode_labels(answer, 'class_id')
        np.testing.assert_array_equal(labels == UNLABELLED, probabilities < threshold)
        assert 0 < (labels == UNLABELLED).sum() < len(labels)
    finally:
        bench.set(score_threshold=0.0)


def test_the_action_is_shown_as_one_marker_and_taken_away_on_deactivation(bench, stamps):
    markers = bench.collect('output/markers', MarkerArray)
    actions = bench.collect('output/action', Classification)
    bench.publisher().publish(cloud(street(7), next(stamps), frame_id='roof'))
    best = actions.wait_for(1)[0].results[0]
    shown = markers.wait_for(1)[0].markers[0]
    assert shown.text.startswith(best.class_id)
    assert shown.lifetime.sec + shown.lifetime.nanosec > 0
    try:
        assert bench.change('deactivate')
        removed = markers.wait_for(2)[1].markers[0]
    finally:
        assert bench.change('activate')
    assert removed.action == Marker.DELETE
    assert (removed.ns, removed.id, removed.header.frame_id) == (shown.ns, shown.id, 'roof')


def test_duplicates_and_stragglers_are_counted_not_answered(bench, stamps):
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    first, second = next(stamps), next(stamps)
    for count, stamp in enumerate((first, second), start=1):
        publisher.publish(cloud(street(8), stamp))
        answers.wait_for(count)
    before = bench.diagnostics('processing')

    def counted(reason):
        key = f'dropped.{reason}'
        return int(bench.diagnostics('processing').get(key, 0)) - int(before.get(key, 0))

    for stamp, reason in ((second, 'duplicate_stamp'), (first, 'out_of_order')):
        publisher.publish(cloud(street(8), stamp))
        wait_until(lambda reason=reason: counted(reason) == 1, f'{reason} to be counted')
    assert len(answers.messages) == 2


def offline(bundle, messages) -> list:
    choose_threads()  # as the node does: sums in the same order
    session = StreamingSession(load_bundle(bundle))
    clouds = [decode(message) for message in messages]
    return [session.step(one.points, one.stamp_ns, frame_id=one.frame_id) for one in clouds]


def test_under_block_every_cloud_is_answered_exactly_as_offline(untrained_bundle):
    messages = [cloud(street(seed), START_NS + seed * PERIOD_NS) for seed in range(40)]
    with Bench(bundle=str(untrained_bundle), policy='block', queue_size=2, device='cpu') as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        for message in messages:  # as fast as possible: far faster than the network
            publisher.publish(message)
        answers.wait_for(len(messages))
        assert bench.state() == 'active'  # the executor is free although the queue is full
    expected = offline(untrained_bundle, messages)
    for message, answer, result in zip(messages, answers.messages, expected):
        assert answer.header == message.header
        np.testing.assert_array_equal(decode_labels(answer, 'class_id'), result.labels)
        found = decode(answer, wanted_features=('probability',)).features['probability']
        np.testing.assert_array_equal(found, result.probabilities)


def test_while_clouds_wait_for_room_the_executor_rests(untrained_bundle):
    # An executor that turns in circles takes the interpreter away from the worker.
    with Bench(bundle=str(untrained_bundle), policy='block', queue_size=2) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        held, release = threading.Event(), threading.Event()
        bench.node._worker.between_frames(lambda: (held.set(), release.wait(60)))
        assert held.wait(60)
        for seed in range(5):
            publisher.publish(cloud(street(seed), START_NS + seed * PERIOD_NS))
        wait_until(lambda: not bench.stream.input.queue.has_room, 'a full queue')
        turns = []
        executor = bench.node.executor
        # Asked once per turn.
        get_nodes = executor.get_nodes
        executor.get_nodes = lambda: turns.append(None) or get_nodes()
        time.sleep(1.0)
        resting = len(turns)
        release.set()
        answers.wait_for(5)
    assert resting < 20


@pytest.mark.parametrize(('ingest_share', 'where'), [(1.0, 'either'), (0.0, 'gaps')])
def test_under_latest_every_cloud_is_answered_or_counted(untrained_bundle, ingest_share, where):
    count = 60
    with Bench(
        bundle=str(untrained_bundle),
        queue_size=4,
        ingest_share=ingest_share,
        diagnostics_period=0.1,
        device='cpu',
    ) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        messages = [cloud(street(seed), START_NS + seed * PERIOD_NS) for seed in range(count)]
        for message in messages:
            publisher.publish(message)
        wait_until(
            lambda: answers.messages and answers.messages[-1].header == messages[-1].header,
            'an answer to the newest cloud',
        )

        def settled():
            seen, done = bench.diagnostics('input'), bench.diagnostics('processing')
            total = int(done['published']) + int(done['dropped'])
            return done if total == int(seen['received']) and done['waiting'] == '0' else None

        done = wait_until(settled, 'every cloud to be accounted for')
    assert int(done['published']) == len(answers.messages) < count
    reasons = {key: int(value) for key, value in done.items() if key.startswith('dropped.')}
    assert sum(reasons.values()) == int(done['dropped']) > 0
    assert set(reasons) <= {'dropped.superseded', 'dropped.overflow'}
    assert int(done['ingested_only']) + int(done['gaps']) == int(done['dropped'])
    if where == 'gaps':
        assert int(done['ingested_only']) == 0


def test_after_a_slow_first_cloud_the_newest_is_next(untrained_bundle, monkeypatch):
    messages = [cloud(street(seed), START_NS + seed * PERIOD_NS) for seed in range(6)]
    submitted, held, release = [], threading.Event(), threading.Event()
    with Bench(bundle=str(untrained_bundle), device='cpu') as bench:
        bench.wait_for_state('active')
        submit = bench.stream.session.submit

        def hold_the_first(frame):
            submitted.append(frame.stamp_ns)
            if len(submitted) == 1:
                held.set()
                assert release.wait(60)
            return submit(frame)

        # Also what ``ingest`` calls.
        monkeypatch.setattr(bench.stream.session, 'submit', hold_the_first)
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        publisher.publish(messages[0])
        assert held.wait(60)
        for message in messages[1:]:
            time.sleep(0.1)  # the period of the sensor
            publisher.publish(message)
        wait_until(lambda: len(bench.stream.input.queue) == 5, 'the clouds to wait')
        release.set()
        headers = [one.header for one in answers.wait_for(2)]
    assert headers == [messages[0].header, messages[-1].header]
    assert submitted == [START_NS, START_NS + 5 * PERIOD_NS]


@pytest.mark.parametrize(('patience', 'unanswered'), [(60.0, 0), (0.0, 3)])
def test_with_patience_a_moment_of_delay_loses_no_cloud(untrained_bundle, patience, unanswered):
    steady, waiting = 7, 4
    held, release = threading.Event(), threading.Event()
    with Bench(
        bundle=str(untrained_bundle),
        patience=patience,
        ingest_share=0.0,
        diagnostics_period=0.1,
        device='cpu',
    ) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        messages = [
            cloud(street(seed), START_NS + seed * PERIOD_NS) for seed in range(steady + waiting)
        ]
        for number, message in enumerate(messages[:steady]):
            publisher.publish(message)
            answers.wait_for(number + 1)
            time.sleep(0.3)  # a sensor that is slower than the node
        bench.node._worker.between_frames(lambda: (held.set(), release.wait(60)))
        assert held.wait(60)
        for message in messages[steady:]:
            publisher.publish(message)
        wait_until(lambda: len(bench.stream.input.queue) == waiting, 'the clouds to wait')
        release.set()
        heard = answers.wait_for(steady + waiting - unanswered)
        expected = messages if not unanswered else [*messages[:steady], messages[-1]]
        assert [one.header for one in heard] == [one.header for one in expected]
        done = wait_until(
            lambda: (
                bench.diagnostics('processing')
                if bench.diagnostics('processing')['published'] == str(len(expected))
                else None
            ),
            'the count',
        )
    assert int(done['dropped']) == unanswered


def test_clouds_above_the_maximum_rate_enter_the_state_only(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle),
        max_rate=5.0,
        ingest_share=1.0,
        diagnostics_period=0.1,
        device='cpu',
    ) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        session = StreamingSession(load_bundle(untrained_bundle))
        for seed in range(6):
            message = cloud(street(seed), START_NS + seed * PERIOD_NS)
            publisher.publish(message)
            wait_until(
                lambda seed=seed: bench.stream.session.frames_in_history == seed + 1, 'the frame'
            )
            session.step(street(seed), START_NS + seed * PERIOD_NS)
            time.sleep(0.5)  # a cloud that costs more than the sensor's period is not ingested
        stamps = [one.header.stamp.nanosec for one in answers.wait_for(3)]
        assert stamps == [0, 2 * PERIOD_NS, 4 * PERIOD_NS]
        # The sixth cloud was not answered, yet the state went through all of them.
        publisher.publish(cloud(street(6), START_NS + 6 * PERIOD_NS))
        result = session.step(street(6), START_NS + 6 * PERIOD_NS)
        labels = decode_labels(answers.wait_for(4)[3], 'class_id')
        np.testing.assert_array_equal(labels, result.labels)
