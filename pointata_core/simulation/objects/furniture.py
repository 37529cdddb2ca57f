# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables, chairs, cabinets, sofas, shelves, beds: meshes of real ones, or boxes on legs.

A piece stands on the floor at ``spot`` with its long side along ``yaw`` and its back to the left of
it (+y in its own frame), so that pieces turned to a wall stand with the back to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pointata_core.simulation.objects.library import Model, draw_model, drawn_as_mesh
from pointata_core.simulation.solids import ShapeBuilder, up, yaw_rotation
from pointata_core.taxonomy import class_id

_FURNITURE = class_id('furniture')


@dataclass(frozen=True)
class Piece:
    """A kind of furniture: how large it gets, where it stands and how it is built."""

    half_x: tuple[float, float]
    half_y: tuple[float, float]
    at_wall: bool
    assemble: Callable[[_Bench, float, float, np.random.Generator], None]

    def draw_size(self, rng: np.random.Generator) -> tuple[float, float]:
        """Half extents along and across, metres."""
        return float(rng.uniform(*self.half_x)), float(rng.uniform(*self.half_y))

    def build(
        self,
        builder: ShapeBuilder,
        spot: np.ndarray,
        yaw: float,
        half_x: float,
        half_y: float,
        rng: np.random.Generator,
    ) -> None:
        """Add the piece to ``builder``."""
        self.assemble(_Bench(builder, spot, yaw, rng.uniform(0.15, 0.65)), half_x, half_y, rng)


@dataclass(frozen=True)
class ModelPiece:
    """A piece of furniture that is a mesh; chairs are drawn up to a table."""

    model: Model
    scale: np.ndarray
    at_wall: bool

    def draw_size(self, rng: np.random.Generator) -> tuple[float, float]:
        """Half extents along and across, metres."""
        half = np.ptp(self.model.box, axis=0) * self.scale / 2
        return float(half[0]), float(half[1])

    def build(
        self,
        builder: ShapeBuilder,
        spot: np.ndarray,
        yaw: float,
        half_x: float,
        half_y: float,
        rng: np.random.Generator,
    ) -> None:
        """Add the piece to ``builder``."""
        turn, place = yaw_rotation(yaw), np.array([*spot, 0.0])
        paint = rng.uniform(0.15, 0.65)
        self.model.add_to(builder, place, turn, paint, self.scale, label=_FURNITURE)
        if self.model.kind != 'table':
            return
        seat, paint = draw_model('seat', rng), rng.uniform(0.15, 0.65)
        for side in (-1.0, 1.0):
            for x in np.arange(-half_x + 0.4, half_x - 0.3, 0.65):
                if rng.random() < 0.5:
                    chair = place + turn @ np.array([x, side * (half_y + rng.uniform(0, 0.4)), 0.0])
                    about = yaw_rotation((0.0 if side > 0 else np.pi) + rng.normal(0, 0.2))
                    seat.add_to(builder, chair, turn @ about, paint, label=_FURNITURE)


def draw_piece(rng: np.random.Generator) -> Piece | ModelPiece:
    """A piece of furniture of any kind."""
    if not drawn_as_mesh(rng):
        return PIECES[int(rng.integers(len(PIECES)))]
    kind = str(rng.choice(['wall', 'seat', 'table', 'street'], p=[0.5, 0.22, 0.2, 0.08]))
    scale = rng.uniform(0.9, 1.1, 3)
    return ModelPiece(draw_model(kind, rng), scale, kind == 'wall')


class _Bench:
    """Adds boxes and posts in the frame of one piece of furniture."""

    def __init__(
        self, builder: ShapeBuilder, spot: np.ndarray, yaw: float, reflectivity: float
    ) -> None:
        self.builder = builder
        self.turn = yaw_rotation(yaw)
        self.spot = np.array([*spot, 0.0])
        self.paint = {'label': _FURNITURE, 'reflectivity': reflectivity}

    def box(
        self,
        x: float,
        y: float,
        z: float,
        half_x: float,
        half_y: float,
        half_z: float,
        yaw: float = 0.0,
    ) -> None:
        centre = self.spot + self.turn @ np.array([x, y, z])
        half = (half_x, half_y, half_z)
        self.builder.box(centre, half, self.turn @ yaw_rotation(yaw), **self.paint)

    def post(self, x: float, y: float, low: float, high: float, radius: float) -> None:
        foot = self.spot + self.turn @ np.array([x, y, low])
        self.builder.capsule(foot, foot + up(high - low), radius, **self.paint)

    def legs(self, half_x: float, half_y: float, height: float, radius: float = 0.025) -> None:
        for x in (-half_x, half_x):
            for y in (-half_y, half_y):
                self.post(x, y, 0.02, height, radius)


