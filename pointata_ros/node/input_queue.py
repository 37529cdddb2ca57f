# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bounded queue between the executor thread and the worker.

Two policies. ``latest`` (live): ``put`` never waits; an item that finds the queue full replaces the
oldest, and the worker learns with each item how many newer ones wait. ``block`` (recordings):
nothing is ever lost; ``put`` waits for room.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar('Item')


class InputQueue(Generic[Item]):
    """A bounded queue with one of the two policies. All methods may be called from any thread.

    Args:
        policy: ``latest`` or ``block``.
        capacity: Most items that wait, >= 1.
        on_overflow: Called with each item replaced by a newer one (``latest`` only).
        on_room: Called after a take, when there is room again; must not block.
        changed: Notified of every change; several queues may share one, so that one thread can
            wait for all of them.
    """

    def __init__(
        self,
        policy: str,
        capacity: int,
        on_overflow: Callable[[Item], None] = lambda item: None,
        on_room: Callable[[], None] = lambda: None,
        changed: threading.Condition | None = None,
    ) -> None:
        if policy not in ('latest', 'block') or capacity < 1:
            raise ValueError(f'policy {policy!r} with capacity {capacity}')
        self.policy = policy
        self.capacity = capacity
        self._on_overflow = on_overflow
        self._on_room = on_room
        self._items: deque[Item] = deque()
        self._changed = changed or threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_closed(self) -> bool:
        """True once :meth:`close` was called."""
        return self._closed

    @property
    def has_room(self) -> bool:
        """True if :meth:`put` would return at once without replacing anything."""
        return len(self._items) < self.capacity

    def put(self, item: Item) -> bool:
        """Add an item; under ``block`` wait until there is room.

        Returns:
            False if the queue is closed, and the item was not taken.
        """
        replaced = []
        with self._changed:
            if self.policy == 'block':
                self._changed.wait_for(lambda: self._closed or self.has_room)
            if self._closed:
                return False
            if not self.has_room:
                replaced.append(self._items.popleft())
            self._items.append(item)
            self._changed.notify_all()
        for old in replaced:
            self._on_overflow(old)
        return True

    def take(self, timeout_s: float) -> tuple[Item, int] | None:
        """Take the oldest item.

        Returns:
            The item, and how many newer ones supersede it now: none under ``block``. ``None`` if
            no item comes within ``timeout_s`` or the queue closes.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items, timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            newer = 0 if self.policy == 'block' else len(self._items)
            self._changed.notify_all()
        self._on_room()
        return item, newer

    def drain(self) -> list[Item]:
        """Take everything out, oldest first."""
        with self._changed:
            items = list(self._items)
            self._items.clear()
            self._changed.notify_all()
        self._on_room()
        return items

    def close(self) -> list[Item]:
        """Refuse further items, wake all waiting threads and return what was left, oldest first."""
        with self._changed:
            self._closed = True
        return self.drain()
