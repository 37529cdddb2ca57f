# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the device and the temporal state of every input."""

from __future__ import annotations

import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pointata_ros.node.arrival import Arrival
from pointata_ros.node.input_queue import Mailbox
from pointata_ros.node.pipeline import Pipeline
from pointata_ros.node.scheduler import Turn, Turns

_POLL_S = 0.2


@dataclass(frozen=True)
class Lane:
    """Where the clouds of one input wait and what is done with them.

    Attributes:
        name: Of the input; empty for the only one.
        mailbox: Where they wait.
        pipeline: Belongs to the worker while that runs.
    """

    name: str
    mailbox: Mailbox[Arrival]
    pipeline: Pipeline


class Worker:
    """Takes clouds from the mailboxes through their pipelines, in turn, until it is stopped.

    Args:
        lanes: One for each input.
        changed: What their mailboxes notify.
        on_error: Called with the name of the input (empty for an errand) and the exception when a
            cloud or an errand fails; the thread goes on.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        changed: threading.Condition,
        on_error: Callable[[str, Exception], None],
    ) -> None:
        self._lanes = tuple(lanes)
        self._turns: Turns[Arrival] = Turns([one.mailbox for one in lanes], changed)
        self._on_error = on_error
        self._errands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._busy_since_s: float | None = None
        self.busy_with = ''
        """Name of the input whose cloud is in hand; empty for an errand."""
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def between_frames(self, errand: Callable[[], None]) -> None:
        """Run ``errand`` on this thread as soon as no cloud is being worked on."""
        self._errands.put(errand)

    def stop(self, timeout_s: float) -> bool:
        """Finish what was taken from the mailboxes and end, errands done.

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
        while not self._stopping.is_set() or self._turns.has_begun:
            self._run_errands()
            turn = self._turns.take(_POLL_S)
            if turn is not None:
                self._work(turn)
            else:
                self._settle()
        self._settle()
        self._run_errands()

    def _run_errands(self) -> None:
        if not self._errands.empty():
            self._settle()
        while not self._errands.empty():
            self._try('', self._errands.get(), lambda error: self._on_error('', error))

    def _settle(self) -> None:
        """Let no answer be under way any more."""
        for lane in self._lanes:
            self._try(lane.name, lane.pipeline.settle, partial(self._fail, lane))

    def _work(self, turn: Turn[Arrival]) -> None:
        lane = self._lanes[turn.lane]
        action = lane.pipeline.pass_over if turn.is_overtaken else lane.pipeline.answer
        self._try(
            lane.name,
            lambda: action(turn.item, lambda: self._turns.somebody_waits),
            partial(self._fail, lane),
        )

    def _fail(self, lane: Lane, error: Exception) -> None:
        self._on_error(lane.name, error)
        lane.pipeline.fail(error)

    def _try(
        self, name: str, action: Callable[[], None], fail: Callable[[Exception], None]
    ) -> None:
        """Nothing may end the thread, not even what fails while a failure is dealt with."""
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
