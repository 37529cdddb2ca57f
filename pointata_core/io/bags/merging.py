# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of several files in one order, unpacked where each was compressed by itself."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

import zstandard

from pointata_core.io.bags.sources import Records, Source

# A message in CDR begins with 0.
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
_MOST_MESSAGE_BYTES = 1 << 30


def in_order(
    sources: Iterable[Source], wanted: set[str], read: Callable[[Source, set[str]], Records]
) -> Records:
    """Yield the messages of all sources by time of recording.

    Sources that follow each other in time are read one after another, so that a recording of many
    files needs the memory of one.
    """
    for group in _overlapping(sources):
        streams = [read(source, wanted) for source in group]
        yield from heapq.merge(*streams, key=itemgetter(1))


def unpack_message(raw: bytes) -> bytes:
    """Decompress a message that the recorder compressed by itself.

    Raises:
        ValueError: It announces too many bytes, or cannot be decompressed.
    """
    announced = zstandard.get_frame_parameters(raw).content_size
    if announced != zstandard.CONTENTSIZE_UNKNOWN and announced > _MOST_MESSAGE_BYTES:
        raise ValueError(f'it announces {announced} bytes, at most {_MOST_MESSAGE_BYTES}')
    try:
        return zstandard.ZstdDecompressor().decompress(raw, max_output_size=_MOST_MESSAGE_BYTES)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def _overlapping(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """Yield groups of sources whose times overlap, in the order of their begin."""
    group: list[Source] = []
    group_end = 0
    for source in sorted(sources, key=lambda one: one.span_ns or (0, 0)):
        start, end = source.span_ns or (0, 0)
        if group and start > group_end:
            yield group
            group = []
        group.append(source)
        group_end = max(group_end, end)
    if group:
        yield group
