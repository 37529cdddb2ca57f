# SPDX-License-Identifier: Apache-2.0
"""A second thread for work that nothing waits for yet.

Two threads that each do one half of a frame meet once. The threads of one operation meet at its
end, hundreds of times a frame; where processors are few and busy with other things, too, most of
that is waiting.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

Result = TypeVar('Result')

_lock = threading.Lock()
_thread: ThreadPoolExecutor | None = None


class Once(Generic[Result]):
    """Work that is done once, by whichever thread comes to it first.

    Args:
        work: Called without gradients; what it returns is kept.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work: Callable[[], Result] | None = work
        self._result: Result | None = None
        self._is_void = False
        self._lock = threading.Lock()

    def __call__(self) -> Result:
        """The result; does the work, or waits for the thread that is at it."""
        with self._lock:
            if self._work is not None:
                with torch.inference_mode():  # the mode belongs to a thread
                    self._result = self._work()
                self._work = None
            return self._result

    @property
    def is_void(self) -> bool:
        """True once work and result were forgotten: there is nothing to be had any more."""
        return self._is_void

    @property
    def result(self) -> Result | None:
        """The result, if there is one already; does not wait."""
        return self._result

    def attempt(self) -> None:
        """Do the work for others; should it fail, whoever wants the result will see for itself."""
        with contextlib.suppress(Exception):
            self()

    def forgo(self) -> None:
        """Forget work and result unless a thread is at it; does not wait."""
        if self._lock.acquire(blocking=False):
            self._forget()
            self._lock.release()

    def close(self) -> None:
        """Forget work and result; once this returns nobody is at it, and nobody will be."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._work = self._result = None
        self._is_void = True


class HandedOver:
    """Work that the second thread does once, or whoever waits for it before that one came to it.

    Args:
        work: What to do; unlike :class:`Once` never tried again.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work
        self._future = _second_thread().submit(work)

    def settle(self) -> None:
        """Return once the work is done; raises what it raised."""
        work, self._work = self._work, None
        if work is not None and self._future.cancel():
            work()
        elif not self._future.cancelled():
            self._future.result()


class Aside:
    """The second thread, of which a process has one; it does one thing after the other."""

    def begin(self, *works: Once) -> None:
        """Let the second thread come to ``works``, in this order."""
        for work in works:
            _second_thread().submit(work.attempt)

    def hand_over(self, work: Callable[[], None]) -> HandedOver:
        """Leave ``work`` to the second thread, after what it has begun."""
        return HandedOver(work)

    def join(self) -> None:
        """Wait until the second thread has been at everything begun so far."""
        _second_thread().submit(lambda: None).result()


class NotAside:
    """No second thread: the first one comes to everything itself."""

    def begin(self, *works: Once) -> None:
        """Nothing; see :meth:`Aside.begin`."""

    def join(self) -> None:
        """Nothing; see :meth:`Aside.join`."""


def _second_thread() -> ThreadPoolExecutor:
    global _thread
    with _lock:
        if _thread is None:
            _thread = ThreadPoolExecutor(1, 'aside')
        return _thread
