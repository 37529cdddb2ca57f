# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the folder of a bundle to sessions: load, verify, warm up.

Node, evaluation and command line all use this one function, so they run a bundle alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pointata_core.bundles.bundle import (
    CameraBundle,
    PersonBundle,
    SkillBundle,
    load_any_bundle,
    load_person_bundle,
)
from pointata_core.errors import BundleError, PointataError
from pointata_core.inference.camera_session import CameraSession
from pointata_core.inference.device import DeviceChoice, choose_device
from pointata_core.inference.failures import Failure, kind_of_failure, release_memory
from pointata_core.inference.label_memory import DECAY
from pointata_core.inference.people.people_session import PeopleSession
from pointata_core.inference.session import StreamingSession
from pointata_core.inference.session_base import Session
from pointata_core.inference.threads import can_overlap, choose_threads
from pointata_core.resources import DEFAULT_BUNDLE, resource_path

FOLLOW = 'follow'
"""In place of a person skill: people are followed, and what they do stays unknown."""


@dataclass(frozen=True, eq=False)
class LoadedBundle:
    """A bundle that has run on its device.

    Attributes:
        bundle: Manifest and network.
        device: Where it runs and why.
        precision: Type of the large products.
    """

    bundle: SkillBundle | CameraBundle
    device: DeviceChoice
    precision: str = 'float32'

    @property
    def takes_images(self) -> bool:
        """Whether its sessions take images beside clouds."""
        return self.bundle.manifest.takes_images

    @property
    def device_text(self) -> str:
        """The device and why, for people."""
        products = '' if self.precision == 'float32' else f', products in {self.precision}'
        return f'{self.device.device} ({self.device.reason}){products}'

    def session(
        self, max_gap_s: float = 1.0, label_memory: float = DECAY, max_voxels: int = 0
    ) -> Session:
        """A new stream. All streams of a loaded bundle share its network in memory.

        Args:
            max_gap_s: A longer pause between two stamps starts a new history.
            label_memory: See :class:`StreamingSession`; sessions with a camera have none.
            max_voxels: See there; likewise.
        """
        device = self.device.device
        kind: Callable[..., Session] = partial(
            StreamingSession, label_memory=label_memory, max_voxels=max_voxels
        )
        if self.takes_images:
            kind = CameraSession
        return kind(self.bundle, device, max_gap_s, overlap=can_overlap(device))

    def people(self, skill: PersonBundle | None) -> PeopleSession:
        """A new stream of people behind the labels of a session.

        Args:
            skill: From :func:`open_person_skill`.

        Raises:
            ConfigError: None of the classes of the bundle is a person.
        """
        classes = self.bundle.manifest.segmentation_classes
        return PeopleSession(skill, classes, self.device.device)

    def facts(self) -> dict[str, Any]:
        """What results record of the bundle, as plain values."""
        return self.bundle.manifest.facts(self.bundle.path)


def open_bundle(
    path: str | Path | None = None,
    device: str = 'auto',
    precision: str = 'auto',
    num_threads: int | None = 0,
) -> LoadedBundle:
    """Load and verify a bundle, then run it on a few synthetic frames.

    Args:
        path: Folder of the bundle, or the name of one of this package; ``None`` or empty for the
            default bundle.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32`` or ``bfloat16``, of the large products; ``auto`` takes bfloat16 on a
            CPU that has instructions for it.
        num_threads: Threads of one operation, see :func:`choose_threads`; ``None`` leaves them.

    Raises:
        BundleError: It cannot be used, or the device has too little memory for it.
        ConfigError: The device is not there, or the precision is unknown.
    """
    choice = choose_device(device)
    precision = choice.precision(precision)
    if num_threads is not None:
        choose_threads(num_threads)
    folder = Path(path) if path else resource_path(DEFAULT_BUNDLE)
    try:
        bundle = load_any_bundle(folder, choice.device, precision=precision)
        loaded = LoadedBundle(bundle, choice, precision)
        loaded.session().warm_up()
    except PointataError:
        raise
    except Exception as error:
        raise _explained(error, folder, choice) from error
    return loaded


def open_person_skill(name: str | Path, loaded: LoadedBundle) -> PersonBundle | None:
    """Load and try a person skill.

    Args:
        name: Folder of the person skill, the name of one of this package, or ``FOLLOW``.
        loaded: The bundle whose labels show where people are; the skill goes to its device.

    Returns:
        The skill; ``None`` for ``FOLLOW``.

    Raises:
        BundleError: It cannot be used, or the device has too little memory for it.
        ConfigError: None of the classes of the bundle is a person.
    """
    device = loaded.device
    try:
        skill = None if str(name) == FOLLOW else load_person_bundle(name, device.device)
        loaded.people(skill).warm_up()
    except PointataError:
        raise
    except Exception as error:
        raise _explained(error, Path(name), device) from error
    return skill


def _explained(error: Exception, folder: Path, choice: DeviceChoice) -> BundleError:
    if kind_of_failure(error) is Failure.OUT_OF_MEMORY:
        release_memory(error)
        return BundleError(
            f'{folder}: not enough memory on {choice.device} to load and try it: {error}',
            'A running bundle needs its memory too: release it first (a node: deactivate and clean '
            'up), or choose a smaller bundle',
        )
    return BundleError(
        f'{folder}: the network does not run on {choice.device}: {error!r}',
        'Choose another bundle or device',
    )
