# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Closed sqlite3 files and indexed ROS 1 bags, read by rosbags; ROS 1 bags without an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, QosDurability
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader

from pointata_core.io.bags.ros1_recovery import Ros1Connection, walk_ros1_records
from pointata_core.io.bags.sources import Channel, IndexedSource, Records, ScannedSource
from pointata_core.io.messages.message_types import ros2_name


class RosbagsSource(IndexedSource):
    """A file that rosbags opens.

    Raises:
        Exception: It is damaged or has no index.
    """

    def __init__(self, path: Path, scan: Callable[[Path], ScannedSource], *, ros1: bool) -> None:
        super().__init__(path, scan)
        self._reader: Any = Ros1Reader(path) if ros1 else Ros2Reader(path)
        self._reader.open()
        encoding = 'ros1' if ros1 else 'cdr'
        self.channels = [
            Channel(
                *(c.topic, ros2_name(c.msgtype), c.msgcount, c.msgdef, _is_latched(c.ext)), encoding
            )
            for c in self._reader.connections
        ]
        self.span_ns = None
        if self._reader.message_count:
            # rosbags gives the end of a half-open interval.
            self.span_ns = (self._reader.start_time, self._reader.end_time - 1)

    def read_index(self, topics: set[str]) -> Records:
        """Yield (topic, stamp, serialised message)."""
        wanted = [c for c in self._reader.connections if c.topic in topics]
        if not wanted:  # rosbags takes an empty list for all of them
            return
        for connection, stamp_ns, raw in self._reader.messages(connections=wanted):
            yield connection.topic, stamp_ns, raw

    def close(self) -> None:
        """Release the file."""
        self._reader.close()


def _is_latched(extension: Any) -> bool:
    profiles = getattr(extension, 'offered_qos_profiles', None)
    if profiles is None:
        return bool(extension.latching)
    return any(qos.durability == QosDurability.TRANSIENT_LOCAL for qos in profiles)


class ScannedRos1(ScannedSource):
    """A ROS 1 bag without its index, as a killed recorder leaves it."""

    def _records(self) -> Iterator[tuple[Any, int, bytes]]:
        for record in walk_ros1_records(self.path):
            if isinstance(record, Ros1Connection):
                definition = MessageDefinition(MessageDefinitionFormat.MSG, record.definition)
                kind = ros2_name(record.type)
                self._channels[record.number] = Channel(
                    record.topic, kind, 0, definition, record.latching, 'ros1'
                )
            elif record.connection in self._channels:
                yield record.connection, record.stamp_ns, record.data
