# SPDX-License-Identifier: Apache-2.0
"""Read the messages of intact and of damaged recordings.

rosbags needs the index at the end of an mcap file and a consistent sqlite3 database. A killed
recorder or an interrupted copy leaves neither, although almost every message is still present; such
files are read from the front as far as possible.

Untrusted bytes break a parser at any point and with any exception, hence the broad ``except``
clauses: each of them turns the exception into a problem that is reported.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mcap.records import Channel as McapChannel
from mcap.records import Message as McapMessage
from mcap.records import Schema as McapSchema
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, QosDurability
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader

from pointata_core.errors import BagError
from pointata_core.io.bags.mcap_recovery import walk_records

SUFFIXES = ('.mcap', '.db3', '.bag')

_ROWS = 'SELECT id, topic_id, timestamp, data FROM messages NOT INDEXED'
_NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, '')
_FORMATS = {'ros2msg': MessageDefinitionFormat.MSG, 'ros2idl': MessageDefinitionFormat.IDL}


@dataclass(frozen=True)
class Channel:
    """One topic of one file."""

    topic: str
    type: str
    count: int
    definition: MessageDefinition = _NO_DEFINITION
    transient_local: bool = False


class Source(Protocol):
    """Serialised messages of one bag or file, in the order of their recording."""

    channels: list[Channel]
    problems: list[str]
    span_ns: tuple[int, int] | None
    ros1: bool

    def messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, time of recording in nanoseconds, serialised message)."""

    def close(self) -> None:
        """Release the file."""


def open_sources(path: Path) -> tuple[list[Source], list[str]]:
    """Open a bag: its folder, its metadata.yaml, or one of its files.

    Returns:
        The sources, and what could not be opened.

    Raises:
        BagError: Nothing can be read.
    """
    if path.name == 'metadata.yaml':
        path = path.parent
    if not path.exists():
        raise BagError(f'{path} does not exist', 'Check the path of the bag')
    if path.is_file() and path.suffix not in SUFFIXES:
        raise BagError(
            f'{path} is not a bag: expected a folder or a file ending in {", ".join(SUFFIXES)}',
            'Give the folder with metadata.yaml or the recorded file itself',
        )
    problems: list[str] = []
    if path.is_dir() and (path / 'metadata.yaml').exists():
        try:
            return [IndexedSource(path)], problems
        except Exception as error:
            problems.append(
                f'{path} cannot be opened as a whole ({reason_of(error)}); read file by file'
            )
    sources = []
    for file in _files_of(path):
        try:
            source = _open_file(file)
        except Exception as error:
            problems.append(f'{file} cannot be read: {reason_of(error)}')
        else:
            sources.append(source)
            problems.extend(source.problems)
    if not sources:
        raise BagError(
            '; '.join(problems),
            'Record it again, or repair it with `ros2 bag reindex` or `mcap recover`',
        )
    return sources, problems


def reason_of(error: Exception) -> str:
    """Return the text of an exception, or its kind where it has none."""
    return str(error) or type(error).__name__


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if files:
        return files
    inside = sorted(found.parent.name for found in path.glob('*/metadata.yaml'))
    raise BagError(
        f'{path} holds neither metadata.yaml nor a file ending in {", ".join(SUFFIXES)}',
        'Give the folder of one recording'
        + (f', perhaps one of {", ".join(inside[:5])}' if inside else ''),
    )


def _open_file(file: Path) -> Source:
    try:
        return IndexedSource(file)
    except Exception as error:
        if file.suffix == '.bag':
            raise
        scanned = _scan_file(file)
        scanned.problems.insert(
            0, f'{file} is damaged or unfinished ({reason_of(error)}); read up to its end'
        )
        return scanned


def _scan_file(file: Path) -> _ScannedSource:
    return ScannedMcap(file) if file.suffix == '.mcap' else ScannedSqlite(file)


class IndexedSource:
    """An intact bag or file, read by rosbags; the rest of it by a scan once that meets damage."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problems: list[str] = []
        self.ros1 = path.suffix == '.bag'
        self._reader: Any = Ros1Reader(path) if self.ros1 else Ros2Reader(path)
        self._reader.open()
        self.channels = [
            Channel(c.topic, c.msgtype, c.msgcount, c.msgdef, _is_latched(c.ext))
            for c in self._reader.connections
        ]
        self.span_ns: tuple[int, int] | None = None
        if self._reader.message_count:
            # rosbags gives the end of a half-open interval.
            self.span_ns = (self._reader.start_time, self._reader.end_time - 1)

    def messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, stamp, serialised message)."""
        wanted = [c for c in self._reader.connections if c.topic in topics]
        if not wanted:  # rosbags takes an empty list for all of them
            return
        given: Counter[tuple[str, int]] = Counter()
        try:
            for connection, stamp_ns, raw in self._reader.messages(connections=wanted):
                given[connection.topic, stamp_ns] += 1
                yield connection.topic, stamp_ns, raw
        except Exception:
            if not self.ros1:
                yield from self._scan(topics, given)
            raise

    def _scan(
        self, topics: set[str], given: Counter[tuple[str, int]]
    ) -> Iterator[tuple[str, int, bytes]]:
        """Yield the messages not yielded yet, from all intact chunks, pages and files."""
        for file in _files_of(self._path):
            try:
                scanned = _scan_file(file)
                for topic, stamp_ns, raw in scanned.messages(topics):
                    if given[topic, stamp_ns]:
                        given[topic, stamp_ns] -= 1
                    else:
                        yield topic, stamp_ns, raw
            except Exception as error:
                self.problems.append(f'{file}: {reason_of(error)}')

    def close(self) -> None:
        """Release the file."""
        self._reader.close()


