# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the device and the temporal state of every input."""

from __future__ import annotations

import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial

from pointata_ros.node.pipeline import Pipeline
from pointata_ros.node.received_cloud import ReceivedCloud
from pointata_ros.node.scheduler import Scheduler

_POLL_S = 0.2


class Worker:
    """Takes clouds from the scheduler through their pipelines, until it is stopped.

    Args:
        scheduler: Gives the next cloud and its pipeline.
        pipelines: All of them; they belong to the worker while it runs.
        on_error: Called with the name of the input (empty for a task) and the exception when a
            cloud or a task fails; the thread goes on.
    """

    def __init__(
        self,
        scheduler: Scheduler[Pipeline, ReceivedCloud],
        pipelines: Iterable[Pipeline],
        on_error: Callable[[str, Exception], None],
    ) -> None:
        self._scheduler = scheduler
        self._pipelines = tuple(pipelines)
        self._on_error = on_error
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._busy_since_s: float | None = None
        self.busy_with = ''
        """Name of the input whose cloud is being processed; empty for a task."""
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def between_frames(self, task: Callable[[], None]) -> None:
        """Run ``task`` on this thread as soon as no cloud is being processed."""
        self._tasks.put(task)

    def stop(self, timeout_s: float) -> bool:
        """Finish the cloud in hand, run the tasks that are left, and end.

        Returns:
            False if the thread is still busy after ``timeout_s``.
        """
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def busy_s(self) -> float:
        """Seconds that the present cloud or task has taken so far; 0 while there is none."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def call_stack(self) -> str:
        """The call stack of this thread, for the log."""
        frame = sys._current_frames().get(self._thread.ident or -1)
        return ''.join(traceback.format_stack(frame)) if frame else '(the thread has ended)'

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._run_tasks()
            self.turn(_POLL_S)
        self._finish_pending()
        self._run_tasks()

    def turn(self, timeout_s: float) -> None:
        """Take one cloud through its pipeline; on this thread, which otherwise does it itself.

        Args:
            timeout_s: How long to wait for the cloud.
        """
        job = self._scheduler.take(timeout_s)
        if job is None:
            self._finish_pending()
            return
        pipeline, cloud, newer = job
        action = partial(pipeline.handle, cloud, newer)
        self._try(pipeline.name, action, partial(self._fail, pipeline))

    def _run_tasks(self) -> None:
        if not self._tasks.empty():
            self._finish_pending()
        while not self._tasks.empty():
            self._try('', self._tasks.get(), lambda error: self._on_error('', error))

    def _finish_pending(self) -> None:
        """Leave no result unpublished."""
        for one in self._pipelines:
            self._try(one.name, one.finish_pending, partial(self._fail, one))

    def _fail(self, pipeline: Pipeline, error: Exception) -> None:
        self._on_error(pipeline.name, error)
        pipeline.fail(error)

    def _try(
        self, name: str, action: Callable[[], None], fail: Callable[[Exception], None]
    ) -> None:
        """Nothing may end the thread, not even a failure in dealing with a failure."""
        self.busy_with, self._busy_since_s = name, time.monotonic()
        try:
            try:
                action()
            except Exception as error:
                fail(error)
        except Exception as error:
            self._on_error(name, error)
        finally:
            self._busy_since_s = None
