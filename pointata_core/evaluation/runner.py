# SPDX-License-Identifier: Apache-2.0
"""A bundle at work on decoded clouds, with everything it does recorded.

Bag, data-set and file evaluation differ in where clouds come from; what happens to a cloud is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.bundles.bundle import Bundle
from pointata_core.bundles.camera_bundle import CameraBundle, load_any_bundle
from pointata_core.evaluation.recorder import RunRecorder
from pointata_core.evaluation.results import CameraImage
from pointata_core.inference.camera_session import CameraResult, CameraSession, CameraView
from pointata_core.inference.device import choose_device
from pointata_core.inference.session import FrameResult, Skipped, StreamingSession
from pointata_core.inference.threads import can_overlap, choose_threads
from pointata_core.io.cloud import Cloud
from pointata_core.resources import resource_path

DEFAULT_BUNDLE = 'models/default'


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle on its device.

    Args:
        bundle: Manifest and network.
        device: What to pass to a session.
        device_text: The device and why, for people.
    """

    bundle: Bundle | CameraBundle
    device: Any
    device_text: str

    @property
    def has_camera(self) -> bool:
        """Whether its network takes images, too."""
        return isinstance(self.bundle, CameraBundle)

    def session(self, max_gap_s: float = 1.0) -> StreamingSession | CameraSession:
        """A new stream over it."""
        overlap = can_overlap(self.device)
        if isinstance(self.bundle, CameraBundle):
            return CameraSession(self.bundle, self.device, max_gap_s, overlap=overlap)
        return StreamingSession(self.bundle, self.device, max_gap_s, overlap=overlap)

    def facts(self) -> dict[str, Any]:
        """What results say about the bundle."""
        return bundle_facts(self.bundle)


def bundle_facts(bundle: Bundle | CameraBundle) -> dict[str, Any]:
    """Name, hash, path, preset, classes and provenance of a bundle, as plain values."""
    manifest = bundle.manifest
    return {
        'name': manifest.name,
        'hash': bundle.hash,
        'path': str(bundle.path),
        'preset': manifest.preset,
        'licence': manifest.licence,
        'segmentation_classes': list(manifest.segmentation_classes),
        'action_classes': list(manifest.action_classes),
        'provenance': dict(manifest.provenance),
    }


def open_bundle(
    path: str | Path | None, device: str = 'auto', precision: str = 'float32'
) -> LoadedBundle:
    """Load a bundle, the default one if no path is given, and choose how it runs, as the node does.

    Raises:
        BundleError: It cannot be used.
        ConfigError: The device is not there, or the precision is unknown.
    """
    choice = choose_device(device)
    choose_threads()
    folder = Path(path) if path else resource_path(DEFAULT_BUNDLE)
    bundle = load_any_bundle(folder, precision=precision)
    products = '' if precision == 'float32' else f', products in {precision}'
    return LoadedBundle(bundle, choice.device, f'{choice.device} ({choice.reason}){products}')


class BundleRunner:
    """One stream through a bundle.

    Args:
        loaded: The bundle and its device.
        expected_frames: About how many clouds will come.
        max_gap_s: A longer pause between two stamps starts a new history.

    Attributes:
        recorder: What happened.
        session: The stream.
    """

    def __init__(
        self, loaded: LoadedBundle, expected_frames: int, *, max_gap_s: float = 1.0
    ) -> None:
        manifest = loaded.bundle.manifest
        self.segmentation_classes = manifest.segmentation_classes
        self.features = tuple(manifest.features)
        self._warm_up(loaded)
        self.session = loaded.session(max_gap_s)
        self.recorder = RunRecorder(
            manifest.segmentation_classes, manifest.action_classes, expected_frames
        )
        self._last_pose: np.ndarray | None = None

    def answer(
        self,
        cloud: Cloud,
        *,
        pose: np.ndarray | None = None,
        decode_ms: float | None = None,
        truth: np.ndarray | None = None,
        action_truth: str | None = None,
        view: CameraView | None = None,
    ) -> FrameResult | None:
        """Answer one cloud and record it.

        Args:
            cloud: The cloud.
            pose: ``(4, 4)`` sensor frame to a frame that stands still, for ego-motion compensation.
            decode_ms: What decoding it took.
            truth: ``(N,)`` true labels in the classes of the bundle.
            action_truth: Name of the true action.
            view: What the camera saw, for a camera bundle.

        Returns:
            The answer; ``None`` if the cloud's stamp forbids one.
        """
        result = self.session.step(
            cloud.points,
            cloud.stamp_ns,
            cloud.features,
            cloud.frame_id,
            transform=self._motion(pose),
            **({} if view is None else {'view': view}),
        )
        if isinstance(result, Skipped):
            self.recorder.skipped[str(result.reason)] += 1
            return None
        self._last_pose = pose
        if result.reset is not None:
            self.recorder.resets[str(result.reset)] += 1
        self.recorder.answer(
            cloud.stamp_ns,
            cloud.points,
            result.labels,
            action=result.action,
            timings_ms=_with_decoding(result.timings_ms, decode_ms),
            truth=truth,
            action_truth=action_truth,
            camera=_image(result, view),
        )
        return result

    def _motion(self, pose: np.ndarray | None) -> np.ndarray | None:
        """``(4, 4)`` from the sensor frame of the last answered cloud into the present one."""
        if pose is None or self._last_pose is None:
            return None
        return np.linalg.inv(pose) @ self._last_pose

    @staticmethod
    def _warm_up(loaded: LoadedBundle) -> None:
        """Answer two made-up clouds in a stream of their own.

        The first pass through a network pays for memory and kernel choice, once per process; the
        node does the same before it becomes active.
        """
        points = np.random.default_rng(0).uniform(-20, 20, (20_000, 3)).astype(np.float32)
        session = loaded.session()
        for stamp_ns in (1, 2):
            session.step(points, stamp_ns)


def _image(result: FrameResult, view: CameraView | None) -> CameraImage | None:
    if view is None or not isinstance(result, CameraResult):
        return None
    return CameraImage(view.image, result.seen, result.pixels)


def _with_decoding(timings_ms: Mapping[str, float], decode_ms: float | None) -> dict[str, float]:
    """Stages in the order in which they happen, the total last."""
    stages = {} if decode_ms is None else {'decode': decode_ms}
    stages |= {stage: value for stage, value in timings_ms.items() if stage != 'total'}
    return {**stages, 'total': timings_ms['total'] + (decode_ms or 0.0)}
