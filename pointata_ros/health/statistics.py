# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What became of every cloud: counters and recent timings, shared by the threads of the node.

Every cloud that arrives ends in exactly one of three places, so at rest
``received == published + sum(dropped) + sum(rejected)``.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pointata_ros.health.faults import Episode, Episodes, Fault

_WINDOW = 256


class DropReason(str, Enum):
    """Why a legal cloud was not published."""

    SUPERSEDED = 'superseded'  # a newer one was waiting
    OVERFLOW = 'overflow'  # replaced by a newer one in the full queue
    RATE_LIMIT = 'rate_limit'  # parameter max_rate
    DUPLICATE_STAMP = 'duplicate_stamp'
    OUT_OF_ORDER = 'out_of_order'
    NO_TRANSFORM = 'no_transform'
    CLOCK_JUMP = 'clock_jump'  # was waiting when the clock jumped
    DEACTIVATED = 'deactivated'  # was waiting when the node was deactivated
    COLD = 'cold'  # parameter min_history: the temporal state has seen too little
    ERROR = 'error'  # the network failed on it; the log has the traceback
    OUT_OF_MEMORY = 'out_of_memory'
    DEVICE_LOST = 'device_lost'

    __str__ = str.__str__


# Drops that a setting demands are no fault.
_FAULT_OF = {
    DropReason.SUPERSEDED: Fault.DROPPED,
    DropReason.OVERFLOW: Fault.DROPPED,
    DropReason.DUPLICATE_STAMP: Fault.DROPPED,
    DropReason.OUT_OF_ORDER: Fault.DROPPED,
    DropReason.CLOCK_JUMP: Fault.DROPPED,
    DropReason.ERROR: Fault.FAILED,
    DropReason.OUT_OF_MEMORY: Fault.FAILED,
    DropReason.DEVICE_LOST: Fault.FAILED,
}


@dataclass(frozen=True)
class Snapshot:
    """A consistent copy of the statistics.

    Attributes:
        received: Clouds that reached the node.
        published: Clouds whose result was published.
        ingested: Clouds that entered the temporal state and were not published.
        gaps: Clouds that did neither.
        dropped: Clouds that were not published, by :class:`DropReason`.
        rejected: Illegal clouds, by the codec's reason.
        lost: Clouds which the middleware lost on the way, by its own account.
        points: Points published.
        unlabelled: Of these, points without a class.
        timings_ms: Recent samples by stage.
        arrivals_ns: Times on the node's clock at which recent clouds arrived.
        stamps_ns: Stamps of recent clouds, in order of arrival.
        last_error: Text of the last failure, empty if there was none.
        non_finite: Voxels whose prediction was not finite.
        uncompensated: Clouds that went on without their ego motion.
        taken_s: When this was taken, steady clock.
        faults: What is wrong at the moment.
        suspicions: What seems to be wrong with the clouds, by kind.
    """

    received: int = 0
    published: int = 0
    ingested: int = 0
    gaps: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    points: int = 0
    unlabelled: int = 0
    timings_ms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    arrivals_ns: tuple[int, ...] = ()
    stamps_ns: tuple[int, ...] = ()
    last_error: str = ''
    non_finite: int = 0
    uncompensated: int = 0
    taken_s: float = 0.0
    faults: Mapping[Fault, Episode] = field(default_factory=dict)
    suspicions: Mapping[str, str] = field(default_factory=dict)


class Statistics:
    """Thread-safe counters since configuration; timings and arrivals of recent clouds.

    Args:
        now_s: Steady clock, by which faults last.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._episodes = Episodes()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._timings: dict[str, deque[float]] = {}
        self._arrivals: deque[int] = deque(maxlen=_WINDOW)
        self._stamps: deque[int] = deque(maxlen=_WINDOW)
        self._last_error = ''
        self._suspicions: dict[str, str] = {}

    def arrived(self, now_ns: int, stamp_ns: int) -> None:
        """A cloud reached the node at ``now_ns`` on the node's clock."""
        with self._lock:
            self._counts['received'] += 1
            self._arrivals.append(now_ns)
            self._stamps.append(stamp_ns)

    def published(self, points: int, unlabelled: int, timings_ms: Mapping[str, float]) -> None:
        """A result was published."""
        with self._lock:
            self._counts.update(published=1, points=points, unlabelled=unlabelled)
            for stage, milliseconds in timings_ms.items():
                self._timings.setdefault(stage, deque(maxlen=_WINDOW)).append(milliseconds)

    def dropped(self, reason: DropReason, *, ingested: bool = False) -> None:
        """A legal cloud was not published; ``ingested`` if it entered the temporal state."""
        with self._lock:
            self._dropped[str(reason)] += 1
            self._counts['ingested' if ingested else 'gaps'] += 1
            if reason in _FAULT_OF:
                self._episodes.add(_FAULT_OF[reason], str(reason), self._now_s())

    def rejected(self, reason: str) -> None:
        """A cloud broke the rules of its message type."""
        with self._lock:
            self._rejected[reason] += 1
            self._episodes.add(Fault.REJECTED, reason, self._now_s())

    def slow(self, latency_s: float) -> None:
        """A result took ``latency_s``, which is longer than allowed."""
        with self._lock:
            self._episodes.add(Fault.SLOW, f'the last took {latency_s:.3f} s', self._now_s())

    def non_finite(self, voxels: int) -> None:
        """The prediction for ``voxels`` voxels, 0 = the action, was not finite."""
        with self._lock:
            self._counts['non_finite'] += voxels
            detail = f'{voxels} voxels' if voxels else 'the action'
            self._episodes.add(Fault.NON_FINITE, detail, self._now_s())

    def no_transform(self, *, used: bool) -> None:
        """The motion up to a cloud is unknown; ``used`` if the cloud goes on without it."""
        with self._lock:
            self._counts['uncompensated'] += used
            detail = 'used without compensation' if used else 'skipped'
            self._episodes.add(Fault.NO_TRANSFORM, detail, self._now_s())

    def lost(self, count: int) -> None:
        """The middleware lost ``count`` clouds before they reached the node."""
        with self._lock:
            self._counts['lost'] += count

    def failed(self, text: str) -> None:
        """Remember the text of a failure."""
        with self._lock:
            self._last_error = text

    def suspect(self, kind: str, text: str) -> None:
        """The clouds seem to have a wrong unit, axes or the like; until the next activation."""
        with self._lock:
            self._suspicions[kind] = text

    def forget_suspicions(self) -> None:
        """The clouds are looked at anew."""
        with self._lock:
            self._suspicions.clear()

    def forget_rates(self) -> None:
        """Drop arrival times and stamps: the clock jumped, so they compare to nothing."""
        with self._lock:
            self._arrivals.clear()
            self._stamps.clear()

    def snapshot(self) -> Snapshot:
        """A consistent copy."""
        with self._lock:
            return Snapshot(
                **{
                    name: self._counts[name]
                    for name in (
                        'received',
                        'published',
                        'ingested',
                        'gaps',
                        'lost',
                        'points',
                        'unlabelled',
                        'non_finite',
                        'uncompensated',
                    )
                },
                dropped=self._dropped.copy(),
                rejected=self._rejected.copy(),
                timings_ms={stage: tuple(samples) for stage, samples in self._timings.items()},
                arrivals_ns=tuple(self._arrivals),
                stamps_ns=tuple(self._stamps),
                last_error=self._last_error,
                taken_s=(now_s := self._now_s()),
                faults=self._episodes.current(now_s),
                suspicions=dict(self._suspicions),
            )
