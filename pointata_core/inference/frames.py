# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a session and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pointata_core.inference.background import LazyValue
from pointata_core.inference.camera_calibration import Camera
from pointata_core.inference.placement import UNPLACED, Placement
from pointata_core.inference.time_rules import ResetReason, SkipReason

if TYPE_CHECKING:
    from pointata_core.inference.precompute import PrecomputedFrame

STAGES = ('prepare', 'geometry', 'network', 'propagate', 'total')
"""Keys of :attr:`FrameResult.timings_ms` of a streaming session, in order."""


@dataclass(frozen=True, eq=False)
class CameraView:
    """An image and where it was taken from.

    Attributes:
        image: (H, W, 3) uint8, red green blue, as the camera delivered it.
        camera: Its calibration.
        camera_from_lidar: (4, 4), points of the cloud into the camera's optical frame.

    Raises:
        ValueError: Other shapes.
        CalibrationError: The calibration is for images of another size.
    """

    image: NDArray[np.uint8]
    camera: Camera
    camera_from_lidar: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f'the image is {self.image.dtype} {self.image.shape}')
        if np.shape(self.camera_from_lidar) != (4, 4):
            raise ValueError(f'camera_from_lidar is {np.shape(self.camera_from_lidar)}')
        self.camera.check_size(*self.image.shape[:2])


@dataclass(frozen=True, eq=False)
class Frame:
    """One cloud of a stream, with all that belongs to it.

    Attributes:
        points: ``(N, 3)`` in the sensor frame; NaN, infinity and N = 0 are fine. Metres, x forward
            and z up (REP-103), unless ``placement`` differs.
        stamp_ns: When it was taken, nanoseconds; strictly increasing in a stream.
        features: Sensor fields by name, each ``(N,)``.
        frame_id: Coordinate frame; another one starts a new history.
        transform: ``(4, 4)`` in metres, from the sensor frame of the last frame that entered the
            history into this one; ``None`` for no ego-motion compensation. Networks without memory
            ignore it.
        view: What the camera saw at that time, for a camera bundle.
        precomputed: What :meth:`~pointata_core.inference.session_base.Session.precompute` returned
            for these points and features. The session closes it; it computes the parts again
            where they no longer fit.
        placement: Unit of the points, and the pose of the sensor in a frame with z up.
    """

    points: np.ndarray
    stamp_ns: int
    features: Mapping[str, np.ndarray] | None = None
    frame_id: str = ''
    transform: np.ndarray | None = None
    view: CameraView | None = None
    precomputed: PrecomputedFrame | None = None
    placement: Placement = UNPLACED


@dataclass(frozen=True)
class FrameResult:
    """The prediction for one frame.

    Attributes:
        labels: ``(N,)`` uint16 class ids in input order; ``UNLABELLED`` without a prediction.
        probabilities: ``(N,)`` float32 of the label; 0 where unlabelled.
        action: ``(A,)`` float32 probabilities; ``None`` without an action head, and
            of a frame in which no point can be used.
        timings_ms: Wall time by stage, see ``STAGES``.
        stamp_ns: The frame's stamp.
        reset: Why the history was dropped before this frame, if it was.
        voxels: Voxels that the network saw.
        non_finite: Voxels whose prediction was not a number and became unlabelled.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    action: np.ndarray | None
    timings_ms: Mapping[str, float]
    stamp_ns: int
    reset: ResetReason | None = None
    voxels: int = 0
    non_finite: int = 0

    @property
    def points_with_camera(self) -> int:
        """Points whose prediction used an image."""
        return 0


@dataclass(frozen=True)
class Skipped:
    """A frame without a prediction, and why; it left no trace in the stream."""

    reason: SkipReason
    stamp_ns: int


PendingResult = LazyValue[FrameResult]
"""A prediction that is still to be computed: ``result()`` returns it."""
