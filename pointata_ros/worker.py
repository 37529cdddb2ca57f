# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the device and the temporal state."""

from __future__ import annotations

import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable

from pointata_ros.mailbox import Mailbox
from pointata_ros.pipeline import Arrival, Pipeline

_POLL_S = 0.2


class Worker:
    """Takes clouds from the mailbox through the pipeline until it is stopped.

    Args:
        mailbox: Where clouds wait.
        pipeline: What is done with them; belongs to this thread while it runs.
        on_error: Called with the exception when a cloud or an errand fails; the thread goes on.
    """

    def __init__(
        self,
        mailbox: Mailbox[Arrival],
        pipeline: Pipeline,
        on_error: Callable[[Exception], None],
    ) -> None:
        self._mailbox = mailbox
        self._pipeline = pipeline
        self._on_error = on_error
        self._errands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._busy_since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def between_frames(self, errand: Callable[[], None]) -> None:
        """Run ``errand`` on this thread as soon as no cloud is being worked on."""
        self._errands.put(errand)

    def stop(self, timeout_s: float) -> bool:
        """Finish the cloud in hand and end, errands done.

        Returns:
            False if the thread is still busy after ``timeout_s``.
        """
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def busy_s(self) -> float:
        """Seconds that the cloud or errand in hand has taken so far; 0 while there is none."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def where(self) -> str:
        """The call stack of this thread, for the log."""
        frame = sys._current_frames().get(self._thread.ident)
        return ''.join(traceback.format_stack(frame)) if frame else '(the thread has ended)'

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._run_errands()
            delivery = self._mailbox.take(_POLL_S)
            if delivery is None:
                continue
            for arrival in delivery.overtaken:
                self._work(self._pipeline.pass_over, arrival)
            self._run_errands()
            self._work(self._pipeline.answer, delivery.item)
        self._run_errands()

    def _run_errands(self) -> None:
        while not self._errands.empty():
            self._try(self._errands.get(), self._on_error)

    def _work(self, action: Callable[[Arrival], None], arrival: Arrival) -> None:
        def fail(error: Exception) -> None:
            self._on_error(error)
            self._pipeline.fail(error)

        self._try(lambda: action(arrival), fail)

    def _try(self, action: Callable[[], None], fail: Callable[[Exception], None]) -> None:
        """Nothing may end the thread, not even what fails while a failure is dealt with."""
        self._busy_since_s = time.monotonic()
        try:
            try:
                action()
            except Exception as error:
                fail(error)
        except Exception as error:
            self._on_error(error)
        finally:
            self._busy_since_s = None
