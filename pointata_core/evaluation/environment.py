# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Machine, software versions and commit, recorded with every result."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import pointata_core
from pointata_core.processors import usable_cores

_LIBRARIES = ('torch', 'lightning', 'numpy', 'scipy', 'safetensors', 'rosbags', 'rclpy', 'pot')


def environment() -> dict[str, object]:
    """Date, commit, machine, its load and all versions: recorded beside every figure."""
    return {
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'commit': commit(),
        'machine': machine(),
        'load_average': [round(load, 2) for load in os.getloadavg()],
        'versions': versions(),
    }


def commit() -> str:
    """Commit of the running source tree; ``unknown`` for an installed package."""
    command = ['git', '-C', str(Path(__file__).parent), 'rev-parse', 'HEAD']
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return 'unknown'
    return done.stdout.strip() or 'unknown'


def machine() -> dict[str, object]:
    """Processor, usable cores, memory (bytes), operating system; no host or user name."""
    return {
        'processor': _processor(),
        'cores': usable_cores(),
        'memory_bytes': _memory_bytes(),
        'system': f'{platform.system()} {platform.release()}',
        'architecture': platform.machine(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that decide the figures."""
    found = {'python': platform.python_version(), 'pointata': pointata_core.__version__}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_rss_bytes(pid: int | None = None) -> int | None:
    """Peak resident memory of a process so far, in bytes; ``None`` without such a counter.

    Linux's own counter comes first: ``getrusage`` of a freshly started process still reports the
    peak of the process that started it.

    Args:
        pid: Process; ``None`` = this one.
    """
    try:
        status = Path(f'/proc/{pid or os.getpid()}/status').read_text(encoding='utf-8')
    except OSError:
        return None if pid else _own_peak()
    for line in status.splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024
    return None


def _own_peak() -> int | None:
    try:
        import resource  # POSIX only
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def _processor() -> str:
    try:
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, ValueError, OSError):
        return None
