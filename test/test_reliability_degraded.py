# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Degraded operation of a live node, row by row of the table in ``docs/troubleshooting.md``."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from node_harness import Bench
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Classification

from benchmarks.robustness.ros_graph import (
    PATIENCE_S,
    PERIOD_NS,
    START_NS,
    cloud,
    street,
    wait_until,
)
from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference import loading
from pointata_core.inference.device import DeviceChoice
from pointata_core.inference.session import StreamingSession
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_core.taxonomy import UNLABELLED
from pointata_ros.health import faults
from pointata_ros.node.recovery import PATIENCE
from pointata_ros.transforms.ego_motion import EgoMotion, TransformMissing

pytestmark = pytest.mark.ros
OK, WARN, ERROR = range(3)


@pytest.fixture(scope='module')
def shared_bench(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), device='cpu', policy='block', diagnostics_period=0.1
    ) as bench:
        bench.wait_for_state('active')
        yield bench


@pytest.fixture(autouse=True)
def lasting_faults(monkeypatch):
    """A slow machine must not miss a fault because it was over before it was read."""
    monkeypatch.setattr(faults, 'CALM_S', 3600.0)


@pytest.fixture
def bench(shared_bench):
    """An active node with an empty history and no fault on record."""
    shared_bench.begin_afresh()
    shared_bench.set(error_after=3600.0, input_timeout=2.0, stuck_after=60.0)
    yield shared_bench
    shared_bench.settle()


@pytest.fixture(scope='module')
def stamps():
    """Stamps that never repeat within the module."""
    return iter(range(START_NS, START_NS + 10_000 * PERIOD_NS, PERIOD_NS))


def wait_for(bench: Bench, status: str, condition, what: str) -> dict[str, str]:
    """The first diagnostics of ``status`` that fulfil the condition."""
    return wait_until(
        lambda: found if condition(found := bench.diagnostics(status)) else None, what
    )


def ask(bench: Bench, *messages: PointCloud2) -> list[PointCloud2]:
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    for message in messages:
        publisher.publish(message)
    found = list(answers.wait_for(len(messages)))
    bench.settle()
    return found


def logged(bench: Bench, text: str) -> int:
    name = bench.node.get_logger().name
    return sum(text in one.msg for one in list(bench._log) if one.name == name)


# ---------------------------------------------------------------------- history


def test_a_cold_history_holds_answers_back_if_asked_to_and_warns_until_it_is_full(
    untrained_bundle,
):
    session = StreamingSession(load_bundle(untrained_bundle))
    window = session.network.receptive_field
    with Bench(
        bundle=str(untrained_bundle),
        device='cpu',
        policy='block',
        min_history=3,
        diagnostics_period=0.1,
    ) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        for seed in range(window):
            publisher.publish(cloud(street(seed), START_NS + seed * PERIOD_NS))
            if seed == 3:
                answers.wait_for(2)
                status = bench.diagnostics('model')
                assert status['level'] == WARN
                assert f'4 of {window} clouds' in status['message']
        answers.wait_for(window - 2)
        status = wait_for(bench, 'model', lambda one: one['level'] == OK, 'a full history')
        assert status['frames_in_history'] == str(window)
        done = bench.diagnostics('processing')
    assert (done['dropped.cold'], done['ingested_only']) == ('2', '2')
    assert done['level'] == OK  # somebody asked for it
    expected = [session.step(street(s), START_NS + s * PERIOD_NS) for s in range(window)][2:]
    for answer, result in zip(answers.messages, expected, strict=True):
        np.testing.assert_array_equal(decode_labels(answer, 'class_id'), result.labels)


# ---------------------------------------------------------------------- slow and stuck


def test_a_node_slower_than_its_sensor_warns_and_errs_if_that_lasts(untrained_bundle, monkeypatch):
    with Bench(
        bundle=str(untrained_bundle), queue_size=3, diagnostics_period=0.1, max_latency=0.001
    ) as bench:
        bench.wait_for_state('active')
        publisher = bench.publisher()
        stamps = iter(range(START_NS, START_NS + 10**6 * PERIOD_NS, PERIOD_NS))
        going_on = threading.Event()

        def flood():
            while not going_on.wait(0.002):
                publisher.publish(cloud(street(0, points=3000), next(stamps)))

        sender = threading.Thread(target=flood)
        sender.start()
        try:
            bench.set(error_after=3600.0)
            status = wait_for(
                bench,
                'processing',
                lambda one: {'fault_s.dropped', 'fault_s.slow'} <= one.keys(),
                'drops and overruns',
            )
            assert status['level'] == WARN
            bench.set(error_after=0.5)
            status = wait_for(
                bench, 'processing', lambda one: one['level'] == ERROR, 'an error that lasts'
            )
            bench.wait_for_log('x dropped within')
        finally:
            going_on.set()
            sender.join()
        monkeypatch.setattr(faults, 'CALM_S', 0.0)
        bench.wait_for_log('dropped: over')
        assert wait_for(bench, 'processing', lambda one: one['level'] == OK, 'calm')


