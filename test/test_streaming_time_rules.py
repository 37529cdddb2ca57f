# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pointata_core.errors import ConfigError
from pointata_core.inference.time_rules import (
    Accept,
    Reset,
    ResetReason,
    Skip,
    SkipReason,
    TimeGuard,
    TimeState,
)

GAP, TOLERANCE = 1_000, 250
START = 10_000


@pytest.fixture
def guard() -> TimeGuard:
    guard = TimeGuard(GAP, TOLERANCE)
    assert guard.check(START, 'lidar') == Accept()
    return guard


@pytest.mark.parametrize(
    ('step', 'expected'),
    [
        (1, Accept()),
        (GAP, Accept()),
        (GAP + 1, Reset(ResetReason.GAP)),
        (0, Skip(SkipReason.DUPLICATE_STAMP)),
        (-1, Skip(SkipReason.OUT_OF_ORDER)),
        (-TOLERANCE, Skip(SkipReason.OUT_OF_ORDER)),
        (-TOLERANCE - 1, Reset(ResetReason.BACKWARD_JUMP)),
        (-START, Reset(ResetReason.BACKWARD_JUMP)),
    ],
)
def test_a_step_in_time_is_judged_by_its_size(guard: TimeGuard, step: int, expected) -> None:
    assert guard.check(START + step, 'lidar') == expected


@pytest.mark.parametrize('step', [0, 1, -1, GAP + 1])
def test_another_coordinate_frame_resets_whatever_its_stamp(guard: TimeGuard, step: int) -> None:
    assert guard.check(START + step, 'camera') == Reset(ResetReason.FRAME_CHANGED)


def test_a_skipped_frame_leaves_no_trace(guard: TimeGuard) -> None:
    before = guard.save()
    guard.check(START - 1, 'lidar')
    guard.check(START, 'lidar')
    assert guard.save() == before


@pytest.mark.parametrize('reason', list(ResetReason))
def test_a_requested_reset_is_reported_once_with_the_next_frame(
    guard: TimeGuard, reason: ResetReason
) -> None:
    guard.reset(reason)
    assert guard.check(START, 'lidar') == Reset(reason)
    assert guard.check(START + 1, 'lidar') == Accept()
    assert guard.resets == {reason: 1}


def test_one_stray_stamp_costs_two_resets(guard: TimeGuard) -> None:
    stamps = [START + 100, START + 10**12, START + 200, START + 300]
    decisions = [guard.check(stamp, 'lidar') for stamp in stamps]
    assert decisions == [
        Accept(),
        Reset(ResetReason.GAP),
        Reset(ResetReason.BACKWARD_JUMP),
        Accept(),
    ]


@pytest.mark.parametrize(('gap', 'tolerance'), [(0, 0), (-1, 0), (1, -1)])
def test_limits_out_of_range_are_refused(gap: int, tolerance: int) -> None:
    with pytest.raises(ConfigError, match='expected'):
        TimeGuard(gap, tolerance)


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'[]',
        b'{}',
        b'\xff',
        b'{"stamp_ns": "1", "frame_id": "", "pending": null}',
        b'{"stamp_ns": 1, "frame_id": 3, "pending": null}',
        b'{"stamp_ns": 1, "frame_id": "", "pending": "tea_time"}',
    ],
)
def test_a_damaged_state_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match='time state'):
        TimeState.from_bytes(data)


class AnyStream(RuleBasedStateMachine):
    """Whatever comes, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = TimeGuard(GAP, TOLERANCE)
        self.history: list[int] = []
        self.frame_id = ''
        self.requested: ResetReason | None = None
        self.answered = self.refused = 0

    @rule(
        step=st.one_of(
            st.integers(-2 * TOLERANCE, 2 * GAP),
            st.sampled_from([-TOLERANCE - 1, -TOLERANCE, 0, GAP, GAP + 1]),
            st.integers(-(2**70), 2**70),
        ),
        frame_id=st.sampled_from(['', '', '', 'lidar']),
    )
    def frame(self, step: int, frame_id: str) -> None:
        stamp = (self.history[-1] if self.history else 0) + step
        decision = self.guard.check(stamp, frame_id)
        if isinstance(decision, Skip):
            self.refused += 1
            assert self.requested is None, 'a pending reset answers every frame'
            assert frame_id == self.frame_id
            assert stamp <= self.history[-1]
            return
        self.answered += 1
        if isinstance(decision, Reset):
            assert self.requested in (None, decision.reason)
            self.history = []
        else:
            assert self.requested is None
            assert not self.history or frame_id == self.frame_id
            assert not self.history or 0 < stamp - self.history[-1] <= GAP
        self.history.append(stamp)
        self.frame_id, self.requested = frame_id, None

    @rule(reason=st.sampled_from(ResetReason))
    def reset(self, reason: ResetReason) -> None:
        self.guard.reset(reason)
        self.requested = reason

    @rule(jump=st.one_of(st.integers(-2 * TOLERANCE, GAP), st.integers(-(2**40), 2**40)))
    def a_steady_stream_recovers(self, jump: int) -> None:
        """After any jump, frames are answered again once the tolerance has passed."""
        start = (self.history[-1] if self.history else 0) + jump
        self.frame(jump, self.frame_id)
        for offset in (100, 200, TOLERANCE + 1):
            self.frame(start + offset - self.history[-1], self.frame_id)
        assert self.history[-1] == start + TOLERANCE + 1

    @rule()
    def move_to_another_process(self) -> None:
        moved = TimeGuard(GAP, TOLERANCE)
        moved.restore(TimeState.from_bytes(self.guard.save().to_bytes()))
        moved.seen, moved.accepted = self.guard.seen, self.guard.accepted
        moved.skipped, moved.resets = self.guard.skipped, self.guard.resets
        self.guard = moved

    @invariant()
    def counters_add_up(self) -> None:
        guard = self.guard
        assert guard.accepted == self.answered
        assert sum(guard.skipped.values()) == self.refused
        assert guard.seen == guard.accepted + sum(guard.skipped.values())

    @invariant()
    def stamps_increase_between_resets(self) -> None:
        assert all(a < b for a, b in zip(self.history, self.history[1:], strict=False))


AnyStream.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestAnyStream = AnyStream.TestCase
