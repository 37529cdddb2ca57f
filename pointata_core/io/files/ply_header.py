# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The header of PLY files (Greg Turk's Stanford format), as the tools of the field write it.

Accepted beyond the definition: blank lines, trailing blanks, any line ending, comments in any
encoding and at any place, keywords in any case, sizes in the names of types (``float32``), 64-bit
integers, an element ``point`` or ``points`` instead of ``vertex``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pointata_core.io.files.number_text import without_mark
from pointata_core.io.files.pcd_header import natural

LONGEST_HEADER = 1 << 20
_END = re.compile(rb'(?:\r\n|\n|\r)[ \t]*end_header[ \t]*(\r\n|\n|\r|\Z)', re.IGNORECASE)
_ORDERS = {'ascii': '', 'binary_little_endian': '<', 'binary_big_endian': '>'}
_TYPES = {
    'i1': ('char', 'int8', 'schar', 'signed_char', 'byte'),
    'u1': ('uchar', 'uint8', 'unsigned_char', 'ubyte', 'bool'),
    'i2': ('short', 'int16'),
    'u2': ('ushort', 'uint16', 'unsigned_short'),
    'i4': ('int', 'int32', 'integer'),
    'u4': ('uint', 'uint32', 'unsigned_int', 'unsigned'),
    'i8': ('long', 'int64', 'longlong', 'long_long'),
    'u8': ('ulong', 'uint64', 'ulonglong', 'unsigned_long'),
    'f2': ('half', 'float16'),
    'f4': ('float', 'float32', 'single'),
    'f8': ('double', 'float64'),
}
_CODES = {name: code for code, names in _TYPES.items() for name in names}
_VERTICES = ('vertex', 'vertices', 'point', 'points')


@dataclass(frozen=True)
class PlyProperty:
    """One property: ``count`` is the datatype of the length if it is a list."""

    name: str
    dtype: np.dtype
    count: np.dtype | None = None


@dataclass(frozen=True)
class PlyElement:
    """One element: ``size`` entries with these properties."""

    name: str
    size: int
    properties: tuple[PlyProperty, ...]

    @property
    def has_lists(self) -> bool:
        """Whether its entries may differ in length."""
        return any(prop.count is not None for prop in self.properties)

    @property
    def dtype(self) -> np.dtype:
        """One entry without lists; columns are named by their position."""
        return np.dtype([(f'{i}', prop.dtype) for i, prop in enumerate(self.properties)])


@dataclass(frozen=True)
class PlyHeader:
    """What a header announces.

    Attributes:
        order: ``<``, ``>``, or empty for text.
        before: Elements in front of the points.
        points: The element with the points.
        body: Offset of the first byte after the header.
    """

    order: str
    before: tuple[PlyElement, ...]
    points: PlyElement
    body: int


def parse_header(head: bytes) -> PlyHeader:
    """Read a header.

    Args:
        head: The first ``LONGEST_HEADER`` bytes of the file, or all of it.

    Raises:
        ValueError: It is no header of a PLY file; the message names the line.
    """
    if without_mark(head[:8]).lstrip()[:3].lower() != b'ply':
        raise ValueError("the first line is not 'ply', so this is not a PLY file")
    found = _END.search(head)
    if found is None:
        raise ValueError('there is no end_header line')
    order, elements = _parse_lines(head[: found.start()].decode('utf-8', 'replace').splitlines())
    points = next(
        (index for index, element in enumerate(elements) if element.name.lower() in _VERTICES), None
    )
    if points is None:
        names = ', '.join(element.name for element in elements) or '(none)'
        raise ValueError(f'there is no element vertex among {names}')
    end = found.end()
    if found[1] == b'\r\n' and b'\n' not in head[: found.start() + 2]:
        end -= 1  # the line ends with \r, and the first byte of the data is \n
    return PlyHeader(order, tuple(elements[:points]), elements[points], end)


def _parse_lines(lines: list[str]) -> tuple[str, list[PlyElement]]:
    order: str | None = None
    elements: list[PlyElement] = []
    for line in lines[1:]:
        words = line.split()
        key = words[0].lower() if words else ''
        if key == 'format':
            order = _ORDERS.get(words[1].lower()) if len(words) > 1 else None
            if order is None:
                raise ValueError(f'the format line is {line.strip()!r}, expected one of {_KNOWN}')
        elif key == 'element':
            if len(words) != 3:
                raise ValueError(f'{line.strip()!r} is no element line (element NAME COUNT)')
            elements.append(PlyElement(words[1], natural(words[2], f'element {words[1]}'), ()))
        elif key == 'property':
            if not elements:
                raise ValueError(f'{line.strip()!r} stands before the first element')
            last = elements[-1]
            prop = _property(words, line)
            elements[-1] = PlyElement(last.name, last.size, (*last.properties, prop))
    if order is None:
        raise ValueError(f'there is no format line; expected one of {_KNOWN}')
    return order, elements


def _property(words: list[str], line: str) -> PlyProperty:
    is_list = len(words) > 1 and words[1].lower() == 'list'
    # Some writers leave the name of a list out, or put blanks into that of a property.
    types, name = (words[2:4], words[4:]) if is_list else (words[1:2], words[2:])
    codes = [_CODES.get(word.lower()) for word in types]
    if None in codes or len(codes) != 1 + is_list or not (name or is_list):
        raise ValueError(f'{line.strip()!r} is no property line (property TYPE NAME)')
    datatypes = [np.dtype(code) for code in codes]
    return PlyProperty('_'.join(name), datatypes[-1], datatypes[0] if is_list else None)


_KNOWN = ', '.join(_ORDERS)
