# SPDX-License-Identifier: Apache-2.0
"""One input's stream over a camera bundle: a cloud, and an image if there is one, to labels.

It looks like :class:`~pointata_core.inference.session.StreamingSession` from outside and keeps the
same time rules. Its network has no memory: each cloud is answered for itself.

Points that the image shows get the mean of both main heads' probabilities, all others, and all of
them where there is no image, the LiDAR's own head. The network's 3D half always sees the whole
cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pointata_core.inference.background import Aside, NotAside, Once
from pointata_core.inference.camera_calibration import Camera, pixels_of
from pointata_core.inference.session import FrameResult, Skipped
from pointata_core.inference.time_rules import Reset, ResetReason, Skip, TimeGuard
from pointata_core.models.camera.image_unet import gather_pixels
from pointata_core.stopwatch import Stopwatch
from pointata_core.taxonomy import UNLABELLED

if TYPE_CHECKING:
    from pointata_core.bundles.camera_bundle import CameraBundle

CAMERA_STAGES = ('prepare', 'network', 'image', 'fusion', 'propagate', 'total')
"""Keys of ``timings_ms``, in order; ``image`` and ``fusion`` only where an image shows points.

With a second thread ``image`` is what is left to wait for after the 3D half (``network``).
"""


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


@dataclass(frozen=True)
class CameraResult(FrameResult):
    """The answer to one cloud, and how much of it the camera had a part in.

    Attributes:
        seen: (M,) which points the image showed, ascending; empty without an image.
        pixels: (M, 2) row and column of each.
    """

    seen: NDArray[np.int64] | None = None
    pixels: NDArray[np.int64] | None = None

    @property
    def with_camera(self) -> int:
        """Points that were answered with the camera."""
        return 0 if self.seen is None else len(self.seen)


class CameraSession:
    """The stream of one input over a camera bundle. Not thread-safe: one thread owns it.

    Args:
        bundle: As ``load_camera_bundle`` gives it.
        device: Where to run; the bundle's network is moved there.
        max_gap_s: A longer pause between two stamps counts as a fresh start.
        tolerance_s: A stamp at most this much behind is disorder (skipped), not a jump.
        overlap: Leave the image network to a second thread while the first one is at the cloud; the
            same answers sooner, where operations themselves have one thread each.
    """

    state_bytes = 0
    can_look_ahead = False

    def __init__(
        self,
        bundle: CameraBundle,
        device: torch.device | str = 'cpu',
        max_gap_s: float = 1.0,
        tolerance_s: float = 0.25,
        *,
        overlap: bool = False,
    ) -> None:
        self.device = torch.device(device)
        self._aside = Aside() if overlap else NotAside()
        self.guard = TimeGuard(round(max_gap_s * 1e9), round(tolerance_s * 1e9))
        self._use(bundle)

    def _use(self, bundle: CameraBundle) -> None:
        self.network = bundle.network.to(self.device).eval()
        self.bundle = bundle
        self.frames_in_history = 0

    @torch.inference_mode()
    def step(
        self,
        points: np.ndarray,
        stamp_ns: int,
        features: Mapping[str, np.ndarray] | None = None,
        frame_id: str = '',
        transform: np.ndarray | None = None,
        groundwork: None = None,
        view: CameraView | None = None,
    ) -> CameraResult | Skipped:
        """Answer one cloud.

        Args:
            points: (N, 3) metres in the sensor frame; NaN, infinity and N = 0 are fine.
            stamp_ns: When it was taken, nanoseconds; strictly increasing in a stream.
            features: Not used by such a network.
            frame_id: Coordinate frame; another one counts as a fresh start.
            transform: Not used: there is no history to be moved.
            groundwork: Nothing is done for a cloud before its turn.
            view: What the camera saw at that time, if anything.

        Returns:
            The answer, or :class:`Skipped` for a duplicate or out-of-order stamp.

        Raises:
            ValueError: ``points`` is not (N, 3).
        """
        points = np.ascontiguousarray(points, dtype=np.float32)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f'points have shape {points.shape}, expected (N, 3)')
        decision = self.guard.check(stamp_ns, frame_id)
        if isinstance(decision, Skip):
            return Skipped(decision.reason, stamp_ns)
        reset = decision.reason if isinstance(decision, Reset) else None
        watch = Stopwatch(self.device)
        kept, voxels = self._voxelise(points)
        seen, pixels = _nothing_seen()
        if view is not None:
            seen, pixels = self._see(points, kept, view)
        maps = None
        if view is not None and len(seen):
            maps = Once(lambda: self.network.image_net(self._image_tensor(view.image)))
            self._aside.begin(maps)
        watch.lap('prepare')
        try:
            cloud = self._describe(voxels)
            probabilities = self.network.cloud_main(cloud).softmax(dim=1)
            watch.lap('network')
            if maps is not None:
                rows = torch.from_numpy(np.searchsorted(kept, seen)).to(self.device)
                found = maps()
                watch.lap('image')
                self._join(probabilities, found, cloud, rows, self._scaled(pixels, view))
                watch.lap('fusion')
        finally:
            if maps is not None:
                maps.close()
        labels, scores, bad = _spread(probabilities, kept, len(points))
        watch.lap('propagate')
        self.frames_in_history += 1
        return CameraResult(
            labels, scores, None, watch.timings_ms, stamp_ns, reset, len(kept), bad, seen, pixels
        )

    def ingest(
        self,
        points: np.ndarray,
        stamp_ns: int,
        features: Mapping[str, np.ndarray] | None = None,
        frame_id: str = '',
        transform: np.ndarray | None = None,
        groundwork: None = None,
    ) -> Skipped | None:
        """Note that a cloud came; there is no state that it could enter."""
        decision = self.guard.check(stamp_ns, frame_id)
        return Skipped(decision.reason, stamp_ns) if isinstance(decision, Skip) else None

    def reset(self, reason: ResetReason = ResetReason.REQUESTED) -> None:
        """Begin afresh; the next result names the reason."""
        self.guard.reset(reason)
        self.frames_in_history = 0

    def swap(self, bundle: CameraBundle) -> None:
        """Serve another camera bundle from the next cloud on; on an error the old one stays."""
        self._use(bundle)
        self.guard.reset(ResetReason.BUNDLE_CHANGED)

    @property
    def resets(self) -> Counter[ResetReason]:
        """Fresh starts so far, by reason."""
        return self.guard.resets

    # ------------------------------------------------------------------ parts

    def _voxelise(self, points: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """Which points have a voxel, (M,), and (M, 4) int64 voxel and sample of each."""
        edge = self.bundle.manifest.preparation.voxel_m
        grid = self.network.cloud_net.grid
        kept = np.flatnonzero(np.isfinite(points).all(axis=1))
        places = points[kept].astype(np.float64) / edge
        if len(places):
            low, high = places.min(axis=0), places.max(axis=0)
            # Along an axis that is too long for the grid, it lies about the sensor.
            low = np.where(np.floor(high - low) < grid, low, -grid / 2)
            voxels = np.floor(places - low)
            inside = ((voxels >= 0) & (voxels < grid)).all(axis=1)
            kept, places = kept[inside], voxels[inside]
        voxels = torch.from_numpy(np.pad(places.astype(np.int64), ((0, 0), (0, 1))))
        return kept, voxels.to(self.device)

    def _see(
        self, points: np.ndarray, kept: np.ndarray, view: CameraView
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points that have a voxel and a pixel, and their pixels in the camera's image."""
        size = view.image.shape[:2]
        seen, pixels = pixels_of(points[kept], view.camera, view.camera_from_lidar, size)
        return kept[seen], pixels

    def _image_tensor(self, image: np.ndarray) -> Tensor:
        """(1, 3, H, W) in [0, 1], of the size that the network wants."""
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

    def _join(
        self, probabilities: Tensor, maps: Tensor, cloud: Tensor, rows: Tensor, pixels: Tensor
    ) -> None:
        """Let the camera have its say about the points in ``rows``, in place."""
        network, where = self.network, (pixels,)
        fused = None if network.fusion is None else network.fusion(maps, cloud[rows], where)
        image, _ = network.image_heads(gather_pixels(maps, where), fused)
        probabilities[rows] = (probabilities[rows] + image.softmax(dim=1)) / 2


def _nothing_seen() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0, np.int64), np.empty((0, 2), np.int64)


def _spread(
    probabilities: Tensor, kept: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels and their probabilities for all points, and how many answers were no numbers."""
    labels = np.full(count, UNLABELLED, np.uint16)
    scores = np.zeros(count, np.float32)
    if not len(kept):
        return labels, scores, 0
    score, label = probabilities.max(dim=1)
    finite = torch.isfinite(score)
    labels[kept] = torch.where(finite, label, UNLABELLED).cpu().numpy()
    scores[kept] = torch.where(finite, score, 0.0).cpu().numpy()
    return labels, scores, int((~finite).sum())
