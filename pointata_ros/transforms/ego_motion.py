# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ego motion: how the sensor moved between two clouds.

The newest cloud is never transformed; what is remembered of the past is moved into its frame by
``transform`` (4, 4) = previous sensor frame -> current sensor frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pointata_core.inference.ego_motion import Pose, PoseChain


class TransformMissing(Exception):
    """There is no transform for this cloud; the text names it and the reason."""


@dataclass(frozen=True)
class Motion:
    """How the sensor moved since the last cloud that entered the state.

    Attributes:
        transform: (4, 4) float64, previous sensor frame -> current; ``None`` if there is none.
        pose: Pose of the current cloud; ``None`` if it is unknown.
        missing: Why the pose is unknown, empty if it is known.
    """

    transform: np.ndarray | None = None
    pose: Pose | None = None
    missing: str = ''


class EgoMotion:
    """Looks up poses and chains them into motions. Not thread-safe: it belongs to the worker.

    Args:
        look_up: ``(frame_id, stamp_ns) -> Pose``; raises :class:`TransformMissing`.
    """

    def __init__(self, look_up: Callable[[str, int], Pose]) -> None:
        self._look_up = look_up
        self._chain = PoseChain()

    def measure(self, frame_id: str, stamp_ns: int) -> Motion:
        """The motion up to this cloud; changes nothing until :meth:`accept`."""
        try:
            pose = self._look_up(frame_id, stamp_ns)
        except TransformMissing as error:
            return Motion(missing=str(error))
        return Motion(self._chain.motion_to(pose), pose)

    def accept(self, motion: Motion) -> None:
        """The cloud entered the state: the next motion starts here."""
        self._chain.accept(motion.pose)

    def reset(self) -> None:
        """Forget the pose of the last cloud."""
        self._chain.reset()


class NoEgoMotion:
    """No compensation is wanted."""

    def measure(self, frame_id: str, stamp_ns: int) -> Motion:
        """No motion, and nothing missing."""
        return Motion()

    def accept(self, motion: Motion) -> None:
        """Nothing to remember."""

    def reset(self) -> None:
        """Nothing to forget."""
