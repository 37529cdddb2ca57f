# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all sessions have in common: one stream of frames in, one prediction for each out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pointata_core.inference.frames import CameraView, Frame, FrameResult, PendingResult, Skipped
from pointata_core.inference.placement import UNPLACED, Placement
from pointata_core.inference.time_rules import ResetReason, TimeGuard

if TYPE_CHECKING:
    from pointata_core.inference.precompute import PrecomputedFrame

_WARM_UP_FRAMES = 3
_WARM_UP_PERIOD_NS = 100_000_000


class Session(ABC):
    """The stream of one input over a bundle. Not thread-safe: one thread owns a session.

    Other threads may call :meth:`precompute`, and take the results that :meth:`submit` promises.

    Args:
        device: Where to run.
        max_gap_s: A longer pause between two stamps starts a new history.
        tolerance_s: A stamp at most this much behind is disorder (skipped), not a jump.
        overlap: Leave to a second thread what can be computed beside the first. The results are
            the same, and come sooner where operations themselves have one thread each.

    Attributes:
        bundle: What it runs.
        guard: Judges the stamps.
        frames_in_history: Frames since the history began.
        takes_images: Whether a frame may have a ``view``.
    """

    bundle: Any
    takes_images = False

    def __init__(
        self, device: torch.device | str, max_gap_s: float, tolerance_s: float, overlap: bool
    ) -> None:
        self.device = torch.device(device)
        self.overlap = overlap
        self.guard = TimeGuard(round(max_gap_s * 1e9), round(tolerance_s * 1e9))
        self.frames_in_history = 0

    def step(
        self,
        points: np.ndarray,
        stamp_ns: int,
        features: Mapping[str, np.ndarray] | None = None,
        frame_id: str = '',
        *,
        transform: np.ndarray | None = None,
        view: CameraView | None = None,
        placement: Placement = UNPLACED,
    ) -> FrameResult | Skipped:
        """Predict the labels of one frame.

        Args:
            points: See :class:`~pointata_core.inference.frames.Frame`, as for the others.
            stamp_ns: See there.
            features: See there.
            frame_id: See there.
            transform: See there.
            view: See there.
            placement: See there.

        Returns:
            The prediction, or :class:`Skipped` for a duplicate or out-of-order stamp.

        Raises:
            ValueError: ``points`` is not (N, 3).
        """
        frame = Frame(points, stamp_ns, features, frame_id, transform, view, placement=placement)
        pending = self.submit(frame)
        return pending if isinstance(pending, Skipped) else pending.result()

    @abstractmethod
    def submit(self, frame: Frame) -> PendingResult | Skipped:
        """Take a frame into the history; its prediction may be computed later, by any thread.

        Frames are computed in order: the next :meth:`submit` waits for the heads of this frame. If
        those fail, they fail there once more; :meth:`reset` helps.

        Returns:
            What ``result()`` of which is the prediction, or :class:`Skipped`.
        """

    @abstractmethod
    def ingest(self, frame: Frame) -> Skipped | None:
        """Take a frame into the history without spreading predictions to its points."""

    @abstractmethod
    def reset(self, reason: ResetReason = ResetReason.REQUESTED) -> None:
        """Drop the history; the result of the next frame gives the reason."""

    def warm_up(self) -> None:
        """Run a few synthetic frames: the first ones of a network cost many times the later ones.

        They become the history of this session, so give the warm-up a session of its own.
        """
        points = np.random.default_rng(0).normal(size=(8192, 3), scale=(10.0, 10.0, 1.0))
        for number in range(_WARM_UP_FRAMES):
            view = self._synthetic_view() if number else None
            self.step(points.astype(np.float32), number * _WARM_UP_PERIOD_NS, view=view)

    def _synthetic_view(self) -> CameraView | None:
        """An image for a warm-up, of about the size that will come."""
        return None

    @property
    def can_precompute(self) -> bool:
        """Whether a second thread can compute parts of a frame before its turn."""
        return False

    def precompute(
        self,
        points: np.ndarray,
        features: Mapping[str, np.ndarray] | None = None,
        placement: Placement = UNPLACED,
    ) -> PrecomputedFrame | None:
        """Compute what needs no history, before the turn of a frame; on any thread.

        Args:
            points: The same array that the frame will have.
            features: As the frame will have.
            placement: The same object that the frame will have.

        Returns:
            For ``Frame.precomputed``; ``None`` where nothing can be computed ahead. The second
            thread may still be at parts of it: ``close`` it if the frame is never submitted.
        """
        return None

    @property
    def resets(self) -> Counter[ResetReason]:
        """Histories dropped so far, by reason."""
        return self.guard.resets

    def trouble(self, fewest: int = 2) -> str:
        """Why the history does not grow, and the remedy; see :meth:`TimeGuard.trouble`."""
        return self.guard.trouble(fewest)

    @property
    def state_bytes(self) -> int:
        """Bytes that this stream keeps between frames."""
        return 0

    @property
    def window_frames(self) -> int:
        """Frames that can influence a prediction: the history is full once it has seen them."""
        return 0

    @property
    def voxel_limit(self) -> int:
        """Voxels per frame that are allowed now; 0 where their number is not limited."""
        return 0

    @property
    def bundle_voxel_limit(self) -> int:
        """Voxels per frame that the bundle allows; 0 where their number is not limited."""
        return 0

    def halve_voxel_limit(self) -> bool:
        """Halve the voxels per frame unless that was done before; every point is still labelled.

        Returns:
            True if the limit was halved now.
        """
        return False
