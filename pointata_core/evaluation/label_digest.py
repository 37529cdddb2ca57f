# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of all labels of a recording: equal for two runs if and only if all labels are."""

from __future__ import annotations

import hashlib
import struct

import numpy as np


class LabelDigest:
    """SHA-256 over every predicted frame, in order.

    Each frame adds its stamp (int64 nanoseconds), its number of points (uint64) and its labels
    (uint16), all little-endian whatever the machine. Without the count, labels could move from one
    frame to the next unnoticed.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, stamp_ns: int, labels: np.ndarray) -> None:
        """Add one frame; ``labels`` is ``(N,)`` uint16."""
        self._hash.update(struct.pack('<qQ', stamp_ns, labels.size))
        self._hash.update(np.ascontiguousarray(labels, dtype='<u2').data)

    def hexdigest(self) -> str:
        """The digest so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()
