# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Procedural colours of surfaces under even white light.

A colour is a pure function of class, instance, place in the map and the seed of the scene, so the
same wall looks the same from everywhere, in every frame and under every light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pointata_core.simulation.camera.surfaces import GROUND, Surfaces
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Palette:
    """Colours that differ between cities; all (red, green, blue) in [0, 1].

    Attributes:
        walls: Of houses, one drawn for each.
        roofs: Of roofs.
        road: Of asphalt.
        sidewalk: Of slabs.
        grass: Of lawns, two colours that are mixed.
        leaves: Of foliage, two colours that are mixed.
        cars: Of vehicles.
        bricks: Share of houses with bricks.
    """

    walls: tuple[Colour, ...]
    roofs: tuple[Colour, ...]
    road: Colour
    sidewalk: Colour
    grass: tuple[Colour, Colour]
    leaves: tuple[Colour, Colour]
    cars: tuple[Colour, ...]
    bricks: float


PALETTES = MappingProxyType(
    {
        'plaster': Palette(
            walls=((0.86, 0.80, 0.68), (0.78, 0.66, 0.48), (0.84, 0.84, 0.82), (0.72, 0.62, 0.58)),
            roofs=((0.55, 0.25, 0.18), (0.40, 0.22, 0.18), (0.30, 0.30, 0.33)),
            road=(0.30, 0.30, 0.32),
            sidewalk=(0.58, 0.57, 0.55),
            grass=((0.30, 0.46, 0.16), (0.42, 0.52, 0.20)),
            leaves=((0.16, 0.34, 0.10), (0.32, 0.48, 0.16)),
            cars=((0.75, 0.76, 0.78), (0.08, 0.08, 0.09), (0.60, 0.10, 0.10), (0.12, 0.20, 0.45)),
            bricks=0.15,
        ),
        'brick': Palette(
            walls=((0.55, 0.26, 0.20), (0.44, 0.30, 0.24), (0.50, 0.50, 0.52), (0.62, 0.42, 0.30)),
            roofs=((0.22, 0.22, 0.25), (0.30, 0.28, 0.28), (0.24, 0.32, 0.30)),
            road=(0.46, 0.44, 0.41),
            sidewalk=(0.50, 0.38, 0.33),
            grass=((0.52, 0.48, 0.22), (0.60, 0.54, 0.30)),
            leaves=((0.34, 0.36, 0.10), (0.52, 0.40, 0.14)),
            cars=((0.90, 0.90, 0.88), (0.85, 0.70, 0.15), (0.20, 0.40, 0.35), (0.30, 0.30, 0.32)),
            bricks=0.7,
        ),
    }
)
"""Palettes by name."""

_WOOD: tuple[Colour, ...] = ((0.42, 0.29, 0.18), (0.66, 0.64, 0.60), (0.30, 0.36, 0.30))
_METAL: tuple[Colour, ...] = ((0.50, 0.52, 0.54), (0.32, 0.33, 0.35), (0.24, 0.34, 0.28))
_SIGNS: tuple[Colour, ...] = ((0.80, 0.10, 0.10), (0.10, 0.25, 0.70), (0.92, 0.92, 0.90))
_CLOTHES: tuple[Colour, ...] = (
    (0.20, 0.24, 0.42), (0.62, 0.16, 0.18), (0.16, 0.16, 0.18), (0.72, 0.68, 0.58),
    (0.24, 0.40, 0.28),
)  # fmt: skip
_FURNITURE: tuple[Colour, ...] = ((0.55, 0.38, 0.22), (0.30, 0.32, 0.42), (0.75, 0.72, 0.66))
_TYRE, _GLASS, _PAINT = (0.05, 0.05, 0.06), (0.16, 0.20, 0.25), (0.86, 0.86, 0.84)


