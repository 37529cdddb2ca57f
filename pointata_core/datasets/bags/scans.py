# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of a recording by number, read forwards.

A recording is a stream: going back means reading it from the beginning. The clouds read last are
kept, so that overlapping clips in order cost one pass.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.bags.index import BagIndex, labels_of
from pointata_core.datasets.errors import DataError
from pointata_core.errors import BagError
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.cloud import Cloud
from pointata_core.io.messages.point_cloud2 import decode
from pointata_core.io.messages.stamps import stamp_of

Scan = tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.int64] | None]


class BagScans:
    """Finite points, features and raw labels of the usable clouds of a recording.

    Args:
        index: What was found in it.
        features: Columns of the features.
        keep: Clouds kept in memory, at least 1.
    """

    def __init__(self, index: BagIndex, features: tuple[str, ...], keep: int) -> None:
        self._index, self._features, self._keep = index, features, keep
        self._kept: OrderedDict[int, Scan] = OrderedDict()
        self._stream: Iterator[Scan] | None = None
        self._next = 0

    def read(self, number: int) -> Scan:
        """Points (N, 3), features (N, C) or None, raw labels (N,) or None.

        Raises:
            DataError: The recording cannot be read, or not up to this cloud.
        """
        if number not in self._kept and number < self._next:
            self._reset()
        while number not in self._kept:
            if self._stream is None:
                self._stream = self._scans()
            try:
                scan = next(self._stream)
            except StopIteration:
                raise DataError(
                    f'{self._index.path}: cloud {number} of {self._index.topic} is gone since the '
                    'recording was opened',
                    'Open it again',
                    self._index.path,
                ) from None
            except BagError as error:
                raise DataError(error.message, error.fix, self._index.path) from error
            self._kept[self._next] = scan
            self._next += 1
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return self._kept[number]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open recording behind: another process reads it on its own."""
        return {'_index': self._index, '_features': self._features, '_keep': self._keep}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _reset(self) -> None:
        self._kept, self._stream, self._next = OrderedDict(), None, 0

    def _scans(self) -> Iterator[Scan]:
        index, usable = self._index, set(self._index.positions)
        waiting: deque[Cloud] = deque()
        truth: dict[int, NDArray[np.int64]] = {}
        position = -1
        topics = [index.topic, *([index.labels_topic] if index.labels_topic else [])]
        with BagReader(index.path) as bag:
            for topic, _, message in bag.messages(topics):
                if index.labels_field and topic == (index.labels_topic or index.topic):
                    self._take_labels(truth, message, index.labels_field)
                if topic == index.topic:
                    position += 1
                    if position in usable:
                        cloud = decode(message, wanted_features=self._features)
                        if isinstance(cloud, Cloud):
                            waiting.append(cloud)
                # Labels may come before or after their cloud; clouds leave in their own order.
                while waiting and self._is_complete(waiting[0], truth):
                    first = waiting.popleft()
                    yield self._scan(first, truth.pop(first.stamp_ns, None))
            # What still waits shares its stamp with another cloud, which took the labels.
            yield from (self._scan(cloud, None) for cloud in waiting)

    def _take_labels(
        self, truth: dict[int, NDArray[np.int64]], message: Any, labels_field: str
    ) -> None:
        stamp_ns = stamp_of(message)
        labels = labels_of(message, labels_field)
        if labels is not None and stamp_ns in self._index.labelled:
            truth[stamp_ns] = labels

    def _is_complete(self, cloud: Cloud, truth: dict[int, NDArray[np.int64]]) -> bool:
        return cloud.stamp_ns in truth or cloud.stamp_ns not in self._index.labelled

    def _scan(self, cloud: Cloud, labels: NDArray[np.int64] | None) -> Scan:
        finite = cloud.finite
        if labels is not None and len(labels) != len(cloud):
            labels = None  # of another cloud with the same stamp
        features = [cloud.features[name][finite] for name in self._features]
        return (
            cloud.points[finite],
            np.stack(features, axis=1) if features else None,
            None if labels is None else labels[finite],
        )
