# SPDX-License-Identifier: Apache-2.0
"""A camera bundle: a network for images and clouds, from disk and back, and bundles of any kind.

::

    NAME/manifest.json            what the rest is (bundles.camera_manifest)
    NAME/network.safetensors      the whole network

The checks are those of other bundles (``docs/bundles.md``): only these two files are opened, each
bounded and hashed before it is interpreted, tensors compared with the network that the manifest
describes, every number finite. A load gives a verified network or raises ``BundleError``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pointata_core.bundles.bundle import Bundle, SkillBundle, load_bundle
from pointata_core.bundles.bundle_files import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    build_empty,
    manifest_file,
    placed,
    write_files,
)
from pointata_core.bundles.camera_manifest import CameraManifest
from pointata_core.bundles.manifest import CAMERA_KIND
from pointata_core.bundles.manifest_fields import RESTORE
from pointata_core.bundles.strict_json import parse_object
from pointata_core.bundles.tensors import expected_specs, pack_tensors, read_tensors
from pointata_core.errors import BundleError
from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.safe_files import read_bounded

NETWORK = 'network.safetensors'


CameraBundle = Bundle[CameraManifest, CameraLidarNetwork]


def is_camera_bundle(path: str | os.PathLike[str]) -> bool:
    """Whether the manifest in a folder is that of a camera bundle; nothing else is verified.

    Raises:
        BundleError: There is no manifest, or it is no JSON object.
    """
    file = manifest_file(path)
    return parse_object(read_bounded(file, MAX_MANIFEST_BYTES), str(file)).get('kind') == (
        CAMERA_KIND
    )


def load_any_bundle(
    path: str | os.PathLike[str],
    device: str | torch.device = 'cpu',
    *,
    precision: str = 'float32',
) -> SkillBundle | CameraBundle:
    """Load a bundle of whatever kind.

    Args:
        path: Folder of the bundle.
        device: Where the network shall live.
        precision: For skills; camera networks compute in float32.

    Raises:
        BundleError: The bundle is missing, damaged, unsafe or made for another version.
        ConfigError: The precision is unknown.
    """
    if is_camera_bundle(path):
        return load_camera_bundle(path, device)
    return load_bundle(path, device, precision=precision)


def load_camera_bundle(
    path: str | os.PathLike[str], device: str | torch.device = 'cpu'
) -> CameraBundle:
    """Load a camera bundle after verifying everything about it.

    Args:
        path: Folder of the bundle.
        device: Where the network shall live.

    Raises:
        BundleError: The bundle is missing, damaged, unsafe or made for another version.
        RuntimeError: The device is absent or full.
    """
    manifest, root = read_camera_manifest(path)
    network, tensors = read_camera_network(manifest, root)
    network.load_state_dict(placed(tensors, device), assign=True)
    network.requires_grad_(False).eval()
    return Bundle(manifest, network, root, manifest.checksum)


def read_camera_manifest(path: str | os.PathLike[str]) -> tuple[CameraManifest, Path]:
    """Read the manifest; returns it and its folder, links resolved.

    Raises:
        BundleError: There is none, or it is wrong.
    """
    file = manifest_file(path)
    data = read_bounded(file, MAX_MANIFEST_BYTES)
    return CameraManifest.from_json(data, str(Path(path) / MANIFEST)), file.parent


def read_camera_network(
    manifest: CameraManifest, root: Path
) -> tuple[CameraLidarNetwork, dict[str, Tensor]]:
    """Read and check the tensors; returns the network without memory, and its state as stored.

    Raises:
        BundleError: The network cannot be built, or the tensors are not those it needs.
    """
    network = _build(manifest, str(root / MANIFEST))
    weights = manifest.weights
    if weights is None:
        raise BundleError(f'{root / MANIFEST}: names no file with weights', RESTORE)
    specs = expected_specs(network.state_dict(), weights.dtype)
    return network, read_tensors(root / NETWORK, weights, specs)


def save_camera_bundle(
    path: str | os.PathLike[str],
    network: CameraLidarNetwork,
    manifest: CameraManifest,
    *,
    half: bool = False,
) -> CameraManifest:
    """Write a camera bundle; each file appears whole, the manifest last.

    Args:
        path: Folder of the bundle; made if absent.
        network: What to store.
        manifest: Its description.
        half: Store as float16; loading gives float32 again, rounded.

    Returns:
        The manifest as written, with the file's hash.

    Raises:
        BundleError: The manifest describes another network, or a weight is not finite. Nothing has
            been written then.
    """
    root = Path(path).resolve()
    state = network.state_dict()
    described = _build(manifest, 'manifest').state_dict()
    if {k: t.shape for k, t in described.items()} != {k: t.shape for k, t in state.items()}:
        raise BundleError(
            "manifest: field 'network' describes another network than the one to be saved",
            'Give the values that the network was made with',
        )
    data, file = pack_tensors(state, 'float16' if half else 'float32', str(root / NETWORK))
    manifest = manifest.sealed(file)
    write_files(root, {root / NETWORK: data, root / MANIFEST: manifest.to_json().encode()})
    return manifest


def _build(manifest: CameraManifest, source: str) -> CameraLidarNetwork:
    values: dict[str, Any] = dict(manifest.network)
    classes = len(manifest.segmentation_classes)
    return build_empty(lambda: CameraLidarNetwork(classes, **values), source)
