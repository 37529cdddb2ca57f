# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How bad a fault is, who hears of it, and what is done about a device that fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.memory import memory_in_use
from pointata_core.inference.session import StreamingSession
from pointata_core.taxonomy import UNLABELLED
from pointata_ros.health.diagnostics import OK, WARN, ModelFacts, all_findings, diagnostics
from pointata_ros.health.faults import CALM_S, Episodes, Fault, FaultLog, Finding, findings
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node.recovery import PATIENCE, Recovery, drop_reason
from pointata_ros.parameters.table import NodeSettings

pytestmark = pytest.mark.ros


# ---------------------------------------------------------------------- episodes


@given(st.lists(st.floats(0.01, 2.0 * CALM_S), min_size=1, max_size=30), st.floats(0.0, 10.0))
def test_a_fault_is_an_error_exactly_when_it_has_come_back_for_long_enough(pauses, error_after):
    episodes, times = Episodes(), np.cumsum(pauses)
    for now_s in times:
        episodes.add(Fault.REJECTED, 'bad_stamp', now_s)
    began = next(
        (times[i] for i in range(len(times) - 1, 0, -1) if times[i] - times[i - 1] > CALM_S),
        times[0],
    )
    (found,) = findings(episodes.current(times[-1]), times[-1], error_after)
    assert found.is_error == (times[-1] - began >= error_after)
    assert found.lasting_s == pytest.approx(times[-1] - began)
    assert episodes.current(times[-1] + CALM_S + 0.01) == {}


def test_the_log_hears_of_each_change_once():
    said = []
    log = FaultLog(*(lambda text, kind=kind: said.append((kind, text)) for kind in 'WEI'))

    def finding(is_error):
        return Finding('slow', is_error, 'so slow', 1.0)

    for found in ([finding(False)] * 1, [finding(False)], [finding(True)], [finding(True)],
                  [finding(False)], [], []):  # fmt: skip
        log(found)
    assert said == [('W', 'so slow'), ('E', 'so slow'), ('I', 'slow: over')]


@pytest.mark.parametrize('reason', list(DropReason))
def test_drops_that_were_asked_for_are_no_fault_and_all_others_are(reason):
    statistics = Statistics(now_s=lambda: 7.0)
    statistics.dropped(reason)
    asked_for = {DropReason.RATE_LIMIT, DropReason.COLD, DropReason.DEACTIVATED}
    # A missing transform is reported where it is noticed, for it need not lead to a drop.
    assert bool(statistics.snapshot().faults) == (
        reason not in asked_for | {DropReason.NO_TRANSFORM}
    )


def levels(statistics, settings=NodeSettings(), busy_s=0.0, **facts):  # noqa: B008 - frozen
    model = ModelFacts('tiny', '/b', 'abc', 'cpu', 'asked for', 1234, 3, {}, **facts)
    snapshot = statistics.snapshot()
    found = all_findings(snapshot, settings, busy_s)
    message = diagnostics('/eye', 0, snapshot, model, settings, 0, found)
    return {one.name.removeprefix('eye: '): one for one in message.status}


def test_processing_warns_first_and_errs_if_it_goes_on_and_calms_down():
    now = [0.0]
    statistics = Statistics(now_s=lambda: now[0])
    statistics.arrived(0, 0)
    seen = []
    for now[0] in np.arange(0.0, 7.0, 0.5):
        statistics.dropped(DropReason.SUPERSEDED)
        seen.append(levels(statistics)['processing'].level)
    assert seen == [WARN] * 10 + [b'\x02'] * 4
    now[0] += CALM_S + 0.1
    assert levels(statistics)['processing'].level == OK


def test_a_stuck_worker_is_an_error_at_once_and_named_before_the_warnings():
    statistics = Statistics(now_s=lambda: 0.0)
    statistics.slow(0.5)
    status = levels(statistics, busy_s=11.0)['processing']
    assert status.level == b'\x02'
    assert status.message.startswith('the worker is stuck: 11.0 s')
    assert 'slow' in status.message


def test_the_model_warns_while_its_history_is_short_or_it_runs_with_less():
    def model(**facts):
        return levels(Statistics(), **facts)['model']

    assert model(window_frames=3).level == OK
    assert '3 of 25' in model(window_frames=25).message
    assert '512 instead of 1024 voxels' in model(voxels=512, full_voxels=1024).message
    assert 'refused' in model(trouble=('load_skill was refused',)).message
    for facts in ({'window_frames': 25}, {'voxels': 1, 'full_voxels': 2}, {'trouble': ('x',)}):
        assert model(**facts).level == WARN


