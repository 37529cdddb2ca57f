# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A cloud that has reached the node, decoded as soon as a thread is free.

Decoding and precomputation do not depend on the frames before. Started in the background as soon as
a cloud arrives, they are done when the worker has finished the cloud before it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any

import numpy as np

from pointata_core.inference.background import LazyValue, submit
from pointata_core.inference.frames import CameraView, Frame
from pointata_core.inference.placement import Placement
from pointata_core.inference.precompute import PrecomputedFrame
from pointata_core.inference.session_base import Session
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.point_cloud2 import decode
from pointata_ros.camera.pairs import ExpectedImage
from pointata_ros.transforms.ego_motion import TransformMissing
from pointata_ros.transforms.sensor_placement import SensorPlacement

Convert = Callable[[Any, CloudLimits], Any]


class ReceivedCloud:
    """One message, and what was made of it so far.

    Args:
        message: The message, not yet decoded.
        image: Its image, received or expected; ``None`` without a camera.
        convert: Makes a PointCloud2 of the message, or gives the reason why that is impossible.

    Attributes:
        message: The PointCloud2, once it is decoded.
        arrived_s: When it arrived, on ``time.perf_counter``.
        queued_s: When it entered the queue of the worker: later if it waited for its transform.
        decode_ms: How long decoding took.
        precomputed: What was computed before its turn, if anything was.
    """

    def __init__(
        self,
        message: Any,
        image: ExpectedImage | None = None,
        convert: Convert | None = None,
    ) -> None:
        self.message = message
        self._convert = convert
        self.image = image
        self.arrived_s = self.queued_s = perf_counter()
        self.decode_ms = 0.0
        self.precomputed: PrecomputedFrame | None = None
        self._ahead: LazyValue[Cloud | Rejected] | None = None
        self._session: Session | None = None
        self._is_cancelled = False

    def start(
        self,
        session: Session,
        limits: CloudLimits,
        placement: SensorPlacement | None = None,
    ) -> None:
        """Decode and precompute in the background; returns at once."""

        def begin() -> Cloud | Rejected:
            cloud = self._decode(session, limits)
            if not isinstance(cloud, Rejected) and not self._is_cancelled:
                # A transform that comes later places the cloud in its turn.
                with suppress(TransformMissing):
                    self._precompute(session, cloud, placement or SensorPlacement())
            return cloud

        self._session = session
        self._ahead = submit(begin)

    def _precompute(self, session: Session, cloud: Cloud, placement: SensorPlacement) -> None:
        placed = placement.of(cloud.frame_id, cloud.stamp_ns)
        self.precomputed = session.precompute(cloud.points, cloud.features, placed)
        if self._is_cancelled and self.precomputed is not None:
            self.precomputed.cancel()

    def decode(self, session: Session, limits: CloudLimits) -> Cloud | Rejected:
        """The cloud, with the fields that ``session`` reads; on the worker."""
        if self._ahead is not None:
            cloud = self._ahead.result()
            if self._session is session:
                return cloud
            # Another bundle may read other fields.
            self.cancel()
            self.precomputed = None
        return self._decode(session, limits)

    def frame(
        self,
        cloud: Cloud,
        transform: np.ndarray | None,
        placement: Placement,
        view: CameraView | None = None,
    ) -> Frame:
        """What the session takes of this cloud, once it is decoded; see :class:`.Frame`."""
        return Frame(
            cloud.points,
            cloud.stamp_ns,
            cloud.features,
            cloud.frame_id,
            transform,
            view,
            self.precomputed,
            placement,
        )

    def cancel(self) -> None:
        """Compute nothing more for this cloud; does not wait."""
        self._is_cancelled = True
        if self._ahead is not None:
            self._ahead.cancel()
        if self.precomputed is not None:
            self.precomputed.cancel()

    def _decode(self, session: Session, limits: CloudLimits) -> Cloud | Rejected:
        began = perf_counter()
        wanted = session.bundle.manifest.features
        if self._convert is not None:
            converted = self._convert(self.message, limits)
            if isinstance(converted, Rejected):
                return converted
            self.message, self._convert = converted, None
        cloud = decode(self.message, wanted_features=wanted, limits=limits)
        self.decode_ms = 1e3 * (perf_counter() - began)
        return cloud
