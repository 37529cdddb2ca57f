# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The last step of a cloud: its prediction is checked, published and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from pointata_core.inference.frames import FrameResult, PendingResult
from pointata_core.io.cloud import Cloud
from pointata_core.taxonomy import UNLABELLED
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node.publishers import Outputs
from pointata_ros.node.received_cloud import ReceivedCloud
from pointata_ros.parameters.table import NodeSettings


@dataclass
class PublishTask:
    """A cloud that has been through the blocks. Run once, by whichever thread is free.

    Attributes:
        received: The cloud as it reached the node.
        cloud: The same, decoded.
        pending: Its prediction.
        laps_ms: How long decoding and looking up the motion took.
        settings: The parameters when the cloud had its turn.
        is_cold: True if the history is too short for the result to be published.
        outputs: Where results are published.
        statistics: Where everything is counted.
        follow: Follows people through the cloud and publishes them where the second argument,
            whether results are published, is true; ``None`` where nobody is followed.
        is_finite: False if numbers of the prediction turned out to be NaN or infinite.
        timings_ms: By stage, once the result was published.
    """

    received: ReceivedCloud
    cloud: Cloud
    pending: PendingResult
    laps_ms: dict[str, float]
    settings: NodeSettings
    is_cold: bool
    outputs: Outputs
    statistics: Statistics
    follow: Callable[[FrameResult, bool], None] | None = None
    is_finite: bool = True
    timings_ms: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Wait for the prediction and publish it, or count why not."""
        result = self._checked(self.pending.result())
        if self.is_cold:
            if self.follow is not None:
                self.follow(result, False)
            self.statistics.dropped(DropReason.COLD, ingested=True)
        else:
            self._publish(result)

    def _checked(self, result: FrameResult) -> FrameResult:
        """Without what is not finite; the rest is still published."""
        has_bad_action = result.action is not None and not np.isfinite(result.action).all()
        if not result.non_finite and not has_bad_action:
            return result
        self.is_finite = False
        self.statistics.non_finite(result.non_finite)
        # Voxels without a finite prediction are unlabelled already.
        return replace(result, action=None) if has_bad_action else result

    def _publish(self, result: FrameResult) -> None:
        ready = perf_counter()
        header, settings = self.received.message.header, self.settings
        labels = _above_threshold(result, settings.score_threshold)
        self.outputs.publish(self.received.message, self.cloud, result, labels, settings)
        labelled = published = perf_counter()
        if self.follow is not None:
            self.follow(result, True)
            published = perf_counter()
        stages = {stage: ms for stage, ms in result.timings_ms.items() if stage != 'total'}
        worked_ms = {**self.laps_ms, **stages, 'publish': 1e3 * (labelled - ready)}
        if self.follow is not None:
            worked_ms['people'] = 1e3 * (published - labelled)
        # Stages may have run beside those of the cloud before: waiting is the rest of the latency.
        latency_s = published - self.received.arrived_s
        waited_ms = max(0.0, 1e3 * latency_s - sum(worked_ms.values()))
        self.timings_ms = {'queue': waited_ms, **worked_ms, 'total': 1e3 * latency_s}
        self.outputs.publish_timings(header, self.timings_ms)
        # Last, so that a cloud on which something fails is not counted twice.
        unlabelled = int((labels == UNLABELLED).sum())
        self.statistics.published(len(self.cloud), unlabelled, self.timings_ms)
        # Under block clouds queue by design.
        if settings.policy == 'latest' and 0.0 < settings.max_latency < latency_s:
            self.statistics.slow(latency_s)


def _above_threshold(result: FrameResult, threshold: float) -> np.ndarray:
    if threshold <= 0.0:
        return result.labels
    return np.where(result.probabilities < threshold, np.uint16(UNLABELLED), result.labels)
