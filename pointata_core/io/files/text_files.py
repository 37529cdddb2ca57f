# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds as plain text: one point a line, numbers between blanks, commas, semicolons or tabs.

A line of words in front names the columns (CloudCompare's ``//X Y Z Intensity``, ``# x y z``, a CSV
header). Without one, the first three are x, y, z; the ending and the number of columns tell the
others where tools agree on them, else they are called ``column_4`` ... Leica's ``.pts`` begins with
the number of points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.files.number_text import read_column, read_words, split_row, without_mark
from pointata_core.io.files.tables import CloudTable

ENDINGS = ('.xyz', '.txt', '.csv', '.asc', '.pts', '.xyzi', '.xyzn', '.xyzrgb')
_COLOURS = ('red', 'green', 'blue')
_NORMALS = ('normal_x', 'normal_y', 'normal_z')
# (ending or empty for any, number of columns) -> what follows x, y, z.
_KNOWN = {
    ('', 4): ('intensity',),
    ('.pts', 6): _COLOURS,
    ('.pts', 7): ('intensity', *_COLOURS),
    ('.xyzrgb', 6): _COLOURS,
    ('.xyzn', 6): _NORMALS,
}
_NUMBER_LIKE = re.compile(rb'[+-]?[\d.]')


def read_text(path: Path, max_points: int, names: Sequence[str] | None = None) -> CloudTable:
    """Read a text file.

    Args:
        path: The file.
        max_points: Largest accepted number of lines.
        names: Columns; by default those of its first line, or what the ending stands for.

    Raises:
        ValueError: A line is no point; the message gives its number.
    """
    lines = without_mark(path.read_bytes()).splitlines()
    found, first = _header(lines)
    body = [
        (number, line)
        for number, line in enumerate(lines[first:], start=first + 1)
        if line.strip() and not line.lstrip().startswith((b'#', b'//'))
    ]
    notes = []
    if path.suffix.lower() == '.pts' and body and len(body[0][1].split()) == 1:
        announced = int(read_words(body[0][1].split())[0])
        body = body[1:]
        if announced != len(body):
            notes.append(f'its first line announces {announced} points, {len(body)} follow')
    if len(body) > max_points:
        raise ValueError(f'it holds {len(body)} points, at most {max_points} are accepted')
    if not body:
        columns = names or found or ('x', 'y', 'z')
        return CloudTable({name: np.empty(0) for name in columns}, 0, 1, tuple(notes))
    rows = _rows(body)
    ending = path.suffix.lower()
    columns = list(names or _name_all(found, rows) or _guess(ending, len(rows[0])))
    if len(columns) != len(rows[0]):
        raise ValueError(
            f'line {body[0][0]} holds {len(rows[0])} numbers, {len(columns)} columns are named '
            f'({" ".join(columns)})'
        )
    table = np.array(rows)
    values: dict[str, NDArray] = {}
    for index, name in enumerate(columns):
        values.setdefault(name, read_column(table[:, index], np.dtype(np.float64)))
    return CloudTable(values, len(table), 1, tuple(notes))


def _header(lines: list[bytes]) -> tuple[list[str] | None, int]:
    """Names of the columns, if a line in front of the numbers gives them; index of the next."""
    names: list[str] | None = None
    for index, line in enumerate(lines[:64]):
        text = line.strip()
        if not text:
            continue
        is_comment = text.startswith((b'#', b'//'))
        words = _header_words(text)
        if _NUMBER_LIKE.match(words[0]) and not is_comment:
            return names, index
        folded = [
            word.decode('utf-8', 'replace') or f'column_{at}' for at, word in enumerate(words, 1)
        ]
        if {'x', 'y', 'z'} <= {word.lower() for word in folded}:
            names = folded
        elif not is_comment and names is None and b'nan' not in text.lower():
            raise ValueError(f'line {index + 1} is no point and names no x, y and z: {line[:60]!r}')
        elif not is_comment:
            return names, index
    return names, min(len(lines), 64)


def _header_words(text: bytes) -> list[bytes]:
    """Names of a header; between commas or semicolons they may be empty, as pandas writes them."""
    text = text.lstrip(b'#/ \t') if text.startswith((b'#', b'//')) else text
    mark = next((mark for mark in (b';', b',') if mark in text), None)
    return [word.strip(b' \t"\'') for word in text.split(mark)]


def _name_all(found: list[str] | None, rows: list[list[bytes]]) -> list[str] | None:
    """Names of a header that has one for each column, or lacks that of a running number."""
    if found is None or len(found) >= len(rows[0]):
        return found
    if len(found) + 1 == len(rows[0]):
        first = [row[0].strip(b'"') for row in rows]
        if any(first == [b'%d' % (at + start) for at in range(len(rows))] for start in (0, 1)):
            return ['index', *found]
    if [name.lower() for name in found[:3]] == ['x', 'y', 'z']:
        return [*found, *(f'column_{at}' for at in range(len(found) + 1, len(rows[0]) + 1))]
    return found


def _rows(body: list[tuple[int, bytes]]) -> list[list[bytes]]:
    rows = [split_row(line) for _, line in body]
    width = len(rows[0])
    if width < 3:
        raise ValueError(f'line {body[0][0]} holds {width} numbers, a point has 3 or more')
    for (number, _), row in zip(body, rows, strict=True):
        if len(row) != width:
            raise ValueError(f'line {number} holds {len(row)} numbers, others hold {width}')
    return rows


def _guess(ending: str, count: int) -> tuple[str, ...]:
    known = _KNOWN.get((ending, count), _KNOWN.get(('', count)))
    if known is None:
        known = tuple(f'column_{number}' for number in range(4, count + 1))
    return ('x', 'y', 'z', *known)
