# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rows of numbers from text files, as shapes and rooms of public data sets are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import damaged, require_file


def read_rows(
    path: Path, columns: int, expected: str, delimiter: str | None = None
) -> NDArray[np.float32]:
    """Read ``(N, columns)`` finite numbers.

    Args:
        path: The file.
        columns: Numbers in each row.
        expected: What the rows hold, for the error.
        delimiter: Between the numbers; None for blanks.

    Raises:
        DataError: The file is missing, empty, cut, or holds something else.
    """
    require_file(path, expected)
    try:
        rows = np.loadtxt(path, np.float32, delimiter=delimiter, ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise damaged(path, str(error).splitlines()[0], expected) from error
    if not len(rows) or rows.shape[1] != columns or not np.isfinite(rows).all():
        found = f'{rows.shape[0]} rows of {rows.shape[1]} numbers, or some that are not finite'
        raise damaged(path, found, expected)
    return rows
