# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ragged clouds out of public ``.npz`` files, without letting the files run code.

Public conversions store a video as an object array of clouds, which NumPy writes as a pickle, and
unpickling an untrusted file can run any code. This unpickler allows only the few calls that build
arrays.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pointata_core.datasets.errors import damaged

# What NumPy's own pickles of arrays name, in version 1 and 2.
_ALLOWED = {
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    ('numpy.core.multiarray', '_reconstruct'),
    ('numpy._core.multiarray', '_reconstruct'),
    ('numpy.core.numeric', '_frombuffer'),
    ('numpy._core.numeric', '_frombuffer'),
    ('_codecs', 'encode'),
}

_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, EOFError, ValueError, OSError,
    KeyError, IndexError, TypeError, AttributeError, NotImplementedError,
)  # fmt: skip


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'it calls {module}.{name}, which is not allowed')
        return super().find_class(module, name)


def count_clouds(path: Path, key: str) -> int:
    """Number of clouds in a file, from the header of the array.

    Args:
        path: ``.npz`` file.
        key: Name of the array.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f'{key}.npy') as stream:
            shape, _, _ = _header(stream)
            return shape[0]
    except _UNREADABLE as error:
        raise _unreadable(path, key, error) from error


def read_clouds(path: Path, key: str, scale: float = 1.0) -> list[NDArray[np.float32]]:
    """Read a video.

    Args:
        path: ``.npz`` file.
        key: Name of the array: of objects, (T,) with (n_i, 3) each, or dense, (T, N, 3).
        scale: Factor to metres, applied before rounding to float32.

    Returns:
        T arrays (n_i, 3) float32.

    Raises:
        DataError: The file is cut, is something else, or holds more than arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f'{key}.npy') as stream:
            _, _, dtype = _header(stream)
            if dtype.hasobject:
                video = _ArraysOnly(stream).load()
            else:
                with archive.open(f'{key}.npy') as again:
                    video = npy.read_array(again, allow_pickle=False)
        return [_cloud(cloud, scale) for cloud in video]
    except _UNREADABLE as error:
        raise _unreadable(path, key, error) from error


def _cloud(cloud: Any, scale: float) -> NDArray[np.float32]:
    array = np.asarray(cloud, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 3), np.float32)
    if array.ndim != 2 or array.shape[1] != 3:
        raise ValueError(f'a frame of shape {array.shape}')
    return (array * scale).astype(np.float32)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if not shape:
        raise ValueError('a single object')
    return shape, fortran, dtype


def _unreadable(path: Path, key: str, error: Exception) -> Exception:
    reason = str(error).strip('\'"') or type(error).__name__
    return damaged(path, reason, f"an .npz with '{key}': one (n, 3) cloud for every frame")
