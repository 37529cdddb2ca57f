# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A flag that a signal handler may set to stop a program."""

from __future__ import annotations

import time

_SLICE_S = 0.02


class StopFlag:
    """Like :class:`threading.Event`, but safe to set from a signal handler.

    A handler runs in the middle of what the main thread does. An event's lock may be held there, by
    a wait or by the handler of an earlier signal, and setting it would never return. This flag has
    no lock; the price is that a waiting thread looks every 20 ms.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Set the flag; it cannot be cleared."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether :meth:`set` was called."""
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Sleep for ``timeout_s`` seconds, or until set; returns whether it is set."""
        deadline = time.monotonic() + timeout_s
        while not self._is_set and (left_s := deadline - time.monotonic()) > 0.0:
            time.sleep(min(left_s, _SLICE_S))
        return self._is_set
