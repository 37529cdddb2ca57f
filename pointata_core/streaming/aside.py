# SPDX-License-Identifier: Apache-2.0
"""A second thread for work that nothing waits for yet.

Two threads that each do one half of a frame meet once. The threads of one operation meet at its
end, hundreds of times a frame; where processors are few and busy with other things, too, most of
that is waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Result = TypeVar('Result')

_lock = threading.Lock()
_thread: ThreadPoolExecutor | None = None


class Aside:
    """Runs one piece of work at a time on the second thread, of which a process has one."""

    @contextmanager
    def begin(self, work: Callable[[], Result] | None) -> Iterator[Callable[[], Result] | None]:
        """Begin ``work``; what this gives returns its result, or raises what it raised.

        Nothing of it runs any more once the context is left, however that happens.
        """
        if work is None:
            yield None
            return
        begun = _second_thread().submit(_without_gradients, work)
        try:
            yield begun.result
        finally:
            if not begun.cancel():
                begun.exception()  # waits


class NotAside:
    """The same on the thread that asks, when it asks."""

    @contextmanager
    def begin(self, work: Callable[[], Result] | None) -> Iterator[Callable[[], Result] | None]:
        """See :meth:`Aside.begin`."""
        yield work


def _second_thread() -> ThreadPoolExecutor:
    global _thread
    with _lock:
        if _thread is None:
            _thread = ThreadPoolExecutor(1, 'aside')
        return _thread


def _without_gradients(work: Callable[[], Result]) -> Result:
    # The mode belongs to a thread.
    with torch.inference_mode():
        return work()
