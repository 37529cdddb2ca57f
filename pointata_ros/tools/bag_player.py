# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays a recording into ROS at the pace at which it was recorded.

Messages are published as the bytes that were recorded: nothing is decoded on the way, so a
2 MB cloud costs what the middleware needs and no more. Messages of ROS 1 are converted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from pointata_core.io.bags.reader import BagReader, TopicInfo
from pointata_core.io.messages.cloud_conversion import CLOUD_TYPES
from pointata_core.io.messages.message_types import DEPTH_TYPES
from pointata_ros.message_classes import find_message_class
from pointata_ros.stop_flag import StopFlag

# Latched by convention, whatever the recorder noted.
_LATCHED = ('/tf_static', '/robot_description')
_CLOCK_PERIOD_S = 0.01
_LAST_WORDS_S = 3.0


@dataclass(frozen=True)
class PlayOptions:
    """How to play.

    Attributes:
        topics: Topics to play; empty = all.
        remap: Recorded topic name to the name it is published under.
        clouds_to: Name under which the recording's only cloud topic is published; empty = its own.
        rate: Speed relative to the recording, > 0.
        loop: Begin again at the end until stopped.
        clock: Publish the time of the recording on /clock.
        reliability: ``reliable`` or ``best_effort``.
        depth: Messages kept for a slow subscriber at best effort; reliable keeps all.
    """

    topics: Sequence[str] = ()
    remap: Mapping[str, str] = field(default_factory=dict)
    clouds_to: str = ''
    rate: float = 1.0
    loop: bool = False
    clock: bool = False
    reliability: str = 'reliable'
    depth: int = 10


@dataclass(frozen=True)
class PlayReport:
    """What was played.

    Attributes:
        published: Messages by the topic they were published under.
        skipped: Messages that were not played, by recorded topic: their package is not installed,
            or they cannot be converted from ROS 1.
        duration_s: Wall time.
        behind_s: Longest delay of a message behind its due time.
        finished: False if the player was stopped before the end.
    """

    published: dict[str, int]
    skipped: dict[str, int]
    duration_s: float
    behind_s: float
    finished: bool


