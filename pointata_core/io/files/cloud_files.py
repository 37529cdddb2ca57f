# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Single clouds on disk: PCD, PLY, bare arrays, text, and the formats of surveying.

The result is the same ``Cloud`` as from the message decoder, for all formats: float32 metres, and
every column a feature, under its canonical name where that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import CloudFileError, OutputError
from pointata_core.io.cloud import Cloud, CloudLimits, finite_rows
from pointata_core.io.files import text_files
from pointata_core.io.files.array_files import read_bin, read_npy, read_npz, write_npy
from pointata_core.io.files.kinds import foreign_kind
from pointata_core.io.files.pcd_files import read_pcd, write_pcd
from pointata_core.io.files.ply_files import read_ply, write_ply
from pointata_core.io.files.survey_files import EXTRA, MissingLibrary, read_e57, read_las
from pointata_core.io.files.tables import CloudTable
from pointata_core.io.messages.point_fields import canonical_columns, find_name
from pointata_core.safe_files import write_atomically

READABLE = (
    *('.pcd', '.ply', '.bin', '.npy', '.npz', '.las', '.laz', '.e57'),
    *text_files.ENDINGS,
)
WRITABLE = ('.pcd', '.ply', '.npy')

_FIX = 'Write the file again, or convert it with a tool that reads it'
_COLUMNS_FIX = 'Name the columns, such as --columns x,y,z,intensity,ring, or convert the file'
_FARTHEST_M = 20_000.0
"""Farther from the origin, float32 is coarser than two millimetres: coordinates of a map."""


def read_cloud(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> Cloud:
    """Read one cloud; the file extension selects the format.

    Args:
        path: A file with one of the endings ``READABLE``; LAS, LAZ and E57 need the extra
            ``survey``.
        columns: Meaning of the columns of a file that does not name them (``.bin``, text, arrays);
            by default found out from name, size and numbers.
        limits: ``max_points``, ``max_bytes`` and ``integer_scale_m`` apply.

    Returns:
        The cloud with all columns as features, ``stamp_ns`` 0 and an empty ``frame_id``. Its
        ``notes`` tell what is implausible about the file.

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
        foreign = foreign_kind(path)
        if foreign is not None:
            raise CloudFileError(f'{path}: {foreign.what}', foreign.fix)
        table = _read_table(path, columns, limits)
        points, notes = _points(table, limits)
        features = canonical_columns(table.columns, skip=_axis_names(table.columns))
    except CloudFileError:
        raise
    except MissingLibrary as error:
        raise CloudFileError(f'{path}: {error}', EXTRA) from error
    except Exception as error:  # parsers raise anything on untrusted bytes
        fix = _COLUMNS_FIX if 'floats' in str(error) or 'columns' in str(error) else _FIX
        raise CloudFileError(f'{path}: {str(error) or type(error).__name__}', fix) from error
    return Cloud(
        points=points,
        features=features,
        finite=finite_rows(points),
        width=table.width,
        height=table.height,
        fields=tuple(table.columns),
        notes=(*table.notes, *notes),
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
    except OutputError as error:
        raise CloudFileError(error.message, error.fix) from error
    except (ValueError, KeyError, OSError) as error:
        raise CloudFileError(f'{path}: cannot be written ({error})', 'Check the folder') from error


def _read_table(path: Path, columns: Sequence[str] | None, limits: CloudLimits) -> CloudTable:
    kind, most = path.suffix.lower(), limits.max_points
    if kind == '.bin':
        return read_bin(path, most, columns)
    if kind == '.npy':
        return read_npy(path, most, columns)
    if kind == '.npz':
        return read_npz(path, most, limits.max_bytes, columns)
    if kind in text_files.ENDINGS:
        return text_files.read_text(path, most, columns)
    readers: dict[str, Callable[[Path, int], CloudTable]] = {
        '.pcd': read_pcd,
        '.ply': read_ply,
        '.las': read_las,
        '.laz': read_las,
        '.e57': read_e57,
    }
    return readers[kind](path, most)


def _axis_names(columns: Mapping[str, NDArray]) -> list[str]:
    """Names of the columns that hold x, y and z; some tools write them in capitals."""
    names = {axis: find_name(axis, columns) for axis in 'xyz'}
    missing = [axis for axis, name in names.items() if name is None]
    if missing:
        raise ValueError(f'there is no field {missing[0]!r} among {", ".join(columns)}')
    return [name for name in names.values() if name is not None]


def _points(table: CloudTable, limits: CloudLimits) -> tuple[NDArray[np.float32], list[str]]:
    """Coordinates (N, 3) in metres, and a note if they are moved towards the origin."""
    values = [table.columns[name] for name in _axis_names(table.columns)]
    points = np.empty((len(values[0]), 3), np.float32)
    shifts = [_shift(column) for column in values]
    with np.errstate(over='ignore', invalid='ignore'):
        for axis, (column, shift) in enumerate(zip(values, shifts, strict=True)):
            points[:, axis] = column - shift if shift else column
            if column.dtype.kind in 'iu':
                points[:, axis] *= np.float32(limits.integer_scale_m)
    if not any(shifts):
        return points, []
    moved = ', '.join(f'{shift:.0f}' for shift in shifts)
    return points, [
        f'its coordinates are those of a map, too large for float32; ({moved}) m are subtracted, '
        'so that the origin is the middle of the cloud'
    ]


def _shift(column: NDArray) -> float:
    """Whole metres to subtract from float64 coordinates before they lose digits."""
    if column.dtype != np.float64 or not len(column):
        return 0.0
    finite = column[np.isfinite(column)]
    middle = float(np.median(finite)) if len(finite) else 0.0
    return float(np.round(middle)) if _FARTHEST_M < abs(middle) < 1e9 else 0.0
