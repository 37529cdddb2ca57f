# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LAS, LAZ and E57, the formats of surveying, through the libraries of the extra ``survey``."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.io.files.tables import CloudTable

_DENSEST = 100  # points in a byte of LAZ, far more than any
_LAS_HEADER = 375  # of version 1.4, the longest
EXTRA = "Install the extra: pip install 'pointata_ros[survey]'"


class MissingLibrary(ValueError):
    """A library that only this format needs is not installed."""


def read_las(path: Path, max_points: int) -> CloudTable:
    """Read a LAS or LAZ file: scaled coordinates and every numeric dimension.

    Raises:
        ValueError: The file is malformed, or too large.
        MissingLibrary: laspy, or lazrs for LAZ, is not installed.
    """
    try:
        import laspy
    except ModuleNotFoundError as error:
        raise MissingLibrary('LAS files are read by laspy, which is not installed') from error
    _check_records(path)
    try:
        # The parallel decompressor never ends on some damaged files.
        with laspy.open(path, laz_backend=laspy.LazBackend.Lazrs) as file:
            _check_count(file.header.point_count, min(max_points, _DENSEST * path.stat().st_size))
            points = file.read()
    except laspy.errors.LaspyException as error:
        if 'backend' in str(error).lower():
            raise MissingLibrary('LAZ files are read by laspy with lazrs, which is absent') from (
                error
            )
        raise ValueError(str(error)) from error
    columns = {axis: np.asarray(points[axis]) for axis in 'xyz'}
    for name in points.point_format.dimension_names:
        if name not in ('X', 'Y', 'Z'):
            values = np.asarray(points[name])
            if values.ndim == 1 and values.dtype.kind in 'iuf':
                columns[name] = values
    return CloudTable(columns, len(columns['x']))


def read_e57(path: Path, max_points: int) -> CloudTable:
    """Read the scans of an E57 file into their common frame, with their intensity.

    Raises:
        ValueError: The file is malformed, holds no scan, or is too large.
        MissingLibrary: pye57 is not installed.
    """
    try:
        import pye57
    except ModuleNotFoundError as error:
        raise MissingLibrary('E57 files are read by pye57, which is not installed') from error
    file = pye57.E57(str(path))
    try:
        if not file.scan_count:
            raise ValueError('it holds no scan')
        _check_count(
            sum(file.get_header(i).point_count for i in range(file.scan_count)), max_points
        )
        scans: list[dict[str, Any]] = [
            file.read_scan(index, ignore_missing_fields=True, intensity=True)
            for index in range(file.scan_count)
        ]
    finally:
        file.close()
    columns = {
        axis: np.concatenate([scan[f'cartesian{axis.upper()}'] for scan in scans]) for axis in 'xyz'
    }
    if all('intensity' in scan for scan in scans):
        columns['intensity'] = np.concatenate([scan['intensity'] for scan in scans])
    notes = () if len(scans) == 1 else (f'its {len(scans)} scans are read as one cloud',)
    return CloudTable(columns, len(columns['x']), 1, notes)


def _check_records(path: Path) -> None:
    """Refuse numbers of records that the file cannot hold; laspy would try to read them all."""
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(_LAS_HEADER)
    if len(head) < 227 or head[:4] != b'LASF':
        raise ValueError('it does not begin as a LAS file does')
    records, later = struct.unpack_from('<I', head, 100)[0], 0
    if head[25] >= 4 and len(head) == _LAS_HEADER:
        later = struct.unpack_from('<I', head, 243)[0]
    if 54 * records + 60 * later > size:
        raise ValueError(f'it announces {records + later} records in a file of {size} bytes')


def _check_count(count: int, max_points: int) -> None:
    if count > max_points:
        raise ValueError(f'it holds {count} points, at most {max_points} are accepted')
