# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Child processes that cannot outlive their parent.

Each child leads a session of its own, so that a Ctrl-C in the terminal reaches the parent alone and
the parent ends the children in order: politely first, then by force, whole process groups at once.
Should the parent itself be killed, the kernel (Linux) ends the children.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG = 1
_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_S = ((signal.SIGINT, 8.0), (signal.SIGTERM, 4.0), (signal.SIGKILL, 4.0))
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == 'linux' else None


class ChildProcess:
    """One child process and its log.

    Args:
        name: For messages.
        command: Program and arguments.
        log: File that takes what it prints.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name, self.log = name, log
        with log.open('wb') as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=functools.partial(_prepare_child, os.getpid()),
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status; ``None`` while it runs."""
        return self._process.poll()

    @property
    def gone(self) -> bool:
        """Whether it has ended, and with it everything it started."""
        return self.status is not None and not _group_lives(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to it and everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def log_tail(self, lines: int = 8) -> str:
        """End of the log."""
        text = self.log.read_text(encoding='utf-8', errors='replace').strip()
        return '\n'.join(text.splitlines()[-lines:])


class ChildProcesses:
    """The children of a run; leaving the context ends all of them, whatever happened."""

    def __init__(self) -> None:
        self._children: list[ChildProcess] = []

    def __enter__(self) -> ChildProcesses:
        """Return this object."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all children, at the same time: politely first, then by force."""
        for number, patience_s in _PATIENCE_S:
            for child in self._children:
                if not child.gone:
                    child.signal(number)
            deadline = time.monotonic() + patience_s
            while not all(child.gone for child in self._children):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)

    def start(self, name: str, command: Sequence[str], log: Path) -> ChildProcess:
        """Start a child."""
        # No signal may come before the child is in the list.
        with _signals_held_back():
            self._children.append(ChildProcess(name, command, log))
        return self._children[-1]


class Terminated(SystemExit):
    """The process was ended by a signal; status as a shell reports it."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class Termination:
    """Whether a signal has asked the process to end.

    A handler that raises is not enough: Python may run it inside a callback whose exceptions are
    printed and forgotten. So it raises, and :meth:`check` raises again.
    """

    def __init__(self) -> None:
        self._number: int | None = None

    def check(self) -> None:
        """Raise if a signal has asked the process to end."""
        if self._number is not None:
            raise KeyboardInterrupt if self._number == signal.SIGINT else Terminated(self._number)

    def on_signal(self, number: int, _: FrameType | None) -> None:
        """Signal handler: the first signal ends the work, further ones must not end the tidying."""
        if self._number is None:
            self._number = number
            self.check()


@contextlib.contextmanager
def handled_signals() -> Iterator[Termination]:
    """Turn the signals that end a process into exceptions, so that ``finally`` clauses run."""
    termination = Termination()
    previous = {number: signal.signal(number, termination.on_signal) for number in _END_SIGNALS}
    try:
        yield termination
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _END_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _group_lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _prepare_child(parent: int) -> None:
    """Runs in the child before the program starts; must not import or allocate much."""
    if _LIBC:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent's handlers would act in an interpreter that is about to be replaced: a signal
    # that came before the program starts would be lost.
    for number in _END_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _END_SIGNALS)
    # A parent that died before this call sends nothing.
    if os.getppid() != parent:
        os._exit(128 + signal.SIGTERM)
