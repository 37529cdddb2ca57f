# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MATLAB 5 files: shapes of arrays from the header, values on demand.

``scipy.io.whosmat`` unpacks whole files to find their shapes, half a minute for a hundred videos;
the shape stands in the first bytes. Format: MAT-File Level 5, MathWorks' document of that name.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import damaged

_HEADER = 128
_INT32, _MATRIX, _COMPRESSED = 5, 14, 15
_ENOUGH = 512  # bytes that surely hold flags, dimensions and name


def array_shape(path: Path, name: str) -> tuple[int, ...]:
    """Shape of one array, from headers alone.

    Args:
        path: The file.
        name: Name of the array.

    Raises:
        DataError: The file is cut, of another kind, or lacks the array.
    """
    try:
        for found, shape in _arrays(path):
            if found == name:
                return shape
    except (struct.error, zlib.error, OSError, ValueError, UnicodeDecodeError) as error:
        raise _unreadable(path, name, error) from error
    raise damaged(path, 'no array of that name', _expected(name))


def read_array(path: Path, name: str) -> NDArray:
    """Read one array.

    Args:
        path: The file.
        name: Name of the array.

    Raises:
        DataError: As ``array_shape``.
    """
    from scipy.io import loadmat

    array_shape(path, name)
    try:
        return np.asarray(loadmat(path, variable_names=[name])[name])
    except Exception as error:
        # scipy's reader raises whatever the damaged bytes lead it to.
        raise _unreadable(path, name, error) from error


def _arrays(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    size = path.stat().st_size
    with path.open('rb') as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER or header[126:128] not in (b'IM', b'MI'):
            raise ValueError('no MATLAB 5 header')
        order = '<' if header[126:128] == b'IM' else '>'
        start = _HEADER
        while start < size:
            file.seek(start)
            kind, length = struct.unpack(order + 'II', file.read(8))
            if start + 8 + length > size:
                raise ValueError(f'{size} bytes, expected {start + 8 + length}')
            body = file.read(min(length, 4 * _ENOUGH))
            if kind == _COMPRESSED:
                # The element inside has a tag of its own.
                body = zlib.decompressobj().decompress(body, _ENOUGH)[8:]
            if kind in (_MATRIX, _COMPRESSED):
                yield _name_and_shape(body, order)
            start += 8 + length


def _name_and_shape(body: bytes, order: str) -> tuple[str, tuple[int, ...]]:
    # Array flags take 16 bytes; dimensions and name follow, each padded to 8 bytes.
    kind, length = struct.unpack_from(order + 'II', body, 16)
    if kind != _INT32 or length > _ENOUGH:
        raise ValueError('no dimensions where they should be')
    shape = struct.unpack_from(f'{order}{length // 4}i', body, 24)
    at = 24 + -(-length // 8) * 8
    (tag,) = struct.unpack_from(order + 'I', body, at)
    if tag >> 16:  # a name of up to four letters stands within its tag
        return body[at + 4 : at + 4 + (tag >> 16)].decode(), shape
    (length,) = struct.unpack_from(order + 'I', body, at + 4)
    return body[at + 8 : at + 8 + length].decode(), shape


def _expected(name: str) -> str:
    return f"a MATLAB 5 file with the array '{name}'"


def _unreadable(path: Path, name: str, error: Exception) -> Exception:
    return damaged(path, str(error) or type(error).__name__, _expected(name))
