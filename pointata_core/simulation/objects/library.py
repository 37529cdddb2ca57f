# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small meshes of real things, loaded when the first one is drawn.

``meshes.npz`` holds what ``tools/derive_meshes.py`` derives; its manifest names author, licence and
source of every model. A model consists of parts by material, one shape each.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.simulation.solids import Mesh, ShapeBuilder, ShapeKind, Shapes, Surface

FILE = Path(__file__).with_name('meshes.npz')

# Tinted glass: little light comes back, the rest goes in and meets the seats, or nothing.
GLASS: dict[str, Any] = {'reflectivity': 0.06, 'surface': Surface.MESH, 'fill': 0.25}

MESHES = 0.75
"""Share of vehicles, people and pieces of furniture that are meshes by default."""

_share: ContextVar[float | None] = ContextVar('share', default=None)


@cache
def default_share() -> float:
    """``MESHES``; 0 with a warning where nothing is installed that casts rays at meshes."""
    if importlib.util.find_spec('embreex') is not None:
        return MESHES
    warnings.warn(
        'embreex is not installed: simulated vehicles, people and furniture are boxes, cylinders '
        "and capsules. For meshes: pip install 'pointata_ros[simulate]'",
        stacklevel=2,
    )
    return 0.0


@contextmanager
def share_of_meshes(share: float | None) -> Iterator[None]:
    """Let the scenes drawn inside the context use meshes for ``share`` (0..1) of their things.

    None takes `default_share`.
    """
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


def drawn_as_mesh(rng: np.random.Generator) -> bool:
    """Whether the next thing is a mesh; nothing is drawn from ``rng`` where the share is 0."""
    chosen = _share.get()
    share = default_share() if chosen is None else chosen
    return share > 0 and bool(rng.random() < share)


@dataclass(frozen=True, eq=False)
class Part:
    """The faces of one material of a model.

    Attributes:
        name: ``paint``, ``glass``, ``dark``, ``other``, or ``wire`` for what lets rays through
            (spokes, leaves).
        brightness: Of its colour, 0..1.
        cover: Share of the rays that stop, for ``wire``.
        centre: (3,) metres, of the box of the mesh.
        half: (3,) metres.
        mesh: The triangles.
    """

    name: str
    brightness: float
    cover: float
    centre: np.ndarray
    half: np.ndarray
    mesh: Mesh


@dataclass(frozen=True, eq=False)
class Model:
    """A thing in metres: x forward, y left, z up, the origin on the ground below its middle.

    Attributes:
        name: As in the catalogue it comes from.
        kind: ``car``, ``bicycle``, ...
        author: Who made it.
        licence: SPDX identifier.
        parts: By material.
    """

    name: str
    kind: str
    author: str
    licence: str
    parts: tuple[Part, ...]

    @property
    def box(self) -> np.ndarray:
        """(2, 3) lowest and highest corner, metres."""
        low = np.min([part.centre - part.half for part in self.parts], axis=0)
        return np.stack([low, np.max([part.centre + part.half for part in self.parts], axis=0)])

    def shapes(
        self,
        label: int,
        instance: int,
        paint: float,
        scale: np.ndarray | tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> Shapes:
        """Shapes in the frame of the model.

        Args:
            label: Segmentation class.
            instance: Instance id.
            paint: Reflectivity of the main material.
            scale: Factors along x, y and z.
        """
        builder = ShapeBuilder(label, instance)
        self.add_to(builder, np.zeros(3), np.eye(3), paint, scale)
        return builder.build()

    def add_to(
        self,
        builder: ShapeBuilder,
        position: np.ndarray,
        rotation: np.ndarray,
        paint: float,
        scale: np.ndarray | tuple[float, float, float] = (1.0, 1.0, 1.0),
        **more: Any,
    ) -> None:
        """Add the model to ``builder``, its origin at ``position``; as `shapes` for the rest."""
        for part in self.parts:
            look: dict[str, Any] = {
                'paint': {'reflectivity': paint},
                'glass': GLASS,
                'dark': {'reflectivity': 0.06},
                'other': {'reflectivity': 0.1 + 0.6 * part.brightness},
                'wire': {
                    'reflectivity': 0.1 + 0.6 * part.brightness,
                    'surface': Surface.MESH,
                    'fill': part.cover,
                },
            }[part.name]
            centre = position + rotation @ (part.centre * scale)
            half = part.half * scale
            builder.add(ShapeKind.MESH, centre, half, rotation, mesh=part.mesh, **look, **more)


@cache
def models() -> dict[str, tuple[Model, ...]]:
    """All models by kind."""
    with np.load(FILE) as file:
        rows = json.loads(file['manifest'].tobytes())
        vertices, faces = file['vertices'], file['faces']
        boxes, counts = file['boxes'].astype(float), file['counts']
    corners, triangles = np.split(vertices, counts[:-1, 0].cumsum()), counts[:-1, 1].cumsum()
    pieces = list(zip(corners, np.split(faces, triangles), boxes))
    found: dict[str, list[Model]] = {}
    for row in rows:
        parts = []
        for look in row['parts']:
            corner, triangle, (low, high) = pieces.pop(0)
            mesh = Mesh((corner / 32767.5 - 1).astype(np.float32), triangle.astype(np.int32))
            half = np.maximum((high - low) / 2, 1e-4)
            middle = (low + high) / 2
            part = Part(look['part'], look['brightness'], look['cover'], middle, half, mesh)
            parts.append(part)
        model = Model(row['name'], row['kind'], row['author'], row['licence'], tuple(parts))
        found.setdefault(row['kind'], []).append(model)
    return {kind: tuple(group) for kind, group in found.items()}


def draw_model(kind: str, rng: np.random.Generator) -> Model:
    """One of the models of a kind, each as likely."""
    group = models()[kind]
    return group[int(rng.integers(len(group)))]
