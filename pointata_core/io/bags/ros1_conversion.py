# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Turn serialised ROS 1 messages into those of ROS 2, with the converter of rosbags."""

from __future__ import annotations

from rosbags.convert.converter import is_same_wireformat, migrate_bytes
from rosbags.typesys import get_types_from_msg
from rosbags.typesys.store import Typestore

from pointata_core.io.messages.message_types import make_typestore


class Ros1Converter:
    """Converts the messages of one recording.

    A type that ROS 2 does not have keeps its fields; its header and times become those of ROS 2.

    Args:
        store: The types of the recording.
    """

    def __init__(self, store: Typestore) -> None:
        self._source = store
        self._target, _ = make_typestore()
        self._is_own_target = False
        self._cache: dict[str, object] = {}

    def convert(self, raw: bytes | memoryview, type_name: str) -> bytes:
        """Return the message in CDR.

        Args:
            raw: As ROS 1 serialises it.
            type_name: Such as ``sensor_msgs/msg/PointCloud2``.

        Raises:
            Exception: The bytes are no such message; rosbags raises several kinds.
        """
        if type_name not in self._target.fielddefs:
            self._add(type_name)
        if is_same_wireformat(self._source, self._target, type_name, type_name):
            return bytes(self._target.ros1_to_cdr(raw, type_name))
        converted = migrate_bytes(
            self._source,
            self._target,
            type_name,
            type_name,
            self._cache,
            raw,
            src_is2=False,
            dst_is2=True,
        )
        return bytes(converted)

    def _add(self, type_name: str) -> None:
        """Take the definition of a type, and of those in it, from the recording."""
        text, _ = self._source.generate_msgdef(type_name, ros_version=2)
        found = get_types_from_msg(text, type_name)
        news = {n: entry for n, entry in found.items() if n not in self._target.fielddefs}
        if not self._is_own_target:  # that of make_typestore is shared
            self._is_own_target, shared = True, self._target
            self._target = type(shared)()
            self._target.register(dict(shared.fielddefs))
        self._target.register(news)
