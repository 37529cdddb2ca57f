# SPDX-License-Identifier: Apache-2.0
"""Safetensors files, read as if they were made to do harm.

Format: https://huggingface.co/docs/safetensors (8 bytes of header length, JSON header, data). The
size is known before a byte is read, the hash before a byte is interpreted, the header is checked
against what the network needs before the library sees it, and exactly the bytes that were checked
are the ones that become tensors. Every failure is a ``BundleError`` that names the check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from pointata_core.bundles.manifest_fields import TensorFile
from pointata_core.bundles.strict_json import parse_object
from pointata_core.errors import BundleError
from pointata_core.safe_files import read_bounded

MAX_HEADER_BYTES = 4 << 20
MAX_FILE_BYTES = 2 << 30
"""Far above any network of ours; a bundle is additionally held to the size of its own network."""

_DTYPES = {
    'F32': torch.float32,
    'F16': torch.float16,
    'BF16': torch.bfloat16,
    'I64': torch.int64,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_FLOATS = {'float32': 'F32', 'float16': 'F16', 'bfloat16': 'BF16'}
_RESTORE = 'Copy the bundle again from where it was made'


@dataclass(frozen=True)
class TensorSpec:
    """Type and shape of one stored tensor.

    Args:
        dtype: Safetensors name: F32, F16, BF16 or I64.
        shape: Lengths of its axes.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its data."""
        return prod(self.shape) * _DTYPES[self.dtype].itemsize


def expected_specs(state: Mapping[str, Tensor], dtype: str) -> dict[str, TensorSpec]:
    """What a file must hold to fill ``state`` (tensors of any device, meta included).

    Args:
        state: Tensors to be filled, by name.
        dtype: Storage type of those with floating point; the others keep theirs.

    Raises:
        BundleError: A tensor of a type that bundles do not store.
    """
    specs = {}
    for name, tensor in state.items():
        stored = _FLOATS[dtype] if tensor.is_floating_point() else _NAMES.get(tensor.dtype)
        if stored is None:
            raise BundleError(
                f"tensor '{name}' is {tensor.dtype}, expected floating point or int64",
                'Register it as a non-persistent buffer if it can be computed',
            )
        specs[name] = TensorSpec(stored, tuple(tensor.shape))
    return specs


def read_tensors(
    path: Path, file: TensorFile, expected: Mapping[str, TensorSpec]
) -> dict[str, Tensor]:
    """Read a file of which everything is known beforehand.

    Args:
        path: The safetensors file.
        file: Size and hash it must have.
        expected: Its tensors.

    Returns:
        Tensors by name, on the CPU, as stored.

    Raises:
        BundleError: The file is not exactly that, or a value in it is not finite.
    """
    bound = 8 + MAX_HEADER_BYTES + sum(spec.nbytes for spec in expected.values())
    if file.size > bound:
        raise BundleError(
            f'{path}: the manifest has {file.size} bytes, expected at most {bound} for its network',
            _RESTORE,
        )
    data = read_verified(path, file)
    compare_specs(parse_header(data, str(path)), expected, str(path))
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise BundleError(f'{path}: found {error}, expected safetensors data', _RESTORE) from error
    for name, tensor in tensors.items():
        if not _finite(tensor):
            raise BundleError(
                f"{path}: tensor '{name}' holds NaN or infinity, expected finite numbers",
                'Write the bundle from a training run that did not diverge',
            )
    return tensors


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
    specs = expected_specs(tensors, dtype)
    stored = {}
    for name, tensor in tensors.items():
        # clone: tied weights are stored twice rather than refused
        stored[name] = tensor.detach().to('cpu', _DTYPES[specs[name].dtype]).clone().contiguous()
        if not _finite(stored[name]):
            raise BundleError(
                f"{source}: tensor '{name}' is not finite as {dtype}, nothing was written",
                'Check the training run; store as float32 if the values are just large',
            )
    data = safetensors.torch.save(stored, metadata={'format': 'pt'})
    return data, TensorFile(hashlib.sha256(data).hexdigest(), len(data), dtype)


def read_verified(path: Path, file: TensorFile) -> bytes:
    """Read a file of known size and hash.

    Raises:
        BundleError: It is missing, no regular file, or another one.
    """
    data = read_bounded(path, MAX_FILE_BYTES, file.size)
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise BundleError(
            f'{path}: found sha256 {digest[:12]}…, expected {file.sha256[:12]}… by the manifest',
            _RESTORE,
        )
    return data


def parse_header(data: bytes, source: str) -> dict[str, TensorSpec]:
    """Read and check the header of a safetensors file.

    Args:
        data: The whole file.
        source: Where it comes from, for messages.

    Returns:
        The tensors it describes; their data fill the file without hole or overlap.

    Raises:
        BundleError: The header is not like that.
    """
    _refuse_pickle(data, source)
    length = int.from_bytes(data[:8], 'little')
    if len(data) < 8 or length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise BundleError(
            f'{source}: found a header of {length} bytes in a file of {len(data)}, '
            f'expected at most {MAX_HEADER_BYTES} that lie inside it',
            _RESTORE,
        )
    header = parse_object(data[8 : 8 + length], f'{source} (header)')
    header.pop('__metadata__', None)
    specs, ranges = {}, []
    for name, entry in header.items():
        try:
            specs[name], begin, end = _entry(entry)
        except (TypeError, KeyError, ValueError) as error:
            raise BundleError(
                f"{source}: tensor '{name}' has {error}, expected dtype, shape and data_offsets",
                _RESTORE,
            ) from error
        ranges.append((begin, end, name))
    position = 0
    for begin, end, name in sorted(ranges):
        if begin != position:
            raise BundleError(
                f"{source}: data of tensor '{name}' begins at {begin}, expected {position} "
                '(no overlap, no hole)',
                _RESTORE,
            )
        position = end
    if position != len(data) - 8 - length:
        raise BundleError(
            f'{source}: found {len(data) - 8 - length} bytes of data, '
            f'expected {position} by its header',
            _RESTORE,
        )
    return specs


def compare_specs(
    found: Mapping[str, TensorSpec], expected: Mapping[str, TensorSpec], source: str
) -> None:
    """Make sure that a file holds what a network needs, no more and no less.

    Raises:
        BundleError: Names the first tensor that is missing, surplus or of another kind.
    """
    fix = 'The manifest describes another network than the one that was saved; write it anew'
    for name in sorted(expected.keys() - found.keys()):
        raise BundleError(f"{source}: tensor '{name}' is missing, the network needs it", fix)
    for name in sorted(found.keys() - expected.keys()):
        raise BundleError(f"{source}: tensor '{name}' is surplus, the network has no such", fix)
    for name, spec in sorted(expected.items()):
        if found[name] != spec:
            raise BundleError(
                f"{source}: tensor '{name}' is {found[name].dtype} {list(found[name].shape)}, "
                f'expected {spec.dtype} {list(spec.shape)}',
                fix,
            )


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _entry(entry: object) -> tuple[TensorSpec, int, int]:
    if not isinstance(entry, dict) or set(entry) != {'dtype', 'shape', 'data_offsets'}:
        raise ValueError('other fields')
    if entry['dtype'] not in _DTYPES:
        raise ValueError(f'dtype {entry["dtype"]!r} (allowed: {", ".join(_DTYPES)})')
    shape, offsets = entry['shape'], entry['data_offsets']
    if not _counts(shape) or len(shape) > 8:
        raise ValueError('a shape that is no list of up to 8 lengths')
    if not _counts(offsets) or len(offsets) != 2:
        raise ValueError('data_offsets that are no pair of positions')
    spec = TensorSpec(entry['dtype'], tuple(shape))
    begin, end = offsets
    if end - begin != spec.nbytes:
        raise ValueError(f'{end - begin} bytes for {spec.nbytes} bytes of values')
    return spec, begin, end


def _counts(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 48 for v in values)


def _refuse_pickle(data: bytes, source: str) -> None:
    # A torch archive is a zip, an old one a bare pickle; either can run code when it is opened.
    if data[:4] == b'PK\x03\x04' or data[:2] in (
        b'\x80\x02',
        b'\x80\x03',
        b'\x80\x04',
        b'\x80\x05',
    ):
        raise BundleError(
            f'{source}: found a pickle (torch checkpoint), expected safetensors',
            'Convert it offline with: pointata convert',
        )
