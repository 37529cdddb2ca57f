# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Notices that ROS time jumped: a looped bag, a restarted simulation, use_sim_time switched.

What can happen again and again is described in full the first time.

Message stamps are watched elsewhere (the session does it); this guard sees jumps between clouds.
"""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockChange, JumpThreshold, TimeJump
from rclpy.duration import Duration

_SMALLEST_STEP_BACK = Duration(nanoseconds=-1)


class ClockGuard:
    """Calls ``on_jump`` when the clock jumps back, or forward beyond ``max_gap``.

    Args:
        clock: The node's clock.
        max_gap_s: Seconds forward that count as a jump.
        on_jump: Called on the thread that moved the clock, with a sentence for the log, empty if
            the like was logged before; must not block.
    """

    def __init__(self, clock: Clock, max_gap_s: float, on_jump: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_jump = on_jump
        self._logged: set[str] = set()
        threshold = JumpThreshold(
            min_forward=Duration(seconds=max_gap_s),
            min_backward=_SMALLEST_STEP_BACK,
            on_clock_change=True,
        )
        self._handle = clock.create_jump_callback(threshold, post_callback=self._jumped)

    def _jumped(self, jump: TimeJump) -> None:
        delta_ns = jump.delta.nanoseconds
        seconds = delta_ns * 1e-9
        if jump.clock_change != ClockChange.ROS_TIME_NO_CHANGE:
            kind, text = 'source', f'the source of ROS time changed ({jump.clock_change.name})'
        elif self._clock.now().nanoseconds == delta_ns:  # it stood at zero before
            kind, text = 'begin', 'the time on /clock begins'
        elif delta_ns < 0:
            kind = 'back'
            text = (
                f'ROS time jumped back by {-seconds:.3f} s, as when a recording or a simulation '
                'starts again; later jumps are counted and not logged'
            )
        else:
            kind, text = 'forward', f'ROS time jumped by {seconds:+.3f} s'
        is_new = kind not in self._logged
        self._logged.add(kind)
        self._on_jump(text if is_new else '')

    def close(self) -> None:
        """Stop watching."""
        self._handle.unregister()
