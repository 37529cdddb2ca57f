# SPDX-License-Identifier: Apache-2.0
"""Can a cloud that will not be answered still be afforded a place in the temporal state?"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import median

_WINDOW = 9
_STAGES_OF_INGESTING = ('decode', 'transform', 'prepare', 'geometry', 'network')


class IngestBudget:
    """Compares what ingesting a cloud costs with the time between two clouds.

    A node that is slower than its sensor catches up only if the clouds it passes over cost less
    than the sensor's period. Medians of recent clouds keep one slow frame from deciding.
    """

    def __init__(self) -> None:
        self._costs_s: deque[float] = deque(maxlen=_WINDOW)
        self._arrivals_s: deque[float] = deque(maxlen=_WINDOW + 1)

    def arrived(self, now_s: float) -> None:
        """A cloud arrived at ``now_s`` on a steady clock."""
        self._arrivals_s.append(now_s)

    def answered(self, timings_ms: Mapping[str, float]) -> None:
        """An answered cloud went through every stage that ingesting has: learn from it."""
        cost_ms = sum(timings_ms.get(stage, 0.0) for stage in _STAGES_OF_INGESTING)
        self._costs_s.append(cost_ms * 1e-3)

    def allows(self, share: float) -> bool:
        """True if ingesting costs at most ``share`` of the sensor's period, or is not yet known."""
        if share <= 0.0:
            return False
        arrivals = list(self._arrivals_s)
        if not self._costs_s or len(arrivals) < 2:
            return True
        period_s = (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)
        return median(self._costs_s) <= share * period_s
