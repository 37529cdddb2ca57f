# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The checks of a load, one by one, for a person to read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pointata_core.bundles.bundle_files import KINDS, find_files, read_network
from pointata_core.bundles.manifest_base import ManifestBase
from pointata_core.bundles.person_manifest import PersonManifest
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
    manifest: ManifestBase | None
    checks: tuple[str, ...]
    problem: str = ''
    fix: str = ''
    parameters: int = 0

    @property
    def ok(self) -> bool:
        """Whether the bundle can be loaded."""
        return not self.problem


def verify_bundle(path: str | os.PathLike[str]) -> BundleReport:
    """Check a bundle of any kind as a load would, without keeping a network.

    The tensors are read (hash, names, shapes, types, finite values); the network they are compared
    with is built without memory. Nothing is raised for a bad bundle.

    Args:
        path: Folder of the bundle.
    """
    manifest, checks = None, []
    try:
        files = find_files(path, (*KINDS, PersonManifest))
        manifest = files.manifest
        version = f'{manifest.format_version}.{manifest.format_minor}'
        checks.append(f'manifest {manifest.name}, format {version}')
        if 'backbone' in files.paths:
            checks.append(f'backbone at {files.paths["backbone"]}')
        states = read_network(files)[1].values()
    except BundleError as error:
        return BundleReport(Path(path), manifest, tuple(checks), error.message, error.fix)
    tensors = [tensor for state in states for tensor in state.values()]
    checks.append(f'{len(tensors)} tensors as the network needs them, all finite, hashes match')
    parameters = sum(tensor.numel() for tensor in tensors if tensor.is_floating_point())
    return BundleReport(Path(path), manifest, tuple(checks), parameters=parameters)
