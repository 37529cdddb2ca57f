# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Jobs of the server: one at a time, each a process, see :mod:`.job`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from dataclasses import asdict, dataclass, field
from threading import Lock, Thread
from typing import IO, Any

from pointata_core.errors import ConfigError

_TAIL = 20  # lines of its log that a failure shows


@dataclass(frozen=True)
class JobState:
    """How far the last job is.

    Args:
        name: Of the job; empty before the first.
        running: Whether it works.
        stage: What it does now.
        done: Parts of the stage that are done.
        of: How many parts there are; 0 where that is not known.
        result: What it found; ``None`` until then.
        message: Why it failed; empty if it did not.
        fix: What to do about it.
    """

    name: str = ''
    running: bool = False
    stage: str = ''
    done: int = 0
    of: int = 0
    result: Any = None
    message: str = ''
    fix: str = ''


@dataclass
class Jobs:
    """Starts jobs and follows them.

    Attributes:
        state: Of the last job.
    """

    state: JobState = field(default_factory=JobState)
    _lock: Lock = field(default_factory=Lock)
    _process: subprocess.Popen[str] | None = None

    def start(self, name: str, **facts: Any) -> None:
        """Begin a job.

        Args:
            name: See :mod:`.job`.
            facts: Its arguments, as JSON values.

        Raises:
            ConfigError: Another one is not done yet.
        """
        with self._lock:
            if self.state.running:
                raise ConfigError(f'{self.state.stage} is not done yet', 'Wait until it is')
            self.state = JobState(name, True, 'starting')
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'pointata_core.teaching.job', name, json.dumps(facts)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            Thread(target=self._follow, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        """End the job that runs, if one does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None and process.stderr is not None
        log: deque[str] = deque(maxlen=_TAIL)
        Thread(target=_collect, args=(process.stderr, log), daemon=True).start()
        for line in process.stdout:
            self._set(**json.loads(line))
        status = process.wait()
        if self.state.result is None and not self.state.message:
            name = self.state.name
            text = f'{name} ended with status {status}: {log[-1].strip() if log else "no message"}'
            self._set(message=text, fix='Try again; the terminal of pointata teach has the log')
            sys.stderr.writelines(log)
        self._set(running=False)

    def _set(self, **facts: Any) -> None:
        self.state = JobState(**{**asdict(self.state), **facts})


def _collect(stream: IO[str], log: deque[str]) -> None:
    log.extend(stream)
