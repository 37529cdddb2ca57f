# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PLY files: ascii, binary of either byte order; lists are skipped.

In text, numbers count and not lines, as for most readers: an entry may span lines, and lines may be
blank. Where every line holds one entry, further numbers of a line are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.files.number_text import read_column, split_row, without_mark
from pointata_core.io.files.ply_header import (
    LONGEST_HEADER,
    PlyElement,
    PlyHeader,
    parse_header,
)
from pointata_core.io.files.tables import CloudTable

_NAMES = {'i1': 'char', 'u1': 'uchar', 'i2': 'short', 'u2': 'ushort', 'i4': 'int', 'u4': 'uint',
          'f4': 'float', 'f8': 'double'}  # fmt: skip


def read_ply(path: Path, max_points: int) -> CloudTable:
    """Read the scalar properties of the element ``vertex``.

    Raises:
        ValueError: The file is malformed; the message names what is wrong.
    """
    with path.open('rb') as file:
        head = file.read(LONGEST_HEADER)
        if head[:2] in (b'\xff\xfe', b'\xfe\xff'):
            head = without_mark(head + file.read())
        header = parse_header(head)
        points = header.points
        if points.size > max_points:
            raise ValueError(
                f'element {points.name} has {points.size} entries, at most {max_points} are '
                'accepted'
            )
        body = head[header.body :] + file.read()
    if not header.order:
        columns = _read_ascii(body, header)
    else:
        columns = _read_binary(body, header)
    return CloudTable(columns, points.size)


def write_ply(path: Path, columns: Mapping[str, NDArray]) -> None:
    """Write columns (N,) as the element ``vertex`` of a binary little-endian file."""
    types = {name: values.dtype.newbyteorder('<') for name, values in columns.items()}
    count = len(next(iter(columns.values())))
    rows = np.empty(count, list(types.items()))
    for name, values in columns.items():
        rows[name] = values
    header = ['ply', 'format binary_little_endian 1.0', f'element vertex {count}']
    header += [f'property {_NAMES[kind.str[1:]]} {name}' for name, kind in types.items()]
    with path.open('wb') as file:
        file.write(('\n'.join([*header, 'end_header']) + '\n').encode())
        file.write(rows.tobytes())


def _scalars(element: PlyElement) -> dict[str, int]:
    """Position of every scalar property by its name; of two with one name, the first."""
    found: dict[str, int] = {}
    for index, prop in enumerate(element.properties):
        if prop.count is None:
            found.setdefault(prop.name, index)
    return found


def _short(element: PlyElement, have: object, need: object) -> ValueError:
    return ValueError(
        f'element {element.name} announces {element.size} entries, which need {need}; '
        f'the file holds {have}'
    )


# ------------------------------------------------------------------------------------------ binary


def _read_binary(body: bytes, header: PlyHeader) -> dict[str, NDArray]:
    offset = 0
    for element in header.before:
        offset = _walk(body, element, header.order, offset)[0]
    points, names = header.points, _scalars(header.points)
    if not points.has_lists:
        dtype = _ordered(points.dtype, header.order)
        if points.size * dtype.itemsize > len(body) - offset:
            raise _short(points, f'{len(body) - offset} bytes', points.size * dtype.itemsize)
        rows = (
            np.frombuffer(body, dtype, points.size, offset) if points.size else np.empty(0, dtype)
        )
        return {name: rows[f'{index}'] for name, index in names.items()}
    offsets = _walk(body, points, header.order, offset)[1]
    columns = {}
    view = np.frombuffer(body, np.uint8)
    for name, index in names.items():
        dtype = _ordered(points.properties[index].dtype, header.order)
        gathered = view[offsets[:, index, None] + np.arange(dtype.itemsize)]
        columns[name] = np.ascontiguousarray(gathered).view(dtype).ravel()
    return columns


def _ordered(dtype: np.dtype, order: str) -> np.dtype:
    """The type in the byte order of the file, ``<`` or ``>``."""
    return dtype.newbyteorder(order)  # type: ignore[arg-type]  # its stub lists every name


