# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reports what seems to be wrong with the first clouds of an input: unit, axes, bytes, fields."""

from __future__ import annotations

from collections.abc import Callable

from sensor_msgs.msg import PointCloud2

from pointata_core.bundles.manifest_base import ManifestBase
from pointata_core.inference.placement import Placement
from pointata_core.inference.plausibility.check import PlausibilityCheck
from pointata_core.io.cloud import Cloud, CloudLimits
from pointata_core.io.messages.byte_order import swapped_points
from pointata_ros.health.statistics import Statistics


class Suspicions:
    """The check of one input, from one activation on. The worker owns it.

    Args:
        statistics: Keeps suspicions for the diagnostics, which also log them.
        log: Takes a sentence that is no warning.
    """

    def __init__(self, statistics: Statistics, log: Callable[[str], object]) -> None:
        self._statistics = statistics
        self._log = log
        self._check: PlausibilityCheck | None = None
        statistics.forget_suspicions()

    def begin(self, manifest: ManifestBase) -> None:
        """Look at the next clouds; their network expects what this manifest tells."""
        self._statistics.forget_suspicions()
        self._check = PlausibilityCheck(manifest)

    def look(
        self, message: PointCloud2, cloud: Cloud, placement: Placement, limits: CloudLimits
    ) -> None:
        """Look at a cloud, if it is one of the first."""
        if self._check is None or self._check.is_over:
            return
        found = self._check.look(
            cloud.points,
            cloud.features,
            cloud.frame_id,
            placement,
            lambda: swapped_points(message, limits),
        )
        for one in found:
            if one.is_fact:
                self._log(one.text)
            else:
                self._statistics.suspect(one.kind, one.text)
