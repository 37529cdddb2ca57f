# SPDX-License-Identifier: Apache-2.0
"""The end of a cloud's way: its answer is finished, looked at, sent and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from pointata_core.inference.session import FrameResult
from pointata_core.io.cloud import Cloud
from pointata_core.taxonomy import UNLABELLED
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node.arrival import Arrival
from pointata_ros.node.publishers import Answer, Outputs
from pointata_ros.parameters.table import NodeSettings


@dataclass
class Reply:
    """A cloud that has been through the blocks. Called once, by whichever thread is free.

    Attributes:
        arrival: The cloud as it reached the node.
        cloud: The same, decoded.
        unfinished: Gives the answer.
        laps_ms: How long decoding and looking for the motion took.
        settings: The parameters when the cloud had its turn.
        is_cold: True if the history is too short for an answer worth sending.
        outputs: Where answers go.
        statistics: Where everything is counted.
        is_sound: False once numbers in the answer turned out not to be numbers.
        timings_ms: By stage, once the answer was sent.
    """

    arrival: Arrival
    cloud: Cloud
    unfinished: Callable[[], FrameResult]
    laps_ms: dict[str, float]
    settings: NodeSettings
    is_cold: bool
    outputs: Outputs
    statistics: Statistics
    is_sound: bool = True
    timings_ms: dict[str, float] = field(default_factory=dict)

    def __call__(self) -> None:
        """Finish the answer and send it, or count why not."""
        result = self._inspect(self.unfinished())
        if self.is_cold:
            self.statistics.dropped(DropReason.COLD, ingested=True)
        else:
            self._send(result)

    def _inspect(self, result: FrameResult) -> FrameResult:
        """Take out of an answer what is not a number; what can be used is still sent."""
        has_bad_action = result.action is not None and not np.isfinite(result.action).all()
        if not result.non_finite and not has_bad_action:
            return result
        self.is_sound = False
        self.statistics.non_finite(result.non_finite)
        # Voxels without an answer are unlabelled already.
        return replace(result, action=None) if has_bad_action else result

    def _send(self, result: FrameResult) -> None:
        stepped = perf_counter()
        header, settings = self.arrival.message.header, self.settings
        labels = _above_threshold(result, settings.score_threshold)
        self.outputs.publish(Answer(header, self.cloud, result, labels), settings)
        published = perf_counter()
        stages = {stage: ms for stage, ms in result.timings_ms.items() if stage != 'total'}
        worked_ms = {**self.laps_ms, **stages, 'publish': 1e3 * (published - stepped)}
        # Stages may have been done while others were at the cloud before: waiting is what is left.
        latency_s = published - self.arrival.arrived_s
        waited_ms = max(0.0, 1e3 * latency_s - sum(worked_ms.values()))
        self.timings_ms = {'queue': waited_ms, **worked_ms, 'total': 1e3 * latency_s}
        self.outputs.publish_timings(header, self.timings_ms)
        # Last, so that a cloud on which something breaks is not counted twice.
        unlabelled = int((labels == UNLABELLED).sum())
        self.statistics.answered(len(self.cloud), unlabelled, self.timings_ms)
        # Under block clouds queue by design.
        if settings.policy == 'latest' and 0.0 < settings.max_latency < latency_s:
            self.statistics.slow(latency_s)


def _above_threshold(result: FrameResult, threshold: float) -> np.ndarray:
    if threshold <= 0.0:
        return result.labels
    return np.where(result.probabilities < threshold, np.uint16(UNLABELLED), result.labels)
