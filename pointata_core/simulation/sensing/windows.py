# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which rays can meet a shape at all: its window in the sensor's grid of rows and columns.

Casting 130,000 rays against 2,000 shapes is 260 million tests; the windows leave a few per ray.
They are conservative: a window may hold rays that miss, never lacks one that hits (a test casts
against all rays and compares).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointata_core.simulation.sensing.sensors import SensorModel
from pointata_core.simulation.solids import Shapes

_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_EDGES = np.array([(a, b) for a in range(8) for b in range(a) if bin(a ^ b).count('1') == 1])
_PAD = 1e-6


@dataclass(frozen=True)
class Windows:
    """W windows; a shape has none, one, or two (across the seam of a turn).

    Attributes:
        shape: (W,) int32 index of the shape.
        row: (W, 2) int32 first row and one past the last.
        column: (W, 2) int32 first column and one past the last.
        near: (W,) float32 lower bound of the distance of any hit, metres.
    """

    shape: np.ndarray
    row: np.ndarray
    column: np.ndarray
    near: np.ndarray

    def __getitem__(self, index: np.ndarray) -> Windows:
        return Windows(self.shape[index], self.row[index], self.column[index], self.near[index])

    @property
    def rays(self) -> np.ndarray:
        """(W,) rays in each window."""
        return np.diff(self.row)[:, 0] * np.diff(self.column)[:, 0]


def _corners(shapes: Shapes) -> np.ndarray:
    """(P, 8, 3) corners of the oriented box around each shape."""
    local = _SIGNS[None] * shapes.outer_half[:, None]
    return local @ shapes.rotation.transpose(0, 2, 1) + shapes.centre[:, None]


def _horizontal_gap(corners: np.ndarray) -> np.ndarray:
    """(P,) horizontal distance from the z axis to the outline of each box.

    The nearest point of a convex outline that does not hold the origin lies on a projected edge.
    """
    start = corners[:, _EDGES[:, 0], :2]
    along = corners[:, _EDGES[:, 1], :2] - start
    length2 = np.maximum((along**2).sum(-1), 1e-18)
    share = np.clip(-(start * along).sum(-1) / length2, 0, 1)
    return np.linalg.norm(start + share[..., None] * along, axis=-1).min(1)


def windows_of(
    shapes: Shapes, sensor: SensorModel, directions: np.ndarray | None = None
) -> Windows:
    """Windows of ``shapes``, given in the sensor frame, sorted from near to far.

    Args:
        shapes: In the sensor frame.
        sensor: The sensor.
        directions: Of its rays; needed for a rosette.
    """
    corners = _corners(shapes)
    gap = _horizontal_gap(corners)
    azimuth = np.arctan2(corners[..., 1], corners[..., 0])
    middle = np.arctan2(shapes.centre[:, 1], shapes.centre[:, 0])[:, None]
    turn = (azimuth - middle + np.pi) % (2 * np.pi) - np.pi
    first, last = turn.min(1), turn.max(1)
    around = last - first >= np.pi - 1e-6  # the outline holds the z axis: seen all around
    gap = np.where(around, 0.0, gap)
    first, last = middle[:, 0] + first - _PAD, middle[:, 0] + last + _PAD

    reach = np.linalg.norm(corners[..., :2], axis=-1).max(1)
    low, high = corners[..., 2].min(1) - _PAD, corners[..., 2].max(1) + _PAD
    gap_ = np.maximum(gap, 1e-9)
    slope_high = high / np.where(high > 0, gap_, reach)
    slope_low = low / np.where(low < 0, gap_, reach)
    centre_distance = np.linalg.norm(shapes.centre, axis=1)
    height_gap = np.maximum(0, np.maximum(low, -high))
    near = np.maximum(np.hypot(gap, height_gap), centre_distance - shapes.radius)

    if sensor.is_camera:
        pieces = _camera_windows(sensor, first, last, around, slope_low, slope_high)
    elif directions is not None and not sensor.is_spinning:
        pieces = _rosette_windows(directions, first, last, around, slope_low, slope_high)
    else:
        pieces = _spinning_windows(sensor, first, last, around, slope_low, slope_high)
    shape, row, column = pieces
    keep = (row[:, 0] < row[:, 1]) & (column[:, 0] < column[:, 1])
    keep &= near[shape] < sensor.max_range
    result = Windows(
        shape[keep].astype(np.int32),
        row[keep].astype(np.int32),
        column[keep].astype(np.int32),
        near[shape[keep]].astype(np.float32),
    )
    return result[np.argsort(result.near, kind='stable')]


