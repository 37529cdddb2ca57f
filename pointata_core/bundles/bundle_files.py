# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of a bundle: where they are, and whether they hold what the network needs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pointata_core.bundles.camera_manifest import CameraManifest
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_base import ManifestBase, read_manifest
from pointata_core.bundles.manifest_fields import RESTORE, FieldError
from pointata_core.bundles.person_manifest import PersonManifest
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.bundles.tensors import read_tensors
from pointata_core.errors import BundleError, ConfigError
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.models.person.person_network import PersonConfig, PersonNetwork
from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.pointata import PointATA
from pointata_core.resources import ResourceError, resource_path
from pointata_core.safe_files import read_bounded

MANIFEST = 'manifest.json'
BACKBONES = 'backbones'
MODELS = 'models'
MAX_MANIFEST_BYTES = 4 << 20
KINDS: tuple[type[ManifestBase], ...] = (Manifest, CameraManifest)

_BACKBONE = 'backbone'
_NAME = re.compile(r'[A-Za-z0-9_-]+')
_MAX_DEPTH = 256
_MAX_SIZE = 1 << 20


@dataclass(frozen=True)
class BundleFiles:
    """A bundle on disk whose manifest has been read and whose files have been found.

    Attributes:
        manifest: What it is.
        root: Folder of the manifest, links resolved.
        paths: The tensor files, by their names in the manifest.
    """

    manifest: ManifestBase
    root: Path
    paths: Mapping[str, Path]


def find_files(
    path: str | os.PathLike[str], kinds: Sequence[type[ManifestBase]] = KINDS
) -> BundleFiles:
    """Read a bundle's manifest and find its tensor files, without opening them.

    The manifest may be a link (as ``colcon build --symlink-install`` makes them); everything else
    is looked for beside the file it leads to, and may not be one. The backbone is taken from
    ``backbones/`` inside the bundle's folder, else from the one beside it.

    Args:
        path: Folder of the bundle, or the name of one that ships with the package, as ``radhar``.
        kinds: Kinds of manifests to expect.

    Raises:
        BundleError: There is no bundle, its manifest is wrong or of another kind, or a file is
            absent or a link.
    """
    given, manifest_path = Path(path) / MANIFEST, _manifest_file(path)
    data = read_bounded(manifest_path, MAX_MANIFEST_BYTES)
    manifest = read_manifest(data, str(given), kinds)
    root = manifest_path.parent
    paths = tensor_paths(manifest, root, root)
    backbone = paths.get(_BACKBONE)
    if backbone is not None and not os.path.lexists(backbone):
        paths = tensor_paths(manifest, root, root.parent)
        if not os.path.lexists(paths[_BACKBONE]):
            raise BundleError(
                f'{given}: its backbone {backbone.name} was not found in {backbone.parent} or '
                f'{paths[_BACKBONE].parent}',
                'Copy the backbone along with the bundle',
            )
    for file in paths.values():
        if os.path.realpath(file) != str(file):
            raise BundleError(
                f'{file}: found a link, expected a file inside the bundle',
                'Replace the link by a copy of the file',
            )
    return BundleFiles(manifest, root, paths)


def tensor_paths(manifest: ManifestBase, root: Path, shared: Path) -> dict[str, Path]:
    """Paths of the tensor files, by their names in the manifest.

    Args:
        manifest: Names the files and gives their hashes.
        root: Folder of the bundle.
        shared: Folder that holds ``backbones/``.
    """
    return {
        # A backbone is found by its hash, which cannot be a path.
        name: shared / BACKBONES / f'{file.sha256}.safetensors'
        if name == _BACKBONE
        else root / f'{name}.safetensors'
        for name, file in manifest.files.items()
    }


