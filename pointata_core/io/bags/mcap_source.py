# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of the format mcap: ROS 2 and ROS 1 messages, whoever wrote the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcap.reader import SeekingReader
from mcap.records import Channel as McapChannel
from mcap.records import Message as McapMessage
from mcap.records import Schema as McapSchema
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from pointata_core.io.bags.bag_files import is_latched
from pointata_core.io.bags.mcap_recovery import walk_records
from pointata_core.io.bags.sources import (
    NO_DEFINITION,
    Channel,
    IndexedSource,
    Records,
    ScannedSource,
)
from pointata_core.io.messages.message_types import ros2_name

_FORMATS = {
    'ros2msg': MessageDefinitionFormat.MSG,
    'ros1msg': MessageDefinitionFormat.MSG,
    'ros2idl': MessageDefinitionFormat.IDL,
    'omgidl': MessageDefinitionFormat.IDL,
}
_NO_TYPE = 'no type'


def _channel(record: McapChannel, schema: McapSchema | None, count: int = 0) -> Channel:
    """A channel; its type has no definition where the recorder found none."""
    form = _FORMATS.get(schema.encoding) if schema else None
    definition = NO_DEFINITION
    if schema is not None and form is not None:
        definition = MessageDefinition(form, schema.data.decode(errors='replace'))
    return Channel(
        record.topic,
        ros2_name(schema.name) if schema else _NO_TYPE,
        count,
        definition,
        is_latched(record.metadata.get('offered_qos_profiles')),
        record.message_encoding,
    )


class IndexedMcap(IndexedSource):
    """An mcap file with its summary.

    Raises:
        Exception: It has no summary, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, ScannedMcap)
        with path.open('rb') as file:
            summary = SeekingReader(file).get_summary()
        if summary is None or summary.statistics is None:
            raise ValueError('the file has no summary')
        statistics, schemas = summary.statistics, summary.schemas
        if statistics.message_count and not summary.channels:
            raise ValueError('the summary lists no channels')
        counts = statistics.channel_message_counts
        self.channels = [
            _channel(
                channel,
                schemas[channel.schema_id] if channel.schema_id else None,
                counts.get(key, 0),
            )
            for key, channel in summary.channels.items()
        ]
        self.span_ns = None
        if statistics.message_count:
            self.span_ns = (statistics.message_start_time, statistics.message_end_time)
        self._has_chunks = bool(summary.chunk_indexes)

    def read_index(self, topics: set[str]) -> Records:
        """Yield the messages of all chunks, in the order of recording."""
        if not self._has_chunks:  # the library would load the whole file to sort it
            yield from self._scan(self.path).messages(topics)
            return
        with self.path.open('rb') as file:
            reader = SeekingReader(file, validate_crcs=True)
            for _, channel, message in reader.iter_messages(topics):
                yield channel.topic, message.log_time, message.data


class ScannedMcap(ScannedSource):
    """An mcap file without its summary."""

    def _records(self) -> Iterator[tuple[Any, int, bytes]]:
        schemas: dict[int, McapSchema] = {}
        for record in walk_records(self.path, self._note):
            if isinstance(record, McapSchema):
                schemas[record.id] = record
            elif isinstance(record, McapChannel):
                schema = schemas.get(record.schema_id)
                if schema or not record.schema_id:  # else it was lost with a damaged chunk
                    self._channels[record.id] = _channel(record, schema)
            elif isinstance(record, McapMessage) and record.channel_id in self._channels:
                yield record.channel_id, record.log_time, record.data
