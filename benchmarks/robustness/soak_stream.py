# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sensor of the soak: makes clouds, knows which it made, and judges the answers to them."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2

from benchmarks.robustness.ros_graph import cloud, street
from pointata_core.io.cloud import Cloud
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_core.taxonomy import UNLABELLED

_SCENES = 20
_REMEMBERED = 5_000


@dataclass(frozen=True)
class Made:
    """A legal cloud that was made.

    Attributes:
        number: Counts the clouds of the run.
        scene: Which points it carries.
        frame_id: Its coordinate frame.
    """

    number: int
    scene: int
    frame_id: str


class Stream:
    """Clouds with rising stamps, until a fault meddles with them.

    Args:
        points: Points per cloud.
        rate_hz: Clouds per second.
        chance: Source of all randomness.
    """

    def __init__(self, points: int, rate_hz: float, chance: random.Random) -> None:
        self.scenes = [street(seed, points) for seed in range(_SCENES)]
        self.rate_hz = rate_hz
        self.stamp_ns, self.frame_id = 10**18, 'lidar'
        self._chance = chance
        self._made: dict[int, list[Made]] = {}
        self.count = 0

    def next(self) -> PointCloud2:
        """The next cloud; sensors jitter by a millisecond."""
        self.stamp_ns += round(1e9 / self.rate_hz) + self._chance.randint(-1_000_000, 1_000_000)
        return self.make(self.stamp_ns)

    def make(self, stamp_ns: int) -> PointCloud2:
        """A legal cloud with this stamp."""
        scene = self._chance.randrange(_SCENES)
        made = Made(self.count, scene, self.frame_id)
        self.count += 1
        # The same stamp may come twice: either cloud may be the one that is answered.
        self._made[stamp_ns] = [*self._made.pop(stamp_ns, ()), made]
        if len(self._made) > _REMEMBERED:
            del self._made[next(iter(self._made))]
        return cloud(self.scenes[scene], stamp_ns, self.frame_id)

    def recognise(self, answer: PointCloud2, classes: int) -> int | str:
        """Which cloud this answers rightly.

        Right is an answer under the stamp and frame of a cloud that was made, with its points in
        their order, each with a class of the skill (or none) and a probability.

        Args:
            answer: What the node published.
            classes: How many classes the skill has.

        Returns:
            The number of the cloud, or what is wrong with the answer.
        """
        stamp_ns = answer.header.stamp.sec * 10**9 + answer.header.stamp.nanosec
        candidates = [
            one for one in self._made.get(stamp_ns, ()) if one.frame_id == answer.header.frame_id
        ]
        if not candidates:
            return f'no cloud had the stamp {stamp_ns} in frame {answer.header.frame_id!r}'
        found = decode(answer)
        labels = decode_labels(answer, 'class_id')
        if not isinstance(found, Cloud) or not isinstance(labels, np.ndarray):
            return f'the answer cannot be read: {found}'
        if not ((labels < classes) | (labels == UNLABELLED)).all():
            return 'a label is no class of the skill'
        for one in candidates:
            if np.array_equal(found.points, self.scenes[one.scene]):
                return one.number
        return 'its points are not those of the cloud'


class Recovery:
    """Measures how long after each fault the first right answer comes.

    The time runs from the end of the fault, when the sensor goes on, and ends with the first right
    answer to a cloud that was sent after that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: tuple[str, int, float] | None = None
        self._times_ms: dict[str, list[float]] = defaultdict(list)
        self.began_s = self._last_answer_s = time.monotonic()
        self.longest_silence_s = 0.0

    def begin(self, fault: str, number: int) -> None:
        """A fault is over; the next cloud has this number."""
        with self._lock:
            self._waiting = (fault, number, time.monotonic())

    def answered(self, number: int) -> None:
        """A right answer to cloud ``number`` has come."""
        now_s = time.monotonic()
        with self._lock:
            self.longest_silence_s = max(self.longest_silence_s, now_s - self._last_answer_s)
            self._last_answer_s = now_s
            if self._waiting is not None and number >= self._waiting[1]:
                self._times_ms[self._waiting[0]].append(1e3 * (now_s - self._waiting[2]))
                self._waiting = None

    def overdue(self, patience_s: float) -> str | None:
        """The fault from which the node has not recovered within ``patience_s``; forgotten then."""
        with self._lock:
            if self._waiting is None or time.monotonic() - self._waiting[2] < patience_s:
                return None
            fault, self._waiting = self._waiting[0], None
            return fault

    @property
    def is_over(self) -> bool:
        """Whether the node answers again."""
        return self._waiting is None

    def summary(self) -> dict[str, Any]:
        """By fault: how often, and milliseconds."""
        with self._lock:
            return {
                fault: {
                    'count': len(times),
                    'median': round(statistics.median(times), 1),
                    'max': round(max(times), 1),
                }
                for fault, times in sorted(self._times_ms.items())
            }
