# SPDX-License-Identifier: Apache-2.0
"""Notices that ROS time jumped: a looped bag, a restarted simulation, use_sim_time switched.

Message stamps are watched elsewhere (the session does it); this guard sees jumps between clouds.
"""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockChange, JumpThreshold, TimeJump
from rclpy.duration import Duration

_SMALLEST_STEP_BACK = Duration(nanoseconds=-1)


class ClockGuard:
    """Calls ``on_jump`` with a sentence when the clock jumps back, or forward beyond ``max_gap``.

    Args:
        clock: The node's clock.
        max_gap_s: Seconds forward that count as a jump.
        on_jump: Called on the thread that moved the clock; must not block.
    """

    def __init__(self, clock: Clock, max_gap_s: float, on_jump: Callable[[str], None]) -> None:
        self._on_jump = on_jump
        threshold = JumpThreshold(
            min_forward=Duration(seconds=max_gap_s),
            min_backward=_SMALLEST_STEP_BACK,
            on_clock_change=True,
        )
        self._handle = clock.create_jump_callback(threshold, post_callback=self._jumped)

    def _jumped(self, jump: TimeJump) -> None:
        if jump.clock_change == ClockChange.ROS_TIME_NO_CHANGE:
            self._on_jump(f'ROS time jumped by {jump.delta.nanoseconds * 1e-9:+.3f} s')
        else:
            self._on_jump(f'the source of ROS time changed ({jump.clock_change.name})')

    def close(self) -> None:
        """Stop watching."""
        self._handle.unregister()
