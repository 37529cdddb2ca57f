# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PCD files: ascii, binary and binary_compressed.

VIEWPOINT is not applied: points stay in the frame they were stored in.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.files.lzf import decompress
from pointata_core.io.files.number_text import read_column, split_row, without_mark
from pointata_core.io.files.pcd_header import LONGEST_HEADER, PcdHeader, parse_header
from pointata_core.io.files.tables import CloudTable

_LETTERS = {'i': 'I', 'u': 'U', 'f': 'F'}


def read_pcd(path: Path, max_points: int) -> CloudTable:
    """Read the columns of a PCD file.

    A field of COUNT n > 1 becomes n columns ``name_0`` ...; padding (``_``) is left out.

    Raises:
        ValueError: The file is malformed; the message names the field.
    """
    with path.open('rb') as file:
        head = file.read(LONGEST_HEADER)
        if head[:2] in (b'\xff\xfe', b'\xfe\xff'):
            head = without_mark(head + file.read())
        header = parse_header(head)
        least = min(width * height for width, height in header.shapes)
        if least > max_points:
            raise ValueError(f'POINTS is {least}, at most {max_points} are accepted')
        body = head[header.body :] + file.read()
    if header.encoding.startswith('binary_compressed'):
        return _read_compressed(body, header, max_points)
    if header.encoding.startswith('binary'):
        return _read_binary(body, header, max_points)
    if header.encoding.startswith('ascii'):
        return _read_ascii(body, header, max_points)
    raise ValueError(f'DATA is {header.encoding!r}, expected ascii, binary or binary_compressed')


def write_pcd(path: Path, columns: Mapping[str, NDArray], *, ascii_text: bool = False) -> None:
    """Write columns (N,) as an unorganised PCD file, binary unless ``ascii_text``."""
    dtype = np.dtype([(name, values.dtype.newbyteorder('<')) for name, values in columns.items()])
    count = len(next(iter(columns.values())))
    rows = np.empty(count, dtype)
    for name, values in columns.items():
        rows[name] = values
    types = [dtype[name] for name in columns]
    header = [
        '# .PCD v0.7 - Point Cloud Data file format',
        'VERSION 0.7',
        'FIELDS ' + ' '.join(columns),
        'SIZE ' + ' '.join(str(t.itemsize) for t in types),
        'TYPE ' + ' '.join(_LETTERS[t.kind] for t in types),
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


def _choose(header: PcdHeader, held: int, what: str, max_points: int) -> tuple[int, int, list[str]]:
    """The announced shape that fits the points held, and a note where two are announced."""
    counts = [width * height for width, height in header.shapes]
    fitting = [shape for shape, count in zip(header.shapes, counts, strict=True) if count == held]
    if not fitting:
        fitting = [
            shape for shape, count in zip(header.shapes, counts, strict=True) if count <= held
        ]
    if not fitting:
        raise ValueError(f'POINTS is {counts[0]}, but {what}')
    width, height = fitting[0]
    if width * height > max_points:
        raise ValueError(f'POINTS is {width * height}, at most {max_points} are accepted')
    notes = []
    if len(counts) > 1:
        notes.append(
            f'POINTS is {counts[0]}, but WIDTH x HEIGHT is {counts[1]}; {width * height} are read'
        )
    return width, height, notes


def _read_ascii(body: bytes, header: PcdHeader, max_points: int) -> CloudTable:
    written = [field for field in header.fields if field.size]
    columns = sum(field.count for field in written)
    lines = [line for line in body.splitlines() if line.strip() and line.lstrip()[:1] != b'#']
    width, height, notes = _choose(
        header, len(lines), f'{len(lines)} lines follow DATA', max_points
    )
    count = width * height
    if len(lines) > count:
        notes.append(f'{len(lines) - count} lines more than announced follow; they are left out')
    words = b' '.join(lines[:count]).split()
    named = [field for field in written if field.names]
    has_marks = b',' in body or b';' in body
    if not has_marks and len(words) == count * sum(field.count for field in named):
        # Writers differ in whether padding has numbers in text.
        written, columns = named, sum(field.count for field in named)
    elif has_marks or len(words) != count * columns:
        words = []
        for number, line in enumerate(lines[:count], start=1):
            row = split_row(line, columns)
            if len(row) < columns:
                raise ValueError(
                    f'line {number} of the points holds {len(row)} numbers, FIELDS names {columns}'
                )
            words += row[:columns]
    table = np.array(words).reshape(count, columns) if count else np.empty((0, columns), 'S1')
    values, index = {}, 0
    for field in written:
        for offset, name in enumerate(field.names):
            values[name] = read_column(table[:, index + offset], field.dtype)
        index += field.count
    return CloudTable(values, width, height, tuple(notes))


def _read_binary(body: bytes, header: PcdHeader, max_points: int) -> CloudTable:
    size = header.point_size
    if not size:
        raise ValueError('the points of this file have no bytes')
    what = (
        f'{len(body)} bytes follow DATA, {max(w * h for w, h in header.shapes)} points need '
        f'{max(w * h for w, h in header.shapes) * size}'
    )
    width, height, notes = _choose(header, len(body) // size, what, max_points)
    layout = [(f'{i}', f.dtype, (f.count,)) for i, f in enumerate(header.fields) if f.size]
    rows = np.frombuffer(body, np.dtype(layout), width * height)
    values = {}
    for index, field in enumerate(header.fields):
        for element, name in enumerate(field.names):
            values[name] = rows[f'{index}'][:, element]
    return CloudTable(values, width, height, tuple(notes))


def _read_compressed(body: bytes, header: PcdHeader, max_points: int) -> CloudTable:
    if len(body) < 8:
        raise ValueError('the file ends before the sizes of its compressed data')
    compressed_size, size = struct.unpack('<II', body[:8])
    if size > max_points * max(header.point_size, 1):
        raise ValueError(f'it unpacks to {size} bytes, at most {max_points} points are accepted')
    what = f'{size} bytes are announced, a point has {header.point_size}'
    held = size // header.point_size if header.point_size else 0
    width, height, notes = _choose(header, held, what, max_points)
    compressed = body[8 : 8 + compressed_size]
    if len(compressed) < compressed_size:
        raise ValueError(
            f'{len(compressed)} bytes of compressed data follow, {compressed_size} are announced'
        )
    data = decompress(compressed, size)
    # Compressed files hold whole fields, one after another.
    values, offset, count = {}, 0, width * height
    for field in header.fields:
        if field.names:
            block = np.frombuffer(data, field.dtype, count * field.count, offset)
            for element, name in enumerate(field.names):
                values[name] = block.reshape(count, field.count)[:, element]
        offset += field.size * count
    return CloudTable(values, width, height, tuple(notes))
