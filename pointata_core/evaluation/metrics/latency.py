# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Latency of a stream by stage, as percentiles: a mean hides the frame that came too late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LatencySummary:
    """Percentiles of one stage over the frames of a stream, milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


def summarise_latency(samples_ms: Iterable[float]) -> LatencySummary | None:
    """Percentiles (nearest rank: always a value that was measured); ``None`` without samples."""
    samples = np.asarray(list(samples_ms), dtype=np.float64)
    if not samples.size:
        return None
    p50, p95, p99 = np.percentile(samples, (50, 95, 99), method='inverted_cdf').tolist()
    return LatencySummary(int(samples.size), p50, p95, p99, float(samples.max()))


class LatencyLog:
    """Samples by stage, in the order in which stages first appeared.

    Attributes:
        samples_ms: Milliseconds of every frame, by stage.
    """

    def __init__(self) -> None:
        self.samples_ms: dict[str, list[float]] = {}

    def add(self, timings_ms: Mapping[str, float]) -> None:
        """Add the timings of one frame."""
        for stage, value in timings_ms.items():
            self.samples_ms.setdefault(stage, []).append(float(value))

    def summary(self) -> dict[str, LatencySummary]:
        """Percentiles by stage."""
        summaries = ((s, summarise_latency(v)) for s, v in self.samples_ms.items())
        return {stage: summary for stage, summary in summaries if summary is not None}
