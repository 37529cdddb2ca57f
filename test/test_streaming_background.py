# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A second thread for what needs no history: the same answers, and no thread left at work."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_streaming_golden import frozen_frames

from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference import background
from pointata_core.inference.background import LazyValue
from pointata_core.inference.frames import Frame, FrameResult, Skipped
from pointata_core.inference.precompute import PrecomputedFrame
from pointata_core.inference.preparation import FramePreparer
from pointata_core.inference.session import StreamingSession
from pointata_core.inference.time_rules import ResetReason


@pytest.fixture
def bundle(untrained_bundle):
    return load_bundle(untrained_bundle)


def set_threads(count: int) -> None:
    torch.set_num_threads(count)
    background.executor().submit(torch.set_num_threads, count).result()


@pytest.fixture(autouse=True)
def operations_have_one_thread():
    """As where two threads share the work: others add in another order, and bits would differ.

    Their number belongs to a thread of Python, so the second one has to be told, too.
    """
    before = torch.get_num_threads()
    set_threads(1)
    yield
    set_threads(before)


def step(session, points, stamp, precomputed=None) -> FrameResult | Skipped:
    pending = session.submit(Frame(points, stamp, precomputed=precomputed))
    return pending if isinstance(pending, Skipped) else pending.result()


def wait_for_background() -> None:
    background.executor().submit(int).result()


def assert_same(found: FrameResult, expected: FrameResult) -> None:
    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.probabilities, expected.probabilities)
    assert np.array_equal(found.action, expected.action)
    assert (found.reset, found.voxels) == (expected.reset, expected.voxels)


@pytest.mark.parametrize('ahead', [0, 1, 3])
@pytest.mark.parametrize('overlap', [False, True])
def test_results_are_the_same_bits(bundle, overlap, ahead):
    alone, session = StreamingSession(bundle), StreamingSession(bundle, overlap=overlap)
    frames = list(frozen_frames())
    precomputed: dict[int, PrecomputedFrame] = {}
    for number, (points, stamp) in enumerate(frames):
        for later in range(number, min(number + ahead, len(frames))):
            if later not in precomputed:
                precomputed[later] = session.precompute(frames[later][0])
        found = step(session, points, stamp, precomputed.get(number))
        assert_same(found, alone.step(points, stamp))