def _walk(body: bytes, element: PlyElement, order: str, offset: int) -> tuple[int, NDArray]:
    """Step over an element.

    Returns:
        The offset behind it, and with lists the offset of each property, ``(N, properties)``.
    """
    if not element.has_lists:
        end = offset + element.size * element.dtype.itemsize
        if end > len(body):
            raise _short(element, f'{len(body) - offset} bytes', end - offset)
        return end, np.empty((0, 0), np.int64)
    kinds = [
        (prop.dtype.itemsize, None if prop.count is None else _ordered(prop.count, order))
        for prop in element.properties
    ]
    if element.size * sum(size if kind is None else kind.itemsize for size, kind in kinds) > len(
        body
    ):
        raise _short(element, f'{len(body) - offset} bytes', 'more')
    offsets = np.empty((element.size, len(kinds)), np.int64)
    for entry in range(element.size):
        for index, (size, kind) in enumerate(kinds):
            offsets[entry, index] = offset
            if kind is None:
                offset += size
                continue
            if offset + kind.itemsize > len(body):
                raise _short(element, f'{len(body)} bytes', 'more')
            length = np.frombuffer(body, kind, 1, offset)[0]
            if not 0 <= length <= len(body):
                raise ValueError(f'a list of element {element.name} has length {length}')
            offset += kind.itemsize + int(length) * size
        if offset > len(body):
            raise _short(element, f'{len(body)} bytes', 'more')
    return offset, offsets


# -------------------------------------------------------------------------------------------- text


def _read_ascii(body: bytes, header: PlyHeader) -> dict[str, NDArray]:
    points, names = header.points, _scalars(header.points)
    width = len(points.properties)
    if not points.size:
        return {name: np.empty(0, points.properties[at].dtype) for name, at in names.items()}
    lines = [line for line in body.splitlines() if line.strip()]
    entries = sum(element.size for element in header.before)
    table = _one_entry_a_line(lines[entries : entries + points.size], points)
    if table is None:
        words = b' '.join(lines).replace(b',', b'.').split()
        position = 0
        for element in header.before:
            position, _ = _walk_words(words, element, position)
        if not points.has_lists:
            chosen = words[position : position + points.size * width]
            if len(chosen) < points.size * width:
                raise _short(points, f'{len(chosen)} numbers', f'{points.size * width} numbers')
            table = np.array(chosen).reshape(points.size, width)
        else:
            rows = _walk_words(words, points, position)[1]
            table = np.array([[words[at] for at in row] for row in rows])
    return {
        name: read_column(table[:, index], points.properties[index].dtype)
        for name, index in names.items()
    }


def _one_entry_a_line(lines: list[bytes], points: PlyElement) -> NDArray | None:
    """Words of entries ``(N, properties)`` if all lines hold the same number of them, enough."""
    width = len(points.properties)
    if points.has_lists or len(lines) < points.size or not width:
        return None
    rows = [split_row(line, width) for line in lines]
    if len(rows[0]) < width or len({len(row) for row in rows}) > 1:
        return None
    return np.array([row[:width] for row in rows])


def _walk_words(
    words: list[bytes], element: PlyElement, position: int
) -> tuple[int, list[list[int]]]:
    """Step over an element; give the position behind it and those of each entry's properties."""
    rows = []
    if element.size * len(element.properties) > len(words) - position:
        raise _short(element, f'{len(words) - position} numbers', 'more')
    for _ in range(element.size):
        row = []
        for prop in element.properties:
            row.append(position)
            if position >= len(words):
                raise _short(element, f'{len(words)} numbers', 'more')
            if prop.count is not None:
                length = read_column(np.array(words[position : position + 1]), np.dtype('i8'))[0]
                if not 0 <= length <= len(words):
                    raise ValueError(f'a list of element {element.name} has length {length}')
                position += int(length)
            position += 1
        rows.append(row)
    return position, rows
