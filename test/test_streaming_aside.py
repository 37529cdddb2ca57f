# SPDX-License-Identifier: Apache-2.0
"""A second thread for what needs no history: the same answers, and no thread left at work."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_streaming_golden import frozen_frames

from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference import background
from pointata_core.inference.background import Aside, Once
from pointata_core.inference.precompute import Groundwork
from pointata_core.inference.preparation import FramePreparer
from pointata_core.inference.session import FrameResult, Skipped, StreamingSession
from pointata_core.inference.time_rules import ResetReason


@pytest.fixture
def bundle(untrained_bundle):
    return load_bundle(untrained_bundle)


def set_threads(count: int) -> None:
    torch.set_num_threads(count)
    background._second_thread().submit(torch.set_num_threads, count).result()


@pytest.fixture(autouse=True)
def operations_have_one_thread():
    """As where two threads share the work: others add in another order, and bits would differ.

    Their number belongs to a thread of Python, so the second one has to be told, too.
    """
    before = torch.get_num_threads()
    set_threads(1)
    yield
    set_threads(before)


def assert_same(found: FrameResult, expected: FrameResult) -> None:
    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.probabilities, expected.probabilities)
    assert np.array_equal(found.action, expected.action)
    assert (found.reset, found.voxels) == (expected.reset, expected.voxels)


@pytest.mark.parametrize('ahead', [0, 1, 3])
@pytest.mark.parametrize('overlap', [False, True])
def test_answers_are_the_same_bits(bundle, overlap, ahead):
    alone, session = StreamingSession(bundle), StreamingSession(bundle, overlap=overlap)
    frames = list(frozen_frames())
    laid: dict[int, Groundwork] = {}
    for number, (points, stamp) in enumerate(frames):
        for later in range(number, min(number + ahead, len(frames))):
            if later not in laid:
                laid[later] = session.look_ahead(frames[later][0])
        found = session.step(points, stamp, groundwork=laid.get(number))
        assert_same(found, alone.step(points, stamp))


@given(
    ways=st.lists(st.sampled_from(['now', 'later', 'aside', 'ingest', 'saved']), min_size=1),
    overlap=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_an_answer_may_come_after_the_next_frame_was_begun(untrained_bundle, ways, overlap):
    """Whoever finishes the answer, and whenever: the same bits, and the same stream after it."""
    bundle = load_bundle(untrained_bundle)
    alone, session = StreamingSession(bundle), StreamingSession(bundle, overlap=overlap)
    expected, found, handed = [], [], []
    for way, (points, stamp) in zip(ways, itertools.cycle(frozen_frames()), strict=False):
        stamp += len(expected) * 10_000_000
        expected.append(alone.step(points, stamp))
        if way == 'ingest':
            assert session.ingest(points, stamp) is None
            expected.pop()
            continue
        unfinished = session.begin(points, stamp)
        if isinstance(unfinished, Skipped):
            assert expected.pop() == unfinished
            continue
        number = len(found)
        found.append(unfinished)
        if way == 'now':
            found[number] = unfinished()
        elif way == 'saved':
            session.restore_state(session.save_state())
        elif way == 'aside':

            def finish(number=number, unfinished=unfinished) -> None:
                found[number] = unfinished()

            handed.append(Aside().hand_over(finish))
    for work in handed:
        work.settle()
    for one, wanted in zip(found, expected, strict=True):
        assert_same(one() if callable(one) else one, wanted)


def test_heads_that_fail_fail_where_the_answer_is_wanted_and_a_reset_helps(bundle, monkeypatch):
    session, other = StreamingSession(bundle), StreamingSession(bundle)
    (first, stamp), (second, later), *_ = frozen_frames()
    with monkeypatch.context() as patch:
        patch.setattr(session.network, 'answer_step', lambda *_: 1 // 0)
        unfinished = session.begin(first, stamp)
        with pytest.raises(ZeroDivisionError):
            unfinished()
        with pytest.raises(ZeroDivisionError):
            session.begin(second, later)
    session.reset()
    other.reset()
    assert_same(session.step(second, later), other.step(second, later))


def test_no_frame_is_kept_once_the_next_one_was_answered(bundle):
    """The heads of each frame know of those before; that must not keep the frames alive."""
    session = StreamingSession(bundle)
    seen = []
    original = session.network.answer_step

    def watch(encoded, *rest):
        seen.append(weakref.ref(encoded))
        return original(encoded, *rest)

    session.network.answer_step = watch
    try:
        for points, stamp in frozen_frames():
            session.begin(points, stamp)
        assert len(seen) > 2
        assert [one() for one in seen] == [None] * len(seen)
    finally:
        del session.network.answer_step


def change_nothing(session: StreamingSession) -> None:
    pass


def reset(session: StreamingSession) -> None:
    session.reset()


def have_fewer_cells(session: StreamingSession) -> None:
    config = session.preparer.config
    session.preparer = FramePreparer(type(config)(**{**vars(config), 'max_voxels': 16}))


@pytest.mark.parametrize('change', [change_nothing, reset, have_fewer_cells])
@pytest.mark.parametrize('origin', ['sensor', 'first_frame'])
def test_what_happens_between_looking_ahead_and_the_turn_counts(bundle, change, origin):
    """Whatever the groundwork took for granted, the answer is that of a session without it."""

    def session() -> StreamingSession:
        made = StreamingSession(bundle, overlap=True)
        config = made.preparer.config
        made.preparer = FramePreparer(type(config)(**{**vars(config), 'origin': origin}))
        return made

    one, other = session(), session()
    (first, stamp), (second, later) = list(frozen_frames())[:2]
    second = second + 0.3
    early = one.look_ahead(second)  # before there is an origin
    assert_same(one.step(first, stamp), other.step(first, stamp))
    change(one)
    change(other)
    expected = other.step(second, later)
    assert_same(one.step(second, later, groundwork=early), expected)
    if change is reset:
        assert expected.reset is ResetReason.REQUESTED


def test_groundwork_of_another_cloud_is_not_used(bundle):
    one, other = (StreamingSession(bundle, overlap=True) for _ in range(2))
    (first, stamp), (second, _) = list(frozen_frames())[:2]
    assert_same(one.step(first, stamp, groundwork=one.look_ahead(second)), other.step(first, stamp))


def test_groundwork_that_was_closed_is_laid_again(bundle):
    one, other = (StreamingSession(bundle, overlap=True) for _ in range(2))
    (first, stamp), (second, later) = list(frozen_frames())[:2]
    early = one.look_ahead(second)  # before there is an origin
    assert_same(one.step(first, stamp), other.step(first, stamp))
    assert_same(one.step(second, later, groundwork=early), other.step(second, later))
    # A new history has no origin either, so but for that it would fit.
    one.reset()
    other.reset()
    assert_same(one.step(second, later, groundwork=early), other.step(second, later))


def test_groundwork_of_another_skill_is_not_used(bundle, untrained_bundle):
    one, other = (StreamingSession(bundle, overlap=True) for _ in range(2))
    points, stamp = next(iter(frozen_frames()))
    groundwork = one.look_ahead(points)
    again = load_bundle(untrained_bundle)
    with torch.no_grad():
        again.network.segmentation_head.classify.bias[3] += 100.0
    one.swap(again)
    other.swap(again)
    found = one.step(points, stamp, groundwork=groundwork)
    assert_same(found, other.step(points, stamp))
    assert (found.labels == 3).all()


def test_the_groundwork_of_a_skipped_frame_is_closed(bundle):
    session = StreamingSession(bundle, overlap=True)
    points, stamp = next(iter(frozen_frames()))
    session.step(points, stamp)
    groundwork = session.look_ahead(points)
    assert isinstance(session.step(points, stamp, groundwork=groundwork), Skipped)
    assert groundwork.tokens() is None
    assert groundwork.described() is None


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


def test_work_is_done_once_and_without_gradients():
    done: list[object] = []
    once = Once(counting(done))
    Aside().begin(once)
    others = [threading.Thread(target=once) for _ in range(3)]
    for other in others:
        other.start()
    assert once() is done
    for other in others:
        other.join()
    assert len(done) == 1
    assert Once(torch.is_inference_mode_enabled)() is True


def test_an_error_is_raised_where_the_result_is_wanted():
    failing = Once(lambda: 1 // 0)
    failing.attempt()
    with pytest.raises(ZeroDivisionError):
        failing()


def test_nothing_is_at_closed_work():
    began, ended = threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        time.sleep(0.2)
        ended.set()

    running, waiting = Once(slow), Once(ended.clear)
    Aside().begin(running, waiting)
    assert began.wait(60)
    waiting.close()
    running.close()
    assert ended.is_set()
    Aside().join()
    assert ended.is_set()


def test_work_without_a_taker_is_left_undone():
    began, go_on = threading.Event(), threading.Event()
    done: list[object] = []

    def wait() -> None:
        began.set()
        go_on.wait(60)

    running, waiting = Once(wait), Once(counting(done))
    Aside().begin(running, waiting)
    assert began.wait(60)
    running.forgo()  # too late, and no reason to wait
    waiting.forgo()
    go_on.set()
    Aside().join()
    assert not done


def test_what_was_handed_over_is_done_once_by_whoever_is_there_first():
    began, go_on = threading.Event(), threading.Event()
    done: list[object] = []

    def wait() -> None:
        began.set()
        go_on.wait(60)

    running = Aside().hand_over(wait)
    waiting = Aside().hand_over(counting(done))
    assert began.wait(60)
    waiting.settle()  # the second thread is busy
    waiting.settle()
    go_on.set()
    running.settle()
    Aside().join()
    assert done == [threading.current_thread().name]


def test_what_went_wrong_with_work_handed_over_is_told_to_who_settles_it():
    attempts: list[object] = []

    def fail() -> None:
        attempts.append(None)
        raise ValueError('broken')

    work = Aside().hand_over(fail)
    Aside().join()
    for _ in range(2):
        with pytest.raises(ValueError, match='broken'):
            work.settle()
    assert len(attempts) == 1


def test_a_process_has_one_second_thread():
    names: list[object] = []
    for _ in range(5):
        Aside().begin(Once(counting(names)))
    Aside().join()
    assert len(set(names)) == 1
    assert threading.current_thread().name not in names
