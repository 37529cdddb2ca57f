# SPDX-License-Identifier: Apache-2.0
"""Whose cloud is next: several mailboxes, one worker, one cloud at a time from each in turn.

Without turns the input that sends most would have the worker to itself. What one mailbox hands over
in one go (under ``latest`` a cloud together with those it overtook) takes as many turns as there
are clouds in it, so that no input waits for more than one cloud of each of the others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pointata_ros.node.input_queue import Mailbox

Item = TypeVar('Item')


@dataclass(frozen=True)
class Turn(Generic[Item]):
    """One item and what is to become of it.

    Attributes:
        lane: Index of the mailbox that it comes from.
        item: The item.
        is_overtaken: True if a newer one follows in the same lane, so this one goes unanswered.
    """

    lane: int
    item: Item
    is_overtaken: bool


class Turns(Generic[Item]):
    """Takes from several mailboxes in turn. Owned by one thread, the only one that takes.

    Args:
        mailboxes: At least one; all of them made with ``changed``.
        changed: What they notify.
    """

    def __init__(self, mailboxes: Sequence[Mailbox[Item]], changed: threading.Condition) -> None:
        self._mailboxes = tuple(mailboxes)
        self._changed = changed
        self._begun: list[deque[Turn[Item]]] = [deque() for _ in self._mailboxes]
        self._last = len(self._mailboxes) - 1

    @property
    def has_begun(self) -> bool:
        """True while something was taken out of a mailbox and has not had its turn."""
        return any(self._begun)

    @property
    def somebody_waits(self) -> bool:
        """True if :meth:`take` would return something at once."""
        return self.has_begun or any(len(one) for one in self._mailboxes)

    def take(self, timeout_s: float) -> Turn[Item] | None:
        """The next item; ``None`` if none comes within ``timeout_s`` or the mailboxes close."""
        if not self.has_begun:
            with self._changed:
                self._changed.wait_for(self._has_something, timeout_s)
        count = len(self._mailboxes)
        for lane in ((self._last + step) % count for step in range(1, count + 1)):
            begun = self._begun[lane] or self._begin(lane)
            if begun:
                self._last = lane
                return begun.popleft()
        return None

    def _has_something(self) -> bool:
        return any(len(one) or one.is_closed for one in self._mailboxes)

    def _begin(self, lane: int) -> deque[Turn[Item]]:
        delivery = self._mailboxes[lane].take(timeout_s=0.0)
        if delivery is not None:
            self._begun[lane].extend(Turn(lane, item, True) for item in delivery.overtaken)
            self._begun[lane].append(Turn(lane, delivery.item, False))
        return self._begun[lane]
