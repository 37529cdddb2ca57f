# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is done for a cloud before its turn: as good as what is done at its turn, or not done."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.robustness.ros_graph import cloud
from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference import background
from pointata_core.inference.frames import Frame
from pointata_core.inference.session import StreamingSession
from pointata_core.io.cloud import CloudLimits, Rejected
from pointata_ros.node.received_cloud import ReceivedCloud

LIMITS = CloudLimits(max_points=1000)


@pytest.fixture
def session(untrained_bundle) -> StreamingSession:
    return StreamingSession(load_bundle(untrained_bundle), overlap=True)


@pytest.fixture
def busy_thread() -> Iterator[threading.Event]:
    """Keeps the background thread at something else until the event is set."""
    go_on = threading.Event()
    background.submit(lambda: go_on.wait(60))
    yield go_on
    go_on.set()
    wait_for_background()


def wait_for_background() -> None:
    background.executor().submit(int).result()


def cloud_message(points: int = 500):
    return cloud(np.random.default_rng(0).normal(size=(points, 3), scale=3).astype('f4'), 1)


def test_a_cloud_started_ahead_is_the_same_cloud_and_precomputed(session):
    received = ReceivedCloud(cloud_message())
    received.start(session, LIMITS)
    wait_for_background()
    wait_for_background()  # decoding has left the lazy parts to the thread
    decoded = received.decode(session, LIMITS)
    plain = ReceivedCloud(cloud_message())
    assert np.array_equal(decoded.points, plain.decode(session, LIMITS).points)
    assert plain.precomputed is None
    assert received.precomputed.points is decoded.points
    assert received.precomputed.described.done()


def test_the_worker_does_not_wait_for_a_thread_that_is_busy(session, busy_thread):
    received = ReceivedCloud(cloud_message())
    received.start(session, LIMITS)
    decoded = received.decode(session, LIMITS)
    pending = session.submit(Frame(decoded.points, 1, precomputed=received.precomputed))
    assert len(pending.result().labels) == 500
    assert not busy_thread.is_set()


def test_a_cancelled_cloud_is_not_decoded(session, busy_thread):
    waiting = ReceivedCloud(cloud_message())
    waiting.start(session, LIMITS)
    waiting.cancel()
    busy_thread.set()
    wait_for_background()
    assert waiting.decode_ms == 0.0
    assert waiting.precomputed is None


def test_a_cloud_cancelled_half_way_is_not_described(session, busy_thread):
    received = ReceivedCloud(cloud_message())
    received.start(session, LIMITS)
    received.decode(session, LIMITS)  # the worker was there first
    received.cancel()
    busy_thread.set()
    wait_for_background()
    assert received.precomputed.described.cancelled()


def test_a_session_of_another_bundle_decodes_for_itself(session, untrained_bundle):
    received = ReceivedCloud(cloud_message())
    received.start(session, LIMITS)
    other = StreamingSession(load_bundle(untrained_bundle), overlap=True)
    decoded = received.decode(other, LIMITS)
    assert len(decoded.points) == 500
    assert received.precomputed is None


def test_a_cloud_that_cannot_be_used_is_rejected_at_its_turn(session):
    received = ReceivedCloud(cloud_message(1001))
    received.start(session, LIMITS)
    wait_for_background()
    assert isinstance(received.decode(session, LIMITS), Rejected)
    assert received.precomputed is None
