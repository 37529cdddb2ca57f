# SPDX-License-Identifier: Apache-2.0
"""A bundle ready to answer: loaded, verified and warmed up. May run on any thread."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from pointata_core.bundles.bundle import Bundle
from pointata_core.bundles.camera_bundle import CameraBundle, load_any_bundle
from pointata_core.errors import BundleError, PointataError
from pointata_core.inference.camera_calibration import Camera
from pointata_core.inference.camera_session import CameraSession, CameraView
from pointata_core.inference.device import DeviceChoice, choose_device
from pointata_core.inference.session import StreamingSession
from pointata_core.inference.threads import can_overlap
from pointata_core.resources import resource_path
from pointata_ros.health.statistics import DropReason
from pointata_ros.node.recovery import drop_reason, release_memory
from pointata_ros.parameters.table import NodeSettings

DEFAULT_BUNDLE = 'models/default'
_WARM_UP_FRAMES = 3
_WARM_UP_POINTS = 8192
_WARM_UP_PERIOD_NS = 100_000_000
_WARM_UP_IMAGE = 640, 480


@dataclass(frozen=True, eq=False)
class Skill:
    """A bundle and the device it has been tried on.

    Args:
        bundle: Verified bundle.
        device: Where it runs and why.
        notes: Warnings that its loading gave.
        substitute_for: Why it does not run where it was asked to, empty if it does.
    """

    bundle: Bundle | CameraBundle
    device: DeviceChoice
    notes: tuple[str, ...] = ()
    substitute_for: str = ''

    @property
    def has_camera(self) -> bool:
        """Whether its network takes images, too."""
        return isinstance(self.bundle, CameraBundle)


def prepare_skill(path: str, device: str, precision: str) -> Skill:
    """Load and verify a bundle, then run it on a few synthetic frames.

    The first frames of a network cost many times the later ones; they are paid here, not while the
    robot waits.

    Args:
        path: Folder of the bundle; empty for the default one of this package.
        device: Parameter ``device``.
        precision: Parameter ``precision``.

    Raises:
        PointataError: The bundle or the device cannot be used; the text says why and what to do.
    """
    # In a thread of its own: one that has computed in parallel keeps its helpers while it lives.
    # Where they and those of the worker are more than there are processors, OpenMP puts all of them
    # to sleep after every operation.
    with ThreadPoolExecutor(1, 'prepare_skill') as aside:
        return aside.submit(_prepare, path, device, precision).result()


def _prepare(path: str, device: str, precision: str) -> Skill:
    choice = choose_device(device)
    path = path or _default_bundle()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            bundle = load_any_bundle(path, choice.device, precision=precision)
        if isinstance(bundle, CameraBundle):
            _warm_up_camera(CameraSession(bundle, choice.device))
        else:
            _warm_up(StreamingSession(bundle, choice.device))
    except PointataError:
        raise
    except Exception as error:
        raise _explain(error, path, choice) from error
    return Skill(bundle, choice, tuple(str(one.message) for one in caught))


def prepare_skill_on_cpu(skill: Skill, precision: str, reason: str) -> Skill:
    """The same bundle on the CPU, read from disk again: the device's memory may be gone.

    Args:
        skill: What ran on the device that failed.
        precision: Parameter ``precision``.
        reason: How it failed.

    Raises:
        PointataError: It cannot be loaded any more.
    """
    text = f'running on the CPU instead of {skill.device.device}, as device_failure asks: {reason}'
    again = prepare_skill(str(skill.bundle.path), 'cpu', precision)
    return replace(again, device=DeviceChoice(again.device.device, text), substitute_for=text)


def make_session(skill: Skill, settings: NodeSettings) -> StreamingSession | CameraSession:
    """A new temporal state for one input. All sessions of a skill share its network in memory."""
    device = skill.device.device
    kind = CameraSession if skill.has_camera else StreamingSession
    return kind(skill.bundle, device, settings.max_gap, overlap=can_overlap(device))


def _explain(error: Exception, path: str, choice: DeviceChoice) -> BundleError:
    if drop_reason(error) is DropReason.OUT_OF_MEMORY:
        release_memory(error)
        return BundleError(
            f'{path}: not enough memory on {choice.device} to load and try it: {error}',
            'A running skill needs its memory too: deactivate and clean up first, or choose a '
            'smaller bundle',
        )
    return BundleError(
        f'{path}: the network does not run on {choice.device}: {error!r}',
        'Choose another bundle or device',
    )


def _default_bundle() -> str:
    try:
        return str(resource_path(DEFAULT_BUNDLE))
    except PointataError as error:
        raise BundleError(
            f'parameter bundle is empty and there is no default bundle: {error.message}',
            'Set the parameter bundle to the folder of a bundle',
        ) from error


def _warm_up(session: StreamingSession) -> None:
    points = np.random.default_rng(0).normal(size=(_WARM_UP_POINTS, 3), scale=(10.0, 10.0, 1.0))
    for frame in range(_WARM_UP_FRAMES):
        session.step(points.astype(np.float32), frame * _WARM_UP_PERIOD_NS)


def _warm_up_camera(session: CameraSession) -> None:
    """As above, with an image of about the size that will come."""
    preparation = session.bundle.manifest.preparation
    width, height = preparation.resize or preparation.training_crop or _WARM_UP_IMAGE
    random = np.random.default_rng(0)
    points = random.normal(size=(_WARM_UP_POINTS, 3), scale=(10.0, 10.0, 1.0))
    ahead = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    lens = np.array([[width / 2, 0, width / 2], [0, width / 2, height / 2], [0, 0, 1]])
    image = random.integers(0, 256, (height, width, 3), np.uint8)
    view = CameraView(image, Camera(lens), ahead)
    for frame, seen in enumerate((None, view, view)):
        session.step(points.astype(np.float32), frame * _WARM_UP_PERIOD_NS, view=seen)
