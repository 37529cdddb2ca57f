# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Looks at the first clouds of a stream and reports once what seems to be wrong with them.

A suspicion counts if nearly all of the clouds so far give rise to it: a sensor that starts up, a
truck in front of it or a hand on it shows in some clouds only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_base import ManifestBase
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.inference.placement import UNPLACED, Placement
from pointata_core.inference.plausibility.axes import axes
from pointata_core.inference.plausibility.features import Normalisation, odd_features
from pointata_core.inference.plausibility.suspicion import Suspicion
from pointata_core.inference.plausibility.units import (
    FEWEST_POINTS,
    byte_order,
    is_return,
    unit,
    zero_points,
)

CLOUDS = 10
_FEWEST_CLOUDS = 3
_SHARE = 0.8
_MOST_POINTS = 20_000


class PlausibilityCheck:
    """The suspicions about one stream. Not thread-safe.

    Args:
        manifest: Of the bundle; tells the range within which points get labels, the fields that it
            reads, and, by having classes of points, whether z has to point up.

    Attributes:
        reported: What was reported so far.
    """

    def __init__(self, manifest: ManifestBase) -> None:
        self.reported: list[Suspicion] = []
        self._needs_up = bool(manifest.segmentation_classes)
        self._max_range_m = np.inf
        self._features: Mapping[str, Normalisation] = {}
        if isinstance(manifest, Manifest):
            preparation = PreparationConfig.from_dict(manifest.preparation)
            self._max_range_m = preparation.max_range_m
            # Ranks are alike whatever the unit.
            self._features = {
                name: spec for name, spec in preparation.features.items() if spec.form == 'value'
            }
        self._clouds = 0
        self._latest: dict[str, Suspicion] = {}
        self._counts: Counter[str] = Counter()

    @property
    def is_over(self) -> bool:
        """Whether further clouds are not looked at."""
        return self._clouds >= CLOUDS

    def look(
        self,
        points: NDArray[np.float32],
        features: Mapping[str, NDArray[np.float32]] | None = None,
        frame_id: str = '',
        placement: Placement = UNPLACED,
        swapped: Callable[[], NDArray[np.float32] | None] | None = None,
    ) -> list[Suspicion]:
        """Look at the next cloud, if the first ones are not over; empty ones do not count.

        Args:
            points: (N, 3) as they came.
            features: As the network reads them, each (N,).
            frame_id: Of the cloud.
            placement: Unit of the points, and the pose of the sensor.
            swapped: The same points, read with the other byte order; called only where they make
                no sense as they are.

        Returns:
            What has become certain enough to report, each kind once.
        """
        if self.is_over or not len(points):
            return []
        self._clouds += 1
        for one in self._suspicions(points, features or {}, frame_id, placement, swapped):
            self._counts[one.kind] += 1
            self._latest[one.kind] = one
        return self._report() if self._clouds >= _FEWEST_CLOUDS else []

    def finish(self) -> list[Suspicion]:
        """The stream has ended: what is left to report, even if there were only a few clouds."""
        return self._report()

    def _report(self) -> list[Suspicion]:
        known = {one.kind for one in self.reported}
        new = [
            self._latest[kind]
            for kind, count in self._counts.items()
            if kind not in known and count >= _SHARE * self._clouds
        ]
        self.reported += new
        return new

    def _suspicions(
        self,
        points: NDArray[np.float32],
        features: Mapping[str, NDArray[np.float32]],
        frame_id: str,
        placement: Placement,
        swapped: Callable[[], NDArray[np.float32] | None] | None,
    ) -> list[Suspicion]:
        step = max(1, -(-len(points) // _MOST_POINTS))
        points = points[::step]
        senseless = byte_order(points, None if swapped is None else lambda: _every(swapped(), step))
        if senseless is not None:
            return [senseless]
        found = [zero_points(points)]
        metres = placement.turned(points)
        kept = is_return(metres)
        returns = metres[kept]
        if len(returns) >= FEWEST_POINTS:
            wrong_unit, factor = unit(returns, self._max_range_m)
            found.append(wrong_unit)
            if self._needs_up and (wrong_unit is None or factor != 1.0):
                turned = placement.is_turned
                found.append(axes(returns * np.float32(factor), frame_id, turned))
            found += odd_features(
                {name: values[::step][kept] for name, values in features.items()}, self._features
            )
        return [one for one in found if one is not None]


def _every(points: NDArray[np.float32] | None, step: int) -> NDArray[np.float32] | None:
    return None if points is None else points[::step]
