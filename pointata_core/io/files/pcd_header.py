# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The header of PCD files, version 0.7 and before.

The format is that of the Point Cloud Library (pointclouds.org, "The PCD file format"). As its
readers do, this one accepts missing lines, keywords in any case, any letter case of TYPE and fields
without bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pointata_core.io.files.number_text import without_mark

LONGEST_HEADER = 1 << 18
_DATA = re.compile(rb'(?:\A|[\r\n])[ \t]*DATA[ \t]+([^\r\n]*)(\r\n|\n|\r|\Z)', re.IGNORECASE)
_KEYS = ('VERSION', 'FIELDS', 'COLUMNS', 'SIZE', 'TYPE', 'COUNT', 'WIDTH', 'HEIGHT', 'POINTS')
_KINDS = {'I': 'i', 'U': 'u', 'F': 'f', 'B': 'u', 'D': 'f'}
_SIZES = {'i': (1, 2, 4, 8), 'u': (1, 2, 4, 8), 'f': (2, 4, 8)}
_MOST_ELEMENTS = 1 << 16


@dataclass(frozen=True)
class PcdField:
    """One entry of FIELDS: ``count`` elements of one datatype for each point.

    A datatype of kind ``V`` is padding, or a type that no reader knows: bytes to skip.
    """

    name: str
    dtype: np.dtype
    count: int

    @property
    def names(self) -> list[str]:
        """Names of its columns."""
        if self.dtype.kind == 'V':
            return []
        if self.count == 1:
            return [self.name]
        return [f'{self.name}_{index}' for index in range(self.count)]

    @property
    def size(self) -> int:
        """Bytes of one point."""
        return self.dtype.itemsize * self.count


@dataclass(frozen=True)
class PcdHeader:
    """What a header announces.

    Attributes:
        fields: Columns in the order of the file.
        shapes: (width, height) that WIDTH x HEIGHT and POINTS announce; two if they disagree.
        encoding: ``ascii``, ``binary`` or ``binary_compressed``.
        body: Offset of the first byte after the header.
    """

    fields: tuple[PcdField, ...]
    shapes: tuple[tuple[int, int], ...]
    encoding: str
    body: int

    @property
    def point_size(self) -> int:
        """Bytes of one point in a binary file."""
        return sum(field.size for field in self.fields)


def parse_header(head: bytes) -> PcdHeader:
    """Read a header.

    Args:
        head: The first ``LONGEST_HEADER`` bytes of the file, or all of it.

    Raises:
        ValueError: It is no header of a PCD file; the message names the line or field.
    """
    found = _DATA.search(head)
    if found is None:
        raise ValueError('there is no DATA line, so this is not a PCD file')
    entries = _entries(without_mark(head[: found.start()]))
    encoding = found[1].split(b'#')[0].strip().lower().decode('ascii', 'replace')
    fields = _fields(entries)
    return PcdHeader(fields, _shapes(entries), encoding, found.end())


def _entries(header: bytes) -> dict[str, list[str]]:
    entries: dict[str, list[str]] = {}
    for line in header.decode('utf-8', 'replace').splitlines():
        words = re.split(r'(?:^|\s)#', line)[0].replace(',', ' ').split()
        key = next((key for key in _KEYS if words and words[0].upper().startswith(key)), None)
        if key is not None:
            entries['FIELDS' if key == 'COLUMNS' else key] = words[1:]
    return entries


def _fields(entries: Mapping[str, list[str]]) -> tuple[PcdField, ...]:
    names = entries.get('FIELDS')
    if not names:
        raise ValueError('there is no FIELDS line')
    columns = {
        key: _words(entries, key, len(names), default)
        for key, default in (('SIZE', '4'), ('TYPE', 'F'), ('COUNT', '1'))
    }
    fields: list[PcdField] = []
    seen: dict[str, int] = {}
    for name, size, kind, count in zip(names, *columns.values(), strict=True):
        elements = natural(count, 'COUNT')
        if elements > _MOST_ELEMENTS:
            raise ValueError(
                f'field {name!r} has COUNT {count}, at most {_MOST_ELEMENTS} are accepted'
            )
        field = PcdField(name, _datatype(name, kind, natural(size, 'SIZE')), elements)
        if field.dtype.kind != 'V':
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                if name.casefold() in {'x', 'y', 'z'}:
                    raise ValueError(f'FIELDS names {name!r} twice')
                field = PcdField(f'{name}_{seen[name]}', field.dtype, elements)
        fields.append(field)
    return tuple(fields)


def _datatype(name: str, kind: str, size: int) -> np.dtype:
    code = _KINDS.get(kind[:1].upper(), 'V')
    if name != '_' and size in _SIZES.get(code, ()):
        return np.dtype(f'<{code}{size}')
    if name.casefold() in {'x', 'y', 'z'} or size > _MOST_ELEMENTS:
        raise ValueError(f'field {name!r} has TYPE {kind} and SIZE {size}, which do not exist')
    return np.dtype(f'V{size}')


def _shapes(entries: Mapping[str, list[str]]) -> tuple[tuple[int, int], ...]:
    numbers = {
        key: natural(entries[key][0], key) if entries.get(key) else None
        for key in ('WIDTH', 'HEIGHT', 'POINTS')
    }
    width, height, points = numbers['WIDTH'], numbers['HEIGHT'] or 1, numbers['POINTS']
    if width is None and points is None:
        raise ValueError('there is neither a WIDTH nor a POINTS line')
    if not width:
        # Files of versions before 0.6 are never organised.
        return ((points or 0, 1),)
    if points is None or points == width * height:
        return ((width, height),)
    return ((points, 1), (width, height))


def _words(entries: Mapping[str, list[str]], key: str, count: int, default: str) -> list[str]:
    words = entries.get(key, [default] * count)
    if len(words) != count:
        raise ValueError(f'{key} has {len(words)} entries, expected {count}')
    return words


def natural(word: str, key: str) -> int:
    """A whole number of a header, also as ``240.0`` or ``2.4e2``.

    Raises:
        ValueError: It is none, or negative.
    """
    try:
        number = int(word) if word.isdigit() else float(word)
        if number >= 0 and number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f'{key} is {word!r}, expected a whole number')
