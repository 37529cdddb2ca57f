# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pairs clouds and images while both arrive; does not import ROS.

A cloud is paired from the moment it arrives, not when it has its turn: one that waits in a queue
keeps the image that belongs to it, however many have come since.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from pointata_core.inference.camera_pairing import RecentImages

_REMEMBERED = 64
# Half of the images that are kept: the other half belongs to clouds on their way.
_FAR_AHEAD = 8


class ExpectedImage:
    """The image of a cloud, received or expected.

    Attributes:
        stamp_ns: Of the cloud.
        until_s: Till when it may wait for one, ``time.perf_counter``.
        found: Stamp and image nearest so far.
    """

    def __init__(self, stamp_ns: int, until_s: float) -> None:
        self.stamp_ns, self.until_s = stamp_ns, until_s
        self.found: tuple[int, Any] | None = None


@dataclass(frozen=True)
class CameraSnapshot:
    """A consistent copy of what is known of a camera.

    Attributes:
        counts: Clouds by outcome (``paired``, ``missing``, ``undecodable``, ``uncalibrated``,
            ``no_transform``), and ``late``: of the missing, those whose image came after all.
        points: Points labelled, since the node was configured.
        points_with_camera: Of these, those whose prediction used an image.
        images: Images that arrived.
        trouble: Why the last cloud was labelled without an image; empty if it was not.
        offset_ms: Stamp of the last cloud's image after that of the cloud.
    """

    counts: Counter[str] = field(default_factory=Counter)
    points: int = 0
    points_with_camera: int = 0
    images: int = 0
    trouble: str = ''
    offset_ms: float | None = None


class CameraPairs:
    """Images and clouds of one input. All methods may be called from any thread.

    Args:
        tolerance_s: Called for the largest difference between the stamps of a pair.
    """

    def __init__(self, tolerance_s: Callable[[], float]) -> None:
        self._tolerance_s = tolerance_s
        self._changed = threading.Condition()
        self._images: RecentImages[Any] = RecentImages()
        # Clouds that are dropped elsewhere vanish from here by themselves.
        self._expected: WeakSet[ExpectedImage] = WeakSet()
        self._unpaired: deque[int] = deque(maxlen=_REMEMBERED)
        self._last_cloud_ns: int | None = None
        self._counts: Counter[str] = Counter()
        self._points = self._with_camera = self._arrived = 0
        self._trouble = ''
        self._offset_ms: float | None = None

    def expect(self, stamp_ns: int, wait_s: float = 0.0) -> ExpectedImage:
        """A cloud arrived; it may wait so long for its image."""
        expected = ExpectedImage(stamp_ns, time.perf_counter() + wait_s)
        with self._changed:
            self._last_cloud_ns = stamp_ns
            expected.found = self._images.nearest(stamp_ns, self._tolerance_ns())
            self._expected.add(expected)
        return expected

    def arrived(self, stamp_ns: int, image: Any) -> None:
        """An image arrived."""
        with self._changed:
            self._arrived += 1
            self._images.add(stamp_ns, image)
            tolerance_ns = self._tolerance_ns()
            for one in self._expected:
                distance = abs(stamp_ns - one.stamp_ns)
                best = tolerance_ns + 1
                if one.found is not None:
                    best = abs(one.found[0] - one.stamp_ns)
                if distance < best:
                    one.found = stamp_ns, image
            for stamp in [s for s in self._unpaired if abs(stamp_ns - s) <= tolerance_ns]:
                self._unpaired.remove(stamp)
                self._counts['late'] += 1
            self._changed.notify_all()

    @property
    def is_ahead(self) -> bool:
        """Whether so many images are newer than all clouds that more would push out needed ones.

        That is so where clouds are held back: images must be, too.
        """
        with self._changed:
            last_ns = self._last_cloud_ns
            if last_ns is None:
                return False
            return self._images.count_after(last_ns + self._tolerance_ns()) >= _FAR_AHEAD

    def take(self, expected: ExpectedImage) -> tuple[int, Any] | None:
        """Stamp and image of a cloud, after waiting as long as it may; None without."""
        with self._changed:
            left_s = expected.until_s - time.perf_counter()
            if expected.found is None and left_s > 0:
                self._changed.wait_for(lambda: expected.found is not None, left_s)
            self._expected.discard(expected)
            if expected.found is None:
                self._unpaired.append(expected.stamp_ns)
            return expected.found

    def why_none(self, stamp_ns: int) -> str:
        """Why there is no image for a cloud, in words."""
        with self._changed:
            distance_ns = self._images.distance_ns(stamp_ns)
        if distance_ns is None:
            return 'no image has arrived'
        where = 'ahead' if distance_ns > 0 else 'behind'
        return (
            f'the nearest image is {abs(distance_ns) * 1e-6:.0f} ms {where}, '
            f'image_tolerance is {1e3 * self._tolerance_s():.0f} ms'
        )

    def count(self, outcome: str, trouble: str = '', offset_ns: int | None = None) -> None:
        """Count what became of a cloud; ``trouble`` is the reason if it has no image."""
        with self._changed:
            self._counts[outcome] += 1
            self._trouble = trouble
            self._offset_ms = None if offset_ns is None else offset_ns * 1e-6

    def count_points(self, points: int, with_camera: int) -> None:
        """Count the points of a prediction."""
        with self._changed:
            self._points += points
            self._with_camera += with_camera

    def clear(self) -> None:
        """Forget images and clouds: time jumped."""
        with self._changed:
            self._images.clear()
            self._unpaired.clear()
            self._expected.clear()
            self._last_cloud_ns = None

    def snapshot(self) -> CameraSnapshot:
        """A consistent copy."""
        with self._changed:
            return CameraSnapshot(
                self._counts.copy(),
                self._points,
                self._with_camera,
                self._arrived,
                self._trouble,
                self._offset_ms,
            )

    def _tolerance_ns(self) -> int:
        return round(self._tolerance_s() * 1e9)
