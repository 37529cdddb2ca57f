# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which image belongs to a cloud: the one whose stamp is nearest, within a tolerance."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar('Item')


class RecentImages(Generic[Item]):
    """The last few images of a camera, by stamp.

    Args:
        keep: How many; the oldest to arrive gives way, whatever its stamp, so that a stream that
            begins anew finds only new images soon. Half a second of a fast camera is enough, and
            images are large.
    """

    def __init__(self, keep: int = 16) -> None:
        self._items: deque[tuple[int, Item]] = deque(maxlen=keep)

    def __len__(self) -> int:
        """Images held."""
        return len(self._items)

    def add(self, stamp_ns: int, item: Item) -> None:
        """An image arrived."""
        self._items.append((stamp_ns, item))

    def nearest(self, stamp_ns: int, tolerance_ns: int) -> tuple[int, Item] | None:
        """Stamp and image nearest in time, of two equally near the newer; None if none is."""
        best = min(self._items, key=lambda one: (abs(one[0] - stamp_ns), -one[0]), default=None)
        if best is None or abs(best[0] - stamp_ns) > tolerance_ns:
            return None
        return best

    def count_after(self, stamp_ns: int) -> int:
        """How many are newer than this."""
        return sum(one > stamp_ns for one, _ in self._items)

    def distance_ns(self, stamp_ns: int) -> int | None:
        """How far the nearest stamp lies ahead (behind: negative); None without images."""
        stamps = [one for one, _ in self._items]
        return min((one - stamp_ns for one in stamps), key=abs, default=None)

    def clear(self) -> None:
        """Forget them: time jumped."""
        self._items.clear()
