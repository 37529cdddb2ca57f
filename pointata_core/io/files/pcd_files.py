# SPDX-License-Identifier: Apache-2.0
"""PCD files, version 0.7 and before: ascii, binary and binary_compressed.

The format is that of the Point Cloud Library (pointclouds.org, "The PCD file format"). VIEWPOINT is
not applied: points stay in the frame they were stored in.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.files.lzf import decompress

_MAX_HEADER_LINES = 64
_MAX_LINE = 1 << 16
_KINDS = {'I': 'i', 'U': 'u', 'F': 'f'}
_SIZES = {'I': (1, 2, 4, 8), 'U': (1, 2, 4, 8), 'F': (4, 8)}


@dataclass(frozen=True)
class _Header:
    dtype: np.dtype
    width: int
    height: int
    encoding: str

    @property
    def point_count(self) -> int:
        return self.width * self.height


def read_pcd(path: Path, max_points: int) -> tuple[dict[str, NDArray], int, int]:
    """Read the columns of a PCD file.

    A field of COUNT n > 1 becomes n columns ``name_0`` ...; padding (``_``) is left out.

    Returns:
        Name -> (N,) values in their stored datatype, width, height.

    Raises:
        ValueError: The file is malformed; the message names the field.
    """
    with path.open('rb') as file:
        header = _read_header(file)
        if header.point_count > max_points:
            raise ValueError(f'POINTS is {header.point_count}, at most {max_points} are accepted')
        if header.encoding == 'ascii':
            rows = _read_ascii(file, header)
        elif header.encoding == 'binary':
            rows = _read_binary(file, header)
        elif header.encoding == 'binary_compressed':
            return _read_compressed(file, header), header.width, header.height
        else:
            raise ValueError(
                f'DATA is {header.encoding!r}, expected ascii, binary or binary_compressed'
            )
    columns = {name: rows[name] for name in header.dtype.names or () if _is_used(name)}
    return columns, header.width, header.height


def write_pcd(path: Path, columns: Mapping[str, NDArray], *, ascii_text: bool = False) -> None:
    """Write columns (N,) as an unorganised PCD file, binary unless ``ascii_text``."""
    dtype = np.dtype([(name, values.dtype.newbyteorder('<')) for name, values in columns.items()])
    count = len(next(iter(columns.values())))
    rows = np.empty(count, dtype)
    for name, values in columns.items():
        rows[name] = values
    kinds = {kind: letter for letter, kind in _KINDS.items()}
    types = [dtype[name] for name in columns]
    header = [
        '# .PCD v0.7 - Point Cloud Data file format',
        'VERSION 0.7',
        'FIELDS ' + ' '.join(columns),
        'SIZE ' + ' '.join(str(t.itemsize) for t in types),
        'TYPE ' + ' '.join(kinds[t.kind] for t in types),
        'COUNT ' + ' '.join('1' for _ in types),
        f'WIDTH {count}',
        'HEIGHT 1',
        'VIEWPOINT 0 0 0 1 0 0 0',
        f'POINTS {count}',
        f'DATA {"ascii" if ascii_text else "binary"}',
    ]
    with path.open('wb') as file:
        file.write(('\n'.join(header) + '\n').encode())
        if ascii_text:
            # repr-like digits: reading gives the same floats back.
            formats = [{'f4': '%.9g', 'f8': '%.17g'}.get(t.str[1:], '%d') for t in types]
            np.savetxt(file, rows, fmt=formats)
        else:
            file.write(rows.tobytes())


def _is_used(name: str) -> bool:
    return not name.startswith('\0')


def _read_header(file: BinaryIO) -> _Header:
    entries: dict[str, list[str]] = {}
    for _ in range(_MAX_HEADER_LINES):
        line = file.readline(_MAX_LINE)
        if not line:
            break
        words = line.decode('ascii', 'replace').split('#')[0].split()
        if words:
            entries[words[0].upper()] = words[1:]
        if 'DATA' in entries:
            return _parse_header(entries)
    raise ValueError('there is no DATA line, so this is not a PCD file')


def _parse_header(entries: Mapping[str, list[str]]) -> _Header:
    # COLUMNS is what FIELDS was called before version 0.6.
    names = entries.get('FIELDS') or entries.get('COLUMNS')
    if not names:
        raise ValueError('there is no FIELDS line')
    sizes, kinds = _words(entries, 'SIZE', len(names)), _words(entries, 'TYPE', len(names))
    counts = _words(entries, 'COUNT', len(names)) if 'COUNT' in entries else ['1'] * len(names)
    columns: list[tuple[str, str]] = []
    for name, size, kind, count in zip(names, sizes, kinds, counts, strict=True):
        if kind not in _KINDS or _integer(size, 'SIZE') not in _SIZES[kind]:
            raise ValueError(f'field {name!r} has TYPE {kind} and SIZE {size}, which do not exist')
        elements = _integer(count, 'COUNT')
        if not 1 <= elements <= 4096:
            raise ValueError(f'field {name!r} has COUNT {count}, expected 1 to 4096')
        for index in range(elements):
            # A name no header can hold marks padding, of which there may be several.
            padding = f'\0{len(columns)}'
            label = padding if name == '_' else name if elements == 1 else f'{name}_{index}'
            columns.append((label, f'<{_KINDS[kind]}{size}'))
    duplicates = len(columns) - len({name for name, _ in columns})
    if duplicates:
        raise ValueError(f'FIELDS names {duplicates} of its fields twice')
    width = _integer(_words(entries, 'WIDTH', 1)[0], 'WIDTH')
    height = _integer(entries.get('HEIGHT', ['1'])[0], 'HEIGHT')
    points = _integer(entries.get('POINTS', [str(width * height)])[0], 'POINTS')
    if points != width * height:
        raise ValueError(f'POINTS is {points}, but WIDTH x HEIGHT is {width} x {height}')
    return _Header(np.dtype(columns), width, height, ' '.join(entries['DATA']).lower())


def _words(entries: Mapping[str, list[str]], key: str, count: int) -> list[str]:
    words = entries.get(key, [])
    if len(words) != count:
        raise ValueError(f'{key} has {len(words)} entries, expected {count}')
    return words


def _integer(word: str, key: str) -> int:
    if not word.isascii() or not word.isdigit():
        raise ValueError(f'{key} is {word!r}, expected a whole number')
    return int(word)


def _read_ascii(file: BinaryIO, header: _Header) -> NDArray:
    columns = len(header.dtype.names or ())
    lines = [line for line in file.read().decode('ascii', 'replace').splitlines() if line.strip()]
    if len(lines) < header.point_count:
        raise ValueError(f'POINTS is {header.point_count}, but {len(lines)} lines follow DATA')
    rows = np.empty(header.point_count, header.dtype)
    if header.point_count:
        text = io.StringIO('\n'.join(lines[: header.point_count]))
        values = np.loadtxt(text, dtype=np.float64, ndmin=2)
        if values.shape[1] != columns:
            raise ValueError(f'a line holds {values.shape[1]} numbers, FIELDS names {columns}')
        with np.errstate(invalid='ignore', over='ignore'):
            for index, name in enumerate(header.dtype.names or ()):
                rows[name] = values[:, index]
    return rows


def _read_binary(file: BinaryIO, header: _Header) -> NDArray:
    needed = header.point_count * header.dtype.itemsize
    data = file.read(needed)
    if len(data) < needed:
        raise ValueError(
            f'{len(data)} bytes follow DATA, {header.point_count} points need {needed}'
        )
    return np.frombuffer(data, header.dtype) if needed else np.empty(0, header.dtype)


def _read_compressed(file: BinaryIO, header: _Header) -> dict[str, NDArray]:
    sizes = file.read(8)
    if len(sizes) < 8:
        raise ValueError('the file ends before the sizes of its compressed data')
    compressed_size, size = struct.unpack('<II', sizes)
    needed = header.point_count * header.dtype.itemsize
    if size != needed:
        raise ValueError(f'{size} bytes are announced, {header.point_count} points need {needed}')
    compressed = file.read(compressed_size)
    if len(compressed) < compressed_size:
        raise ValueError(
            f'{len(compressed)} bytes of compressed data follow, {compressed_size} are announced'
        )
    data = decompress(compressed, size)
    # Compressed files hold whole columns, one after another.
    columns, offset = {}, 0
    for name in header.dtype.names or ():
        dtype = header.dtype[name]
        if _is_used(name):
            columns[name] = np.frombuffer(data, dtype, header.point_count, offset)
        offset += dtype.itemsize * header.point_count
    return columns
