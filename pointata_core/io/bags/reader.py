# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read recordings (rosbag2 in sqlite3 and mcap, ROS 1 bags) without a ROS installation.

A damaged recording yields what can be read. ``BagReader.problems`` lists what could not be read, so
that a report can mention the missing frames.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from rosbags.typesys.store import Typestore

from pointata_core.errors import BagError
from pointata_core.io.bags.merging import ZSTD_MAGIC, in_order, unpack_message
from pointata_core.io.bags.opening import OpenedBag
from pointata_core.io.bags.ros1_conversion import Ros1Converter
from pointata_core.io.bags.sources import Channel, Source, reason_of
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.livox_cloud import read_livox
from pointata_core.io.messages.message_types import (
    LIVOX_CLOUDS,
    POINT_CLOUD,
    has_usual_fields,
    make_typestore,
)
from pointata_core.io.messages.point_cloud2 import decode


@dataclass(frozen=True)
class TopicInfo:
    """One topic of a recording.

    Args:
        name: With its leading slash.
        type: Such as ``sensor_msgs/msg/PointCloud2``, for ROS 1 recordings too.
        count: Messages announced by the recording.
        transient_local: Whether the publisher kept its messages for late subscribers (latched).
    """

    name: str
    type: str
    count: int
    transient_local: bool = False


