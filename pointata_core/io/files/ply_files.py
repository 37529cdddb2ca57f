# SPDX-License-Identifier: Apache-2.0
"""PLY files (ascii, binary of either byte order) through the library ``plyfile``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyListProperty, PlyParseError

_MAX_HEADER_LINES = 4096
_MAX_LINE = 1 << 16


def read_ply(path: Path, max_points: int) -> tuple[dict[str, NDArray], int, int]:
    """Read the scalar properties of the element ``vertex``.

    Returns:
        Name -> (N,) values in their stored datatype, N, 1.

    Raises:
        ValueError: The file is malformed; the message names what is wrong.
    """
    _check_header(path, max_points)
    try:
        content = PlyData.read(str(path))
    except PlyParseError as error:
        raise ValueError(str(error)) from error
    vertices = content['vertex']
    columns = {
        # Little-endian files are mapped into memory; a copy releases the file.
        prop.name: np.array(vertices[prop.name])
        for prop in vertices.properties
        if not isinstance(prop, PlyListProperty)
    }
    return columns, vertices.count, 1


def write_ply(path: Path, columns: Mapping[str, NDArray]) -> None:
    """Write columns (N,) as the element ``vertex`` of a binary little-endian file."""
    rows = np.empty(
        len(next(iter(columns.values()))),
        [(name, values.dtype.newbyteorder('<')) for name, values in columns.items()],
    )
    for name, values in columns.items():
        rows[name] = values
    PlyData([PlyElement.describe(rows, 'vertex')], byte_order='<').write(str(path))


def _check_header(path: Path, max_points: int) -> None:
    """Refuse sizes that cannot be true before plyfile allocates memory for them."""
    file_size = path.stat().st_size
    vertices = None
    with path.open('rb') as file:
        if file.readline(_MAX_LINE).strip() != b'ply':
            raise ValueError("the first line is not 'ply', so this is not a PLY file")
        for _ in range(_MAX_HEADER_LINES):
            words = file.readline(_MAX_LINE).split()
            if words[:1] == [b'end_header']:
                break
            if words[:1] == [b'element'] and len(words) == 3 and words[2].isdigit():
                count = int(words[2])
                if count > file_size:
                    raise ValueError(
                        f'element {words[1].decode("ascii", "replace")} announces {count} entries '
                        f'in a file of {file_size} bytes'
                    )
                vertices = count if words[1] == b'vertex' else vertices
        else:
            raise ValueError('there is no end_header line')
    if vertices is None:
        raise ValueError('there is no element vertex')
    if vertices > max_points:
        raise ValueError(
            f'element vertex has {vertices} entries, at most {max_points} are accepted'
        )