class BagPlayer:
    """One recording, opened and ready to play; use as a context manager.

    Args:
        path: A recording, as for :class:`~pointata_core.io.bags.reader.BagReader`.
        node: The node that publishes.
        options: How to play.
        stopping: Stops the player once set, as :meth:`stop` does; one of its own by default.

    Raises:
        BagError: The recording cannot be read or lacks a topic asked for.
    """

    def __init__(
        self,
        path: str | Path,
        node: Node,
        options: PlayOptions,
        stopping: StopFlag | None = None,
    ) -> None:
        self._node = node
        self._options = options
        self._stopping = stopping or StopFlag()
        self._reader = BagReader(path)
        names = options.topics or [topic.name for topic in self._reader.topics]
        self._topics = [self._reader.topic(name) for name in names]
        self._names = dict(options.remap)
        if options.clouds_to:
            self._names[self._reader.select_point_topic(types=CLOUD_TYPES)] = options.clouds_to
        self._publishers: dict[str, Publisher] = {}
        self._skipped: Counter[str] = Counter()
        self._fitting: dict[str, bool] = {}
        for topic in self._topics:
            self._advertise(topic)
        self._clock = node.create_publisher(Clock, '/clock', 10) if options.clock else None

    def __enter__(self) -> BagPlayer:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def problems(self) -> list[str]:
        """What of the recording cannot be played, as text; grows while playing."""
        missing = sorted({one.type for one in self._topics if one.name not in self._publishers})
        return [
            *(f'{name} is not installed: its topics are not played' for name in missing),
            *(
                f'{topic} is not played: the installed message has other fields than that of ROS 1'
                for topic, fits in self._fitting.items()
                if not fits
            ),
            *self._reader.problems,
        ]

    def stop(self) -> None:
        """Let :meth:`play` return soon; may be called from a signal handler or another thread."""
        self._stopping.set()

    @property
    def is_stopped(self) -> bool:
        """True once :meth:`stop` was called."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, unless stopped."""
        self._stopping.wait(max(0.0, seconds))

    def wait_for_subscribers(self, count: int, timeout_s: float) -> bool:
        """Wait until every cloud topic (every topic, if there is none) has ``count`` subscribers.

        Returns:
            False if that took longer than ``timeout_s``, or the player was stopped.
        """
        clouds = {
            topic.name for topic in self._reader.point_topics((*CLOUD_TYPES, *DEPTH_TYPES))
        } & set(self._publishers)
        waited_for = [self._publishers[name] for name in clouds or self._publishers]
        deadline = time.monotonic() + timeout_s
        while any(one.get_subscription_count() < count for one in waited_for):
            if time.monotonic() > deadline or self._stopping.wait(0.02):
                return False
        return True

    def play(self) -> PlayReport:
        """Publish everything at its time; returns at the end or when stopped."""
        published: Counter[str] = Counter()
        started = time.monotonic()
        behind_s = 0.0
        while not self._stopping.is_set():
            behind_s = max(behind_s, self._play_once(published))
            if not self._options.loop:
                break
        finished = not self._stopping.is_set()
        if finished:
            self._wait_for_delivery()
        return PlayReport(
            published=dict(published),
            skipped=dict(self._skipped),
            duration_s=time.monotonic() - started,
            behind_s=behind_s,
            finished=finished,
        )

    def _play_once(self, published: Counter[str]) -> float:
        """Publish the recording from its begin; returns the longest delay in seconds."""
        started, behind_s = time.monotonic(), 0.0
        first_ns = self._reader.start_ns
        for topic, stamp_ns, data in self._reader.raw_messages([one.name for one in self._topics]):
            due_s = started + (stamp_ns - first_ns) * 1e-9 / self._options.rate
            behind_s = max(behind_s, self._wait_until(due_s, stamp_ns))
            if self._stopping.is_set():
                break
            publisher = self._publishers.get(topic)
            message = self._reader.to_cdr(topic, data) if publisher is not None else None
            if publisher is None or message is None or not self._fits(topic, message):
                self._skipped[topic] += 1
                continue
            publisher.publish(message)
            published[publisher.topic_name] += 1
        return behind_s

    def _fits(self, topic: str, message: bytes) -> bool:
        """Whether the installed type reads all of a message; judged by the first of a topic.

        A package may have other fields in ROS 2 than in ROS 1, and subscribers would read nonsense.
        """
        if not self._reader.is_ros1(topic):
            return True
        if topic not in self._fitting:
            kind = self._publishers[topic].msg_type
            try:
                again = serialize_message(deserialize_message(message, kind))
            except Exception:  # the C extension raises several kinds
                again = b''
            # Bytes between fields are undefined.
            self._fitting[topic] = len(again) == len(message)
        return self._fitting[topic]

    def _wait_until(self, due_s: float, stamp_ns: int) -> float:
        """Sleep, ticking the clock; returns the delay in seconds."""
        while not self._stopping.is_set():
            left_s = due_s - time.monotonic()
            self._tick(stamp_ns - round(max(left_s, 0.0) * 1e9 * self._options.rate))
            if left_s <= 0.0:
                return -left_s
            self._stopping.wait(min(left_s, _CLOCK_PERIOD_S) if self._clock else left_s)
        return 0.0

    def _tick(self, time_ns: int) -> None:
        if self._clock is not None:
            self._clock.publish(Clock(clock=Time(nanoseconds=time_ns).to_msg()))

    def _wait_for_delivery(self) -> None:
        """Give slow reliable subscribers time to fetch the last messages."""
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=_LAST_WORDS_S))

    def _advertise(self, topic: TopicInfo) -> None:
        message = find_message_class(topic.type)
        if message is not None:
            name = self._names.get(topic.name, topic.name)
            self._publishers[topic.name] = self._node.create_publisher(
                message, name, self._profile(topic)
            )

    def _profile(self, topic: TopicInfo) -> QoSProfile:
        if topic.transient_local or topic.name in _LATCHED:
            return QoSProfile(
                depth=max(1, topic.count),
                reliability=QoSReliabilityPolicy.RELIABLE,
                durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
            )
        if self._options.reliability == 'reliable':
            return QoSProfile(
                history=QoSHistoryPolicy.KEEP_ALL, reliability=QoSReliabilityPolicy.RELIABLE
            )
        return QoSProfile(depth=self._options.depth, reliability=QoSReliabilityPolicy.BEST_EFFORT)
