# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read the records of an mcap file from its front, up to the damage.

The library ``mcap`` skips a chunk that is not whole, and with it up to a few hundred messages: all
of them where a short recording is one chunk. Here, a cut chunk is decompressed as far as its bytes
reach and read up to its last complete record. Format: mcap.dev/spec.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Message, Schema

MAGIC = b'\x89MCAP0\r\n'

_RECORD = struct.Struct('<BQ')
_CHUNK_START = struct.Struct('<QQQI')


def walk_records(
    path: Path, on_damage: Callable[[str], None] | None = None
) -> Iterator[Schema | Channel | Message]:
    """Yield schemas, channels and messages in the order of the file.

    Args:
        path: The file.
        on_damage: Called with what is wrong with a chunk that has its length but is damaged inside.
            Records before the damage are yielded, and reading continues after the chunk. Without
            this argument, reading ends there.

    Raises:
        ValueError: The file ends early or stops making sense; everything before was yielded.
    """
    with path.open('rb') as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError('it does not begin as an mcap file does')
        yield from _walk(file, path.stat().st_size, on_damage)


def _walk(
    stream: BinaryIO,
    end: int,
    on_damage: Callable[[str], None] | None = None,
    *,
    needs_footer: bool = True,
) -> Iterator[Schema | Channel | Message]:
    while True:
        head = stream.read(_RECORD.size)
        if not head and stream.tell() == end:
            if needs_footer:
                raise ValueError('the file ends without a footer')
            return
        if len(head) < _RECORD.size:
            raise ValueError('the file ends inside the head of a record')
        opcode, length = _RECORD.unpack(head)
        if opcode in {Opcode.DATA_END, Opcode.FOOTER}:
            return
        start = stream.tell()
        if opcode == Opcode.CHUNK:
            try:
                yield from _walk_chunk(stream, min(length, end - start))
            except Exception as error:  # bytes at random break a parser with any exception
                if on_damage is None or length > end - start:
                    raise
                on_damage(f'the chunk at byte {start} is damaged ({error})')
        if length > end - start:
            raise ValueError('the file ends inside a record')
        if opcode in {Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE}:
            yield _parse(opcode, stream.read(length))
        stream.seek(start + length)


def _walk_chunk(stream: BinaryIO, available: int) -> Iterator[Schema | Channel | Message]:
    """Yield the records of a chunk of which ``available`` bytes are there."""
    body = io.BytesIO(stream.read(available))
    _, _, size, checksum = _CHUNK_START.unpack(_exactly(body, _CHUNK_START.size))
    compression = _exactly(body, struct.unpack('<I', _exactly(body, 4))[0]).decode()
    _exactly(body, 8)
    content = _decompress(body.read(), compression, size)
    if checksum and len(content) == size and zlib.crc32(content) != checksum:
        # It is unknown which bytes are wrong.
        raise ValueError('its checksum does not match')
    yield from _walk(io.BytesIO(content), len(content), needs_footer=False)
    if len(content) < size:
        raise ValueError('the file ends inside a chunk, or its compression is damaged')


def _decompress(data: bytes, compression: str, size: int) -> bytes:
    """Decompress as much as there is, never more than the chunk announces."""
    if compression == '':
        return data[:size]
    if compression == 'zstd':
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)) as reader:
            return _read_up_to(reader, size)
    if compression == 'lz4':
        with lz4.frame.open(io.BytesIO(data)) as reader:
            return _read_up_to(reader, size)
    raise ValueError(f'a chunk is compressed by {compression!r}, which is unknown')


def _read_up_to(reader: BinaryIO, size: int) -> bytes:
    """Read in pieces, so that what comes before the damage is kept."""
    content = bytearray()
    while len(content) < size:
        try:
            piece = reader.read(min(1 << 16, size - len(content)))
        except (EOFError, RuntimeError, zstandard.ZstdError):
            break
        if not piece:
            break
        content += piece
    return bytes(content)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(min(size, 1 << 20))
    if len(data) < size:
        raise ValueError('the file ends inside the head of a chunk')
    return data


def _parse(opcode: int, body: bytes) -> Schema | Channel | Message:
    stream = ReadDataStream(io.BytesIO(body))
    if opcode == Opcode.MESSAGE:
        return Message.read(stream, len(body))
    return Schema.read(stream) if opcode == Opcode.SCHEMA else Channel.read(stream)
