# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where time goes: wall time by stage, and processor time beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import perf_counter
from typing import NamedTuple

import torch


class Lap(NamedTuple):
    """Seconds by the clock, and of the processor: of this process and children that have ended."""

    wall_s: float
    processor_s: float


class Stopwatch:
    """Time by stage.

    Args:
        device: Waited for at the end of every stage, if it is a GPU.
        laps: Milliseconds of stages that were timed before.
    """

    def __init__(
        self, device: torch.device | None = None, laps: Mapping[str, float] | None = None
    ) -> None:
        self._device = device
        self.laps = dict(laps or {})
        self._last = _now()

    def lap(self, stage: str) -> Lap:
        """Charge the time since the last lap to ``stage``, and return it."""
        if self._device is not None and self._device.type == 'cuda':
            torch.cuda.synchronize(self._device)
        now = _now()
        lap = Lap(*(new - old for new, old in zip(now, self._last, strict=True)))
        self.laps[stage] = 1e3 * lap.wall_s
        self._last = now
        return lap

    @property
    def timings_ms(self) -> dict[str, float]:
        """Milliseconds by stage, and ``total``, their sum."""
        return {**self.laps, 'total': sum(self.laps.values())}

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage, to the hundredth."""
        return {stage: round(time / 1e3, 2) for stage, time in self.laps.items()}


def _now() -> Lap:
    return Lap(perf_counter(), sum(os.times()[:4]))
