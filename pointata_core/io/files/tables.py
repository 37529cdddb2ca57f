# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the readers of all formats return."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray


class CloudTable(NamedTuple):
    """Columns of one cloud.

    Attributes:
        columns: Name -> (N,) values in their stored datatype.
        width: Points per row.
        height: Rows; 1 for an unorganised cloud.
        notes: What is implausible about the file, as sentences.
    """

    columns: dict[str, NDArray]
    width: int
    height: int = 1
    notes: tuple[str, ...] = ()
