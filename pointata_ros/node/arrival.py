# SPDX-License-Identifier: Apache-2.0
"""A cloud that has reached the node, and what is done for it before its turn.

Decoding and groundwork need nothing of the frames before. Begun on the second thread as soon as a
cloud arrives, they are done when the worker has answered the cloud before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from sensor_msgs.msg import PointCloud2

from pointata_core.inference.background import Once
from pointata_core.inference.precompute import Groundwork
from pointata_core.inference.session import StreamingSession
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.point_cloud2 import decode


@dataclass(frozen=True, eq=False)
class Decoded:
    """A message that was looked into.

    Attributes:
        cloud: What was in it, or why that cannot be used.
        decode_ms: How long that took.
        session: For whose skill it was decoded.
        groundwork: Of the frame; ``None`` where nothing was begun before its turn.
    """

    cloud: Cloud | Rejected
    decode_ms: float
    session: StreamingSession
    groundwork: Groundwork | None = None


class Arrival:
    """A cloud as it reached the node.

    Args:
        message: The message, not yet looked into.

    Attributes:
        arrived_s: When, on ``time.perf_counter``.
    """

    def __init__(self, message: PointCloud2) -> None:
        self.message = message
        self.arrived_s = perf_counter()
        self._ahead: Once[Decoded] | None = None
        self._is_abandoned = False

    def look_ahead(self, session: StreamingSession, limits: CloudLimits) -> None:
        """Begin on the second thread what the worker will ask for; returns at once."""

        def begin() -> Decoded:
            decoded = self._decode(session, limits)
            if self._is_abandoned or isinstance(decoded.cloud, Rejected):
                return decoded
            groundwork = session.look_ahead(decoded.cloud.points, decoded.cloud.features)
            if self._is_abandoned:
                groundwork.forgo()
            return Decoded(decoded.cloud, decoded.decode_ms, session, groundwork)

        self._ahead = Once(begin)
        session.aside.begin(self._ahead)

    def decoded(self, session: StreamingSession, limits: CloudLimits) -> Decoded:
        """The cloud, for ``session``; on the worker."""
        if self._ahead is not None:
            decoded = self._ahead()
            # Another skill may read other fields.
            if decoded.session is session:
                return decoded
            self.abandon()
        return self._decode(session, limits)

    def abandon(self) -> None:
        """Nobody will ask for this cloud any more; does not wait for what is under way."""
        self._is_abandoned = True
        if self._ahead is None:
            return
        decoded = self._ahead.result
        if decoded is not None and decoded.groundwork is not None:
            decoded.groundwork.forgo()
        self._ahead.forgo()

    def _decode(self, session: StreamingSession, limits: CloudLimits) -> Decoded:
        began = perf_counter()
        wanted = session.bundle.manifest.features
        cloud = decode(self.message, wanted_features=wanted, limits=limits)
        return Decoded(cloud, 1e3 * (perf_counter() - began), session)
