# SPDX-License-Identifier: Apache-2.0
"""Single clouds on disk: ``.pcd``, ``.ply``, ``.bin``, ``.npy`` and ``.npz``.

The result is the same ``Cloud`` as from the message decoder, for all formats: float32 metres, and
every column a feature, under its canonical name where that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import CloudFileError
from pointata_core.io.cloud import Cloud, CloudLimits, finite_rows
from pointata_core.io.files.array_files import read_bin, read_npy, read_npz, write_npy
from pointata_core.io.files.pcd_files import read_pcd, write_pcd
from pointata_core.io.files.ply_files import read_ply, write_ply
from pointata_core.io.messages.point_fields import canonical_columns, find_name
from pointata_core.safe_files import write_atomically

READABLE = ('.pcd', '.ply', '.bin', '.npy', '.npz')
WRITABLE = ('.pcd', '.ply', '.npy')

_FIX = 'Write the file again, or convert it with a tool that reads it'


def read_cloud(
    path: str | Path,
    *,
    bin_columns: Sequence[str] | None = None,
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> Cloud:
    """Read one cloud; the file extension selects the format.

    Args:
        path: A ``.pcd`` (ascii, binary, binary_compressed), ``.ply``, ``.bin``, ``.npy`` or
            ``.npz`` file.
        bin_columns: Meaning of the float32 columns of a ``.bin``; by default x y z intensity
            (KITTI), and x y z intensity ring for ``.pcd.bin`` (nuScenes).
        limits: ``max_points`` and ``integer_scale_m`` apply.

    Returns:
        The cloud with all columns as features, ``stamp_ns`` 0 and an empty ``frame_id``.

    Raises:
        CloudFileError: The file is absent, of another kind or malformed; names the field and the
            fix.
    """
    path = Path(path)
    if not path.is_file():
        raise CloudFileError(f'{path} is not a file', 'Check the path')
    if path.suffix.lower() not in READABLE:
        raise CloudFileError(
            f'{path}: clouds are not read from {path.suffix or "a file without an ending"}',
            f'Use one of {" ".join(READABLE)}',
        )
    try:
        columns, width, height = _read_columns(path, bin_columns, limits)
        points = _points(columns, limits)
    except Exception as error:  # parsers raise anything on untrusted bytes
        raise CloudFileError(f'{path}: {str(error) or type(error).__name__}', _FIX) from error
    return Cloud(
        points=points,
        features=canonical_columns(columns, skip=_axis_names(columns)),
        finite=finite_rows(points),
        width=width,
        height=height,
        fields=tuple(columns),
    )


def write_cloud(
    path: str | Path, points: NDArray[np.float32], columns: Mapping[str, NDArray] | None = None
) -> None:
    """Write points with further columns; a file that is there already is replaced as a whole.

    Args:
        path: Ends in ``.pcd`` (binary), ``.ply`` (binary) or ``.npy`` (structured array).
        points: (N, 3) metres.
        columns: Name -> (N,) values, kept in their datatype, such as ``class_id`` uint16.

    Raises:
        CloudFileError: The ending is unknown, a length differs, or the format lacks a datatype.
    """
    path = Path(path)
    writers: dict[str, Callable[[Path, Mapping[str, NDArray]], None]] = {
        '.pcd': write_pcd,
        '.ply': write_ply,
        '.npy': write_npy,
    }
    write = writers.get(path.suffix.lower())
    if write is None:
        raise CloudFileError(
            f'{path}: clouds are not written as {path.suffix or "a file without an ending"}',
            f'Use one of {" ".join(WRITABLE)}',
        )
    points = np.asarray(points, np.float32)
    if points.ndim != 2 or points.shape[1] != 3:
        raise CloudFileError(f'{path}: points have shape {points.shape}', 'Give (N, 3)')
    whole = {axis: points[:, index] for index, axis in enumerate('xyz')}
    for name, values in (columns or {}).items():
        if np.shape(values) != (len(points),) or not name.isidentifier() or name in whole:
            raise CloudFileError(
                f'{path}: column {name!r} has shape {np.shape(values)}, expected ({len(points)},) '
                'and a plain name other than x, y, z',
                'Give one value per point',
            )
        whole[name] = np.asarray(values)
    if not path.parent.is_dir():
        raise CloudFileError(f'{path}: cannot be written (no such folder)', 'Check the folder')
    try:
        write_atomically(path, lambda stream: write(Path(stream.name), whole))
    except (ValueError, KeyError, OSError) as error:
        raise CloudFileError(f'{path}: cannot be written ({error})', 'Check the folder') from error


def _read_columns(
    path: Path, bin_columns: Sequence[str] | None, limits: CloudLimits
) -> tuple[dict[str, NDArray], int, int]:
    kind = path.suffix.lower()
    if kind == '.pcd':
        return read_pcd(path, limits.max_points)
    if kind == '.ply':
        return read_ply(path, limits.max_points)
    if kind == '.bin':
        columns = read_bin(path, limits.max_points, bin_columns)
    elif kind == '.npy':
        columns = read_npy(path, limits.max_points)
    else:
        columns = read_npz(path, limits.max_points, limits.max_bytes)
    return columns, len(next(iter(columns.values()))), 1


def _axis_names(columns: Mapping[str, NDArray]) -> list[str]:
    """Names of the columns that hold x, y and z; some tools write them in capitals."""
    names = {axis: find_name(axis, columns) for axis in 'xyz'}
    missing = [axis for axis, name in names.items() if name is None]
    if missing:
        raise ValueError(f'there is no field {missing[0]!r} among {", ".join(columns)}')
    return [name for name in names.values() if name is not None]


def _points(columns: Mapping[str, NDArray], limits: CloudLimits) -> NDArray[np.float32]:
    values = [columns[name] for name in _axis_names(columns)]
    points = np.empty((len(values[0]), 3), np.float32)
    with np.errstate(over='ignore', invalid='ignore'):
        for axis, column in enumerate(values):
            points[:, axis] = column
            if column.dtype.kind in 'iu':
                points[:, axis] *= np.float32(limits.integer_scale_m)
    return points
