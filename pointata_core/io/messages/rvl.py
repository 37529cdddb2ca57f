# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decode RVL, the lossless compression of depth images (Wilson 2017, Microsoft Research).

An image is runs of zeros and of differences to the pixel before. All numbers are written three bits
at a time, the lowest first, with a fourth bit where more follow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIZE_BYTES = 8  # columns and rows
_NIBBLES_OF_32_BITS = 11


def decode_rvl(data: bytes | memoryview, most_pixels: int) -> NDArray[np.uint16]:
    """Return the image (H, W).

    Args:
        data: Columns and rows as 32-bit integers, then the pixels.
        most_pixels: A larger image is refused.

    Raises:
        ValueError: The bytes are no such image.
    """
    if len(data) < _SIZE_BYTES:
        raise ValueError(f'{len(data)} bytes, expected {_SIZE_BYTES} or more')
    width, height = (int(value) for value in np.frombuffer(data, '<u4', 2))
    count = width * height
    if not 0 < count <= most_pixels:
        raise ValueError(f'{width} x {height} pixels, expected 1 to {most_pixels}')
    words = np.frombuffer(data, '<u4', (len(data) - _SIZE_BYTES) // 4, _SIZE_BYTES)
    numbers = _numbers(words)
    pixels = np.zeros(count, np.int64)
    runs = []
    at = done = 0
    while done < count:
        if at + 2 > len(numbers):
            raise ValueError(f'{done} of {count} pixels are there')
        zeros, nonzeros = int(numbers[at]), int(numbers[at + 1])
        at += 2
        done += zeros + nonzeros
        if done > count or at + nonzeros > len(numbers) or not zeros + nonzeros:
            raise ValueError(f'a run of {zeros} zeros and {nonzeros} differences is damaged')
        runs.append((at, done - nonzeros, nonzeros))
        at += nonzeros
    if runs:
        signed = (numbers >> 1) ^ -(numbers & 1)
        differences = np.concatenate([signed[start : start + size] for start, _, size in runs])
        values = np.cumsum(differences)
        begin = 0
        for _, target, size in runs:
            pixels[target : target + size] = values[begin : begin + size]
            begin += size
    return pixels.astype(np.uint16).reshape(height, width)


def _numbers(words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """All numbers of variable length in the stream."""
    shifts = np.arange(28, -4, -4, dtype=np.uint32)
    nibbles = ((words[:, None] >> shifts) & 15).ravel().astype(np.int64)
    (ends,) = np.nonzero(nibbles < 8)
    if not len(ends):
        return np.empty(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() >= _NIBBLES_OF_32_BITS:
        raise ValueError('a number is longer than 32 bits')
    nibbles = nibbles[: ends[-1] + 1]
    place = np.arange(len(nibbles)) - np.repeat(starts, ends - starts + 1)
    return np.add.reduceat((nibbles & 7) << (3 * place), starts)
