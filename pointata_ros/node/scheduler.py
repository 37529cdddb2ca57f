# SPDX-License-Identifier: Apache-2.0
"""Which cloud is next: several input queues, one worker, one cloud of each queue in turn.

Without turns the input that sends most would keep the worker to itself. What a queue hands over at
once (under ``latest`` a cloud together with those it supersedes) takes as many turns as there are
clouds in it, so that no input waits for more than one cloud of each of the others.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, NamedTuple, TypeVar

from pointata_ros.node.input_queue import InputQueue

Item = TypeVar('Item')
Owner = TypeVar('Owner')


class Job(NamedTuple, Generic[Owner, Item]):
    """One item and what is to be done with it.

    Attributes:
        owner: What its queue was added for.
        item: The item.
        is_superseded: True if a newer one of the same queue was taken with it.
    """

    owner: Owner
    item: Item
    is_superseded: bool


class Scheduler(Generic[Owner, Item]):
    """Takes from several input queues in turn. Only one thread may take.

    Attributes:
        changed: What all queues must notify.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._queues: list[InputQueue[Item]] = []
        self._owners: list[Owner] = []
        self._taken: list[deque[Job[Owner, Item]]] = []
        self._last = -1

    def add(self, queue: InputQueue[Item], owner: Owner) -> None:
        """Take from ``queue``, too; to be called before the first :meth:`take`."""
        self._queues.append(queue)
        self._owners.append(owner)
        self._taken.append(deque())

    @property
    def has_taken(self) -> bool:
        """True while something was taken out of a queue and has not had its turn."""
        return any(self._taken)

    def has_pending(self) -> bool:
        """True if :meth:`take` would return something at once."""
        return self.has_taken or any(len(one) for one in self._queues)

    def take(self, timeout_s: float) -> Job[Owner, Item] | None:
        """The next job; ``None`` if none comes within ``timeout_s`` or the queues close."""
        if not self.has_taken:
            with self.changed:
                self.changed.wait_for(self._has_something, timeout_s)
        count = len(self._queues)
        for index in ((self._last + step) % count for step in range(1, count + 1)):
            jobs = self._taken[index] or self._fill(index)
            if jobs:
                self._last = index
                return jobs.popleft()
        return None

    def _has_something(self) -> bool:
        return any(len(one) or one.is_closed for one in self._queues)

    def _fill(self, index: int) -> deque[Job[Owner, Item]]:
        items = self._queues[index].take(timeout_s=0.0)
        last = len(items) - 1
        jobs = (Job(self._owners[index], one, place < last) for place, one in enumerate(items))
        self._taken[index].extend(jobs)
        return self._taken[index]
