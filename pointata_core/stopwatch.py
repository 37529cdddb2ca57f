# SPDX-License-Identifier: Apache-2.0
"""Where the time of one frame goes."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import torch


class Stopwatch:
    """Wall time by stage.

    Args:
        device: Waited for at the end of every stage.
        laps: Stages that were timed before.
    """

    def __init__(self, device: torch.device, laps: Mapping[str, float] | None = None) -> None:
        self._device = device
        self.laps = dict(laps or {})
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        """Charge the time since the last lap to ``stage``."""
        if self._device.type == 'cuda':
            torch.cuda.synchronize(self._device)
        now = perf_counter()
        self.laps[stage] = 1e3 * (now - self._last)
        self._last = now

    @property
    def timings_ms(self) -> dict[str, float]:
        """Milliseconds by stage, and ``total``, their sum."""
        return {**self.laps, 'total': sum(self.laps.values())}
