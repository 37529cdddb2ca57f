# SPDX-License-Identifier: Apache-2.0
"""The files of a bundle: where they are, and whether they hold what the network needs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_fields import TensorFile
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.bundles.tensors import expected_specs, read_tensors
from pointata_core.errors import BundleError, ConfigError
from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.pointata import PointATA
from pointata_core.resources import ResourceError, resource_path
from pointata_core.safe_files import read_bounded, write_atomically

MANIFEST = 'manifest.json'
SKILL = 'skill.safetensors'
BACKBONES = 'backbones'
MODELS = 'models'
MAX_MANIFEST_BYTES = 4 << 20

NetworkType = TypeVar('NetworkType', bound=nn.Module)

_PREFIX = 'backbone.'
_NAME = re.compile(r'[A-Za-z0-9_-]+')
_MAX_DEPTH = 256
_MAX_SIZE = 1 << 20


@dataclass(frozen=True)
class BundleFiles:
    """A bundle on disk whose manifest has been read and whose files have been found."""

    manifest: Manifest
    root: Path
    skill: Path
    backbone: Path
    skill_file: TensorFile
    backbone_file: TensorFile


def find_files(path: str | os.PathLike[str]) -> BundleFiles:
    """Read a bundle's manifest and find its tensor files, without opening them.

    The manifest may be a link (as ``colcon build --symlink-install`` makes them); everything else
    is looked for beside the file it leads to, and may not be one. The backbone is taken from
    ``backbones/`` inside the bundle's folder, else from the one beside it.

    Raises:
        BundleError: There is no bundle, its manifest is wrong, or a file is absent or a link.
    """
    given, manifest_path = Path(path) / MANIFEST, manifest_file(path)
    data = read_bounded(manifest_path, MAX_MANIFEST_BYTES)
    manifest = Manifest.from_json(data, str(given))
    skill_file, backbone_file = manifest.skill, manifest.backbone
    assert skill_file is not None and backbone_file is not None  # or from_json raises
    root = manifest_path.parent
    name = backbone_name(backbone_file)
    inside, beside = root / BACKBONES / name, root.parent / BACKBONES / name
    backbone = inside if os.path.lexists(inside) else beside
    if not os.path.lexists(backbone):
        raise BundleError(
            f'{given}: its backbone {name} was not found in {inside.parent} or {beside.parent}',
            'Copy the backbone along with the bundle',
        )
    files = BundleFiles(manifest, root, root / SKILL, backbone, skill_file, backbone_file)
    for file in (files.skill, files.backbone):
        if os.path.realpath(file) != str(file):
            raise BundleError(
                f'{file}: found a link, expected a file inside the bundle',
                'Replace the link by a copy of the file',
            )
    return files


def manifest_file(path: str | os.PathLike[str]) -> Path:
    """Where the manifest of a bundle is, links resolved.

    A plain name that is nothing in the working folder is that of a bundle that ships with the
    package, as ``radhar``.

    Raises:
        BundleError: There is none, or a link leads to a file of another name.
    """
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


def read_network(files: BundleFiles) -> tuple[PointATA, dict[str, Tensor], dict[str, Tensor]]:
    """Read and check the tensors of a bundle.

    Returns:
        The network without memory (on the meta device), then the skill's tensors and the
        backbone's as stored: together its whole state.

    Raises:
        BundleError: The network cannot be built, or the tensors are not those it needs.
    """
    source = str(files.root / MANIFEST)
    values = files.manifest.network
    _check_sizes(values, source, 'network')
    network = build_empty(lambda: PointATA(NetworkConfig.from_dict(values)), source)
    check_preparation(files.manifest, source)
    skill, backbone = split_state(network.state_dict())
    return (
        network,
        _read(files.skill, files.skill_file, skill),
        _read(files.backbone, files.backbone_file, backbone),
    )


def check_preparation(manifest: Manifest, source: str) -> None:
    """Make sure that a session will understand the preparation.

    Raises:
        BundleError: A field of it is wrong, or its features are not the network's.
    """
    try:
        features = tuple(PreparationConfig.from_dict(manifest.preparation).features)
    except ConfigError as error:
        raise BundleError(f"{source}: field 'preparation': {error.message}", error.fix) from error
    if features != manifest.features:
        raise BundleError(
            f"{source}: field 'preparation.features': found {list(features)}, "
            f"expected those of 'features', in order: {list(manifest.features)}",
            'Write the bundle anew with save_bundle',
        )


def backbone_name(file: TensorFile) -> str:
    """Name of a backbone's file; its hash cannot be a path."""
    return f'{file.sha256}.safetensors'


def split_state(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A network's state as that of its skill and that of its backbone."""
    skill = {name: t for name, t in state.items() if not name.startswith(_PREFIX)}
    backbone = {name[len(_PREFIX) :]: t for name, t in state.items() if name.startswith(_PREFIX)}
    return skill, backbone


def _read(path: Path, file: TensorFile, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return read_tensors(path, file, expected_specs(state, file.dtype))


def build_empty(build: Callable[[], NetworkType], source: str) -> NetworkType:
    """Build a network on the meta device: no memory, no random numbers, whatever is asked for.

    Args:
        build: Makes the network that a manifest describes.
        source: The manifest, for messages.

    Raises:
        BundleError: No such network can be built.
    """
    try:
        with torch.device('meta'):
            return build()
    except ConfigError as error:
        raise BundleError(f"{source}: field 'network': {error.message}", error.fix) from error
    except Exception as error:  # foreign values fail in any way
        raise BundleError(
            f"{source}: field 'network': no network can be built from it ({error})",
            'Write the bundle anew with save_bundle',
        ) from error


def placed(
    tensors: Mapping[str, Tensor], device: str | torch.device, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """The tensors on a device, those with floating point as ``dtype``."""
    return {
        name: tensor.to(device, dtype if tensor.is_floating_point() else None)
        for name, tensor in tensors.items()
    }


def write_files(root: Path, files: Mapping[Path, bytes]) -> None:
    """Write the files of a bundle in this order; each appears whole.

    Raises:
        BundleError: The folder cannot be written to.
    """
    try:
        for path, data in files.items():
            write_atomically(path, data)
    except OSError as error:
        raise BundleError(
            f'{error.filename or root}: cannot be written ({error.strerror})',
            'Choose a folder that can be written to, with enough space',
        ) from error


def _check_sizes(values: Mapping[str, Any], source: str, where: str) -> None:
    """Refuse numbers that would keep the machine busy before any check of weights."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _check_sizes(value, source, f'{where}.{key}')
            continue
        limit = _MAX_DEPTH if key == 'depth' else _MAX_SIZE
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and abs(number) > limit:
                raise BundleError(
                    f"{source}: field '{where}.{key}': found {number}, expected at most {limit}",
                    'Write the bundle anew with save_bundle',
                )
