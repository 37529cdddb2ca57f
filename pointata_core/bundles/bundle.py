# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles from disk to a network and back.

::

    NAME/manifest.json            what the rest is (bundles.manifest)
    NAME/skill.safetensors        align embedder, adapters, context encoder, heads
    backbones/HASH.safetensors    the frozen backbone, inside NAME or beside it

    NAME/manifest.json            of a camera bundle or a person skill (bundles.camera_manifest,
                                  bundles.person_manifest)
    NAME/network.safetensors      its whole network

Nothing but these files is opened, and only as safetensors and JSON. A load either returns a network
whose every tensor was checked, or raises ``BundleError`` and changes nothing; it touches no global
state, so that a side thread can load the next skill while the current one serves.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import torch
from torch import Tensor, nn

from pointata_core.bundles.bundle_files import (
    KINDS,
    MANIFEST,
    build_empty,
    find_files,
    read_network,
    split_state,
    tensor_paths,
)
from pointata_core.bundles.camera_manifest import CameraManifest
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_base import ManifestBase, ManifestType
from pointata_core.bundles.person_manifest import PersonManifest
from pointata_core.bundles.strict_json import plain_copy
from pointata_core.bundles.tensors import pack_tensors
from pointata_core.errors import BundleError
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.models.linear import set_precision
from pointata_core.models.person.person_network import PersonNetwork
from pointata_core.models.point.pointata import PointATA
from pointata_core.safe_files import write_atomically

NetworkType = TypeVar('NetworkType', bound=nn.Module)

_lock = threading.Lock()
_backbones: dict[str, WeakSet[nn.Module]] = {}  # alive, by the hash of their file


@dataclass(frozen=True, eq=False)
class Bundle(Generic[ManifestType, NetworkType]):
    """A verified bundle in memory.

    Args:
        manifest: What it is.
        network: The network, in evaluation mode, without gradients.
        path: Folder of the manifest, links resolved.
        hash: Names the exact weights and settings, 64 hexadecimal digits.
    """

    manifest: ManifestType
    network: NetworkType
    path: Path
    hash: str

    @property
    def short_hash(self) -> str:
        """First 12 digits of the hash, for display."""
        return self.hash[:12]


SkillBundle = Bundle[Manifest, PointATA]
"""A skill for point clouds and the backbone it was trained on."""
CameraBundle = Bundle[CameraManifest, CameraLidarNetwork]
"""A network for images and clouds."""
PersonBundle = Bundle[PersonManifest, PersonNetwork]
"""A network that sees one person at a time."""


def load_bundle(
    path: str | os.PathLike[str],
    device: str | torch.device = 'cpu',
    dtype: torch.dtype | None = None,
    *,
    share_backbone: bool = True,
    precision: str = 'float32',
) -> SkillBundle:
    """Load a skill and its backbone after verifying everything about them.

    Args:
        path: Folder of the bundle, or the name of one that ships with the package.
        device: Where the network shall live.
        dtype: Floating-point type of its weights; ``None`` for float32, however they are stored.
        share_backbone: Use the tensors of an equal backbone that is already in memory. Choose
            false for a network whose backbone will be trained.
        precision: In what type the large products are taken, see `set_precision`.

    Raises:
        BundleError: The bundle is missing, damaged, unsafe or made for another version.
        ConfigError: The precision is unknown.
        RuntimeError: The device is absent or full.
    """
    return _load(path, (Manifest,), device, dtype, share_backbone, precision)


def load_camera_bundle(
    path: str | os.PathLike[str], device: str | torch.device = 'cpu'
) -> CameraBundle:
    """Load a camera bundle, see :func:`load_bundle`."""
    return _load(path, (CameraManifest,), device)


def load_person_bundle(
    path: str | os.PathLike[str], device: str | torch.device = 'cpu'
) -> PersonBundle:
    """Load a person skill, see :func:`load_bundle`."""
    return _load(path, (PersonManifest,), device)


def load_any_bundle(
    path: str | os.PathLike[str],
    device: str | torch.device = 'cpu',
    *,
    precision: str = 'float32',
) -> SkillBundle | CameraBundle:
    """Load a bundle of whatever kind, see :func:`load_bundle`.

    The precision is for skills; camera networks compute in float32.
    """
    return _load(path, KINDS, device, precision=precision)


