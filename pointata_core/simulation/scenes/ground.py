# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Outdoor ground: a raster of heights, on which kerbs raise the sidewalks.

What the ground is made of comes from a raster of classes, so roads may curve, cross and end in
ragged grass at no cost per ray. Where it is comes from a coarser raster of heights, read between
its nodes, and a kerb on the cells marked as raised.

Rays are solved in two steps. Seen from above, each direction has a horizon: the steepest slope at
which the ground up to some distance is seen. A ray meets the ground where the horizon first reaches
its slope. The interval found there is then bisected along the ray itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_AZIMUTHS = 720
_DISTANCES = 140
_NEAREST = 0.3  # metres, first distance of the horizon
_BISECTIONS = 7
_WHEELS = 1.0  # metres to the sides over which a vehicle smooths the ground
_HIGHEST = 1.0  # slope above which no ground is looked for
_STEEP = 100.0  # slopes beyond it count as upright


@dataclass(frozen=True)
class Ground:
    """The ground in the map frame.

    Attributes:
        classes: (X, Y) uint8 segmentation class per cell.
        raised: (X, Y) bool, cells a kerb above the road.
        origin: Map x, y of the corner of cell (0, 0), metres.
        cell: Edge of a cell, metres.
        kerb: Height of the raised surface above the road, metres.
        heights: (U, V) float32 height of the carriageway surface at nodes, metres; node (0, 0) lies
            at ``origin``. Beyond the raster the ground goes on level.
        spacing: Metres between nodes.
        reflectivity: (C,) float32 by class.
        grass: Height of the grass on terrain, metres.
        tone: (X, Y) uint8 per cell, factor on the reflectivity in 1/128; None for 1 everywhere.
    """

    classes: np.ndarray
    raised: np.ndarray
    origin: tuple[float, float]
    cell: float
    kerb: float
    heights: np.ndarray
    spacing: float
    reflectivity: np.ndarray
    grass: float = 0.0
    tone: np.ndarray | None = None

    def surface(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Height of the carriageway surface at map x, y (arrays), metres."""
        (h00, h01, h10, h11), u, v = self._corners(x, y)
        low = h00 + (h01 - h00) * v
        return low + (h10 + (h11 - h10) * v - low) * u

    def height(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Height of what one stands on at map x, y, metres."""
        if self.kerb <= 0:
            return self.surface(x, y)
        return self.surface(x, y) + np.float32(self.kerb) * self.raised[self._cells(x, y)]

    def class_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Segmentation class at map x, y."""
        return self.classes[self._cells(x, y)]

    def reflectivity_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Reflectivity at map x, y, paint on the road left out."""
        cells = self._cells(x, y)
        value = self.reflectivity[self.classes[cells]]
        return value if self.tone is None else value * self.tone[cells] * np.float32(1 / 128)

    def _cells(self, x: np.ndarray | float, y: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        i = ((np.asarray(x) - self.origin[0]) / self.cell).astype(np.int32)
        j = ((np.asarray(y) - self.origin[1]) / self.cell).astype(np.int32)
        return (
            np.clip(i, 0, self.classes.shape[0] - 1),
            np.clip(j, 0, self.classes.shape[1] - 1),
        )

    def _corners(
        self, x: np.ndarray | float, y: np.ndarray | float
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """Heights of the four nodes around map x, y, and where between them x, y lies (0 to 1)."""
        rows, columns = self.heights.shape
        u = np.clip((np.asarray(x) - self.origin[0]) * (1 / self.spacing), 0, rows - 1.001)
        v = np.clip((np.asarray(y) - self.origin[1]) * (1 / self.spacing), 0, columns - 1.001)
        i, j = u.astype(np.int32), v.astype(np.int32)
        at, flat = i * columns + j, self.heights.reshape(-1)
        nodes = tuple(flat[at + shift] for shift in (0, 1, columns, columns + 1))
        return nodes, u - i, v - j

    def normal(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(N, 3) upward unit normals of the smooth surface."""
        (h00, h01, h10, h11), u, v = self._corners(x, y)
        dx = ((h10 - h00) * (1 - v) + (h11 - h01) * v) / self.spacing
        dy = ((h01 - h00) * (1 - u) + (h11 - h10) * u) / self.spacing
        n = np.stack([-dx, -dy, np.ones_like(dx)], -1)
        return n / np.linalg.norm(n, axis=-1, keepdims=True)

    def tilt(self, x: float, y: float) -> np.ndarray:
        """(3, 3) smallest rotation that takes upright to the mean normal around map x, y."""
        at = np.array([-_WHEELS, 0.0, _WHEELS])
        normals = self.normal(x + np.repeat(at, 3), y + np.tile(at, 3))
        a, b, c = normals.mean(0) / np.linalg.norm(normals.mean(0))
        return np.array(
            [
                [1 - a * a / (1 + c), -a * b / (1 + c), a],
                [-a * b / (1 + c), 1 - b * b / (1 + c), b],
                [-a, -b, c],
            ]
        )

    def cast(self, origin: np.ndarray, directions: np.ndarray, max_range: float) -> np.ndarray:
        """Ranges at which rays from ``origin`` meet the ground.

        Args:
            origin: (3,) map frame.
            directions: (3, N) unit vectors in the map frame.
            max_range: Metres; anything farther counts as a miss.

        Returns:
            (N,) float32 metres, inf = miss.
        """
        result = np.full(directions.shape[1], np.inf, np.float32)
        radius = np.geomspace(_NEAREST, max_range, _DISTANCES, dtype=np.float32)
        level = np.maximum(np.hypot(directions[0], directions[1]), np.float32(1e-4))
        slope = np.clip(directions[2] / level, -_STEEP, _STEEP)
        ray = np.flatnonzero(slope < _HIGHEST)
        level, slope, d = level[ray], slope[ray], directions[:, ray].astype(np.float32)
        column = np.rint(np.arctan2(d[1], d[0]) * (_AZIMUTHS / (2 * np.pi))).astype(np.int64)
        column %= _AZIMUTHS
        used = np.flatnonzero(np.bincount(column, minlength=_AZIMUTHS))
        column = np.searchsorted(used, column)
        horizon = self._horizon(origin, radius, used * (2 * np.pi / _AZIMUTHS))
        # One ascending list for all directions: each has its own range of keys.
        keys = (horizon + 4 * _STEEP * np.arange(len(used))[:, None]).ravel()
        first = np.searchsorted(keys, slope + 4 * _STEEP * column) - column * _DISTANCES
        seen = np.flatnonzero(first < _DISTANCES)
        ray, level, d, first = ray[seen], level[seen], d[:, seen], first[seen]
        # The horizon of a neighbouring direction may be a step off: take in one step on each side.
        near = np.where(first > 1, radius[first - 2], 0) / level
        far = radius[np.minimum(first + 1, _DISTANCES - 1)] / level
        far = np.minimum(far, np.where(first == 0, self._depth(origin, d), np.inf))
        t = self._between(origin, d, near, far.astype(np.float32))
        lost = np.flatnonzero(~np.isfinite(t))
        if len(lost):  # the ray passes a ridge that its neighbour meets
            t[lost] = self._march(origin, d[:, lost], radius[None] / level[lost, None])
        result[ray] = np.where(t < max_range, t, np.float32(np.inf))
        return result

    def _horizon(self, origin: np.ndarray, radius: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
        """(azimuths, distances) steepest slope from ``origin`` to the ground up to a distance."""
        x = np.float32(origin[0]) + np.cos(azimuth, dtype=np.float32)[:, None] * radius
        y = np.float32(origin[1]) + np.sin(azimuth, dtype=np.float32)[:, None] * radius
        slope = (self.height(x, y) - origin[2]) / radius
        return np.maximum.accumulate(np.clip(slope, -_STEEP, _STEEP), axis=1)

    def _depth(self, origin: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Range at which a steep ray is well below the ground under ``origin``."""
        height = float(origin[2] - self.height(*origin[:2]))
        return (height + 1.0) / np.maximum(-d[2], np.float32(0.1))

    def _above(self, origin: np.ndarray, d: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Height above the ground of points on rays."""
        x, y = np.float32(origin[0]) + t * d[0], np.float32(origin[1]) + t * d[1]
        return np.float32(origin[2]) + t * d[2] - self.height(x, y)

    def _between(
        self, origin: np.ndarray, d: np.ndarray, near: np.ndarray, far: np.ndarray
    ) -> np.ndarray:
        """Where rays pass from above to below between two ranges; inf where they do not."""
        high, low = self._above(origin, d, near), self._above(origin, d, far)
        met = (high >= 0) & (low <= 0)
        for _ in range(_BISECTIONS):
            middle = (near + far) / 2
            above = self._above(origin, d, middle)
            over = above > 0
            near, high = np.where(over, middle, near), np.where(over, above, high)
            far, low = np.where(over, far, middle), np.where(over, low, above)
        share = high / np.maximum(high - low, np.float32(1e-9))
        return np.where(met, near + (far - near) * share, np.float32(np.inf))

    def _march(self, origin: np.ndarray, d: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """First crossing among the given ranges (N, K) of each ray; inf for none."""
        below = self._above(origin, d[:, :, None], steps) <= 0
        index = below.argmax(1)
        rows = np.arange(len(index))
        near = np.where(index > 0, steps[rows, index - 1], 0).astype(np.float32)
        t = self._between(origin, d, near, steps[rows, index].astype(np.float32))
        return np.where(below.any(1), t, np.float32(np.inf))


def rolling(
    shape: tuple[int, int],
    origin: tuple[float, float],
    spacing: float,
    slope: tuple[float, float],
    waves: np.ndarray,
) -> np.ndarray:
    """(U, V) float32 heights of a plane with waves on it.

    Args:
        shape: Nodes in x and y.
        origin: Map x, y of the first node, metres.
        spacing: Metres between nodes.
        slope: Gradient of the plane in x and y.
        waves: (K, 4) amplitude (metres), wave number in x and y (rad/m), phase.
    """
    x = origin[0] + spacing * np.arange(shape[0])[:, None]
    y = origin[1] + spacing * np.arange(shape[1])[None, :]
    z = slope[0] * x + slope[1] * y
    for amplitude, wave_x, wave_y, phase in np.asarray(waves).reshape(-1, 4):
        z = z + amplitude * np.sin(wave_x * x + wave_y * y + phase)
    return z.astype(np.float32)
