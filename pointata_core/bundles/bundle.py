# SPDX-License-Identifier: Apache-2.0
"""Bundles, and those of a skill and its backbone, from disk to a network and back.

::

    NAME/manifest.json            what the rest is (bundles.manifest)
    NAME/skill.safetensors        align embedder, adapters, context encoder, heads
    backbones/HASH.safetensors    the frozen backbone, inside NAME or beside it

Nothing but these files is opened, and only as safetensors and JSON. A load either returns a network
whose every tensor was checked, or raises ``BundleError`` and changes nothing; it touches no global
state, so that a side thread can load the next skill while the current one serves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

from pointata_core.bundles.backbone_sharing import fill_shared
from pointata_core.bundles.bundle_files import (
    BACKBONES,
    MANIFEST,
    SKILL,
    backbone_name,
    check_preparation,
    find_files,
    placed,
    read_network,
    split_state,
    write_files,
)
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_base import ManifestBase
from pointata_core.bundles.tensors import pack_tensors
from pointata_core.errors import BundleError
from pointata_core.models.linear import set_precision
from pointata_core.models.point.pointata import PointATA

ManifestType = TypeVar('ManifestType', bound=ManifestBase)
NetworkType = TypeVar('NetworkType', bound=nn.Module)


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


def load_bundle(
    path: str | os.PathLike[str],
    device: str | torch.device = 'cpu',
    dtype: torch.dtype | None = None,
    *,
    share_backbone: bool = True,
    precision: str = 'float32',
) -> SkillBundle:
    """Load a bundle after verifying everything about it.

    Args:
        path: Folder of the bundle.
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
    files = find_files(path)
    network, skill, backbone = read_network(files)
    dtype = torch.float32 if dtype is None else dtype
    backbone = placed(backbone, device, dtype)
    if share_backbone:
        fill_shared(network.backbone, files.backbone_file.sha256, backbone)
    else:
        network.backbone.load_state_dict(backbone, assign=True)
    network.load_state_dict(placed(skill, device, dtype), strict=False, assign=True)
    network.requires_grad_(False).eval()
    set_precision(network, precision)
    return Bundle(files.manifest, network, files.root, files.manifest.checksum)


def save_bundle(
    path: str | os.PathLike[str],
    network: PointATA,
    manifest: Manifest,
    *,
    half: bool = False,
    self_contained: bool = False,
) -> Manifest:
    """Write a bundle; each file appears whole, the manifest last.

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
        BundleError: The manifest describes another network, or a weight is not finite. Nothing has
            been written then.
    """
    # As a load will see it: beside a link to a folder is not beside the folder.
    root = Path(path).resolve()
    _check_describes(manifest, network)
    dtype = 'float16' if half else 'float32'
    skill, backbone = split_state(network.state_dict())
    skill_data, skill_file = pack_tensors(skill, dtype, f'{root} (skill)')
    backbone_data, backbone_file = pack_tensors(backbone, dtype, f'{root} (backbone)')
    manifest = manifest.sealed(backbone=backbone_file, skill=skill_file)
    folder = (root if self_contained else root.parent) / BACKBONES
    write_files(
        root,
        {
            folder / backbone_name(backbone_file): backbone_data,
            root / SKILL: skill_data,
            root / MANIFEST: manifest.to_json().encode(),
        },
    )
    return manifest


def _check_describes(manifest: Manifest, network: PointATA) -> None:
    check_preparation(manifest, 'manifest')
    described = Manifest.for_network(manifest.name, network.config.to_dict()).network
    if manifest.network != described:
        keys = sorted(
            key
            for key in manifest.network.keys() | described.keys()
            if manifest.network.get(key) != described.get(key)
        )
        raise BundleError(
            f"manifest: field 'network' differs from the network's own configuration in {keys}",
            'Make the manifest with Manifest.for_network(name, network.config.to_dict())',
        )