def test_the_memory_of_the_process_is_what_the_system_says():
    psutil = pytest.importorskip('psutil')
    expected = psutil.Process().memory_info().rss
    assert memory_in_use(torch.device('cpu'))['process'] == pytest.approx(expected, rel=0.05)


# ---------------------------------------------------------------------- failures


def raised(action) -> Exception:
    with pytest.raises(Exception) as caught:
        action()
    return caught.value


@pytest.mark.parametrize(
    ('action', 'reason'),
    [
        (lambda: torch.empty(1 << 60), DropReason.OUT_OF_MEMORY),
        (lambda: np.empty(1 << 60, np.uint8), DropReason.OUT_OF_MEMORY),
        (lambda: torch.zeros(2) + torch.zeros(3), DropReason.ERROR),
        (lambda: {}['x'], DropReason.ERROR),
    ],
    ids=['torch without memory', 'numpy without memory', 'shapes', 'a mistake'],
)
def test_failures_are_told_apart_by_what_torch_and_numpy_really_raise(action, reason):
    assert drop_reason(raised(action)) is reason


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (torch.OutOfMemoryError('CUDA out of memory. Tried to'), DropReason.OUT_OF_MEMORY),
        (RuntimeError('CUDA error: unspecified launch failure'), DropReason.DEVICE_LOST),
        (RuntimeError('cuDNN error: CUDNN_STATUS_EXECUTION_FAILED'), DropReason.DEVICE_LOST),
        (ValueError('CUDA error in a text of somebody else'), DropReason.ERROR),
    ],
)
def test_failures_of_a_gpu_are_known_by_their_texts(error, reason):
    assert drop_reason(error) is reason


@pytest.fixture
def session(untrained_bundle):
    return StreamingSession(load_bundle(untrained_bundle))


def test_voxels_are_halved_once_and_every_point_still_gets_a_label(session):
    points = np.random.default_rng(0).normal(size=(9000, 3), scale=10).astype(np.float32)
    whole = session.bundle_voxel_limit
    assert session.halve_voxel_limit()
    assert not session.halve_voxel_limit()
    result = session.step(points, 0)
    assert 0 < result.voxels <= whole // 2
    assert (result.labels != UNLABELLED).all()
    assert StreamingSession(session.bundle).voxel_limit == whole


def test_a_limit_of_voxels_is_kept_and_halved_like_that_of_the_bundle(session):
    points = np.random.default_rng(0).normal(size=(9000, 3), scale=10).astype(np.float32)
    whole = session.bundle_voxel_limit
    limited = StreamingSession(session.bundle, max_voxels=whole // 2)
    assert limited.voxel_limit == limited.bundle_voxel_limit == whole // 2
    result = limited.step(points, 0)
    assert 0 < result.voxels <= whole // 2
    assert (result.labels != UNLABELLED).all()
    assert limited.halve_voxel_limit()
    assert limited.voxel_limit == whole // 4
    assert StreamingSession(session.bundle, max_voxels=2 * whole).voxel_limit == whole


def test_shortage_of_memory_is_borne_for_a_while_and_answers_renew_patience(session):
    recovery, error = Recovery(), torch.OutOfMemoryError('CUDA out of memory')
    for _ in range(3):
        for _ in range(PATIENCE - 1):
            assert recovery.after(error, session)[0] == ''
        recovery.succeeded()
    verdicts = [recovery.after(error, session)[0] for _ in range(PATIENCE)]
    assert verdicts[:-1] == [''] * (PATIENCE - 1)
    assert 'out of memory' in verdicts[-1]
    assert 'smaller bundle' in verdicts[-1]


def test_the_first_shortage_is_told_with_the_knob_to_turn(session):
    recovery, error = Recovery(), torch.OutOfMemoryError('CUDA out of memory')
    assert 'max_voxels' in recovery.after(error, session)[1]
    assert recovery.after(error, session)[1] == ''


def test_a_lost_device_is_given_up_at_once_and_an_ordinary_error_never(session):
    recovery = Recovery()
    assert 'is lost' in recovery.after(RuntimeError('CUDA error: lost'), session)[0]
    for _ in range(2 * PATIENCE):
        assert recovery.after(ValueError('odd'), session) == ('', '')


def test_what_failed_frames_hold_is_released(session):
    import weakref

    class Large:
        pass

    held = []

    def fail():
        large = Large()
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError('CUDA out of memory')

    error = raised(fail)
    assert held[0]() is not None
    Recovery().after(error, session)
    assert held[0]() is None
