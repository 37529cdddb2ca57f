# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One input's stream over a camera bundle: a cloud, and an image if there is one, to labels.

It keeps the time rules of all sessions. Its network has no memory: no cloud depends on another.

Points that the image shows get the mean of both main heads' probabilities, all others, and all of
them where there is no image, the LiDAR's own head. The network's 3D half always sees the whole
cloud.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pointata_core.inference.background import LazyValue
from pointata_core.inference.camera_calibration import Camera, pixels_of
from pointata_core.inference.frames import CameraView, Frame, FrameResult, PendingResult, Skipped
from pointata_core.inference.placement import Placement
from pointata_core.inference.preparation import NO_RETURN_M
from pointata_core.inference.session_base import Session
from pointata_core.inference.time_rules import Reset, ResetReason, Skip
from pointata_core.models.camera.image_unet import gather_pixels
from pointata_core.stopwatch import Stopwatch
from pointata_core.taxonomy import UNLABELLED

if TYPE_CHECKING:
    from pointata_core.bundles.bundle import CameraBundle

CAMERA_STAGES = ('prepare', 'network', 'image', 'fusion', 'propagate', 'total')
"""Keys of ``timings_ms``, in order; ``image`` and ``fusion`` only where an image shows points.

With a second thread ``image`` is what is left to wait for after the 3D half (``network``).
"""

_WARM_UP_IMAGE = 640, 480


@dataclass(frozen=True)
class CameraResult(FrameResult):
    """The prediction for one cloud, and which of its points the camera saw.

    Attributes:
        seen: (M,) which points the image showed, ascending; empty without an image.
        pixels: (M, 2) row and column of each.
    """

    seen: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))

    @property
    def points_with_camera(self) -> int:
        """Points whose prediction used the image."""
        return len(self.seen)