def _manifest_file(path: str | os.PathLike[str]) -> Path:
    given = Path(path) / MANIFEST
    try:
        manifest_path = (_shipped(path) or given).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise BundleError(
            f'{given}: found no file ({reason}), expected the manifest of a bundle',
            'Give the folder that holds manifest.json, or the name of a bundle of this package',
        ) from error
    if manifest_path.name != MANIFEST:
        raise BundleError(
            f'{given}: leads to {manifest_path}, expected a file named {MANIFEST}',
            'Link to the folder of a bundle instead',
        )
    return manifest_path


def _shipped(path: str | os.PathLike[str]) -> Path | None:
    name = os.fspath(path)
    if not _NAME.fullmatch(name) or os.path.lexists(name):
        return None
    try:
        return resource_path(Path(MODELS) / name / MANIFEST)
    except ResourceError:
        return None


def read_network(files: BundleFiles) -> tuple[nn.Module, dict[str, dict[str, Tensor]]]:
    """Read and check the tensors of a bundle.

    Returns:
        The network without memory (on the meta device), and per file its tensors as stored:
        together the network's whole state, see :func:`split_state`.

    Raises:
        BundleError: The network cannot be built, or the tensors are not those it needs.
    """
    manifest = files.manifest
    network = build_empty(manifest, str(files.root / MANIFEST))
    states = split_state(network.state_dict(), manifest.files)
    return network, {
        name: read_tensors(files.paths[name], file, states[name])
        for name, file in manifest.files.items()
    }


def split_state(
    state: Mapping[str, Tensor], files: Collection[str]
) -> dict[str, dict[str, Tensor]]:
    """A network's state per file: that of its backbone, if that is a file of its own, and the rest.

    The names of a backbone's tensors are those inside the backbone.
    """
    parts: dict[str, dict[str, Tensor]] = {file: {} for file in files}
    (rest,) = parts.keys() - {_BACKBONE}
    prefix = f'{_BACKBONE}.'
    for name, tensor in state.items():
        if _BACKBONE in parts and name.startswith(prefix):
            parts[_BACKBONE][name.removeprefix(prefix)] = tensor
        else:
            parts[rest][name] = tensor
    return parts


def build_empty(manifest: ManifestBase, source: str) -> nn.Module:
    """Build a network on the meta device: no memory, no random numbers, whatever is asked for.

    Args:
        manifest: Describes the network.
        source: Where the manifest comes from, for messages.

    Raises:
        BundleError: No such network can be built, or a session would not understand the
            preparation.
    """
    try:
        _check_sizes(manifest.network, 'network')
        if isinstance(manifest, Manifest):
            _check_preparation(manifest)
        with torch.device('meta'):
            if isinstance(manifest, CameraManifest):
                classes = len(manifest.segmentation_classes)
                return CameraLidarNetwork(classes, **manifest.network)
            if isinstance(manifest, PersonManifest):
                return PersonNetwork(PersonConfig.from_dict(manifest.network))
            return PointATA(NetworkConfig.from_dict(manifest.network))
    except BundleError as error:
        raise BundleError(f'{source}: {error.message}', error.fix) from error
    except ConfigError as error:
        raise BundleError(f"{source}: field 'network': {error.message}", error.fix) from error
    except Exception as error:  # foreign values fail in any way
        raise BundleError(
            f"{source}: field 'network': no network can be built from it ({error})", RESTORE
        ) from error


def _check_preparation(manifest: Manifest) -> None:
    try:
        features = tuple(PreparationConfig.from_dict(manifest.preparation).features)
    except ConfigError as error:
        raise BundleError(f"field 'preparation': {error.message}", error.fix) from error
    if features != manifest.features:
        expected = f"those of 'features', in order: {list(manifest.features)}"
        raise FieldError('preparation.features', list(features), expected)


def _check_sizes(values: Mapping[str, Any], where: str) -> None:
    """Refuse numbers that would keep the machine busy before any check of weights."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _check_sizes(value, f'{where}.{key}')
            continue
        limit = _MAX_DEPTH if key == 'depth' else _MAX_SIZE
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and abs(number) > limit:
                raise FieldError(f'{where}.{key}', number, f'at most {limit}')
