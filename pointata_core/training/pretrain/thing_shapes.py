# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Things as shapes to learn from: the simulator's meshes of vehicles, furniture and streets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.colours import draw_colour
from pointata_core.shapes.procedural.assembly import normalise
from pointata_core.shapes.shape import Shape
from pointata_core.simulation.objects.library import Model, Part, draw_model, models
from pointata_core.training.pretrain.sensor_views import sometimes_scanned

VEHICLES = ('car', 'truck', 'bus', 'van', 'bicycle', 'motorcycle')
_STREAM = 20_002  # keeps the seeds of things apart from those of other shapes
_STRETCH = 0.15  # largest, along each axis
_GLASS = (90, 110, 125)


@dataclass(frozen=True)
class ThingSource:
    """A vehicle, a piece of furniture or what stands in a street.

    Args:
        thing: Its kind, as the simulator's library names it.
        seed: Of model, proportions, colours and sensor.
        scanned: Share of things whose points are a scan.
    """

    thing: str
    seed: int
    scanned: float = 0.0

    @property
    def name(self) -> str:
        """Unique among things."""
        return f'{self.thing}-thing-{self.seed:08d}'

    def load(self) -> Shape:
        """Draw the thing."""
        rng = np.random.default_rng([_STREAM, self.seed])
        shape = thing_shape(draw_model(self.thing, rng), self.name, rng)
        return sometimes_scanned(shape, self.scanned, rng)


def thing_sources(count: int, scanned: float, first: int = 0) -> list[ThingSource]:
    """Sources of ``count`` things with seeds from ``first`` on; every second one is a vehicle."""
    others = [kind for kind in models() if kind not in VEHICLES]
    kinds = [
        VEHICLES[number // 2 % len(VEHICLES)]
        if number % 2 == 0
        else others[number // 2 % len(others)]
        for number in range(count)
    ]
    return [ThingSource(kind, first + number, scanned) for number, kind in enumerate(kinds)]


def thing_shape(model: Model, name: str, rng: np.random.Generator) -> Shape:
    """A model with random proportions and paint; its parts are its materials."""
    vertices, faces, part, colour, first = [], [], [], [], 0
    paint = draw_colour(rng)
    for number, piece in enumerate(model.parts):
        vertices.append(piece.centre + piece.half * piece.mesh.vertices)
        faces.append(piece.mesh.faces + first)
        first += len(piece.mesh.vertices)
        part.append(np.full(len(piece.mesh.faces), number, np.uint8))
        colour.append(np.tile(_look(piece, paint), (len(piece.mesh.faces), 1)))
    stretch = 1 + _STRETCH * rng.uniform(-1, 1, 3)
    return Shape(
        vertices=normalise(np.concatenate(vertices) * stretch).astype(np.float32),
        faces=np.concatenate(faces).astype(np.int32),
        face_part=np.concatenate(part),
        part_names=tuple(piece.name for piece in model.parts),
        family=model.kind,
        name=name,
        group='vehicles' if model.kind in VEHICLES else 'things',
        face_colour=np.concatenate(colour),
    )


def _look(piece: Part, paint: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if piece.name == 'paint':
        return paint
    if piece.name == 'glass':
        return np.array(_GLASS, np.uint8)
    grey = 25 if piece.name == 'dark' else 30 + round(200 * piece.brightness)
    return np.full(3, grey, np.uint8)