def test_a_stuck_worker_is_reported_once_with_where_it_is_while_the_node_stays_reachable(bench):
    held, release = threading.Event(), threading.Event()

    def an_errand_without_end():
        held.set()
        release.wait(PATIENCE_S)

    before = logged(bench, 'the worker is at')
    bench.set(stuck_after=0.2)
    bench.node._worker.between_frames(an_errand_without_end)
    try:
        assert held.wait(PATIENCE_S)
        status = wait_for(bench, 'processing', lambda one: 'fault_s.stuck' in one, 'the watchdog')
        assert status['level'] == ERROR
        assert 'an_errand_without_end' in bench.wait_for_log('the worker is at')
        assert bench.state() == 'active'
        later = wait_for(
            bench,
            'processing',
            lambda one: float(one['fault_s.stuck']) > float(status['fault_s.stuck']) + 0.5,
            'several more diagnostics',
        )
        assert later['level'] == ERROR
        assert logged(bench, 'the worker is at') == before + 1
    finally:
        release.set()
    bench.wait_for_log('stuck: over')


# ---------------------------------------------------------------------- input


def test_input_that_stops_is_an_error_and_old_answers_are_never_repeated(bench, stamps):
    answers = bench.collect('output/segmentation', PointCloud2)
    actions = bench.collect('output/action', Classification)
    bench.publisher().publish(cloud(street(1), next(stamps)))
    answers.wait_for(1)
    actions.wait_for(1)
    bench.set(input_timeout=0.3)
    status = wait_for(
        bench, 'input', lambda one: one['message'].startswith('Timeout'), 'the time-out'
    )
    assert status['level'] == ERROR
    assert float(status['age_s']) > 0.3
    assert (len(answers.messages), len(actions.messages)) == (1, 1)


def test_a_malformed_cloud_is_a_warning_and_leaves_the_history_alone(
    bench, stamps, untrained_bundle
):
    good = [cloud(street(seed), next(stamps)) for seed in range(2)]
    bad = cloud(street(9), next(stamps))
    bad.data = bad.data[:-1]
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    for message in (good[0], bad, good[1]):
        publisher.publish(message)
    answers.wait_for(2)
    status = wait_for(bench, 'input', lambda one: one['rejected'] == '1', 'the counter')
    assert status['rejected.truncated_data'] == '1'
    assert status['level'] >= WARN
    assert 'truncated_data' in status['message']
    session = StreamingSession(load_bundle(untrained_bundle))
    for message, answer in zip(good, answers.messages, strict=True):
        points = decode(message)
        result = session.step(points.points, points.stamp_ns, frame_id=points.frame_id)
        np.testing.assert_array_equal(decode_labels(answer, 'class_id'), result.labels)


def test_a_cloud_of_many_more_points_than_voxels_gets_a_label_for_each_point(
    bench, stamps, untrained_bundle
):
    session = StreamingSession(load_bundle(untrained_bundle))
    points = street(3, points=10 * session.bundle_voxel_limit)
    (answer,) = ask(bench, cloud(points, next(stamps)))
    labels = decode_labels(answer, 'class_id')
    result = session.step(points, 0)
    assert result.voxels <= session.bundle_voxel_limit
    assert (labels != UNLABELLED).all()
    np.testing.assert_array_equal(labels, result.labels)


@pytest.mark.parametrize(('policy', 'published'), [('skip', 0), ('uncompensated', 1)])
def test_a_missing_transform_is_a_warning_whatever_becomes_of_the_cloud(
    bench, stamps, monkeypatch, policy, published
):
    def look_up(frame_id, stamp_ns):
        raise TransformMissing(f'no transform from {frame_id!r} to map')

    def counted():
        now = bench.diagnostics('processing')
        return int(now.get('dropped.no_transform', 0)), int(now['uncompensated'])

    bench.set(transform_policy=policy)
    answers = bench.collect('output/segmentation', PointCloud2)
    monkeypatch.setattr(bench.stream.pipeline, '_ego_motion', EgoMotion(look_up))
    bench.publisher().publish(cloud(street(1), next(stamps)))
    wait_until(lambda: counted() == (1 - published, published), 'the cloud to be counted')
    status = bench.diagnostics('processing')
    assert status['level'] == WARN
    assert 'no_transform' in status['message']
    answers.wait_for(published)
    bench.wait_for_log("no transform from 'lidar' to map")


# ---------------------------------------------------------------------- network


def test_an_answer_that_is_not_a_number_is_unlabelled_counted_and_soon_forgotten(
    bench, stamps, untrained_bundle
):
    answers = bench.collect('output/segmentation', PointCloud2)
    actions = bench.collect('output/action', Classification)
    publisher = bench.publisher()
    network = bench.stream.session.network
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float('nan'))
    try:
        publisher.publish(cloud(street(1), next(stamps)))
        broken = answers.wait_for(1)[0]
    finally:
        network.load_state_dict(kept)
    assert (decode_labels(broken, 'class_id') == UNLABELLED).all()
    status = bench.diagnostics('processing')
    assert status['level'] == WARN
    assert int(status['non_finite_voxels']) > 0
    # The next answer is that of a fresh history: nothing in the state is poisoned.
    message = cloud(street(2), next(stamps))
    publisher.publish(message)
    sound = answers.wait_for(2)[1]
    result = StreamingSession(load_bundle(untrained_bundle)).step(street(2), 0)
    np.testing.assert_array_equal(decode_labels(sound, 'class_id'), result.labels)
    assert actions.wait_for(1)[0].header == message.header
    assert len(actions.messages) == 1


