# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of the storage sqlite3, closed, cut or left open by a killed recorder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from pointata_core.io.bags.bag_files import is_latched
from pointata_core.io.bags.sources import NO_DEFINITION, Channel, ScannedSource

_ROWS = 'SELECT id, topic_id, timestamp, data FROM messages NOT INDEXED'
_FORMATS = {'ros2msg': MessageDefinitionFormat.MSG, 'ros2idl': MessageDefinitionFormat.IDL}


def has_log(path: Path) -> bool:
    """Whether a write-ahead log (``-wal``) lies beside the file, with messages not yet in it."""
    log = path.with_name(f'{path.name}-wal')
    return log.is_file() and log.stat().st_size > 0


class ScannedSqlite(ScannedSource):
    """A sqlite3 file that was cut, damaged or not closed: rows in the order of their recording."""

    def _records(self) -> Iterator[tuple[Any, int, bytes]]:
        # Neither way writes or locks anything. SQLite ignores the log of an immutable file, and
        # reads it without an index in shared memory where the only user has all locks.
        options = 'vfs=unix-none' if has_log(self.path) else 'immutable=1'
        uri = f'{self.path.absolute().as_uri()}?mode=ro&{options}'
        with closing(sqlite3.connect(uri, uri=True)) as database:
            database.execute('PRAGMA locking_mode=EXCLUSIVE')
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
            definition = definitions.get(kind, NO_DEFINITION)
            self._channels[key] = Channel(topic, kind, 0, definition, is_latched(profiles))
