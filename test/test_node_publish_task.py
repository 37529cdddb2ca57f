# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Under pressure other threads finish and publish: the same, in order, every cloud counted."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from node_harness import Bench
from sensor_msgs.msg import PointCloud2

from benchmarks.robustness.ros_graph import (
    PATIENCE_S,
    PERIOD_NS,
    START_NS,
    cloud,
    street,
    wait_until,
)
from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.session import StreamingSession
from pointata_core.io.messages.point_cloud2 import decode_labels
from pointata_core.taxonomy import UNLABELLED

pytestmark = pytest.mark.ros
CLOUDS = 8
TROUBLE = 3
"""Number of the cloud with which something goes wrong."""


@pytest.fixture(scope='module')
def shared_bench(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle),
        device='cpu',
        policy='block',
        num_threads=1,
        queue_size=CLOUDS,
        diagnostics_period=0.1,
    ) as bench:
        bench.wait_for_state('active')
        yield bench


@pytest.fixture
def bench(shared_bench):
    """An active node with an empty history whose worker is held until all clouds wait."""
    shared_bench.begin_afresh()
    yield shared_bench
    shared_bench.settle()


class Rush:
    """Clouds that are all there before the first one has its turn.

    Args:
        bench: Its node.
        monkeypatch: Undoes what this does to the session.

    Attributes:
        published_later: What was left to the publisher.
    """

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bench = bench
        session, pipeline = bench.stream.session, bench.stream.pipeline
        self.published_later: list[object] = []
        self._open = threading.Event()
        submit, publish_later = session.submit, pipeline._publish_later

        def held(frame):
            assert self._open.wait(PATIENCE_S)
            return submit(frame)

        def noted(task, worker_s):
            self.published_later.append(task)
            publish_later(task, worker_s)

        monkeypatch.setattr(session, 'submit', held)
        monkeypatch.setattr(pipeline, '_publish_later', noted)

    def run(self, answered: int) -> list[PointCloud2]:
        """Send the clouds and return the answers, of which there must be so many."""
        answers = self._bench.collect('output/segmentation', PointCloud2)
        publisher = self._bench.publisher()
        for number in range(CLOUDS):
            publisher.publish(cloud(street(number), START_NS + number * PERIOD_NS))
        # The first one is in the hands of the worker.
        queue = self._bench.stream.input.queue
        wait_until(lambda: len(queue) == CLOUDS - 1, 'the clouds')
        self._open.set()
        found = answers.wait_for(answered)
        wait_until(lambda: self._counted() == CLOUDS, 'every cloud to be counted')
        assert len(found) == answered
        return found

    def _counted(self) -> int:
        now = self._bench.stream.statistics.snapshot()
        return now.published + sum(now.dropped.values())


def number_of(answer: PointCloud2) -> int:
    stamp = answer.header.stamp
    return (stamp.sec * 1_000_000_000 + stamp.nanosec - START_NS) // PERIOD_NS


def assert_as_one_stream(bundle, answers: list[PointCloud2]) -> None:
    """Each answer is that of a session which saw these clouds and no others."""
    session = StreamingSession(load_bundle(bundle))
    for answer in answers:
        number = number_of(answer)
        wanted = session.step(street(number), START_NS + number * PERIOD_NS)
        np.testing.assert_array_equal(decode_labels(answer, 'class_id'), wanted.labels)


def dropped(bench: Bench) -> dict[str, int]:
    return dict(bench.stream.statistics.snapshot().dropped)


def test_answers_that_another_thread_finishes_are_the_same_and_in_order(
    bench, monkeypatch, untrained_bundle
):
    rush = Rush(bench, monkeypatch)
    answers = rush.run(CLOUDS)
    assert len(rush.published_later) == CLOUDS - 1  # nobody waits behind the last one
    assert [number_of(one) for one in answers] == list(range(CLOUDS))
    assert_as_one_stream(untrained_bundle, answers)
    assert dropped(bench) == {}


def test_an_answer_that_cannot_be_sent_costs_the_cloud_behind_it_too(
    bench, monkeypatch, untrained_bundle
):
    rush = Rush(bench, monkeypatch)
    send, sent = bench.stream.outputs.publish, []

    def fail_once(*arguments):
        sent.append(arguments)
        if len(sent) == TROUBLE + 1:
            raise ValueError('the wire is cut')
        send(*arguments)

    monkeypatch.setattr(bench.stream.outputs, 'publish', fail_once)
    answers = rush.run(CLOUDS - 2)
    assert dropped(bench) == {'error': 2}
    assert 'the wire is cut' in bench.wait_for_log('the wire is cut')
    numbers = [number_of(one) for one in answers]
    assert numbers == [n for n in range(CLOUDS) if n not in (TROUBLE, TROUBLE + 1)]
    # What came after it began afresh.
    assert_as_one_stream(untrained_bundle, answers[:TROUBLE])
    assert_as_one_stream(untrained_bundle, answers[TROUBLE:])


def heads_that(monkeypatch, network, go_wrong) -> None:
    """Let ``go_wrong`` have the word about one frame, however often its heads are asked."""
    predict_step, frames = network.predict_step, []

    def answer(encoded, *rest):
        if not any(one is encoded for one in frames):
            frames.append(encoded)
        result = predict_step(encoded, *rest)
        return go_wrong(*result) if len(frames) == TROUBLE + 1 else result

    monkeypatch.setattr(network, 'predict_step', answer)


def test_heads_that_fail_cost_the_cloud_behind_them_too(bench, monkeypatch, untrained_bundle):
    rush = Rush(bench, monkeypatch)

    def fail(*_):
        raise ValueError('the heads have failed')

    heads_that(monkeypatch, bench.stream.session.network, fail)
    answers = rush.run(CLOUDS - 2)
    assert dropped(bench) == {'error': 2}
    assert 'the heads have failed' in bench.diagnostics('model')['last_error']
    assert_as_one_stream(untrained_bundle, answers[:TROUBLE])
    assert_as_one_stream(untrained_bundle, answers[TROUBLE:])


def test_an_answer_that_is_not_a_number_spoils_none_that_was_begun_meanwhile(
    bench, monkeypatch, untrained_bundle
):
    rush = Rush(bench, monkeypatch)

    def spoil(output, memory):
        output.segmentation.fill_(torch.nan)
        return output, memory

    heads_that(monkeypatch, bench.stream.session.network, spoil)
    answers = rush.run(CLOUDS)
    assert (decode_labels(answers[TROUBLE], 'class_id') == UNLABELLED).all()
    assert_as_one_stream(untrained_bundle, answers[:TROUBLE])
    assert_as_one_stream(untrained_bundle, answers[TROUBLE + 1 :])


def test_a_node_that_is_deactivated_finishes_what_it_has_begun(bench, monkeypatch):
    rush = Rush(bench, monkeypatch)
    rush.run(CLOUDS)
    before = bench.stream.statistics
    assert bench.change('deactivate')
    assert bench.stream.pipeline is None
    now = before.snapshot()
    assert (now.received, now.published) == (CLOUDS, CLOUDS)
    assert bench.change('activate')