def hashed(seed: int, *keys: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1) that depend on integer keys (arrays that broadcast) and the seed alone."""
    mixed = np.uint32((seed * 2654435761 + 97) & 0xFFFFFFFF)
    for key in keys:
        mixed = (mixed ^ (np.asarray(key).astype(np.int64) & 0xFFFFFFFF).astype(np.uint32)) * (
            np.uint32(0x85EBCA6B)
        )
        mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        mixed = mixed ^ (mixed >> np.uint32(16))
    return mixed.astype(np.float64) / 2**32


def noise(place: np.ndarray, size: float, seed: int) -> np.ndarray:
    """Smooth value noise in [0, 1] at places (M, 3), with features of about ``size`` metres."""
    scaled = place / size
    cell = np.floor(scaled).astype(np.int64)
    share = scaled - cell
    share = share * share * (3 - 2 * share)
    total = np.zeros(len(place))
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, share, 1 - share).prod(axis=1)
        total += weight * hashed(seed, *(cell + corner).T)
    return total


def albedo(surfaces: Surfaces, palette: Palette, seed: int, pixel: float) -> np.ndarray:
    """Colours of hits.

    Args:
        surfaces: The hits.
        palette: Of the city.
        seed: Of the scene.
        pixel: Angle of a pixel, radians; texture finer than a pixel fades.

    Returns:
        (M, 3) in [0, 1].
    """
    colour = np.full((len(surfaces.ray), 3), 0.5)
    for label in np.unique(surfaces.label):
        at = np.flatnonzero(surfaces.label == label)
        paint = _PAINTERS[SEGMENTATION_CLASSES[label]]
        colour[at] = paint(_Spot(surfaces, at, palette, seed, pixel))
    return np.clip(colour, 0, 1)


class _Spot:
    """Hits of one class, with what all painters need."""

    def __init__(
        self, surfaces: Surfaces, at: np.ndarray, palette: Palette, seed: int, pixel: float
    ) -> None:
        self.place, self.normal = surfaces.place[at], surfaces.normal[at]
        self.instance, self.shape = surfaces.instance[at], surfaces.shape[at]
        self.reflectivity, self.pane = surfaces.reflectivity[at], surfaces.pane[at]
        self.palette, self.seed = palette, seed
        grazing = np.maximum(np.abs((self.normal * surfaces.direction[at]).sum(1)), 0.05)
        self.footprint = surfaces.distance[at] * pixel / grazing

    def grain(self, size: float, strength: float) -> np.ndarray:
        """(M, 1) factor around 1; what a pixel cannot resolve fades."""
        fade = strength * np.exp(-self.footprint / size)
        return 1 + (fade * (2 * noise(self.place, size, self.seed) - 1))[:, None]

    def pick(self, colours: tuple[Colour, ...], *keys: np.ndarray) -> np.ndarray:
        """(M, 3) one of the colours by keys."""
        table = np.array(colours)
        return table[(hashed(self.seed, *keys) * len(table)).astype(int)]

    def by_paint(self) -> np.ndarray:
        """A key for things without an instance: reflectivity is drawn once for each."""
        return np.rint(self.reflectivity * 1e4).astype(int)

    def along(self) -> np.ndarray:
        """(M,) metres along an upright surface, horizontally."""
        return self.place[:, 0] * -self.normal[:, 1] + self.place[:, 1] * self.normal[:, 0]


def _mixed(colours: tuple[Colour, Colour], share: np.ndarray) -> np.ndarray:
    first, second = np.array(colours)
    return first + (second - first) * share[:, None]


def _road(spot: _Spot) -> np.ndarray:
    colour = np.array(spot.palette.road) * spot.grain(3.0, 0.15) * spot.grain(0.12, 0.25)
    x, y = spot.place[:, 0], spot.place[:, 1]
    # The same dashes that the LiDAR sees as bright paint.
    line = (np.mod(x, 9.0) < 3.0) & (np.mod(y + 0.06, 3.1) < 0.12) & (spot.shape == GROUND)
    return np.where(line[:, None], _PAINT, colour)


def _sidewalk(spot: _Spot) -> np.ndarray:
    colour = np.array(spot.palette.sidewalk) * spot.grain(1.2, 0.08) * spot.grain(0.1, 0.08)
    slab = np.floor(spot.place[:, :2] / 0.6).astype(int)
    colour = colour * (0.92 + 0.16 * hashed(spot.seed, *slab.T))[:, None]
    joint = (np.mod(spot.place[:, :2], 0.6) < 0.035).any(axis=1)
    fade = np.where(joint, 0.35 * np.exp(-spot.footprint / 0.08), 0.0)
    return colour * (1 - fade)[:, None]


def _terrain(spot: _Spot) -> np.ndarray:
    colour = _mixed(spot.palette.grass, noise(spot.place, 1.5, spot.seed))
    return colour * spot.grain(0.25, 0.3) * spot.grain(0.06, 0.35)


def _building(spot: _Spot) -> np.ndarray:
    wall = spot.pick(spot.palette.walls, spot.instance) * spot.grain(2.5, 0.06)
    bricks = hashed(spot.seed + 1, spot.instance) < spot.palette.bricks
    row = np.floor(spot.place[:, 2] / 0.12).astype(int)
    shifted = spot.along() + 0.12 * (row % 2)
    stone = hashed(spot.seed, row, np.floor(shifted / 0.24).astype(int))
    fade = np.exp(-spot.footprint / 0.15) * bricks
    wall = wall * (1 + fade * (0.3 * stone - 0.2))[:, None]
    mortar = (np.mod(spot.place[:, 2], 0.12) < 0.02) | (np.mod(shifted, 0.24) < 0.02)
    wall = wall * (1 + 0.35 * fade * mortar)[:, None]
    roof = spot.pick(spot.palette.roofs, spot.instance) * spot.grain(0.3, 0.2)
    tilted = spot.normal[:, 2] > 0.3
    colour = np.where(tilted[:, None], roof, wall)
    return np.where(spot.pane[:, None], _GLASS, colour)


def _fence(spot: _Spot) -> np.ndarray:
    return spot.pick(_WOOD, spot.by_paint()) * spot.grain(0.1, 0.25)


def _pole(spot: _Spot) -> np.ndarray:
    metal = spot.pick(_METAL, spot.instance) * spot.grain(0.5, 0.08)
    sign = spot.pick(_SIGNS, spot.instance, spot.shape)
    return np.where(spot.reflectivity[:, None] > 0.9, sign, metal)


def _trunk(spot: _Spot) -> np.ndarray:
    stretched = spot.place * [1.0, 1.0, 0.15]
    bark = noise(stretched, 0.05, spot.seed)
    fade = np.exp(-spot.footprint / 0.05)
    return np.array([0.34, 0.25, 0.17]) * (1 + 0.5 * fade * (2 * bark - 1))[:, None]


def _vegetation(spot: _Spot) -> np.ndarray:
    colour = _mixed(spot.palette.leaves, hashed(spot.seed, spot.by_paint()))
    colour = colour * (0.8 + 0.4 * hashed(spot.seed, spot.shape))[:, None]
    return colour * spot.grain(0.35, 0.35) * spot.grain(0.08, 0.5)


def _vehicle(spot: _Spot) -> np.ndarray:
    body = spot.pick(spot.palette.cars, spot.instance)
    dark = spot.reflectivity < 0.055
    colour = np.where(dark[:, None], _TYRE, body)
    return np.where(spot.pane[:, None], _GLASS, colour)


def _bicycle(spot: _Spot) -> np.ndarray:
    tyre = np.abs(spot.reflectivity - 0.15) < 1e-3
    return np.where(tyre[:, None], _TYRE, spot.pick(spot.palette.cars, spot.instance + 500))


def _person(spot: _Spot) -> np.ndarray:
    # A body's fifteen capsules come in one order: the same limbs wear the same clothes.
    return spot.pick(_CLOTHES, spot.instance, spot.shape % 15 // 5) * spot.grain(0.08, 0.15)


def _floor(spot: _Spot) -> np.ndarray:
    plank = np.floor(spot.place[:, 1] / 0.18).astype(int)
    tone = 0.85 + 0.3 * hashed(spot.seed, plank)
    return np.array([0.50, 0.36, 0.24]) * tone[:, None] * spot.grain(0.4, 0.1)


def _wall(spot: _Spot) -> np.ndarray:
    return np.array([0.80, 0.77, 0.70]) * spot.grain(1.5, 0.05)


def _ceiling(spot: _Spot) -> np.ndarray:
    return np.array([0.90, 0.90, 0.90]) * spot.grain(2.0, 0.02)


def _furniture(spot: _Spot) -> np.ndarray:
    return spot.pick(_FURNITURE, spot.instance, spot.by_paint()) * spot.grain(0.2, 0.15)


_PAINTERS: dict[str, Callable[[_Spot], np.ndarray]] = {
    'road': _road, 'sidewalk': _sidewalk, 'terrain': _terrain, 'building': _building,
    'fence': _fence, 'pole': _pole, 'trunk': _trunk, 'vegetation': _vegetation, 'car': _vehicle,
    'bicycle': _bicycle, 'person': _person, 'floor': _floor, 'wall': _wall, 'ceiling': _ceiling,
    'furniture': _furniture,
}  # fmt: skip
POLE, ROAD, SIDEWALK = class_id('pole'), class_id('road'), class_id('sidewalk')
