# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read the records of a ROS 1 bag (format 2.0) from its front, up to the damage.

``rosbag record`` writes the index when it ends. A recorder that was killed leaves a file, often
named ``.bag.active``, whose messages are all there but which readers of the index refuse.
Format: wiki.ros.org/Bags/Format/2.0.
"""

from __future__ import annotations

import bz2
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import lz4.frame

_MAGIC = b'#ROSBAG V2.0\n'
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7
_MOST_HEADER_BYTES = 1 << 20
_MOST_MESSAGE_BYTES = 1 << 30
_UINT32 = struct.Struct('<I')
_TIME = struct.Struct('<II')


@dataclass(frozen=True)
class Ros1Connection:
    """One publisher of a topic: number, topic, type as ROS 1 writes it, definition, latching."""

    number: int
    topic: str
    type: str
    definition: str
    latching: bool


@dataclass(frozen=True)
class Ros1Message:
    """One message: number of its connection, time of recording in nanoseconds, bytes."""

    connection: int
    stamp_ns: int
    data: bytes


def walk_ros1_records(path: Path) -> Iterator[Ros1Connection | Ros1Message]:
    """Yield connections and messages in the order of the file.

    Raises:
        ValueError: The file ends early or stops making sense; everything before was yielded.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        magic = file.read(len(_MAGIC))
        if magic != _MAGIC:
            version = magic[9:].strip().decode(errors='replace') if magic[:8] == b'#ROSBAG ' else ''
            raise ValueError(
                f'it is a bag of format {version}, expected 2.0'
                if version
                else 'it does not begin as a ROS 1 bag does'
            )
        yield from _walk(file, size)


def _walk(stream: BinaryIO, end: int, inside_chunk: bool = False) -> Iterator:
    while stream.tell() < end:
        header = _header(stream)
        operation = header.get('op', b'\0')[0]
        if operation == _CHUNK and not inside_chunk:
            yield from _walk_chunk(stream, header, end)
            continue
        size = _uint32(stream)
        if operation not in {_MESSAGE, _CONNECTION}:
            stream.seek(size, io.SEEK_CUR)
            if stream.tell() > end:
                raise ValueError('the file ends inside a record')
            continue
        data = _exactly(stream, min(size, _MOST_MESSAGE_BYTES + 1))
        if operation == _MESSAGE:
            seconds, nanoseconds = _TIME.unpack(header['time'])
            number = _UINT32.unpack(header['conn'])[0]
            yield Ros1Message(number, seconds * 10**9 + nanoseconds, data)
        else:
            yield _connection(header, data)


def _walk_chunk(stream: BinaryIO, header: dict[str, bytes], end: int) -> Iterator:
    size, start = _uint32(stream), stream.tell()
    # The recorder fills in the size when it closes the chunk.
    available = min(size or end - start, end - start)
    compression = header.get('compression', b'none')
    if compression == b'none':
        yield from _walk(stream, start + available, inside_chunk=True)
    else:
        limit = _UINT32.unpack(header['size'])[0] or _MOST_MESSAGE_BYTES
        content = _unpack(stream.read(available), compression, limit)
        yield from _walk(io.BytesIO(content), len(content), inside_chunk=True)
        if len(content) < limit and size:
            raise ValueError('a chunk is cut, or its compression is damaged')
    if not size or available < size:
        raise ValueError('the file ends inside a chunk')
    stream.seek(start + size)


def _unpack(data: bytes, compression: bytes, limit: int) -> bytes:
    """Decompress as much as there is, at most ``limit`` bytes."""
    openers = {b'bz2': bz2.open, b'lz4': lz4.frame.open}
    if compression not in openers:
        raise ValueError(f'a chunk is compressed by {compression!r}, which is unknown')
    content = bytearray()
    try:
        with openers[compression](io.BytesIO(data)) as reader:
            while len(content) < limit:
                piece = reader.read(min(1 << 16, limit - len(content)))
                if not piece:
                    break
                content += piece
    except (EOFError, OSError, RuntimeError):
        pass  # what was unpacked before the damage counts
    return bytes(content)


def _connection(header: dict[str, bytes], data: bytes) -> Ros1Connection:
    described = _fields(data)
    latching = described.get('latching', b'0').strip() not in {b'', b'0'}
    return Ros1Connection(
        _UINT32.unpack(header['conn'])[0],
        header['topic'].decode(),
        described['type'].decode(),
        described['message_definition'].decode(errors='replace'),
        latching,
    )


def _header(stream: BinaryIO) -> dict[str, bytes]:
    size = _uint32(stream)
    if size > _MOST_HEADER_BYTES:
        raise ValueError(f'a record has a header of {size} bytes')
    return _fields(_exactly(stream, size))


def _fields(data: bytes) -> dict[str, bytes]:
    found, at = {}, 0
    while at < len(data):
        (size,) = _UINT32.unpack_from(data, at)
        name, separator, value = data[at + 4 : at + 4 + size].partition(b'=')
        if not separator or at + 4 + size > len(data):
            raise ValueError('a header of a record makes no sense')
        found[name.decode(errors='replace')] = value
        at += 4 + size
    return found


def _uint32(stream: BinaryIO) -> int:
    return _UINT32.unpack(_exactly(stream, 4))[0]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ValueError('the file ends inside a record')
    return data
