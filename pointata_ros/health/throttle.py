# SPDX-License-Identifier: Apache-2.0
"""Logs a kind of message at most every few seconds, and how often it was held back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

_PERIOD_S = 5.0


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
