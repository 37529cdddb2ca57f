# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a process holds, second by second, and whether that grows. For the loops that run long.

The resident memory of a node has three parts which must not be mixed up: what it allocated
(``anonymous``), code and files, and segments in ``/dev/shm`` that it shares with its peers.
"""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import theilslopes

_KIB_PER_MIB = 1024.0
_MEMORY = {'RssAnon': 'anonymous_mib', 'RssFile': 'files_mib', 'RssShmem': 'shared_mib'}


@dataclass(frozen=True)
class Sample:
    """What a process holds at one moment.

    Attributes:
        at_s: Seconds since the first sample.
        anonymous_mib: Resident memory that it allocated itself.
        files_mib: Resident pages of code and files.
        shared_mib: Resident pages of shared memory.
        threads: Threads.
        files: Open file descriptors.
        segments: Distinct files in ``/dev/shm`` that it maps.
    """

    at_s: float
    anonymous_mib: float
    files_mib: float
    shared_mib: float
    threads: int
    files: int
    segments: int


class Resources:
    """Samples of one process (Linux).

    Args:
        pid: The process.
        period_s: Least time between two samples.
    """

    def __init__(self, pid: int, period_s: float = 1.0) -> None:
        self._folder, self._period_s = Path('/proc') / str(pid), period_s
        self._began_s = self._next_s = time.monotonic()
        self.samples: list[Sample] = []

    def sample(self) -> None:
        """Take a sample unless the last one is too young."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._period_s
        rows = (self._folder / 'status').read_text().splitlines()
        status = dict(row.split(':', 1) for row in rows)
        memory = {name: int(status[key].split()[0]) / _KIB_PER_MIB for key, name in _MEMORY.items()}
        maps = (self._folder / 'maps').read_text().split()
        self.samples.append(
            Sample(
                at_s=now_s - self._began_s,
                threads=int(status['Threads']),
                files=len(list((self._folder / 'fd').iterdir())),
                segments=len({one for one in maps if one.startswith('/dev/shm/')}),
                **memory,
            )
        )

    def summary(self, warm_up_s: float) -> dict[str, Any]:
        """First, last and highest of everything, and the trend once warm.

        Args:
            warm_up_s: Samples before do not count for trends.
        """
        table = np.array([astuple(one) for one in self.samples])
        seconds = table[:, 0]
        result: dict[str, Any] = {
            'samples': len(table),
            'seconds': round(float(seconds[-1]), 1),
            'warm_up_s': round(warm_up_s, 1),
        }
        for column, name in enumerate(Sample.__dataclass_fields__):
            if column:
                result[name] = trend(seconds, table[:, column], warm_up_s)
        result['anonymous_mib_by_tenth'] = [
            round(float(np.median(part)), 1)
            for part in np.array_split(table[:, 1], 10)
            if len(part)
        ]
        return result


def trend(
    at: np.ndarray, values: np.ndarray, warm_up: float, unit: str = 'minute', per: float = 60.0
) -> dict[str, Any]:
    """How a figure went.

    Args:
        at: (N,) seconds, or any other measure of progress, ascending.
        values: (N,) figures.
        warm_up: Where, on the scale of ``at``, the trend begins to count.
        unit: What slopes are given per.
        per: How much of ``at`` that is.

    Returns:
        First, last, highest; the median slope (Theil-Sen) after the warm-up with its 95 % interval;
        and how far the median of the last fifth lies above that of the first fifth after the
        warm-up.
    """
    warm = at >= warm_up
    result = {'first': values[0], 'last': values[-1], 'highest': values.max()}
    if warm.sum() >= 10:
        # Every pair of points is compared: thin out what an hour of seconds makes.
        chosen = np.flatnonzero(warm)[:: max(1, int(warm.sum()) // 600)]
        slope, _, low, high = per * np.array(theilslopes(values[chosen], at[chosen]))
        fifths = np.array_split(values[warm], 5)
        result |= {
            f'per_{unit}': slope,
            f'per_{unit}_95': [round(float(low), 4), round(float(high), 4)],
            'last_fifth_over_first': np.median(fifths[-1]) - np.median(fifths[0]),
        }
    return {
        name: value if isinstance(value, list) else round(float(value), 4)
        for name, value in result.items()
    }
