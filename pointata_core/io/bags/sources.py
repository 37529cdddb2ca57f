# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read the messages of one file of a recording, by its index or, without one, from its front.

A killed recorder or an interrupted copy leaves a file without its index or with holes, although
almost every message is still present; such files are read as far as possible.

Untrusted bytes break a parser at any point and with any exception, hence the broad ``except``
clauses: each of them turns the exception into a problem that is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, '')
Records = Iterator[tuple[str, int, bytes]]


@dataclass(frozen=True)
class Channel:
    """One topic of one file.

    Args:
        topic: Its name.
        type: Such as ``sensor_msgs/msg/PointCloud2``.
        count: Messages in the file.
        definition: Of the type, where the file has one.
        transient_local: Whether the publisher kept its messages for late subscribers.
        encoding: How messages are serialised: ``cdr``, ``ros1`` or something else.
    """

    topic: str
    type: str
    count: int
    definition: MessageDefinition = NO_DEFINITION
    transient_local: bool = False
    encoding: str = 'cdr'


class Source(Protocol):
    """Serialised messages of one file, in the order of their recording."""

    channels: list[Channel]
    problems: list[str]
    span_ns: tuple[int, int] | None

    def messages(self, topics: set[str]) -> Records:
        """Yield (topic, time of recording in nanoseconds, serialised message)."""

    def close(self) -> None:
        """Release the file."""


class IndexedSource:
    """A file with its index; the rest of it is scanned once the index leads to damage.

    Args:
        path: The file.
        scan: Opens the file without its index.
    """

    channels: list[Channel]
    span_ns: tuple[int, int] | None

    def __init__(self, path: Path, scan: Callable[[Path], ScannedSource]) -> None:
        self.path = path
        self.problems: list[str] = []
        self._scan = scan

    def read_index(self, topics: set[str]) -> Records:
        """Yield the messages that the index leads to."""
        raise NotImplementedError

    def messages(self, topics: set[str]) -> Records:
        """Yield (topic, stamp, serialised message)."""
        given: Counter[tuple[str, int]] = Counter()
        try:
            for topic, stamp_ns, raw in self.read_index(topics):
                given[topic, stamp_ns] += 1
                yield topic, stamp_ns, raw
        except Exception:
            yield from self._scan_rest(topics, given)
            raise

    def _scan_rest(self, topics: set[str], given: Counter[tuple[str, int]]) -> Records:
        """Yield the messages not yielded yet, from all intact chunks and pages."""
        try:
            for topic, stamp_ns, raw in self._scan(self.path).messages(topics):
                if given[topic, stamp_ns]:
                    given[topic, stamp_ns] -= 1
                else:
                    yield topic, stamp_ns, raw
        except Exception as error:
            self.problems.append(f'{self.path}: {reason_of(error)}')

    def close(self) -> None:
        """Release the file."""


class ScannedSource:
    """A file without its index: counted once when opened, then read again for each request.

    Attributes:
        problems: What is damaged; empty where the file is whole.
    """

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
            replace(channel, count=counts.get(key, 0)) for key, channel in self._channels.items()
        ]

    def _records(self) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (key of channel, stamp, message), filling ``_channels``; raise at the damage."""
        raise NotImplementedError

    def messages(self, topics: set[str]) -> Records:
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


def reason_of(error: Exception) -> str:
    """Return the text of an exception, or its kind where it has none."""
    return str(error) or type(error).__name__
