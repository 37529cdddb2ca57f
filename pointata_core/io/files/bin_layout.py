# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find out how many float32 columns a ``.bin`` file has; it holds nothing that tells.

The name decides where it can (KITTI's four columns, nuScenes' five in ``.pcd.bin``). What the name
promises is then compared with the numbers, because a wrong count of columns mixes coordinates with
intensities and gives a cloud that no error betrays:

* **Size**: it is a multiple of a row.
* **Ranges**: coordinates are finite and below some kilometres, an intensity is not negative.
* **Spread**: numbers of one column resemble each other. The mean logarithm of the spread within
  columns is lowest for the right count, since mixing distributions widens them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KITTI_COLUMNS = ('x', 'y', 'z', 'intensity')
NUSCENES_COLUMNS = (*KITTI_COLUMNS, 'ring')
_LAYOUTS: dict[int, tuple[str, ...]] = {
    3: KITTI_COLUMNS[:3],
    4: KITTI_COLUMNS,
    5: NUSCENES_COLUMNS,
    6: (*KITTI_COLUMNS, 'column_5', 'column_6'),
    7: (*KITTI_COLUMNS, 'column_5', 'column_6', 'column_7'),
}
_LARGEST_M = 20_000.0
_FEWEST_ROWS = 16
_MOST_VALUES = 420 * 200  # 420 is a multiple of every count of columns
_CLEARLY = 0.15


class UnclearLayout(ValueError):
    """The columns are not those that the name promises, and no others are certain."""


def find_layout(values: NDArray[np.float32], promised: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the columns of a file.

    Args:
        values: All numbers of the file, ``(M,)``.
        promised: What the name of the file stands for.

    Raises:
        UnclearLayout: No count of columns, or more than one, makes sense.
    """
    counts = [count for count in _LAYOUTS if len(values) % count == 0]
    expected = len(promised)
    if not len(values) or (len(values) < _FEWEST_ROWS * expected and expected in counts):
        return promised
    if len(values) < _FEWEST_ROWS * max(_LAYOUTS):
        counts = []
    costs = {count: cost for count in counts if (cost := _cost(values, count)) is not None}
    if not costs:
        raise UnclearLayout('no count of columns from 3 to 7 makes sense of its numbers')
    best = min(costs.values())
    # A multiple of the right count is as good as the right one, so the smallest wins.
    likely = min(count for count, cost in costs.items() if cost < best + _CLEARLY)
    if expected in costs and costs[expected] < best + _CLEARLY:
        return promised
    rivals = [c for c in costs if c % likely and costs[c] < costs[likely] + _CLEARLY]
    if rivals:
        raise UnclearLayout(f'rows of {likely} or {rivals[0]} floats make sense of its numbers')
    return _names(values, likely)


def _cost(values: NDArray[np.float32], count: int) -> float | None:
    """Mean logarithm of the spread of the columns; None where ranges are impossible."""
    rows = values.reshape(-1, count)
    with np.errstate(invalid='ignore'):  # signalling NaNs
        rows = rows[: _MOST_VALUES // count].astype(np.float64)
    finite = np.isfinite(rows).all(axis=1)
    if finite.mean() < 0.5:
        return None
    rows = rows[finite]
    xyz = np.abs(rows[:, :3])
    tiny = (xyz > 0) & (xyz < 1e-20)  # other datatypes, read as float32
    if (xyz > _LARGEST_M).any(axis=1).mean() > 0.01 or tiny.any(axis=1).mean() > 0.01:
        return None
    if count > 3 and (rows[:, 3] < 0).mean() > 0.01:
        return None
    if not rows[:, :3].any():
        return None
    return float(np.log(rows.std(axis=0) + 1e-3).mean())


def _names(values: NDArray[np.float32], count: int) -> tuple[str, ...]:
    names = _LAYOUTS[count]
    if count == 5:
        fifth = values.reshape(-1, 5)[:, 4]
        if not ((fifth == np.round(fifth)) & (fifth >= 0)).all():
            return (*KITTI_COLUMNS, 'column_5')
    return names