def _load(
    path: str | os.PathLike[str],
    kinds: Sequence[type[ManifestBase]],
    device: str | torch.device,
    dtype: torch.dtype | None = None,
    share_backbone: bool = True,
    precision: str = 'float32',
) -> Bundle[Any, Any]:
    files = find_files(path, kinds)
    network, stored = read_network(files)
    states = {
        name: _placed(tensors, device, dtype or torch.float32) for name, tensors in stored.items()
    }
    if isinstance(network, PointATA):
        backbone = states.pop('backbone')
        if share_backbone:
            _fill_shared(network.backbone, files.manifest.files['backbone'].sha256, backbone)
        else:
            network.backbone.load_state_dict(backbone, assign=True)
    for state in states.values():
        network.load_state_dict(state, strict=False, assign=True)  # no name is missing: was checked
    network.requires_grad_(False).eval()
    if isinstance(network, PointATA):
        set_precision(network, precision)
    return Bundle(files.manifest, network, files.root, files.manifest.checksum)


def _placed(
    tensors: Mapping[str, Tensor], device: str | torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    return {
        name: tensor.to(device, dtype if tensor.is_floating_point() else None)
        for name, tensor in tensors.items()
    }


def _fill_shared(backbone: nn.Module, sha256: str, tensors: Mapping[str, Tensor]) -> None:
    """Give a backbone its tensors, or equal ones that another network already holds.

    Tensors are shared, modules are not: moving one network to another device leaves the others
    where they are. A backbone that was trained since it was loaded is no longer equal to its file;
    it is not shared. Neither is one on another device or of another type.

    Args:
        backbone: Any module with tensors of those names, also one on the meta device.
        sha256: Hash of the file the tensors come from.
        tensors: Its whole state, on the wanted device and of the wanted type.
    """
    with _lock:
        for key in [key for key, modules in _backbones.items() if not len(modules)]:
            del _backbones[key]
        relatives = _backbones.setdefault(sha256, WeakSet())
        states = (relative.state_dict() for relative in list(relatives))
        shared = next((held for held in states if _equal(held, tensors)), tensors)
        backbone.load_state_dict(shared, assign=True)
        relatives.add(backbone)


def _equal(held: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return held.keys() == wanted.keys() and all(
        held[name].device == tensor.device
        and held[name].dtype == tensor.dtype
        and torch.equal(held[name], tensor)
        for name, tensor in wanted.items()
    )


def save_bundle(
    path: str | os.PathLike[str],
    network: nn.Module,
    manifest: ManifestType,
    *,
    half: bool = False,
    self_contained: bool = False,
) -> ManifestType:
    """Write a bundle of any kind; each file appears whole, the manifest last.

    Write into a new folder where a running node might be loading the old one: files are replaced
    one by one, and a load between two of them is refused (by their hashes).

    Args:
        path: Folder of the bundle; made if absent.
        network: What to store.
        manifest: Its description, for instance ``Manifest.for_network``.
        half: Store as float16; loading gives float32 again, rounded.
        self_contained: Put the backbone inside the folder rather than beside it.

    Returns:
        The manifest as written, with the files' hashes.

    Raises:
        BundleError: The manifest describes another network, or a weight is not finite: nothing has
            been written then. Or the folder cannot be written to.
    """
    # As a load will see it: beside a link to a folder is not beside the folder.
    root = Path(path).resolve()
    _check_describes(manifest, network)
    packed = {
        name: pack_tensors(state, 'float16' if half else 'float32', f'{root} ({name})')
        for name, state in split_state(network.state_dict(), manifest.file_names).items()
    }
    manifest = manifest.sealed(**{name: file for name, (_, file) in packed.items()})
    paths = tensor_paths(manifest, root, root if self_contained else root.parent)
    try:
        for name, (data, _) in packed.items():
            write_atomically(paths[name], data)
        write_atomically(root / MANIFEST, manifest.to_json().encode())
    except OSError as error:
        raise BundleError(
            f'{error.filename or root}: cannot be written ({error.strerror})',
            'Choose a folder that can be written to, with enough space',
        ) from error
    return manifest


def _check_describes(manifest: ManifestBase, network: nn.Module) -> None:
    empty = build_empty(manifest, 'manifest')
    found, expected = _shapes(empty), _shapes(network)
    if isinstance(network, PointATA):
        found, expected = manifest.network, plain_copy(network.config.to_dict())
    keys = sorted(
        key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)
    )
    if keys:
        raise BundleError(
            "manifest: field 'network' describes another network than the one to be saved, "
            f'they differ in {keys[:8]}',
            'Give the values that the network was made with (Manifest.for_network(name, '
            'network.config.to_dict()) for a PointATA)',
        )


def _shapes(network: nn.Module) -> Mapping[str, Any]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}
