# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Logs what happens again and again less often: every few seconds, or at growing distances."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable

_PERIOD_S = 5.0
_LONGEST_PAUSE = 128


class Throttle:
    """Passes on the first message of a kind, then one per period. May be used from any thread.

    rclpy's own throttling goes by the line of code, so one helper for several kinds of warning
    would let the frequent kind silence the rare one.

    Args:
        log: Where messages go.
        period_s: Seconds between two messages of a kind.
        now_s: Steady clock.
    """

    def __init__(
        self,
        log: Callable[[str], object],
        period_s: float = _PERIOD_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._period_s = period_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._last_s: dict[str, float] = {}
        self._held_back: Counter[str] = Counter()

    def __call__(self, kind: str, text: str) -> None:
        """Log ``text`` unless something of this ``kind`` was logged a moment ago."""
        with self._lock:
            now_s = self._now_s()
            last_s = self._last_s.get(kind)
            if last_s is not None and now_s - last_s < self._period_s:
                self._held_back[kind] += 1
                return
            self._last_s[kind] = now_s
            held_back = self._held_back.pop(kind, 0)
        self._log(f'{text} (and {held_back} more like it)' if held_back else text)


class BackOff:
    """Lets a message that is repeated at each look through after 1, 2, 4, 8, ... looks."""

    def __init__(self) -> None:
        self._gist = ''
        self._left = self._pause = 1

    def __call__(self, text: str) -> bool:
        """Whether ``text`` is to be logged; an empty one means that all is well again.

        Messages that differ in numbers only count as the same.
        """
        gist = re.sub(r'\d+', '', text)
        if gist != self._gist:
            self._gist, self._left, self._pause = gist, 1, 1
        if not text:
            return False
        self._left -= 1
        if self._left:
            return False
        self._left, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return True