class BagReader:
    """A recording, open from construction until ``close``; use it as a context manager.

    Args:
        path: The folder with ``metadata.yaml``, or one ``.mcap``, ``.db3`` or ``.bag`` file, also
            as ``.zstd``, or ``.bag.active``. A folder without ``metadata.yaml``, as a killed
            recorder leaves it, is read as well.

    Attributes:
        path: As given.
        topics: What was recorded, sorted by name.
        problems: What could not be read, in words; grows while reading.
        skipped: Topic -> messages whose bytes could not be deserialised.

    Raises:
        BagError: Nothing can be read; names the file, the problem and the fix.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        self.skipped: Counter[str] = Counter()
        self._bag = OpenedBag(self.path)
        channels = [channel for source in self._bag.sources for channel in source.channels]
        self._stores: dict[bool, Typestore] = {}
        self._converter: Ros1Converter | None = None
        problems = list(self._bag.problems)
        for ros1 in sorted({channel.encoding == 'ros1' for channel in channels}):
            self._stores[ros1], unparsed = make_typestore(
                ((c.type, c.definition) for c in channels if (c.encoding == 'ros1') == ros1),
                ros1=ros1,
            )
            problems += unparsed
        for problem in problems:
            self._note(problem)
        self._encodings = {channel.topic: channel.encoding for channel in channels}
        self.topics = self._summarise(channels)

    def __enter__(self) -> BagReader:
        """Return the reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def close(self) -> None:
        """Release the files; harmless when repeated."""
        self._bag.close()

    @property
    def start_ns(self) -> int:
        """Recording time of the first message in nanoseconds; 0 in an empty recording."""
        return min((s.span_ns[0] for s in self._bag.sources if s.span_ns), default=0)

    @property
    def end_ns(self) -> int:
        """Recording time of the last message in nanoseconds; 0 in an empty recording."""
        return max((s.span_ns[1] for s in self._bag.sources if s.span_ns), default=0)

    @property
    def duration_s(self) -> float:
        """Seconds between the first and the last message."""
        return (self.end_ns - self.start_ns) * 1e-9

    def point_topics(self, types: Sequence[str] = (POINT_CLOUD,)) -> list[TopicInfo]:
        """Return the topics of type PointCloud2, or of other types."""
        return [topic for topic in self.topics if topic.type in types]

    def topic(self, name: str) -> TopicInfo:
        """Return one topic; the leading slash may be missing.

        Raises:
            BagError: There is no such topic; the message lists those there are.
        """
        found = next((t for t in self.topics if t.name in (name, f'/{name}')), None)
        if found is not None:
            return found
        names = [t.name for t in self.topics]
        close = get_close_matches(name, names, n=1)
        raise BagError(
            f'{self.path} has no topic {name}; it has {", ".join(names) or "no topics at all"}',
            f'Did you mean {close[0]}?' if close else 'Choose one of these topics',
        )

    def select_point_topic(
        self, name: str | None = None, types: Sequence[str] = (POINT_CLOUD,)
    ) -> str:
        """Return the topic to read clouds from.

        Args:
            name: A topic; None picks the only topic of these types that has messages.
            types: Of messages that hold a cloud.

        Raises:
            BagError: The topic does not exist, holds something else or nothing; or ``name`` is
                None and there is not exactly one to choose.
        """
        if name is not None:
            topic = self.topic(name)
            if topic.type not in types:
                raise BagError(
                    f'topic {topic.name} of {self.path} holds {topic.type}, expected '
                    + ' or '.join(types),
                    f'Choose one of: {_listing(self.point_topics(types))}',
                )
            if not topic.count:
                raise BagError(
                    f'topic {topic.name} of {self.path} has no messages',
                    f'Choose one of: {_listing(self.topics)}',
                )
            return topic.name
        choices = [topic for topic in self.point_topics(types) if topic.count]
        if len(choices) == 1:
            return choices[0].name
        if not choices:
            raise BagError(
                f'{self.path} has no {POINT_CLOUD} messages; it has: {_listing(self.topics)}',
                'Record the topic of the sensor driver that carries point clouds',
            )
        raise BagError(
            f'{self.path} has {len(choices)} topics with point clouds: {_listing(choices)}',
            'Name the one to use (--topic)',
        )

    def messages(self, topics: Sequence[str] | None = None) -> Iterator[tuple[str, int, Any]]:
        """Yield (topic, time of recording in nanoseconds, message) in the order of recording.

        A message whose bytes make no sense is counted in ``skipped`` and left out.

        Args:
            topics: Names; None reads all.

        Raises:
            BagError: A topic does not exist.
        """
        return self.deserialised(self.raw_messages(topics))

    def raw_messages(self, topics: Sequence[str] | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, time of recording in nanoseconds, serialised message).

        For ROS 2 recordings these are the bytes that ``rclpy.serialization`` takes, for those of
        ROS 1 see ``to_cdr``.

        Raises:
            BagError: A topic does not exist.
        """
        if topics is None:
            return self._merged({topic.name for topic in self.topics})
        return self._merged({self.topic(name).name for name in topics})

    def to_cdr(self, topic: str, raw: bytes) -> bytes | None:
        """Return a raw message as ROS 2 serialises it; those of ROS 1 are converted.

        Returns:
            ``None`` if it cannot be converted, which is counted in ``skipped``.
        """
        if not self.is_ros1(topic):
            return bytes(raw)
        if self._converter is None:
            self._converter = Ros1Converter(self._stores[True])
        try:
            return self._converter.convert(raw, self.topic(topic).type)
        except Exception as error:
            self._skip(topic, f'a message is not converted to ROS 2 (first: {reason_of(error)})')
            return None

    def deserialised(
        self, records: Iterable[tuple[str, int, bytes]]
    ) -> Iterator[tuple[str, int, Any]]:
        """Deserialise some of :meth:`raw_messages`, as :meth:`messages` does all of them."""
        types = {topic.name: topic.type for topic in self.topics}
        read: dict[str, Callable[[bytes], Any]] = {}
        for topic, stamp_ns, raw in records:
            if topic not in read:
                read[topic] = self._deserialiser(topic, types[topic])
            try:
                message = read[topic](raw)
            except Exception as error:
                self._skip(
                    topic,
                    f'a message cannot be deserialised as {types[topic]} '
                    f'(first: {reason_of(error)})',
                )
                continue
            yield topic, stamp_ns, message

    def _deserialiser(self, topic: str, type_name: str) -> Callable[[bytes], Any]:
        ros1 = self.is_ros1(topic)
        store = self._stores[ros1]
        if type_name in LIVOX_CLOUDS and has_usual_fields(store, type_name, ros1):
            return partial(read_livox, ros1=ros1)
        read = store.deserialize_ros1 if ros1 else store.deserialize_cdr
        return lambda raw: read(raw, type_name)

    def is_ros1(self, topic: str) -> bool:
        """Whether the messages of a topic are serialised as ROS 1 does."""
        return self._encodings[topic] == 'ros1'

    def _merged(self, wanted: set[str]) -> Iterator[tuple[str, int, bytes]]:
        seen: Counter[str] = Counter()
        for topic, stamp_ns, raw in in_order(self._bag.sources, wanted, self._guarded):
            seen[topic] += 1
            if raw[:4] == ZSTD_MAGIC and self._encodings[topic] == 'cdr':
                try:
                    raw = unpack_message(raw)
                except Exception as error:
                    self._skip(topic, f'a compressed message cannot be unpacked ({error})')
                    continue
            yield topic, stamp_ns, raw
        for info in self.topics:
            if info.name in wanted and seen[info.name] < info.count:
                self._note(
                    f'{self.path}, topic {info.name}: {info.count} messages are announced, '
                    f'{seen[info.name]} could be read'
                )

    def _guarded(self, source: Source, wanted: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield up to the first damage, then note it instead of ending the other files too."""
        try:
            yield from source.messages(wanted)
        except Exception as error:
            self._note(f'{self.path}: a part could not be read ({reason_of(error)})')
        for problem in source.problems:
            self._note(problem)

    def _skip(self, topic: str, problem: str) -> None:
        self.skipped[topic] += 1
        start = f'{self.path}, topic {topic}: '
        self._note(f'{start}{problem}', once_per=start + problem.partition('(')[0])

    def _summarise(self, channels: Iterable[Channel]) -> list[TopicInfo]:
        topics: dict[str, TopicInfo] = {}
        for channel in channels:
            known = topics.get(channel.topic)
            if known is not None and known.type != channel.type:
                self._note(
                    f'{self.path}: topic {channel.topic} holds both {known.type} and '
                    f'{channel.type}; all of it is read as {known.type}'
                )
            topics[channel.topic] = TopicInfo(
                channel.topic,
                known.type if known else channel.type,
                channel.count + (known.count if known else 0),
                self._bag.latched.get(
                    channel.topic,
                    channel.transient_local or (known is not None and known.transient_local),
                ),
            )
        return [topics[name] for name in sorted(topics)]

    def _note(self, problem: str, once_per: str | None = None) -> None:
        """Remember a problem, once however often the recording is read."""
        if not any(known.startswith(once_per or problem) for known in self.problems):
            self.problems.append(problem)


