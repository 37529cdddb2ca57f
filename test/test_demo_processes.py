# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Children end with their parent, at whatever moment it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from pointata_ros.stop_flag import StopFlag

ROOT = Path(__file__).resolve().parents[1]
PARENT = """
import sys, time
from pathlib import Path
from pointata_ros.tools.demo_processes import ChildProcesses, handled_signals
with handled_signals(), ChildProcesses() as children:
    print('ready', flush=True)
    children.start('sleeper', ['sleep', '1000'], Path(sys.argv[1]))
    time.sleep(1000)
"""


def first_child(pid: int) -> int:
    """Process id of the first child, within microseconds of its birth."""
    children = Path(f'/proc/{pid}/task/{pid}/children')
    deadline = time.monotonic() + 60.0
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline, 'no child was born'
    return int(found[0])


def gone(pid: int, timeout_s: float = 30.0) -> bool:
    try:
        psutil.Process(pid).wait(timeout_s)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel ends orphans on Linux alone')
@pytest.mark.parametrize('termination', [signal.SIGKILL, signal.SIGTERM], ids=['killed', 'told'])
def test_a_child_survives_its_parent_at_no_moment_of_its_birth(tmp_path, termination):
    survivors = []
    for delay_us in range(0, 2400, 120):
        parent = subprocess.Popen(
            [sys.executable, '-c', PARENT, str(tmp_path / 'log')],
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        with parent:
            assert parent.stdout.readline() == 'ready\n'
            child = first_child(parent.pid)
            time.sleep(1e-6 * delay_us)
            parent.send_signal(termination)
            parent.wait(60)
        if not gone(child):
            survivors.append(delay_us)
            psutil.Process(child).kill()
    assert survivors == []


def test_a_flag_stops_a_wait_that_a_signal_interrupts():
    flag = StopFlag()
    previous = signal.signal(signal.SIGUSR1, lambda *_: flag.set())
    try:
        main = threading.main_thread().ident
        threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGUSR1)).start()
        began = time.monotonic()
        assert flag.wait(300.0)
        assert flag.is_set()
        # Not the whole wait: that the flag was set is not enough.
        assert time.monotonic() - began < 150.0
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_a_flag_that_nobody_sets_lets_time_pass():
    flag = StopFlag()
    began = time.monotonic()
    assert not flag.wait(0.05)
    assert time.monotonic() - began >= 0.05
    flag.set()
    assert flag.wait(0.0)
