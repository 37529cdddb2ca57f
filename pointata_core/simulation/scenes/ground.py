# SPDX-License-Identifier: Apache-2.0
"""Outdoor ground: a sloping plane with gentle relief, on which kerbs raise the sidewalks.

What the ground is made of comes from a raster of classes, so roads may curve, cross and end in
ragged grass at no cost per ray; where it is comes from two smooth surfaces, the carriageway and the
raised one, a kerb apart. A ray is solved against both; between the two lies the kerb's face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NEWTON_STEPS = 3
_KERB_STEPS = 5


@dataclass(frozen=True)
class Ground:
    """The ground in the map frame.

    Attributes:
        classes: (X, Y) uint8 segmentation class per cell.
        raised: (X, Y) bool, cells a kerb above the road.
        origin: Map x, y of the corner of cell (0, 0), metres.
        cell: Edge of a cell, metres.
        kerb: Height of the raised surface above the road, metres.
        slope: Gradient of the base plane in x and y.
        waves: (K, 4) relief: amplitude (metres), wave number in x and y (rad/m), phase.
        reflectivity: (C,) float32 by class.
        grass: Height of the grass on terrain, metres.
    """

    classes: np.ndarray
    raised: np.ndarray
    origin: tuple[float, float]
    cell: float
    kerb: float
    slope: tuple[float, float]
    waves: np.ndarray
    reflectivity: np.ndarray
    grass: float = 0.0

    def surface(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Height of the carriageway surface at map x, y (arrays), metres."""
        z = self.slope[0] * np.asarray(x) + self.slope[1] * np.asarray(y)
        for amplitude, wave_x, wave_y, phase in self.waves:
            z = z + amplitude * np.sin(wave_x * x + wave_y * y + phase)
        return z

    def height(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Height of what one stands on at map x, y, metres."""
        return self.surface(x, y) + self.kerb * self.raised[self._cells(x, y)]

    def class_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Segmentation class at map x, y."""
        return self.classes[self._cells(x, y)]

    def _cells(self, x: np.ndarray | float, y: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        i = ((np.asarray(x) - self.origin[0]) / self.cell).astype(np.int32)
        j = ((np.asarray(y) - self.origin[1]) / self.cell).astype(np.int32)
        return (
            np.clip(i, 0, self.classes.shape[0] - 1),
            np.clip(j, 0, self.classes.shape[1] - 1),
        )

    def normal(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(N, 3) upward unit normals of the smooth surface."""
        dx, dy = self._gradient(x, y)
        n = np.stack([-dx, -dy, np.ones_like(dx)], -1)
        return n / np.linalg.norm(n, axis=-1, keepdims=True)

    def _gradient(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dx = np.full_like(x, self.slope[0])
        dy = np.full_like(x, self.slope[1])
        for amplitude, wave_x, wave_y, phase in np.asarray(self.waves).tolist():  # keeps float32
            slope = amplitude * np.cos(wave_x * x + wave_y * y + phase)
            dx, dy = dx + wave_x * slope, dy + wave_y * slope
        return dx, dy

    def cast(self, origin: np.ndarray, directions: np.ndarray, max_range: float) -> np.ndarray:
        """Ranges at which rays from ``origin`` meet the ground.

        Args:
            origin: (3,) map frame.
            directions: (3, N) unit vectors in the map frame.
            max_range: Metres; anything farther counts as a miss.

        Returns:
            (N,) float32 metres, inf = miss.
        """
        # float32 keeps millimetres over the size of a scene only if the origin is taken out first.
        shift = Ground(
            self.classes,
            self.raised,
            (self.origin[0] - origin[0], self.origin[1] - origin[1]),
            self.cell,
            self.kerb,
            self.slope,
            self._waves_from(origin),
            self.reflectivity,
        )
        base = np.float32(self.slope[0] * origin[0] + self.slope[1] * origin[1] - origin[2])
        steepest = self.slope[0] * directions[0] + self.slope[1] * directions[1]
        result = np.full(directions.shape[1], np.inf, np.float32)
        possible = np.flatnonzero(directions[2] - steepest < -abs(base) / (3 * max_range))
        if not len(possible):
            return result
        d = np.ascontiguousarray(directions[:, possible], np.float32)
        low = shift._solve(base, d, max_range)
        if self.kerb <= 0:
            result[possible] = low
            return result
        high = shift._solve(base + np.float32(self.kerb), d, max_range)
        result[possible] = shift._first_of_two(low, high, d)
        return result

    def _waves_from(self, origin: np.ndarray) -> np.ndarray:
        waves = np.array(self.waves, float).reshape(-1, 4)
        waves[:, 3] += waves[:, 1] * origin[0] + waves[:, 2] * origin[1]
        waves[:, 3] %= 2 * np.pi
        return waves.astype(np.float32)

    def _solve(self, base: float, d: np.ndarray, max_range: float) -> np.ndarray:
        """Newton iteration from the base plane; rays that do not settle within 2 cm miss."""
        sx, sy = np.float32(self.slope[0]), np.float32(self.slope[1])
        fall = sx * d[0] + sy * d[1] - d[2]
        t = np.clip(-base / np.maximum(fall, np.float32(1e-6)), 0, 2 * max_range)
        t = t.astype(np.float32)
        for step in range(_NEWTON_STEPS + 1):
            x, y = t * d[0], t * d[1]
            error = base + t * fall
            rate = fall
            for amplitude, wave_x, wave_y, phase in self.waves:
                angle = wave_x * x + wave_y * y + phase
                error = error + amplitude * np.sin(angle)
                if step < _NEWTON_STEPS:
                    rate = rate + amplitude * np.cos(angle) * (wave_x * d[0] + wave_y * d[1])
            if not len(self.waves):
                break
            if step < _NEWTON_STEPS:
                t = np.clip(t - error / np.maximum(rate, np.float32(1e-3)), 0, 2 * max_range)
        settled = (np.abs(error) < 0.02) & (t > 0) & (t < max_range)
        return np.where(settled, t, np.float32(np.inf))

    def _first_of_two(self, low: np.ndarray, high: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Raised surface where it is raised, road where it is not, the kerb's face in between."""
        finite_high = np.where(np.isfinite(high), high, 0)
        on_high = (
            np.isfinite(high) & self.raised[self._cells(finite_high * d[0], finite_high * d[1])]
        )
        finite_low = np.where(np.isfinite(low), low, 0)
        raised_low = self.raised[self._cells(finite_low * d[0], finite_low * d[1])]
        t = np.where(on_high, high, low)
        face = np.flatnonzero(~on_high & raised_low & np.isfinite(low) & np.isfinite(high))
        before, behind = high[face], low[face]
        for _ in range(_KERB_STEPS):
            middle = (before + behind) / 2
            inside = self.raised[self._cells(middle * d[0, face], middle * d[1, face])]
            behind = np.where(inside, middle, behind)
            before = np.where(inside, before, middle)
        t[face] = behind
        return t