@given(
    ways=st.lists(st.sampled_from(['now', 'later', 'background', 'ingest', 'saved']), min_size=1),
    overlap=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_a_result_may_be_computed_after_the_next_frame_was_submitted(
    untrained_bundle, ways, overlap
):
    """Whichever thread computes the result, and whenever: the same bits, and the same stream."""
    bundle = load_bundle(untrained_bundle)
    alone, session = StreamingSession(bundle), StreamingSession(bundle, overlap=overlap)
    expected, found = [], []
    for way, (points, stamp) in zip(ways, itertools.cycle(frozen_frames()), strict=False):
        stamp += len(expected) * 10_000_000
        expected.append(alone.step(points, stamp, transform=np.eye(4)))
        frame = Frame(points, stamp, transform=np.eye(4))
        if way == 'ingest':
            assert session.ingest(frame) is None
            expected.pop()
            continue
        pending = session.submit(frame)
        if isinstance(pending, Skipped):
            assert expected.pop() == pending
            continue
        found.append(pending)
        if way == 'now':
            pending.result()
        elif way == 'saved':
            session.restore_state(session.save_state())
        elif way == 'background':
            pending.start()
    for one, wanted in zip(found, expected, strict=True):
        assert_same(one.result(), wanted)


def test_heads_that_fail_fail_where_the_result_is_needed_and_a_reset_helps(bundle, monkeypatch):
    session, other = StreamingSession(bundle), StreamingSession(bundle)
    (first, stamp), (second, later), *_ = frozen_frames()
    with monkeypatch.context() as patch:
        patch.setattr(session.network, 'predict_step', lambda *_: 1 // 0)
        pending = session.submit(Frame(first, stamp))
        with pytest.raises(ZeroDivisionError):
            pending.result()
        assert session.state_bytes == other.state_bytes  # as diagnostics ask in between
        with pytest.raises(ZeroDivisionError):
            session.submit(Frame(second, later))
    session.reset()
    other.reset()
    assert_same(session.step(second, later), other.step(second, later))


def test_no_frame_is_kept_once_the_heads_of_the_next_one_have_run(bundle):
    """The heads of each frame know of those before; that must not keep the frames alive."""
    session = StreamingSession(bundle)
    seen = []
    original = session.network.predict_step

    def watch(encoded, *rest):
        seen.append(weakref.ref(encoded))
        return original(encoded, *rest)

    session.network.predict_step = watch
    try:
        for points, stamp in frozen_frames():
            session.submit(Frame(points, stamp))
        assert len(seen) > 2
        assert [one() for one in seen] == [None] * len(seen)
    finally:
        del session.network.predict_step


def change_nothing(session: StreamingSession) -> None:
    pass


def reset(session: StreamingSession) -> None:
    session.reset()


def have_fewer_cells(session: StreamingSession) -> None:
    config = session.preparer.config
    session.preparer = FramePreparer(type(config)(**{**vars(config), 'max_voxels': 16}))


@pytest.mark.parametrize('change', [change_nothing, reset, have_fewer_cells])
@pytest.mark.parametrize('origin', ['sensor', 'first_frame'])
def test_what_happens_between_precomputing_and_submitting_counts(bundle, change, origin):
    """Whatever the precomputed frame depends on, the result is that of a session without it."""

    def session() -> StreamingSession:
        made = StreamingSession(bundle, overlap=True)
        config = made.preparer.config
        made.preparer = FramePreparer(type(config)(**{**vars(config), 'origin': origin}))
        return made

    one, other = session(), session()
    (first, stamp), (second, later) = list(frozen_frames())[:2]
    second = second + 0.3
    early = one.precompute(second)  # before there is an origin
    assert_same(one.step(first, stamp), other.step(first, stamp))
    change(one)
    change(other)
    expected = other.step(second, later)
    assert_same(step(one, second, later, early), expected)
    if change is reset:
        assert expected.reset is ResetReason.REQUESTED


def test_a_precomputed_frame_of_another_cloud_is_not_used(bundle):
    one, other = (StreamingSession(bundle, overlap=True) for _ in range(2))
    (first, stamp), (second, _) = list(frozen_frames())[:2]
    assert_same(step(one, first, stamp, one.precompute(second)), other.step(first, stamp))


def test_a_precomputed_frame_that_was_closed_is_computed_again(bundle):
    one, other = (StreamingSession(bundle, overlap=True) for _ in range(2))
    (first, stamp), (second, later) = list(frozen_frames())[:2]
    early = one.precompute(second)  # before there is an origin
    assert_same(one.step(first, stamp), other.step(first, stamp))
    assert_same(step(one, second, later, early), other.step(second, later))
    # A new history has no origin either, so but for that it would fit.
    one.reset()
    other.reset()
    assert_same(step(one, second, later, early), other.step(second, later))


def test_a_precomputed_frame_of_another_network_is_not_used(bundle, untrained_bundle):
    points, stamp = next(iter(frozen_frames()))
    precomputed = StreamingSession(bundle, overlap=True).precompute(points)
    again = load_bundle(untrained_bundle)
    with torch.no_grad():
        again.network.segmentation_head.classify.bias[3] += 100.0
    one, other = (StreamingSession(again, overlap=True) for _ in range(2))
    found = step(one, points, stamp, precomputed)
    assert_same(found, other.step(points, stamp))
    assert (found.labels == 3).all()


def test_the_precomputed_frame_of_a_skipped_frame_is_closed(bundle):
    session = StreamingSession(bundle, overlap=True)
    points, stamp = next(iter(frozen_frames()))
    session.step(points, stamp)
    precomputed = session.precompute(points)
    assert isinstance(step(session, points, stamp, precomputed), Skipped)
    assert precomputed.tokens.cancelled()
    assert precomputed.described.cancelled()


def test_a_cloud_without_points_is_no_exception(bundle):
    session = StreamingSession(bundle, overlap=True)
    assert len(session.step(np.empty((0, 3), np.float32), 1).labels) == 0
    assert len(session.step(np.ones((5, 3), np.float32), 100_000_001).labels) == 5


def counting(results: list[object]) -> Callable[[], object]:
    def work() -> object:
        results.append(threading.current_thread().name)
        time.sleep(0.05)
        return results

    return work


def test_a_value_is_computed_once_and_without_gradients():
    done: list[object] = []
    value = LazyValue(counting(done))
    value.start()
    others = [threading.Thread(target=value.result) for _ in range(3)]
    for other in others:
        other.start()
    assert value.result() is done
    for other in others:
        other.join()
    assert len(done) == 1
    assert LazyValue(torch.is_inference_mode_enabled).result() is True


def test_an_error_is_raised_where_the_value_is_needed_and_not_tried_again():
    attempts: list[object] = []

    def fail() -> None:
        attempts.append(None)
        raise ValueError('broken')

    value = background.submit(fail)
    wait_for_background()
    for _ in range(2):
        with pytest.raises(ValueError, match='broken'):
            value.result()
    assert len(attempts) == 1


def test_no_thread_computes_a_closed_value():
    began, ended = threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        time.sleep(0.2)
        ended.set()

    running, waiting = background.submit(slow), background.submit(ended.clear)
    assert began.wait(60)
    waiting.close()
    running.close()
    assert ended.is_set()
    wait_for_background()
    assert ended.is_set()
    with pytest.raises(CancelledError):
        running.result()


@pytest.fixture
def busy() -> Iterator[LazyValue[None]]:
    """A value that keeps the background thread until the end of the test."""
    began, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        began.set()
        go_on.wait(60)

    value = background.submit(hold)
    assert began.wait(60)
    yield value
    go_on.set()
    value.result()


def test_a_cancelled_value_is_not_computed_and_a_running_one_cannot_be_cancelled(busy):
    done: list[object] = []
    waiting = background.submit(counting(done))
    assert not busy.cancel()
    assert waiting.cancel()
    with pytest.raises(CancelledError):
        waiting.result()
    assert not done


def test_a_value_that_the_background_thread_has_not_begun_is_computed_where_it_is_needed(busy):
    done, noted = [], []
    waiting = background.submit(counting(done))
    waiting.add_done_callback(noted.append)
    assert waiting.result() is done
    assert waiting.result() is done
    assert done == [threading.current_thread().name]
    assert [one.result() for one in noted] == [done]


def test_a_process_has_one_background_thread():
    names: list[object] = []
    for _ in range(5):
        background.submit(counting(names))
    wait_for_background()
    assert len(set(names)) == 1
    assert threading.current_thread().name not in names