def frames(
    reader: BagReader,
    topic: str,
    *,
    wanted_features: Sequence[str] = ('intensity',),
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> Iterator[Cloud | Rejected]:
    """Decode every message of a point-cloud topic, in the order of recording."""
    for _, _, message in reader.messages([topic]):
        yield decode(message, wanted_features=wanted_features, limits=limits)


def read_bag(
    path: str | Path,
    topic: str | None = None,
    *,
    wanted_features: Sequence[str] = ('intensity',),
    limits: CloudLimits = CloudLimits(),  # noqa: B008 - frozen
) -> Iterator[Cloud]:
    """Yield the clouds of a recording, in the order of recording.

    Messages that cannot be decoded are left out with a warning; ``BagReader`` and ``frames`` give
    them to a caller who counts them.

    Args:
        path: As for ``BagReader``.
        topic: A PointCloud2 topic; None for the only one that has messages.
        wanted_features: Fields to read besides the coordinates, where a cloud has them.
        limits: What is accepted.

    Raises:
        BagError: Nothing can be read, the topic does not exist, or the choice is not unique.
    """
    with BagReader(path) as reader:
        for cloud in frames(
            reader,
            reader.select_point_topic(topic),
            wanted_features=wanted_features,
            limits=limits,
        ):
            if isinstance(cloud, Cloud):
                yield cloud
            else:
                warnings.warn(f'{path}: a cloud is left out: {cloud.detail}', stacklevel=2)


def _listing(topics: Sequence[TopicInfo]) -> str:
    return ', '.join(f'{t.name} ({t.type}, {t.count})' for t in topics) or '(nothing)'