class CameraSession(Session):
    """The stream of one input over a camera bundle.

    Args:
        bundle: As ``load_camera_bundle`` returns it.
        device: Where to run; the bundle's network is moved there.
        max_gap_s: See :class:`~pointata_core.inference.session_base.Session`.
        tolerance_s: See there.
        overlap: Leave the image encoder to a second thread while the first one is at the cloud.
    """

    takes_images = True

    def __init__(
        self,
        bundle: CameraBundle,
        device: torch.device | str = 'cpu',
        max_gap_s: float = 1.0,
        tolerance_s: float = 0.25,
        *,
        overlap: bool = False,
    ) -> None:
        super().__init__(device, max_gap_s, tolerance_s, overlap)
        self.bundle = bundle
        self.network = bundle.network.to(self.device).eval()

    def submit(self, frame: Frame) -> PendingResult | Skipped:
        """Predict at once: no frame waits for another one. See :meth:`Session.submit`."""
        points = np.ascontiguousarray(frame.points, dtype=np.float32)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f'points have shape {points.shape}, expected (N, 3)')
        decision = self.guard.check(frame.stamp_ns, frame.frame_id)
        if isinstance(decision, Skip):
            return Skipped(decision.reason, frame.stamp_ns)
        reset = decision.reason if isinstance(decision, Reset) else None
        pending: PendingResult = LazyValue(
            lambda: self._predict(points, frame.stamp_ns, frame.view, reset, frame.placement)
        )
        pending.result()
        self.frames_in_history += 1
        return pending

    def ingest(self, frame: Frame) -> Skipped | None:
        """Note that a cloud came; there is no history that it could enter."""
        decision = self.guard.check(frame.stamp_ns, frame.frame_id)
        return Skipped(decision.reason, frame.stamp_ns) if isinstance(decision, Skip) else None

    def reset(self, reason: ResetReason = ResetReason.REQUESTED) -> None:
        """Start afresh; the next result gives the reason."""
        self.guard.reset(reason)
        self.frames_in_history = 0

    # ------------------------------------------------------------------ parts

    def _predict(
        self,
        points: np.ndarray,
        stamp_ns: int,
        view: CameraView | None,
        reset: ResetReason | None,
        placement: Placement,
    ) -> CameraResult:
        watch = Stopwatch(self.device)
        kept, voxels = self._voxelise(placement.apply(points), _returns(points, placement))
        visible, pixels = np.empty(0, np.int64), np.empty((0, 2), np.int64)
        if view is not None:
            # The mounting of the camera is that in the axes of the sensor.
            metres = Placement(placement.scale).turned(points)
            visible, pixels = self._project(metres, kept, view)
        features: LazyValue[Tensor] | None = None
        if view is not None and len(visible):
            features = LazyValue(lambda: self.network.image_net(self._image_tensor(view.image)))
            if self.overlap:
                features.start()
        watch.lap('prepare')
        try:
            cloud = self._describe(voxels)
            probabilities = self.network.cloud_main(cloud).softmax(dim=1)
            watch.lap('network')
            if view is not None and features is not None:
                rows = torch.from_numpy(np.searchsorted(kept, visible)).to(self.device)
                image_features = features.result()
                watch.lap('image')
                scaled = self._scaled(pixels, view)
                self._fuse(probabilities, image_features, cloud, rows, scaled)
                watch.lap('fusion')
        finally:
            if features is not None:
                features.close()
        labels, scores, non_finite = _propagate(probabilities, kept, len(points))
        watch.lap('propagate')
        return CameraResult(
            labels,
            scores,
            None,
            watch.timings_ms,
            stamp_ns,
            reset,
            len(kept),
            non_finite,
            visible,
            pixels,
        )

    def _synthetic_view(self) -> CameraView:
        preparation = self.bundle.manifest.preparation
        width, height = preparation.resize or preparation.training_crop or _WARM_UP_IMAGE
        ahead = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
        lens = np.array([[width / 2, 0, width / 2], [0, width / 2, height / 2], [0, 0, 1]])
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        return CameraView(image, Camera(lens), ahead)

    def _voxelise(self, points: np.ndarray, returns: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """Which points have a voxel, (M,), and (M, 4) int64 voxel and sample of each."""
        edge = self.bundle.manifest.preparation.voxel_m
        grid = self.network.cloud_net.grid
        kept = np.flatnonzero(returns)
        positions = points[kept].astype(np.float64) / edge
        if len(positions):
            low, high = positions.min(axis=0), positions.max(axis=0)
            # Along an axis that is too long for the grid, it lies about the sensor.
            low = np.where(np.floor(high - low) < grid, low, -grid / 2)
            voxels = np.floor(positions - low)
            inside = ((voxels >= 0) & (voxels < grid)).all(axis=1)
            kept, positions = kept[inside], voxels[inside]
        voxels = torch.from_numpy(np.pad(positions.astype(np.int64), ((0, 0), (0, 1))))
        return kept, voxels.to(self.device)

    def _project(
        self, points: np.ndarray, kept: np.ndarray, view: CameraView
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points that have a voxel and a pixel, and their pixels in the camera's image."""
        size = view.image.shape[:2]
        visible, pixels = pixels_of(points[kept], view.camera, view.camera_from_lidar, size)
        return kept[visible], pixels

    def _image_tensor(self, image: np.ndarray) -> Tensor:
        """(1, 3, H, W) in [0, 1], of the size that the network takes."""
        tensor = torch.from_numpy(np.array(image)).to(self.device)  # it may be read-only
        tensor = tensor.permute(2, 0, 1).unsqueeze(0).float() / 255
        size = self.bundle.manifest.preparation.resize
        if size is not None and size != (image.shape[1], image.shape[0]):
            tensor = F.interpolate(
                tensor, (size[1], size[0]), mode='bilinear', antialias=True
            ).clamp(0, 1)
        return tensor

    def _scaled(self, pixels: np.ndarray, view: CameraView) -> Tensor:
        """The pixels in the image that the network sees, (M, 2)."""
        size = self.bundle.manifest.preparation.resize
        if size is not None:
            scale = np.array([size[1] / view.image.shape[0], size[0] / view.image.shape[1]])
            pixels = np.floor(pixels * scale).astype(np.int64)
        return torch.from_numpy(pixels).to(self.device)

    def _describe(self, voxels: Tensor) -> Tensor:
        """Features (M, C) of the points that have a voxel."""
        net = self.network.cloud_net
        if not len(voxels):
            return torch.empty(0, net.out_channels, device=self.device)
        return net(voxels, torch.ones(len(voxels), 1, device=self.device))

    def _fuse(
        self,
        probabilities: Tensor,
        image_features: Tensor,
        cloud: Tensor,
        rows: Tensor,
        pixels: Tensor,
    ) -> None:
        """Average the probabilities of ``rows`` with those of the image head, in place."""
        network, fused = self.network, None
        if network.fusion is not None:
            fused = network.fusion(image_features, cloud[rows], (pixels,))
        image, _ = network.image_heads(gather_pixels(image_features, (pixels,)), fused)
        probabilities[rows] = (probabilities[rows] + image.softmax(dim=1)) / 2


def _returns(points: np.ndarray, placement: Placement) -> np.ndarray:
    """Which points are finite and not (0, 0, 0), (N,)."""
    with np.errstate(invalid='ignore', over='ignore'):
        far = (np.abs(points) * placement.scale >= NO_RETURN_M).any(axis=1)
    return far & np.isfinite(points).all(axis=1)


def _propagate(
    probabilities: Tensor, kept: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels and their probabilities for all points, and how many are NaN."""
    labels = np.full(count, UNLABELLED, np.uint16)
    scores = np.zeros(count, np.float32)
    if not len(kept):
        return labels, scores, 0
    score, label = probabilities.max(dim=1)
    finite = torch.isfinite(score)
    labels[kept] = torch.where(finite, label, UNLABELLED).cpu().numpy()
    scores[kept] = torch.where(finite, score, 0.0).cpu().numpy()
    return labels, scores, int((~finite).sum())
