# SPDX-License-Identifier: Apache-2.0
"""What is done for a cloud before its turn: as good as what is done at its turn, or not done."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.robustness.ros_graph import cloud
from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.background import Aside, Once
from pointata_core.inference.session import StreamingSession
from pointata_core.io.cloud import CloudLimits, Rejected
from pointata_ros.node.arrival import Arrival

LIMITS = CloudLimits(max_points=1000)


@pytest.fixture
def session(untrained_bundle) -> StreamingSession:
    return StreamingSession(load_bundle(untrained_bundle), overlap=True)


@pytest.fixture
def busy_thread() -> Iterator[threading.Event]:
    """Keeps the second thread at something else until the event is set."""
    go_on = threading.Event()
    Aside().begin(Once(lambda: go_on.wait(60)))
    yield go_on
    go_on.set()
    Aside().join()


def cloud_message(points: int = 500):
    return cloud(np.random.default_rng(0).normal(size=(points, 3), scale=3).astype('f4'), 1)


def test_a_cloud_begun_ahead_is_the_cloud_with_its_groundwork(session):
    arrival = Arrival(cloud_message())
    arrival.look_ahead(session, LIMITS)
    Aside().join()
    Aside().join()  # the first half has left the second one to the thread
    decoded = arrival.decoded(session, LIMITS)
    plain = Arrival(cloud_message()).decoded(session, LIMITS)
    assert np.array_equal(decoded.cloud.points, plain.cloud.points)
    assert plain.groundwork is None
    assert decoded.groundwork.points is decoded.cloud.points
    assert decoded.groundwork.described.result is not None


def test_the_worker_does_not_wait_for_a_thread_that_is_busy(session, busy_thread):
    arrival = Arrival(cloud_message())
    arrival.look_ahead(session, LIMITS)
    decoded = arrival.decoded(session, LIMITS)
    answer = session.step(decoded.cloud.points, 1, groundwork=decoded.groundwork)
    assert len(answer.labels) == 500
    assert not busy_thread.is_set()


def test_an_abandoned_cloud_costs_nothing_any_more(session, busy_thread):
    waiting = Arrival(cloud_message())
    waiting.look_ahead(session, LIMITS)
    waiting.abandon()
    busy_thread.set()
    Aside().join()
    assert waiting._ahead.result is None


def test_a_cloud_abandoned_half_way_is_not_described(session, busy_thread):
    arrival = Arrival(cloud_message())
    arrival.look_ahead(session, LIMITS)
    decoded = arrival.decoded(session, LIMITS)  # the worker was there first
    arrival.abandon()
    busy_thread.set()
    Aside().join()
    assert decoded.groundwork.described.result is None


def test_another_skill_decodes_for_itself(session, untrained_bundle):
    arrival = Arrival(cloud_message())
    arrival.look_ahead(session, LIMITS)
    other = StreamingSession(load_bundle(untrained_bundle), overlap=True)
    decoded = arrival.decoded(other, LIMITS)
    assert decoded.session is other
    assert decoded.groundwork is None


def test_a_cloud_that_cannot_be_used_is_rejected_at_its_turn(session):
    arrival = Arrival(cloud_message(1001))
    arrival.look_ahead(session, LIMITS)
    Aside().join()
    decoded = arrival.decoded(session, LIMITS)
    assert isinstance(decoded.cloud, Rejected)
    assert decoded.groundwork is None
