# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which cloud is next: several input queues, one worker, one cloud of each queue in turn.

Without turns the input that sends most would keep the worker to itself. The turn of an input ends
with its newest cloud; those that it supersedes come before it in the same turn, most of them to be
dropped. Which is the newest is decided at the last moment: clouds go on arriving meanwhile.
"""

from __future__ import annotations

import threading
from typing import Generic, NamedTuple, TypeVar

from pointata_ros.node.input_queue import InputQueue

Item = TypeVar('Item')
Owner = TypeVar('Owner')


class Job(NamedTuple, Generic[Owner, Item]):
    """One item and what is to be done with it.

    Attributes:
        owner: What its queue was added for.
        item: The item.
        newer: How many newer ones of the same queue supersede it.
    """

    owner: Owner
    item: Item
    newer: int


class Scheduler(Generic[Owner, Item]):
    """Takes from several input queues in turn. Only one thread may take.

    Attributes:
        changed: What all queues must notify.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._queues: list[InputQueue[Item]] = []
        self._owners: list[Owner] = []
        self._next = 0

    def add(self, queue: InputQueue[Item], owner: Owner) -> None:
        """Take from ``queue``, too; to be called before the first :meth:`take`."""
        self._queues.append(queue)
        self._owners.append(owner)

    def has_pending(self) -> bool:
        """True if :meth:`take` would return something at once."""
        return any(len(one) for one in self._queues)

    def take(self, timeout_s: float) -> Job[Owner, Item] | None:
        """The next job; ``None`` if none comes within ``timeout_s`` or the queues close."""
        with self.changed:
            self.changed.wait_for(self._has_something, timeout_s)
        count = len(self._queues)
        for index in ((self._next + step) % count for step in range(count)):
            taken = self._queues[index].take(timeout_s=0.0)
            if taken is not None:
                job = Job(self._owners[index], *taken)
                self._next = index if job.newer else (index + 1) % count
                return job
        return None

    def _has_something(self) -> bool:
        return any(len(one) or one.is_closed for one in self._queues)
