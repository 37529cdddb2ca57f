# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of a frame that needs no history, and so can be computed before its turn.

Voxels, tokens and the description of the voxels follow from the cloud alone; blocks, adapters and
heads need the frame before. So one thread may precompute a frame while another is still at the
frame before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pointata_core.inference.background import LazyValue
from pointata_core.inference.placement import UNPLACED, Placement
from pointata_core.inference.preparation import FramePreparer, PreparedFrame
from pointata_core.models.point.geometry import TokenGeometry, point_geometry, token_geometry
from pointata_core.models.point.heads.segmentation_head import DescribedPoints
from pointata_core.models.point.pointata import PointATA
from pointata_core.stopwatch import Stopwatch


@dataclass(frozen=True, eq=False)
class PrecomputedFrame:
    """A frame without its history.

    Attributes:
        points: The cloud that it belongs to, as it was given.
        placement: Of the sensor.
        origin: Of the stream when this began; ``None`` at the beginning of a history.
        preparer: What made the voxels.
        network: What described them.
        frame: The voxels.
        voxels: Their centroids ``(1, M, 3)`` on the device.
        columns: Their features ``(1, M, C)``, or ``None``.
        geometry: Of the tokens; ``None`` where they follow those of the frame before.
        tokens: Patch tokens ``(1, G, D)``; ``None`` where they need the frame before.
        described: The voxels, described for the segmentation head; ``None`` without one, or without
            the geometry.
        laps: Milliseconds by stage.
    """

    points: np.ndarray
    placement: Placement
    origin: np.ndarray | None
    preparer: FramePreparer
    network: PointATA
    frame: PreparedFrame
    voxels: Tensor
    columns: Tensor | None
    geometry: TokenGeometry | None
    tokens: LazyValue[Tensor] | None
    described: LazyValue[DescribedPoints] | None
    laps: Mapping[str, float]

    @property
    def lazy_parts(self) -> tuple[LazyValue, ...]:
        """What a second thread may compute, in this order."""
        # Tokens are needed at once: a first thread that waits had better compute them itself.
        return tuple(part for part in (self.described, self.tokens) if part is not None)

    def matches(
        self,
        points: np.ndarray,
        placement: Placement,
        origin: np.ndarray | None,
        preparer: FramePreparer,
        network: PointATA,
    ) -> bool:
        """Whether :func:`precompute` would return the same now, and nothing was cancelled."""
        return (
            self.points is points
            and self.placement is placement
            and self.origin is origin
            and self.preparer is preparer
            and self.network is network
            and not any(part.cancelled() for part in self.lazy_parts)
        )

    def cancel(self) -> None:
        """Compute no part that no thread has begun; does not wait."""
        for part in self.lazy_parts:
            part.cancel()

    def close(self) -> None:
        """Cancel and forget the lazy parts; once this returns no thread computes them."""
        for part in self.lazy_parts:
            part.close()


def precompute(
    points: np.ndarray,
    features: Mapping[str, np.ndarray] | None,
    origin: np.ndarray | None,
    preparer: FramePreparer,
    network: PointATA,
    device: torch.device,
    placement: Placement = UNPLACED,
) -> PrecomputedFrame:
    """Find the voxels and the positions of the tokens; the other parts are left lazy."""
    watch = Stopwatch(device)
    frame = preparer.prepare(points, features, origin, placement)
    watch.lap('prepare')
    voxels = frame.points.unsqueeze(0).to(device)
    columns = None if frame.features is None else frame.features.unsqueeze(0).to(device)
    geometry = None
    if not network.config.geometry.follows:
        geometry = token_geometry(voxels, None, network.config.geometry)
    watch.lap('geometry')
    return PrecomputedFrame(
        points, placement, origin, preparer, network, frame, voxels, columns, geometry,
        _tokens(network, voxels, columns, geometry),
        _described(network, voxels, columns, geometry),
        watch.laps,
    )  # fmt: skip


def _tokens(
    network: PointATA, voxels: Tensor, columns: Tensor | None, geometry: TokenGeometry | None
) -> LazyValue[Tensor] | None:
    if geometry is None or network.config.embedder_frames > 1 or not network.config.geometry.tokens:
        return None
    return LazyValue(lambda: network.embed(voxels, columns, geometry))


def _described(
    network: PointATA, voxels: Tensor, columns: Tensor | None, geometry: TokenGeometry | None
) -> LazyValue[DescribedPoints] | None:
    head = network.segmentation_head
    if head is None or geometry is None:
        return None

    def describe() -> DescribedPoints:
        points = point_geometry(voxels, None, geometry, network.config.geometry)
        return head.describe(voxels, columns, points)

    return LazyValue(describe)
