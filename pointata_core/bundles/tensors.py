# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Safetensors files, read as if they were made to do harm.

Format: https://huggingface.co/docs/safetensors (8 bytes of header length, JSON header, data). The
size is known before a byte is read, and the hash before a byte is interpreted. The library makes
sure that the header is sound and that the tensors fill the file without hole or overlap; this
module, that they are finite and those that the network needs. Every failure is a ``BundleError``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from pointata_core.bundles.manifest_fields import TENSOR_DTYPES, TensorFile
from pointata_core.errors import BundleError
from pointata_core.safe_files import read_bounded

MAX_HEADER_BYTES = 4 << 20
MAX_FILE_BYTES = 2 << 30
"""Far above any network of ours; a bundle is additionally held to the size of its own network."""

_FLOATS = {name: getattr(torch, name) for name in TENSOR_DTYPES}
_RESTORE = 'Copy the bundle again from where it was made'


def read_tensors(path: Path, file: TensorFile, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read a file of which everything is known beforehand.

    Args:
        path: The safetensors file.
        file: Size, hash and storage type it must have.
        state: Tensors to be filled, by name, of any device (meta included).

    Returns:
        Tensors by name, on the CPU, as stored.

    Raises:
        BundleError: The file is not exactly that, or a value in it is not finite.
    """
    types = {name: _stored_type(name, tensor, file.dtype) for name, tensor in state.items()}
    numbers = sum(tensor.numel() * types[name].itemsize for name, tensor in state.items())
    bound = 8 + MAX_HEADER_BYTES + numbers
    if file.size > bound:
        raise BundleError(
            f'{path}: the manifest has {file.size} bytes, expected at most {bound} for its network',
            _RESTORE,
        )
    data = read_bounded(path, MAX_FILE_BYTES, file.size)
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise BundleError(
            f'{path}: found sha256 {digest[:12]}…, expected {file.sha256[:12]}… by the manifest',
            _RESTORE,
        )
    tensors = unpack_tensors(data, str(path))
    _compare(tensors, {name: (types[name], state[name].shape) for name in state}, path)
    for name, tensor in tensors.items():
        if not _finite(tensor):
            raise BundleError(
                f"{path}: tensor '{name}' holds NaN or infinity, expected finite numbers",
                'Write the bundle from a training run that did not diverge',
            )
    return tensors


def unpack_tensors(data: bytes, source: str) -> dict[str, Tensor]:
    """The tensors in the contents of a safetensors file.

    Raises:
        BundleError: It is no such file.
    """
    try:
        return safetensors.torch.load(data)
    except Exception as error:  # foreign bytes fail in any way
        # A torch archive is a zip, an old one a bare pickle; either can run code when it is opened.
        if re.match(rb'PK\x03\x04|\x80[\x02-\x05]', data):
            raise BundleError(
                f'{source}: found a pickle (torch checkpoint), expected safetensors',
                'Convert it offline with: pointata convert',
            ) from error
        raise BundleError(
            f'{source}: found {error!r}, expected safetensors data', _RESTORE
        ) from error


def pack_tensors(
    tensors: Mapping[str, Tensor], dtype: str, source: str
) -> tuple[bytes, TensorFile]:
    """Make the contents of a safetensors file; equal tensors give equal bytes.

    Args:
        tensors: What to store, by name.
        dtype: float32, float16 or bfloat16, for those with floating point.
        source: What is stored, for messages.

    Returns:
        The bytes of the file, and its description for the manifest.

    Raises:
        BundleError: A value is not finite, or is no longer when stored as ``dtype``.
    """
    stored = {}
    for name, tensor in tensors.items():
        stored_type = _stored_type(name, tensor, dtype)
        # clone: tied weights are stored twice rather than refused
        stored[name] = tensor.detach().to('cpu', stored_type).clone().contiguous()
        if not _finite(stored[name]):
            raise BundleError(
                f"{source}: tensor '{name}' is not finite as {dtype}, nothing was written",
                'Check the training run; store as float32 if the values are just large',
            )
    data = safetensors.torch.save(stored, metadata={'format': 'pt'})
    return data, TensorFile(hashlib.sha256(data).hexdigest(), len(data), dtype)


def _compare(
    found: Mapping[str, Tensor],
    expected: Mapping[str, tuple[torch.dtype, torch.Size]],
    source: Path,
) -> None:
    """Make sure that a file holds what a network needs, no more and no less."""
    fix = 'The manifest describes another network than the one that was saved; write it anew'
    for name in sorted(expected.keys() - found.keys()):
        raise BundleError(f"{source}: tensor '{name}' is missing, the network needs it", fix)
    for name in sorted(found.keys() - expected.keys()):
        raise BundleError(f"{source}: tensor '{name}' is surplus, the network has no such", fix)
    for name, kind in sorted(expected.items()):
        tensor = found[name]
        if (tensor.dtype, tensor.shape) != kind:
            raise BundleError(
                f"{source}: tensor '{name}' is {_described(tensor.dtype, tensor.shape)}, "
                f'expected {_described(*kind)}',
                fix,
            )


def _described(dtype: torch.dtype, shape: torch.Size) -> str:
    return f'{str(dtype).removeprefix("torch.")} {list(shape)}'


def _stored_type(name: str, tensor: Tensor, dtype: str) -> torch.dtype:
    """``dtype`` for floating point; int64 keeps its type."""
    if tensor.is_floating_point():
        return _FLOATS[dtype]
    if tensor.dtype != torch.int64:
        raise BundleError(
            f"tensor '{name}' is {tensor.dtype}, expected floating point or int64",
            'Register it as a non-persistent buffer if it can be computed',
        )
    return tensor.dtype


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
