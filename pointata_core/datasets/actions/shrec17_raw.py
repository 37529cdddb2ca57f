# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A hand out of SHREC'17 depth images as released, found as PointLSTM's scripts find it.

Min et al., CVPR 2020: 32 key frames; the given box around the hand; a 3 x 3 median; of what has
depth, closed with a 7 x 7 square, the largest connected part. All its points are kept here, where
the scripts draw 256.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.actions.gesture_points import KEY_FRAMES
from pointata_core.datasets.errors import damaged, require_file
from pointata_core.datasets.files.depth_images import DepthCamera, read_depth_image

BOXES = 'general_informations.txt'
_COLUMNS = 'frame, x, y, width, height'


def read_gesture(folder: Path, length: int, camera: DepthCamera) -> list[NDArray[np.float32]]:
    """Read the key frames of one gesture.

    Args:
        folder: ``essai_E`` with ``<frame>_depth.png`` and ``general_informations.txt``.
        length: Frames of the gesture, by the list.
        camera: Camera of the data set.

    Returns:
        32 arrays (n, 3) float32 metres; empty where no hand is seen.

    Raises:
        DataError: A file is missing or damaged.
    """
    boxes = _read_boxes(folder / BOXES, length)
    clouds = []
    for frame in np.arange(KEY_FRAMES) * length // KEY_FRAMES:
        image = read_depth_image(folder / f'{frame}_depth.png').astype(np.int64)
        x, y, width, height = boxes[frame]
        rows, columns, depth = _hand(image[y : y + height, x : x + width])
        clouds.append(camera.points_at(rows + y, columns + x, depth))
    return clouds


def _hand(crop: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    from scipy import ndimage

    if not crop.size:
        empty = np.zeros(0)
        return empty, empty, empty
    crop = ndimage.median_filter(crop, size=3, mode='nearest')
    seen = crop > 0
    square = np.ones((7, 7), bool)
    closed = ndimage.binary_erosion(ndimage.binary_dilation(seen, square), square, border_value=1)
    parts, count = ndimage.label(closed)
    if count:
        sizes = np.bincount(parts.ravel())[1:]
        seen &= parts == 1 + sizes.argmax()
    rows, columns = np.nonzero(seen)
    return rows, columns, crop[rows, columns]


def _read_boxes(path: Path, length: int) -> NDArray[np.int64]:
    require_file(path, f'the boxes around the hand: {_COLUMNS}')
    try:
        rows = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise damaged(path, error, _COLUMNS) from error
    if len(rows) < length or rows.shape[1] != 5 or (rows[:, 1:] < 0).any():
        raise damaged(path, f'{len(rows)} rows of {rows.shape[1]}', f'{length} rows of: {_COLUMNS}')
    return rows[:, 1:].astype(np.int64)
