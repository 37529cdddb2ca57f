# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Open the files of a recording, each as well as it can be read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

import zstandard

from pointata_core.errors import BagError
from pointata_core.io.bags.bag_files import find_files, is_compressed, refuse_foreign, storage_of
from pointata_core.io.bags.mcap_source import IndexedMcap, ScannedMcap
from pointata_core.io.bags.rosbags_source import RosbagsSource, ScannedRos1
from pointata_core.io.bags.sources import IndexedSource, ScannedSource, Source, reason_of
from pointata_core.io.bags.sqlite_source import ScannedSqlite, has_log

_PIECE_BYTES = 1 << 12  # a piece may unpack to 30,000 times its size


class _Storage(NamedTuple):
    """How files of one ending are read, with and without their index, and how to repair them."""

    indexed: Callable[[Path], IndexedSource]
    scanned: Callable[[Path], ScannedSource]
    fix: str


_STORAGES = {
    '.mcap': _Storage(IndexedMcap, ScannedMcap, 'Copy it again, or repair it with `mcap recover`'),
    '.db3': _Storage(
        lambda path: RosbagsSource(path, ScannedSqlite, ros1=False),
        ScannedSqlite,
        'Copy it again, or repair it with `sqlite3 FILE .recover`',
    ),
    '.bag': _Storage(
        lambda path: RosbagsSource(path, ScannedRos1, ros1=True),
        ScannedRos1,
        'Copy it again, or repair it with the ROS 1 tool `rosbag reindex`',
    ),
}


class OpenedBag:
    """The sources of one recording.

    Args:
        path: Its folder, its metadata.yaml, or one of its files.

    Attributes:
        sources: One for each file that can be read.
        problems: What cannot.
        latched: Topic -> transient local, as in metadata.yaml.

    Raises:
        BagError: Nothing can be read.
    """

    def __init__(self, path: Path) -> None:
        found = find_files(path)
        self.problems = found.problems
        self.latched = found.latched
        self.sources: list[Source] = []
        self._open = ExitStack()
        fixes: dict[str, None] = {}  # in order, each once
        for file in found.files:
            try:
                refuse_foreign(file)
                source = self._open_file(file)
            except Exception as error:
                message, fix = _explain(file, error)
                self.problems.append(message)
                fixes[fix] = None
            else:
                self.sources.append(source)
                self._open.callback(source.close)
        if not self.sources:
            self.close()
            raise BagError('; '.join(self.problems), next(iter(fixes)))

    def close(self) -> None:
        """Release all files."""
        self._open.close()

    def _open_file(self, file: Path) -> Source:
        storage = _STORAGES[storage_of(file)]
        path = self._unpack(file) if is_compressed(file) else file
        try:
            if has_log(path):
                raise ValueError('the recorder did not close it')
            return storage.indexed(path)
        except Exception as error:
            source = storage.scanned(path)
            if source.problems:  # otherwise all of it was read, and nothing is wrong
                self.problems.append(
                    f'{file} is damaged or unfinished ({reason_of(error)}); read up to its end'
                )
                self.problems.extend(source.problems)
            return source

    def _unpack(self, file: Path) -> Path:
        """Decompress a file into a temporary folder, as far as it goes."""
        folder = self._open.enter_context(TemporaryDirectory(prefix='pointata_bag_'))
        unpacked = Path(folder, file.stem)
        try:
            with file.open('rb') as packed, unpacked.open('wb') as out:
                is_whole = _decompress(packed, out)
        except zstandard.ZstdError as error:
            self.problems.append(f'{file}: its compression is damaged ({reason_of(error)})')
        except OSError as error:
            raise BagError(
                f'{file} cannot be unpacked into {folder} ({error.strerror or error})',
                'Set TMPDIR to a folder with enough room, or unpack it yourself with `zstd -d`',
            ) from error
        else:
            if not is_whole:
                size = unpacked.stat().st_size
                self.problems.append(f'{file} is cut: only {size} bytes can be unpacked')
        return unpacked


def _decompress(packed: BinaryIO, out: BinaryIO) -> bool:
    """Unpack frame after frame; returns whether the last one is complete."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    is_begun = False
    while piece := packed.read(_PIECE_BYTES):
        while piece:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            out.write(frame.decompress(piece))
            piece = frame.unused_data
            is_begun = True
    return frame.eof or not is_begun


def _explain(file: Path, error: Exception) -> tuple[str, str]:
    """What is wrong with a file that cannot be opened, and what to do."""
    if isinstance(error, BagError):
        return error.message, error.fix
    if isinstance(error, PermissionError):
        return f'{file} cannot be read: no permission', f'Allow it: chmod u+r {file}'
    if file.is_file() and not file.stat().st_size:
        return f'{file} cannot be read: it is empty', 'Record it again; nothing was written to it'
    return f'{file} cannot be read: {reason_of(error)}', _STORAGES[storage_of(file)].fix
