# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write rosbag2 recordings that ``ros2 bag`` plays, without a ROS installation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from pointata_core.errors import BagError, OutputError
from pointata_core.io.messages.message_types import make_typestore
from pointata_core.safe_files import output_error

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}

# rosbag2 9 is Jazzy's metadata version; 8 is read by Iron as well.
_VERSION: Literal[8] = 8
_FOREVER = QosTime(9223372036, 854775807)


class BagWriter:
    """A new recording; use it as a context manager.

    Messages are rosbags objects, made from ``types``; ``write_raw`` takes serialised bytes, for
    example those of ``rclpy.serialization``. Leaving the context closes the recording even after an
    exception or Ctrl-C, so that what was written can be read.

    Args:
        path: Folder to create.
        storage: ``mcap`` or ``sqlite3``.

    Raises:
        BagError: The path exists, or the storage is unknown.
    """

    def __init__(self, path: str | Path, storage: str = 'mcap') -> None:
        self.path = Path(path)
        if storage not in STORAGES:
            raise BagError(
                f'{self.path}: storage {storage!r} is unknown', f'Use one of {", ".join(STORAGES)}'
            )
        if self.path.exists():
            raise BagError(f'{self.path} exists already', 'Remove it or choose another name')
        self._store, _ = make_typestore()
        self.types: dict[str, Any] = dict(self._store.types)
        self._topics: dict[str, Any] = {}
        self._writer: Writer | None = Writer(
            self.path, version=_VERSION, storage_plugin=STORAGES[storage]
        )
        with self._naming_faults():
            self._writer.open()

    def __enter__(self) -> BagWriter:
        """Return the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the recording."""
        self.close()

    def close(self) -> None:
        """Write the index and ``metadata.yaml``; harmless when repeated."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with self._naming_faults():
                writer.close()

    def add_topic(
        self,
        topic: str,
        type_name: str,
        *,
        reliable: bool = True,
        transient_local: bool = False,
        depth: int = 10,
    ) -> None:
        """Declare a topic and the quality of service its publisher offers.

        Raises:
            BagError: The type is unknown, or the topic exists with another type.
        """
        known = self._topics.get(topic)
        if known is not None:
            if known.msgtype != type_name:
                raise BagError(
                    f'topic {topic} of {self.path} holds {known.msgtype}, not {type_name}',
                    'Use one topic per type',
                )
            return
        if type_name not in self.types:
            raise BagError(
                f'the definition of {type_name} is not known',
                'Add it to io/messages/message_types.py',
            )
        self._topics[topic] = self._open_writer().add_connection(
            topic,
            type_name,
            typestore=self._store,
            offered_qos_profiles=[_qos(reliable, transient_local, depth)],
        )

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Append a message; its topic is declared with default QoS at its first message.

        Args:
            topic: Name of the topic.
            message: A rosbags message.
            stamp_ns: Time of recording in nanoseconds.
        """
        if topic not in self._topics:
            self.add_topic(topic, message.__msgtype__)
        self.write_raw(topic, self._store.serialize_cdr(message, message.__msgtype__), stamp_ns)

    def write_raw(self, topic: str, data: bytes | memoryview, stamp_ns: int) -> None:
        """Append a serialised message (CDR) to a topic declared before."""
        if topic not in self._topics:
            raise BagError(f'topic {topic} of {self.path} is not declared', 'Call add_topic first')
        with self._naming_faults():
            self._open_writer().write(self._topics[topic], stamp_ns, data)

    @contextmanager
    def _naming_faults(self) -> Iterator[None]:
        """Turn a fault of the system into an error that names the recording."""
        try:
            yield
        except OSError as error:
            raise output_error(self.path, error) or error from error
        except sqlite3.OperationalError as error:
            raise OutputError(
                f'{self.path} cannot be written ({error})', 'Make room on that disk'
            ) from error

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise BagError(f'{self.path} is closed', 'Write before leaving the context')
        return self._writer


def _qos(reliable: bool, transient_local: bool, depth: int) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if transient_local else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
