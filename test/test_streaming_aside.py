# SPDX-License-Identifier: Apache-2.0
"""Half of a frame on a second thread: the same answers, and no thread left at work."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from test_streaming_golden import frozen_frames

from pointata_core.streaming.aside import Aside, NotAside
from pointata_core.streaming.bundle import load_bundle
from pointata_core.streaming.session import StreamingSession


def test_answers_are_the_same_bits(untrained_bundle):
    bundle = load_bundle(untrained_bundle)
    alone, overlapped = (StreamingSession(bundle, overlap=overlap) for overlap in (False, True))
    for points, stamp in frozen_frames():
        expected, found = alone.step(points, stamp), overlapped.step(points, stamp)
        assert np.array_equal(found.labels, expected.labels)
        assert np.array_equal(found.probabilities, expected.probabilities)
        assert np.array_equal(found.action, expected.action)


def test_a_cloud_without_points_is_no_exception(untrained_bundle):
    session = StreamingSession(load_bundle(untrained_bundle), overlap=True)
    assert len(session.step(np.empty((0, 3), np.float32), 1).labels) == 0
    assert len(session.step(np.ones((5, 3), np.float32), 100_000_001).labels) == 5


@pytest.mark.parametrize('aside', [Aside(), NotAside()], ids=['second_thread', 'same_thread'])
def test_a_result_comes_once_asked_for_and_an_error_is_raised_there(aside):
    with torch.inference_mode(), aside.begin(torch.is_inference_mode_enabled) as result:
        assert result() is True
    with aside.begin(lambda: 1 // 0) as result, pytest.raises(ZeroDivisionError):
        result()
    with aside.begin(None) as result:
        assert result is None


def test_nothing_runs_on_after_the_first_half_has_failed():
    began, ended = threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        time.sleep(0.2)
        ended.set()

    with pytest.raises(MemoryError), Aside().begin(slow):
        began.wait(60)
        raise MemoryError
    assert ended.is_set()


def test_a_process_has_one_second_thread():
    threads = set()
    for _ in range(5):
        with Aside().begin(lambda: threading.current_thread().name) as name:
            threads.add(name())
    assert len(threads) == 1
    assert threading.current_thread().name not in threads
