# SPDX-License-Identifier: Apache-2.0
"""The checks of a load, one by one, for a person to read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pointata_core.bundles.bundle_files import find_files, read_network
from pointata_core.bundles.camera_bundle import (
    is_camera_bundle,
    read_camera_manifest,
    read_camera_network,
)
from pointata_core.bundles.camera_manifest import CameraManifest
from pointata_core.bundles.manifest import Manifest
from pointata_core.errors import BundleError


@dataclass(frozen=True)
class BundleReport:
    """What was found in a bundle's folder.

    Args:
        path: The folder that was looked at.
        manifest: The manifest; ``None`` if that could not be read.
        checks: What was verified, in order; the first failure ends the list.
        problem: What is wrong; empty if the bundle can be loaded.
        fix: What to do about it.
        parameters: Numbers in the network; 0 if the tensors could not be read.
    """

    path: Path
    manifest: Manifest | CameraManifest | None
    checks: tuple[str, ...]
    problem: str = ''
    fix: str = ''
    parameters: int = 0

    @property
    def ok(self) -> bool:
        """Whether the bundle can be loaded."""
        return not self.problem


def verify_bundle(path: str | os.PathLike[str]) -> BundleReport:
    """Check a bundle as a load would, without keeping a network.

    The tensors are read (hash, names, shapes, types, finite values); the network they are compared
    with is built without memory. Nothing is raised for a bad bundle.

    Args:
        path: Folder of the bundle.
    """
    manifest: Manifest | CameraManifest | None = None
    checks: list[str] = []
    try:
        if is_camera_bundle(path):
            camera_manifest, root = read_camera_manifest(path)
            manifest = camera_manifest
            checks.append(_read_as(manifest))
            tensors = list(read_camera_network(camera_manifest, root)[1].values())
        else:
            files = find_files(path)
            manifest = files.manifest
            checks += [_read_as(manifest), f'backbone at {files.backbone}']
            _, skill, backbone = read_network(files)
            tensors = [*skill.values(), *backbone.values()]
    except BundleError as error:
        return BundleReport(Path(path), manifest, tuple(checks), error.message, error.fix)
    checks.append(f'{len(tensors)} tensors as the network needs them, all finite, hashes match')
    parameters = sum(tensor.numel() for tensor in tensors if tensor.is_floating_point())
    return BundleReport(Path(path), manifest, tuple(checks), parameters=parameters)


def _read_as(manifest: Manifest | CameraManifest) -> str:
    version = f'{manifest.format_version}.{manifest.format_minor}'
    return f'manifest {manifest.name}, format {version}'
