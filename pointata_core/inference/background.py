# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A second thread for work whose result is not needed yet.

Two threads that each do one half of a frame meet once. The threads of one operation meet at its
end, hundreds of times a frame; where processors are few and busy with other programs, most of that
time is waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

import torch

Result = TypeVar('Result')

_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None


class LazyValue(Generic[Result]):
    """A value that is computed once, by the first thread that comes to it.

    The methods have the names and meanings of :class:`concurrent.futures.Future`, with one
    difference: :meth:`result` computes the value itself if no thread has begun.

    Args:
        compute: Called once, without gradients.
    """

    def __init__(self, compute: Callable[[], Result]) -> None:
        self._compute: Callable[[], Result] | None = compute
        self._claim = threading.Lock()  # taken by the thread that computes, never released
        self._future: Future[Result] = Future()

    def start(self) -> None:
        """Let the background thread compute the value, after all that was started before."""
        executor().submit(self.run)

    def run(self) -> None:
        """Compute the value in this thread, unless a thread has begun or it was cancelled."""
        if not self._claim.acquire(blocking=False):
            return
        compute, self._compute, future = self._compute, None, self._future
        if compute is None or not future.set_running_or_notify_cancel():
            return
        try:
            with torch.inference_mode():  # the mode belongs to a thread
                value = compute()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(value)

    def result(self) -> Result:
        """The value: computed now, or by the thread that has begun.

        Raises:
            BaseException: What the computation raised.
            concurrent.futures.CancelledError: The value was cancelled or closed.
        """
        self.run()
        return self._future.result()

    def peek(self) -> Result | None:
        """The value if it is there; ``None`` while it is not, and where none will be."""
        future = self._future
        if not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()

    def done(self) -> bool:
        """Whether the value is there, failed or was cancelled."""
        return self._future.done()

    def cancelled(self) -> bool:
        """Whether there is no value and never will be."""
        return self._future.cancelled()

    def cancel(self) -> bool:
        """Do not compute the value any more; does not wait.

        Returns:
            False if a thread has begun.
        """
        return self._future.cancel()

    def add_done_callback(self, function: Callable[[Future[Result]], object]) -> None:
        """Call ``function`` once the value is there, in the thread that computed it."""
        self._future.add_done_callback(function)

    def close(self) -> None:
        """Cancel and forget the value; once this returns no thread computes it."""
        if not self._future.cancel():
            wait([self._future])
        self._compute = None
        self._future = Future()
        self._future.cancel()


def submit(compute: Callable[[], Result]) -> LazyValue[Result]:
    """Let the background thread compute a value; who needs it before that computes it instead."""
    value = LazyValue(compute)
    value.start()
    return value


def executor() -> ThreadPoolExecutor:
    """The background thread of this process; it does one thing after the other."""
    global _executor
    with _lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(1, 'background')
        return _executor
