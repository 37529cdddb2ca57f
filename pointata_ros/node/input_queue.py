# SPDX-License-Identifier: Apache-2.0
"""The bounded hand-over between the executor thread and the worker.

Two policies. ``latest`` (live): putting never waits; the worker gets the newest item together with
those it overtook, and an item that finds the box full pushes out the oldest. ``block``
(recordings): nothing is ever lost; putting waits for room.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar('Item')


@dataclass(frozen=True)
class Delivery(Generic[Item]):
    """What the worker takes in one go.

    Attributes:
        item: The item to answer.
        overtaken: Older items which will not be answered, oldest first; empty under ``block``.
    """

    item: Item
    overtaken: tuple[Item, ...] = ()


class Mailbox(Generic[Item]):
    """A bounded queue with one of the two policies. All methods may be called from any thread.

    Args:
        policy: ``latest`` or ``block``.
        capacity: Most items that wait, >= 1.
        on_overflow: Called with each item pushed out by a newer one (``latest`` only).
        on_room: Called after a take, when there is room again; must not block.
        changed: Notified of every change; one that several boxes share lets one thread wait for
            all of them.
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
        """True if :meth:`put` would return at once without pushing anything out."""
        return len(self._items) < self.capacity

    def put(self, item: Item) -> bool:
        """Hand an item over; under ``block`` wait until there is room.

        Returns:
            False if the box is closed, and the item was not taken.
        """
        pushed_out = None
        with self._changed:
            if self.policy == 'block':
                self._changed.wait_for(lambda: self._closed or self.has_room)
            if self._closed:
                return False
            if not self.has_room:
                pushed_out = self._items.popleft()
            self._items.append(item)
            self._changed.notify_all()
        if pushed_out is not None:
            self._on_overflow(pushed_out)
        return True

    def take(self, timeout_s: float) -> Delivery[Item] | None:
        """The next delivery; ``None`` if none comes within ``timeout_s`` or the box closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items, timeout_s)
            if not self._items:
                return None
            if self.policy == 'block':
                delivery = Delivery(self._items.popleft())
            else:
                *overtaken, newest = self._items
                self._items.clear()
                delivery = Delivery(newest, tuple(overtaken))
            self._changed.notify_all()
        self._on_room()
        return delivery

    def drain(self) -> list[Item]:
        """Take everything out, oldest first."""
        with self._changed:
            items = list(self._items)
            self._items.clear()
            self._changed.notify_all()
        self._on_room()
        return items

    def close(self) -> list[Item]:
        """Refuse further items, wake everybody who waits and return what was left, oldest first."""
        with self._changed:
            self._closed = True
        return self.drain()
