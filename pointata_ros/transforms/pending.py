# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds that wait for their transform, so that the worker need not.

Odometry comes later than the cloud that it belongs to, often by more than a period. This module
does not import ROS.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar('Item')

_DEAD_S = 2.0
"""Transforms that end so much before a cloud, timeout apart, come from nobody any more."""


@dataclass(frozen=True)
class _Pending(Generic[Item]):
    item: Item
    frame_id: str
    stamp_ns: int
    since_s: float


class PendingClouds(Generic[Item]):
    """A bounded queue whose items go on in order, each once its transform is known.

    An item also goes on without it: after the timeout, if the queue is full, or if waiting is
    pointless because transforms have ceased. All methods may be called from any thread.

    Args:
        missing_s: ``(frame_id, stamp_ns)`` -> seconds by which known transforms end before that
            moment, ``None`` if the frame is not connected.
        timeout_s: Called for the longest wait.
        capacity: Most items that wait, >= 1.
        has_room: Whether ``release`` would take an item at once.
        release: Takes an item on.
        now_s: Steady clock.
    """

    def __init__(
        self,
        missing_s: Callable[[str, int], float | None],
        timeout_s: Callable[[], float],
        capacity: int,
        has_room: Callable[[], bool],
        release: Callable[[Item], object],
        now_s: Callable[[], float],
    ) -> None:
        self._missing_s = missing_s
        self._timeout_s = timeout_s
        self._capacity = capacity
        self._has_room = has_room
        self._release = release
        self._now_s = now_s
        self._lock = threading.Lock()
        self._items: deque[_Pending[Item]] = deque()
        # A frame that was not connected for the whole wait: the next cloud need not wait for it.
        self._is_unconnected = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def has_room(self) -> bool:
        """True if :meth:`put` would release nothing before its time."""
        return len(self._items) < self._capacity

    def put(self, item: Item, frame_id: str, stamp_ns: int) -> None:
        """Add an item, and release what may go on."""
        with self._lock:
            self._items.append(_Pending(item, frame_id, stamp_ns, self._now_s()))
            self._release_ready()

    def poll(self) -> None:
        """Release what may go on: a transform has come, time has passed, or there is room."""
        with self._lock:
            self._release_ready()

    def drain(self) -> list[Item]:
        """Take everything out, oldest first."""
        with self._lock:
            items = [one.item for one in self._items]
            self._items.clear()
            self._is_unconnected = False
        return items

    def _release_ready(self) -> None:
        while self._items and self._has_room() and self._is_ready(self._items[0]):
            self._release(self._items.popleft().item)

    def _is_ready(self, first: _Pending[Item]) -> bool:
        missing_s = self._missing_s(first.frame_id, first.stamp_ns)
        timeout_s = self._timeout_s()
        is_late = self._now_s() - first.since_s >= timeout_s or len(self._items) > self._capacity
        if missing_s is None:
            self._is_unconnected |= is_late
            return self._is_unconnected
        self._is_unconnected = False
        return missing_s <= 0.0 or is_late or missing_s > timeout_s + _DEAD_S
