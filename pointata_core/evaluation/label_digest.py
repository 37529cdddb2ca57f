# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of all labels of a recording: equal for two runs if and only if all labels are."""

from __future__ import annotations

import hashlib
import struct
from typing import BinaryIO

import numpy as np


class LabelDigest:
    """SHA-256 over every predicted frame, in order.

    Each frame adds its stamp (int64 nanoseconds), its number of points (uint64) and its labels
    (uint16), all little-endian whatever the machine. Without the count, labels could move from one
    frame to the next unnoticed.

    Args:
        copy: Gets the same bytes, so that the digest of several parts can be taken later.
    """

    def __init__(self, copy: BinaryIO | None = None) -> None:
        self._hash = hashlib.sha256()
        self._copy = copy

    def add(self, stamp_ns: int, labels: np.ndarray) -> None:
        """Add one frame; ``labels`` is ``(N,)`` uint16."""
        for piece in (
            struct.pack('<qQ', stamp_ns, labels.size),
            np.ascontiguousarray(labels, dtype='<u2').data,
        ):
            self._hash.update(piece)
            if self._copy is not None:
                self._copy.write(piece)

    def hexdigest(self) -> str:
        """The digest so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()