def test_a_shortage_of_memory_costs_one_cloud_and_half_the_cells(bench, stamps, monkeypatch):
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()

    def fail(*_):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 1 GiB')

    with monkeypatch.context() as patch:
        patch.setattr(bench.stream.session, 'submit', fail)
        publisher.publish(cloud(street(1), next(stamps)))
        status = wait_for(
            bench,
            'processing',
            lambda one: one.get('dropped.out_of_memory') == '1',
            'the cloud to be counted',
        )
    assert status['level'] == WARN
    assert 'preparation.max_voxels' in bench.wait_for_log('out of memory on cpu')
    publisher.publish(cloud(street(2, points=20_000), next(stamps)))
    labels = decode_labels(answers.wait_for(1)[0], 'class_id')
    assert (labels != UNLABELLED).all()
    model = bench.diagnostics('model')
    assert 'voxels per cloud, for lack of memory' in model['message']
    assert bench.load_skill().success  # a fresh skill has all its voxels
    wait_until(
        lambda: int(bench.diagnostics('model')['voxel_limit']) > int(model['voxel_limit']),
        'all voxels',
    )


@pytest.mark.parametrize(
    ('error', 'clouds', 'words'),
    [
        (RuntimeError('CUDA error: device-side assert triggered'), 1, 'is lost'),
        (torch.OutOfMemoryError('CUDA out of memory'), PATIENCE, 'out of memory on'),
    ],
    ids=['lost', 'out of memory for good'],
)
def test_a_device_that_fails_for_good_ends_in_unconfigured_and_can_be_tried_again(
    bench, stamps, monkeypatch, error, clouds, words
):
    def fail(*_):
        raise error

    seen = []
    from diagnostic_msgs.msg import DiagnosticArray

    client = bench._client.node
    listener = client.create_subscription(DiagnosticArray, '/diagnostics', seen.append, 10)
    wait_until(listener.get_publisher_count, 'the diagnostics')
    publisher = bench.publisher()
    monkeypatch.setattr(bench.stream.session, 'submit', fail)
    for _ in range(clouds):
        publisher.publish(cloud(street(1), next(stamps)))
    bench.wait_for_state('unconfigured')
    assert words in bench.wait_for_log('on_deactivate: device cpu')

    def last_words():
        statuses = [one for message in list(seen) for one in message.status]
        return [one for one in statuses if words in one.message and one.level == b'\x02']

    wait_until(last_words, 'the error among the diagnostics')
    bench._client.destroy(listener)
    assert bench.change('configure')
    assert bench.change('activate')
    assert len(decode_labels(ask(bench, cloud(street(2), next(stamps)))[0], 'class_id')) == 600


def test_the_cpu_takes_over_only_when_asked_to_and_says_so_all_the_time(bench, stamps, monkeypatch):
    def fail(*_):
        raise RuntimeError('CUDA error: device-side assert triggered')

    skills = bench.node.skills
    # No GPU is at hand: the skill only believes to be on one.
    gpu = DeviceChoice(torch.device('cuda'), 'believed')
    monkeypatch.setattr(
        skills,
        'current',
        replace(skills.current, loaded=replace(skills.current.loaded, device=gpu)),
    )
    bench.set(device_failure='cpu')
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    monkeypatch.setattr(bench.stream.session, 'submit', fail)
    publisher.publish(cloud(street(1), next(stamps)))
    publisher.publish(cloud(street(2), next(stamps)))
    assert len(decode_labels(answers.wait_for(1)[0], 'class_id')) == 600
    for _ in range(2):
        status = bench.diagnostics('model')
        assert status['level'] == WARN
        assert (
            'running on the CPU instead of cuda, because device_failure is cpu' in status['message']
        )
    bench.wait_for_log('running on the CPU instead of cuda')


# ---------------------------------------------------------------------- skills


def test_a_skill_that_does_not_fit_into_memory_is_refused_and_said_until_one_fits(
    bench, stamps, monkeypatch
):
    def fail(*_, **__):
        return torch.empty(1 << 60)

    with monkeypatch.context() as patch:
        patch.setattr(loading, 'load_any_bundle', fail)
        response = bench.load_skill()
    assert not response.success
    assert 'not enough memory' in response.message
    assert 'the old skill keeps serving' in response.message
    assert len(ask(bench, cloud(street(1), next(stamps)))) == 1
    status = wait_for(bench, 'model', lambda one: 'refused' in one['message'], 'the refusal')
    assert status['level'] == WARN
    assert bench.load_skill().success
    wait_for(bench, 'model', lambda one: 'refused' not in one['message'], 'the good swap')
