# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hands as PointLSTM prepares them: the format that both gesture data sets share.

Min et al., An Efficient PointLSTM for Point Clouds Based Gesture Recognition, CVPR 2020. An integer
array (32, N, 8): image row, column, depth, number of the key frame, and the same in "metric" form,
cut to whole numbers and, for one data set, made with the other's camera; so only the first four
columns are used here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import damaged, require_file
from pointata_core.datasets.sequences import Content

KEY_FRAMES = 32
ROW, COLUMN, DEPTH = 0, 1, 2
TIME_FEATURE = ('time',)


def read_hands(path: Path, points: int) -> NDArray[np.int64]:
    """Read a prepared gesture.

    Args:
        path: ``.npy`` file.
        points: Points of every frame.

    Returns:
        (32, points, 8) integers.

    Raises:
        DataError: The file is missing, cut or of another shape.
    """
    shape = (KEY_FRAMES, points, 8)
    expected = f'integers of shape {shape}'
    require_file(path, expected, "Prepare it with PointLSTM's scripts")
    try:
        hands = np.load(path, mmap_mode='r', allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise damaged(path, error, expected) from error
    if hands.shape != shape or hands.dtype.kind not in 'iu':
        raise damaged(path, f'{hands.dtype} of shape {hands.shape}', expected)
    return np.array(hands, dtype=np.int64)


def normalised_content(
    hands: NDArray[np.int64], spread: Literal['deviation', 'range'], *, keep_empty: bool
) -> Content:
    """Pixels and depth around their mean over the gesture, as the public loaders normalise them.

    Args:
        hands: (32, N, 8) as stored.
        spread: What depth is divided by: its standard deviation, or half its range.
        keep_empty: Keep the points without depth by which the preparation stands for a frame
            without a hand; they also pull at the mean. Public loaders keep them.

    Returns:
        Points (column / 160, row / 120, depth), without unit, and time in [-1, 1) as feature.
    """
    frames = np.repeat(np.arange(len(hands)), hands.shape[1])
    rows = hands.reshape(-1, hands.shape[-1])[:, :3].astype(np.float64)
    kept = np.ones(len(rows), bool) if keep_empty else rows[:, DEPTH] > 0
    rows, frames = rows[kept], frames[kept]
    if len(rows):
        rows -= rows.mean(axis=0)
        depth = rows[:, DEPTH]
        divisor = depth.std() if spread == 'deviation' else np.ptp(depth) / 2
        rows /= (120, 160, divisor if divisor > 0 else 1)
    time = (frames - KEY_FRAMES / 2) / KEY_FRAMES * 2
    starts = np.searchsorted(frames, np.arange(1, len(hands)))
    points = rows[:, [COLUMN, ROW, DEPTH]].astype(np.float32)
    return Content(
        points=np.split(points, starts),
        features=np.split(time.astype(np.float32)[:, None], starts),
    )