def _is_latched(extension: Any) -> bool:
    profiles = getattr(extension, 'offered_qos_profiles', None)
    if profiles is None:
        return bool(extension.latching)
    return any(qos.durability == QosDurability.TRANSIENT_LOCAL for qos in profiles)


class _ScannedSource:
    """A damaged file: counted once when opened, then read again for each request."""

    ros1 = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self.span_ns: tuple[int, int] | None = None
        self._channels: dict[Any, Channel] = {}
        counts: dict[Any, int] = {}
        try:
            for key, stamp_ns, _ in self._records():
                counts[key] = counts.get(key, 0) + 1
                start, end = self.span_ns or (stamp_ns, stamp_ns)
                self.span_ns = (min(start, stamp_ns), max(end, stamp_ns))
        except Exception as error:
            if not self._channels:
                raise
            self.problems.append(
                f'{path}: reading stopped after {sum(counts.values())} messages '
                f'({reason_of(error)})'
            )
        self.channels = [
            Channel(c.topic, c.type, counts.get(key, 0), c.definition, c.transient_local)
            for key, c in self._channels.items()
        ]

    def _records(self) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (key of channel, stamp, message), filling ``_channels``; raise at the damage."""
        raise NotImplementedError

    def messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, stamp, serialised message) up to the damage."""
        left = sum(channel.count for channel in self.channels)
        records = self._records()
        while left:
            key, stamp_ns, raw = next(records)
            left -= 1
            if self._channels[key].topic in topics:
                yield self._channels[key].topic, stamp_ns, raw

    def _note(self, damage: str) -> None:
        problem = f'{self.path}: {damage}'
        if problem not in self.problems:
            self.problems.append(problem)

    def close(self) -> None:
        """Nothing stays open between two reads."""


class ScannedMcap(_ScannedSource):
    """An mcap file without its index."""

    def _records(self) -> Iterator[tuple[Any, int, bytes]]:
        schemas: dict[int, McapSchema] = {}
        for record in walk_records(self.path, self._note):
            if isinstance(record, McapSchema):
                schemas[record.id] = record
            elif isinstance(record, McapChannel) and record.schema_id in schemas:
                schema = schemas[record.schema_id]
                form = _FORMATS.get(schema.encoding, MessageDefinitionFormat.NONE)
                self._channels[record.id] = Channel(
                    record.topic,
                    schema.name,
                    0,
                    MessageDefinition(form, schema.data.decode(errors='replace')),
                    'transient_local' in record.metadata.get('offered_qos_profiles', ''),
                )
            elif isinstance(record, McapMessage) and record.channel_id in self._channels:
                yield record.channel_id, record.log_time, record.data


class ScannedSqlite(_ScannedSource):
    """A sqlite3 file that was cut or damaged: rows in the order of their recording."""

    def _records(self) -> Iterator[tuple[Any, int, bytes]]:
        uri = f'{self.path.absolute().as_uri()}?mode=ro&immutable=1'
        with closing(sqlite3.connect(uri, uri=True)) as database:
            # Without this SQLite refuses a file that is shorter than its header states.
            database.execute('PRAGMA writable_schema=ON')
            self._read_topics(database)
            row = (0,)
            try:
                for row in database.execute(f'{_ROWS} ORDER BY id'):
                    yield row[1:]
            except sqlite3.DatabaseError:
                yield from self._rows_behind(database, row[0])
                raise

    def _rows_behind(
        self, database: sqlite3.Connection, row_id: int
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield those rows behind ``row_id`` whose pages are there, each looked up by itself."""
        (last_id,) = database.execute('SELECT max(id) FROM messages').fetchone()
        for one in range(row_id + 1, (last_id or 0) + 1):
            try:
                row = database.execute(f'{_ROWS} WHERE id = ?', (one,)).fetchone()
            except sqlite3.DatabaseError:
                continue
            if row is not None:
                yield row[1:]

    def _read_topics(self, database: sqlite3.Connection) -> None:
        columns = {row[1] for row in database.execute('PRAGMA table_info(topics)')}
        definitions = {}
        if database.execute('PRAGMA table_info(message_definitions)').fetchall():
            rows = database.execute(
                'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
            )
            definitions = {
                name: MessageDefinition(_FORMATS[encoding], text)
                for name, encoding, text in rows
                if encoding in _FORMATS
            }
        qos = 'offered_qos_profiles' if 'offered_qos_profiles' in columns else "''"
        for key, topic, kind, profiles in database.execute(
            f'SELECT id, name, type, {qos} FROM topics ORDER BY id'
        ):
            self._channels[key] = Channel(
                topic,
                kind,
                0,
                definitions.get(kind, _NO_DEFINITION),
                'transient_local' in profiles or 'durability: 1' in profiles,
            )