def _rows(sensor: SensorModel, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    slopes = np.asarray(sensor.rows)
    pad = 1e-6 * (1 + np.abs(low) + np.abs(high))
    low, high = low - pad, high + pad
    return np.stack([np.searchsorted(slopes, low), np.searchsorted(slopes, high, 'right')], 1)


def _spinning_windows(
    sensor: SensorModel,
    first: np.ndarray,
    last: np.ndarray,
    around: np.ndarray,
    slope_low: np.ndarray,
    slope_high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    row = _rows(sensor, slope_low, slope_high)
    azimuth = sensor.column_azimuths()
    column = _turned(azimuth, azimuth, first, last, around)
    return np.tile(np.arange(len(first)), 3), np.tile(row, (3, 1)), column


def _rosette_windows(
    directions: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    around: np.ndarray,
    slope_low: np.ndarray,
    slope_high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows hold a span of slopes, and columns a span of azimuths."""
    level = np.maximum(np.hypot(directions[0], directions[1]), 1e-6)
    slope = directions[2] / level
    azimuth = np.arctan2(directions[1], directions[0])
    pad = 1e-5 * (1 + np.abs(slope_low) + np.abs(slope_high))
    row = np.stack(
        [
            np.searchsorted(slope.max(1), slope_low - pad),
            np.searchsorted(slope.min(1), slope_high + pad, 'right'),
        ],
        1,
    )
    column = _turned(azimuth.min(0), azimuth.max(0), first - 1e-5, last + 1e-5, around)
    return np.tile(np.arange(len(first)), 3), np.tile(row, (3, 1)), column


def _turned(
    least: np.ndarray, most: np.ndarray, first: np.ndarray, last: np.ndarray, around: np.ndarray
) -> np.ndarray:
    """(3 W, 2) columns of windows, each a turn earlier, as it is, and a turn later.

    Args:
        least: (columns,) least azimuth of a column, ascending.
        most: (columns,) largest azimuth of a column, ascending.
        first: (W,) first azimuth of the windows, radians.
        last: (W,) last azimuth.
        around: (W,) bool, windows all around the sensor.
    """
    parts = []
    for turn in (-2 * np.pi, 0.0, 2 * np.pi):
        begin = np.searchsorted(most, first + turn)
        end = np.searchsorted(least, last + turn, 'right')
        whole = (0, len(least)) if turn == 0 else (0, 0)
        parts.append(np.stack([np.where(around, whole[0], begin),
                               np.where(around, whole[1], end)], 1))  # fmt: skip
    return np.concatenate(parts)


def _camera_windows(
    sensor: SensorModel,
    first: np.ndarray,
    last: np.ndarray,
    around: np.ndarray,
    slope_low: np.ndarray,
    slope_high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edge = np.arctan(sensor.half_width)
    centre = (first + last) / 2
    shift = -2 * np.pi * np.round(centre / (2 * np.pi))
    first, last = first + shift, last + shift
    first = np.where(around, -edge, np.maximum(first, -edge))
    last = np.where(around, edge, np.minimum(last, edge))
    seen = first <= last
    safe_first, safe_last = np.where(seen, first, 0.0), np.where(seen, last, 0.0)
    # An image row is z/x, a slope is z/rho: they differ by 1/cos(azimuth), taken at its extremes.
    straight = np.cos(
        np.where(safe_first * safe_last < 0, 0.0, np.minimum(np.abs(safe_first), np.abs(safe_last)))
    )
    oblique = np.cos(np.maximum(np.abs(safe_first), np.abs(safe_last)))
    low = np.minimum(slope_low / straight, slope_low / oblique)
    high = np.maximum(slope_high / straight, slope_high / oblique)
    row = _rows(sensor, low, high)
    slopes = sensor.column_slopes()
    column = np.stack(
        [
            np.searchsorted(slopes, np.tan(safe_first) - 1e-6),
            np.searchsorted(slopes, np.tan(safe_last) + 1e-6, 'right'),
        ],
        1,
    )
    column[~seen] = 0
    return np.arange(len(first)), row, column
