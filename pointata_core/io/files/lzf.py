# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decompress LZF, the format inside ``binary_compressed`` PCD files (Marc Lehmann's LibLZF).

A stream of two kinds of entries: a control byte below 32 announces that many bytes plus one to copy
from the stream; any other holds a length in its three upper bits (7 means: add the next byte) and,
with the byte that follows, how far back in the output to copy length + 2 bytes from. Copies may
overlap their own result, which is how runs are written.
"""

from __future__ import annotations


def decompress(data: bytes, size: int) -> bytes:
    """Return exactly ``size`` bytes.

    Raises:
        ValueError: The stream ends early, points before its own beginning, or gives another size.
    """
    out = bytearray()
    position, end = 0, len(data)
    while position < end:
        control = data[position]
        position += 1
        if control < 32:
            literal = data[position : position + control + 1]
            if len(literal) <= control:
                raise ValueError('the compressed data ends inside a literal run')
            out += literal
            position += control + 1
        else:
            length = control >> 5
            operands = 2 if length == 7 else 1
            if position + operands > end:
                raise ValueError('the compressed data ends inside a back reference')
            if length == 7:
                length += data[position]
            distance = ((control & 31) << 8) + data[position + operands - 1] + 1
            position += operands
            start = len(out) - distance
            if start < 0:
                raise ValueError('a back reference points before the beginning of the data')
            pattern = out[start : start + length + 2]
            # An overlapping copy repeats its pattern.
            repeats = -(-(length + 2) // len(pattern))
            out += (pattern * repeats)[: length + 2]
        if len(out) > size:
            break
    if len(out) != size:
        raise ValueError(f'decompressed to {len(out)} bytes or more, {size} were announced')
    return bytes(out)
