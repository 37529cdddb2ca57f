# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of numbers in text, in the spellings that programs and locales write.

Fast where Python's own spelling is used. Otherwise a word is read as C libraries of both worlds
write it: ``nan(ind)``, ``1.#QNAN`` and ``-1.#INF`` (Visual C++), ``1.0D+02`` (Fortran), ``0x1F``,
``0,5`` (locales with a decimal comma).
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SPECIAL = re.compile(rb'([+-]?)(?:nan.*|\d*\.?#?(?:s|q)nan.*|\d\.#ind.*|null|none|n/?a|-|)\Z')
_INFINITE = re.compile(rb'([+-]?)(?:inf.*|\d\.#inf.*)\Z')
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF16_LE, 'utf-16'), (codecs.BOM_UTF16_BE, 'utf-16'))


def without_mark(data: bytes) -> bytes:
    """Drop a byte order mark; text in UTF-16 becomes UTF-8."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, 'replace').encode()
    return data.removeprefix(codecs.BOM_UTF8)


def split_row(line: bytes, columns: int | None = None) -> list[bytes]:
    """Split one line at blanks, semicolons or commas.

    Args:
        line: The line.
        columns: How many words are expected. Decides whether a comma stands between numbers or
            inside one.
    """
    if b';' in line:
        return [word.strip().replace(b',', b'.') for word in line.strip().split(b';')]
    words = line.split()
    if b',' not in line:
        return words
    trimmed = [word.strip(b',') for word in words]
    if columns is None:
        columns = 3
    if len(words) >= columns and all(word.count(b',') <= 1 for word in trimmed):
        return [word.replace(b',', b'.') for word in trimmed if word]
    return [word.strip() for word in line.strip().split(b',')]


def read_words(words: Sequence[bytes] | NDArray) -> NDArray[np.float64]:
    """Numbers of words ``(N,)``.

    Raises:
        ValueError: A word is no number; the message shows it.
    """
    if not len(words):
        return np.empty(0)
    try:
        return np.asarray(words).astype(np.float64)
    except ValueError:
        return np.array([_number(bytes(word)) for word in words])


def read_column(words: NDArray, dtype: np.dtype) -> NDArray:
    """Convert words ``(N,)`` to a datatype; whole numbers keep all of their 64 bits."""
    if dtype.kind in 'iu' and dtype.itemsize == 8:
        try:
            return words.astype(np.int64 if dtype.kind == 'i' else np.uint64)
        except (ValueError, OverflowError):
            pass
    with np.errstate(invalid='ignore', over='ignore'):
        numbers = read_words(words)
        if dtype.kind in 'iu':
            numbers = np.nan_to_num(numbers, posinf=0, neginf=0)
        return numbers.astype(dtype)


def _number(word: bytes) -> float:
    text = word.strip().strip(b'"\'').lower()
    try:
        return float(text)
    except ValueError:
        pass
    if _SPECIAL.match(text):
        return math.nan
    infinite = _INFINITE.match(text)
    if infinite:
        return -math.inf if infinite[1] == b'-' else math.inf
    try:
        if b'x' in text:
            return float.fromhex(text.decode('ascii'))
        return float(text.replace(b'd', b'e').replace(b',', b'.'))
    except ValueError:
        shown = word[:40].decode('utf-8', 'replace')
        raise ValueError(f'{shown!r} is no number') from None
