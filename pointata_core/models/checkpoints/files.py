# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read a torch checkpoint from an untrusted source without running code in it.

A ``.pth`` file is a pickle: a program. It is read with torch's weights-only reader, which accepts a
short list of harmless instructions, and only by a torch whose reader has no known vulnerability.
This happens once, offline, on a user's command; the running system reads safetensors alone.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pointata_core.errors import PointataError

MAX_CHECKPOINT_BYTES = 8 << 30
SAFE_TORCH = (2, 10)
"""First torch whose weights-only reader has no published hole."""

_HOLES = (
    ((2, 6), 'CVE-2025-32434: a prepared file runs code'),
    ((2, 10), 'CVE-2026-24747: a prepared file corrupts memory'),
)
# Keys under which the public training codes keep the weights, beside optimiser and metrics.
_WEIGHTS = ('base_model', 'model', 'state_dict')


class CheckpointError(PointataError):
    """A checkpoint cannot be read safely, or is not what it should be."""


class _Ignored:
    """Stands in for NumPy numbers (metrics) in a checkpoint: takes anything, does nothing."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


_IGNORED_GLOBALS: list[Callable | tuple[Callable, str]] = [
    (_Ignored, name)
    for name in (
        'numpy.core.multiarray.scalar',
        'numpy._core.multiarray.scalar',
        'numpy.dtype',
    )
]


def require_safe_torch(version: str, forced: bool) -> None:
    """Refuse a torch whose weights-only reader has known holes.

    Args:
        version: As in ``torch.__version__``.
        forced: The user trusts the file.

    Raises:
        CheckpointError: The version is too old and ``forced`` is false.
    """
    major, minor = (int(part) for part in version.split('.')[:2])
    holes = [hole for fixed, hole in _HOLES if (major, minor) < fixed]
    if holes and not forced:
        raise CheckpointError(
            f'torch {version} cannot read a checkpoint safely ({"; ".join(holes)}), '
            f'expected torch {".".join(map(str, SAFE_TORCH))} or newer',
            'Update torch, or force the conversion if you trust whoever made the file',
        )


def read_checkpoint(path: str | Path, force: bool = False) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, names without ``module.``.

    Args:
        path: A ``.pth``, ``.pt`` or ``.ckpt`` file.
        force: Read even with a torch that has known holes.

    Returns:
        The tensors by name, on the CPU.

    Raises:
        CheckpointError: The file is missing, too large, damaged, holds anything but plain data, or
            has no weights where the public codes keep them.
    """
    path = Path(path)
    require_safe_torch(torch.__version__, force)
    if not path.is_file():
        raise CheckpointError(f'{path}: found no file', 'Check the path')
    if path.stat().st_size > MAX_CHECKPOINT_BYTES:
        raise CheckpointError(
            f'{path}: found {path.stat().st_size} bytes, expected at most {MAX_CHECKPOINT_BYTES}'
        )
    return _weights_of(_load(path), path)


def sha256_of(path: str | Path) -> str:
    """Hash of a file, as recorded with what was made of it."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _load(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_IGNORED_GLOBALS):
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if 'GLOBAL' in line), lines[0] if lines else '')
        raise CheckpointError(
            f'{path}: found something that is not plain weights, or a damaged file; it was not '
            f'loaded ({reason})',
            'Get the file from its original source; convert only checkpoints of tensors',
        ) from error
    except Exception as error:
        # The reader meets arbitrary bytes, and raises whatever the first bad one leads to.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f'{path}: found a file that torch cannot read ({reason}), expected a checkpoint',
            'Download the file again; it may be cut off',
        ) from error


def _weights_of(content: Any, path: Path) -> dict[str, Tensor]:
    for key in _WEIGHTS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(
            f'{path}: found a {type(content).__name__}, expected weights by name '
            f'(at the top or under one of {", ".join(_WEIGHTS)})'
        )
    weights = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f'{path}: found {type(value).__name__} at {name!r}, expected tensors only'
            )
        weights[name.removeprefix('module.')] = value
    return weights
