# SPDX-License-Identifier: Apache-2.0
"""How much time a node that is too slow may spend on clouds that newer ones supersede."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import fmean, median

_WINDOW = 9
_LONG_WINDOW = 100
# A node that needs more of the sensor's period would take long to make up for a delay.
_KEEPING_UP = 0.95
_STAGES_OF_INGESTING = ('decode', 'transform', 'prepare', 'geometry', 'network')


class IngestBudget:
    """Compares the cost of a cloud, published or ingested only, with the time between two clouds.

    A node that is slower than its sensor catches up only if superseded clouds cost less
    than the sensor's period; medians of the last few keep one slow frame from deciding. One that
    was only held up for a while catches up by itself; the means of many clouds show that.
    """

    def __init__(self) -> None:
        self._costs_s: deque[float] = deque(maxlen=_WINDOW)
        self._worker_s: deque[float] = deque(maxlen=_LONG_WINDOW)
        self._arrivals_s: deque[float] = deque(maxlen=_LONG_WINDOW + 1)

    def arrived(self, now_s: float) -> None:
        """A cloud arrived at ``now_s`` on a steady clock."""
        self._arrivals_s.append(now_s)

    def record(self, timings_ms: Mapping[str, float], worker_s: float) -> None:
        """Learn from a published cloud, which went through every stage that ingesting has.

        Args:
            timings_ms: By stage, on whichever thread.
            worker_s: How long the worker was busy with it.
        """
        self._worker_s.append(worker_s)
        cost_ms = sum(timings_ms.get(stage, 0.0) for stage in _STAGES_OF_INGESTING)
        self._costs_s.append(cost_ms * 1e-3)

    def allows(self, share: float) -> bool:
        """True if ingesting costs at most ``share`` of the sensor's period, or is not yet known."""
        if share <= 0.0:
            return False
        period_s = self._period_s(_WINDOW)
        if not self._costs_s or period_s is None:
            return True
        return median(self._costs_s) <= share * period_s

    def keeps_up(self, inputs: int) -> bool:
        """True if clouds as they have come can all be published, so that a delay passes.

        Args:
            inputs: How many share the worker.
        """
        period_s = self._period_s(_LONG_WINDOW)
        if not self._worker_s or period_s is None:
            return False
        return fmean(self._worker_s) <= _KEEPING_UP * period_s / inputs

    def _period_s(self, window: int) -> float | None:
        arrivals = list(self._arrivals_s)[-(window + 1) :]
        return (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1) if len(arrivals) > 1 else None
