# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much time a node that is too slow may spend on clouds that newer ones supersede."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from statistics import fmean, median

_WINDOW = 9
_LONG_WINDOW = 100
# Of the steps between arrivals the shortest and longest fifth do not count: a burst, a pause.
_TRIMMED = 0.2
# A node that needs more of the sensor's period would take long to make up for a delay.
_KEEPING_UP = 0.95
_STAGES_OF_INGESTING = ('decode', 'transform', 'prepare', 'geometry', 'network')


class IngestBudget:
    """Compares the cost of a cloud, published or ingested only, with the time between two clouds.

    A node that is slower than its sensor catches up only if superseded clouds cost less than the
    sensor's period. The cost is the median of the last few clouds or that of the last one, the
    higher of both: when work becomes dearer, the first dear cloud shows it, and the next published
    one shows when that is over. An unknown cost is too high. A node that was only held up for a
    while catches up by itself; the means of many clouds show that.

    :meth:`arrived` may be called from any thread; the rest belongs to the worker.
    """

    def __init__(self) -> None:
        self._costs_s: deque[float] = deque(maxlen=_WINDOW)
        self._worker_s: deque[float] = deque(maxlen=_LONG_WINDOW)
        self._lock = threading.Lock()
        self._arrivals_s: deque[float] = deque(maxlen=_LONG_WINDOW + 1)

    def arrived(self, now_s: float) -> None:
        """A cloud arrived at ``now_s`` on a steady clock."""
        with self._lock:
            self._arrivals_s.append(now_s)

    def published(self, timings_ms: Mapping[str, float], worker_s: float) -> None:
        """Learn from a published cloud, which went through every stage that ingesting has.

        Args:
            timings_ms: By stage, on whichever thread.
            worker_s: How long the worker was busy with it.
        """
        self._worker_s.append(worker_s)
        cost_ms = sum(timings_ms.get(stage, 0.0) for stage in _STAGES_OF_INGESTING)
        self._costs_s.append(cost_ms * 1e-3)

    def ingested(self, worker_s: float) -> None:
        """Learn from a cloud that was ingested only; it kept the worker busy for ``worker_s``."""
        self._costs_s.append(worker_s)

    def forget_costs(self) -> None:
        """Another network works from now on."""
        self._costs_s.clear()
        self._worker_s.clear()

    def allows(self, share: float) -> bool:
        """True if ingesting is known to cost at most ``share`` of the sensor's period."""
        period_s = self.period_s()
        if share <= 0.0 or not self._costs_s or period_s is None:
            return False
        return max(median(self._costs_s), self._costs_s[-1]) <= share * period_s

    def keeps_up(self, inputs: int) -> bool:
        """True if clouds as they have come can all be published, so that a delay passes.

        Args:
            inputs: How many share the worker.
        """
        period_s = self.period_s(_LONG_WINDOW)
        if not self._worker_s or period_s is None:
            return False
        return fmean(self._worker_s) <= _KEEPING_UP * period_s / inputs

    def period_s(self, window: int = _WINDOW) -> float | None:
        """Seconds between two of the last clouds, as they arrive; ``None`` if there were too few.

        Args:
            window: From how many steps.
        """
        with self._lock:
            arrivals = list(self._arrivals_s)[-(window + 1) :]
        steps = sorted(later - earlier for earlier, later in pairwise(arrivals))
        trimmed = int(_TRIMMED * len(steps))
        return fmean(steps[trimmed : len(steps) - trimmed]) if steps else None