def _chair(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    seat = rng.uniform(0.42, 0.48)
    b.box(0, 0, seat, x, y, 0.025)
    b.legs(x - 0.03, y - 0.03, seat, 0.018)
    b.box(0, y - 0.02, seat + 0.25, x, 0.02, rng.uniform(0.15, 0.25))
    if rng.random() < 0.3:
        for side in (-x, x):
            b.box(side, 0, seat + 0.2, 0.02, y, 0.02)


def _table(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    height = rng.uniform(0.68, 0.78) if rng.random() < 0.75 else rng.uniform(0.35, 0.5)
    b.box(0, 0, height, x, y, 0.02)
    b.legs(x - 0.06, y - 0.06, height)
    for _ in range(int(rng.integers(0, 4))):  # things on it
        tall = rng.uniform(0.03, 0.2)
        left, back = rng.uniform(-0.8, 0.8, 2) * [x, y]
        b.box(
            left, back, height + tall, rng.uniform(0.03, 0.18), rng.uniform(0.02, 0.12), tall, 0.5
        )
    if height > 0.6:
        for _ in range(int(rng.integers(0, 3))):  # chairs drawn up
            side = rng.choice([-1.0, 1.0])
            spot = np.array([rng.uniform(-0.7, 0.7) * x, side * (y + 0.15), 0.0])
            yaw = 0.0 if side > 0 else np.pi
            centre = b.spot + b.turn @ spot
            chair = _Bench(b.builder, centre[:2], 0.0, 0.4)
            chair.turn = b.turn @ yaw_rotation(yaw)
            _chair(chair, 0.21, 0.21, rng)


def _desk(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    b.box(0, 0, 0.73, x, y, 0.02)
    b.box(x - 0.2, 0, 0.36, 0.2, y - 0.04, 0.35)
    b.legs(x - 0.04, y - 0.04, 0.72)
    b.box(rng.uniform(-0.3, 0.2), y * 0.4, 1.02, 0.27, 0.02, 0.17)
    b.post(0, y * 0.45, 0.75, 0.95, 0.02)


def _cabinet(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    height = rng.choice([rng.uniform(0.7, 1.2), rng.uniform(1.7, 2.2)])
    b.box(0, 0, height / 2, x, y, height / 2)
    if height < 1.3 and rng.random() < 0.6:
        tall = rng.uniform(0.1, 0.3)
        b.box(rng.uniform(-0.5, 0.5) * x, 0, height + tall, 0.15, 0.12, tall)


def _shelf(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    height = rng.uniform(1.4, 2.2)
    for side in (-x, x):
        b.box(side, 0, height / 2, 0.015, y, height / 2)
    for level in np.arange(0.08, height, rng.uniform(0.3, 0.45)):
        b.box(0, 0, level, x, y, 0.015)
        if rng.random() < 0.75:
            wide = rng.uniform(0.3, 0.95) * x
            b.box(rng.uniform(-1, 1) * (x - wide), 0.02, level + 0.13, wide, y * 0.8, 0.11)


def _sofa(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    seat = rng.uniform(0.38, 0.46)
    b.box(0, 0, seat / 2 + 0.03, x, y, seat / 2 - 0.03)
    b.box(0, y - 0.11, seat + 0.2, x, 0.11, 0.24)
    for side in (-1, 1):
        b.box(side * (x - 0.09), 0, seat + 0.08, 0.09, y, 0.12)


def _bed(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    height = rng.uniform(0.4, 0.55)
    b.box(0, 0, height / 2 + 0.06, x, y, height / 2 - 0.06)
    b.box(-x, 0, 0.45, 0.03, y, 0.45)
    b.box(-x + 0.3, 0, height + 0.06, 0.2, y * 0.7, 0.07)


def _bin(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    height = rng.uniform(0.25, 0.6)
    centre = b.spot + up(height / 2)
    b.builder.cylinder(centre, x, height / 2, 0.0, **b.paint)


def _floor_lamp(b: _Bench, x: float, y: float, rng: np.random.Generator) -> None:
    height = rng.uniform(1.3, 1.8)
    b.post(0, 0, 0.0, height, 0.015)
    b.builder.cylinder(b.spot + up(height), x, 0.13, 0.0, **b.paint)
    b.builder.cylinder(b.spot + up(0.015), x, 0.015, 0.0, **b.paint)


PIECES: tuple[Piece, ...] = (
    Piece((0.4, 1.1), (0.3, 0.5), False, _table),
    Piece((0.5, 1.0), (0.3, 0.4), True, _desk),
    Piece((0.2, 0.24), (0.2, 0.24), False, _chair),
    Piece((0.3, 1.0), (0.2, 0.35), True, _cabinet),
    Piece((0.35, 0.8), (0.13, 0.22), True, _shelf),
    Piece((0.5, 1.2), (0.38, 0.5), True, _sofa),
    Piece((0.95, 1.05), (0.4, 0.9), True, _bed),
    Piece((0.12, 0.22), (0.12, 0.22), False, _bin),
    Piece((0.13, 0.2), (0.13, 0.2), False, _floor_lamp),
)
"""All kinds of furniture that are made of boxes."""
