# SPDX-License-Identifier: Apache-2.0
"""What can be done for a frame before its turn: everything that needs no history.

Voxels, tokens and the description of the voxels follow from the cloud alone; blocks, adapters and
heads need the frame before. So one thread may lay the groundwork of a frame while another is still
at the frame before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pointata_core.inference.background import Once
from pointata_core.inference.preparation import FramePreparer, PreparedFrame
from pointata_core.models.point.geometry import TokenGeometry, point_geometry, token_geometry
from pointata_core.models.point.heads.segmentation_head import DescribedPoints
from pointata_core.models.point.pointata import PointATA
from pointata_core.stopwatch import Stopwatch


@dataclass(frozen=True, eq=False)
class Groundwork:
    """A frame without its history.

    Attributes:
        points: The cloud that it belongs to, as it was given.
        origin: Of the stream when this began; ``None`` at the beginning of a history.
        preparer: What made the voxels.
        network: What described them.
        frame: The voxels.
        voxels: Their centroids ``(1, M, 3)`` on the device.
        columns: Their features ``(1, M, C)``, or ``None``.
        geometry: Of the tokens.
        tokens: Patch tokens ``(1, G, D)``; ``None`` where they need the frame before.
        described: The voxels, described for the segmentation head; ``None`` without one.
        laps: Milliseconds by stage.
    """

    points: np.ndarray
    origin: np.ndarray | None
    preparer: FramePreparer
    network: PointATA
    frame: PreparedFrame
    voxels: Tensor
    columns: Tensor | None
    geometry: TokenGeometry
    tokens: Once[Tensor] | None
    described: Once[DescribedPoints] | None
    laps: Mapping[str, float]

    @classmethod
    def lay(
        cls,
        points: np.ndarray,
        features: Mapping[str, np.ndarray] | None,
        origin: np.ndarray | None,
        preparer: FramePreparer,
        network: PointATA,
        device: torch.device,
    ) -> Groundwork:
        """Find the voxels and the places of the tokens; the rest can wait for another thread."""
        watch = Stopwatch(device)
        frame = preparer.prepare(points, features, origin)
        watch.lap('prepare')
        voxels = frame.points.unsqueeze(0).to(device)
        columns = None if frame.features is None else frame.features.unsqueeze(0).to(device)
        geometry = token_geometry(voxels, None, network.config.geometry)
        watch.lap('geometry')
        return cls(
            points, origin, preparer, network, frame, voxels, columns, geometry,
            _tokens(network, voxels, columns, geometry),
            _described(network, voxels, columns, geometry),
            watch.laps,
        )  # fmt: skip

    @property
    def rest(self) -> tuple[Once, ...]:
        """What another thread may do, in this order."""
        # Tokens are wanted at once: a first thread that waits had better do them itself.
        return tuple(work for work in (self.described, self.tokens) if work is not None)

    def fits(
        self,
        points: np.ndarray,
        origin: np.ndarray | None,
        preparer: FramePreparer,
        network: PointATA,
    ) -> bool:
        """Whether this is what would be laid now for ``points``, and still there."""
        return (
            self.points is points
            and self.origin is origin
            and self.preparer is preparer
            and self.network is network
            and not any(work.is_void for work in self.rest)
        )

    def forgo(self) -> None:
        """Leave undone what no thread is at; does not wait."""
        for work in self.rest:
            work.forgo()

    def close(self) -> None:
        """Leave the rest undone; once this returns no thread is at it."""
        for work in self.rest:
            work.close()


def _tokens(
    network: PointATA, voxels: Tensor, columns: Tensor | None, geometry: TokenGeometry
) -> Once[Tensor] | None:
    if network.config.embedder_frames > 1:
        return None
    return Once(lambda: network.embed(voxels, columns, geometry))


def _described(
    network: PointATA, voxels: Tensor, columns: Tensor | None, geometry: TokenGeometry
) -> Once[DescribedPoints] | None:
    head = network.segmentation_head
    if head is None:
        return None

    def describe() -> DescribedPoints:
        points = point_geometry(voxels, None, geometry, network.config.geometry)
        return head.describe(voxels, columns, points)

    return Once(describe)
