# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The solids a scene is made of: boxes, cylinders, capsules, ellipsoids, rectangles and meshes.

All shapes of a scene live in one structure of arrays, so that a whole frame is cast in a few NumPy
calls. A shape is a unit solid under rotation and scale: a ray is taken into the local frame by one
3x3 matrix, where every test is short, and the parameter along the ray (metres) stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np

Vector = Sequence[float] | np.ndarray
"""Coordinates or extents in metres: three, or two where a height is given apart."""


class ShapeKind(IntEnum):
    """The unit solids."""

    BOX = 0  # |x|, |y|, |z| <= half
    CYLINDER = 1  # axis z
    CAPSULE = 2  # axis z; half = (radius, radius, half length of the straight part)
    ELLIPSOID = 3  # solid, or a cloud of leaves when it has a density
    RECTANGLE = 4  # z = 0, two-sided, possibly with gaps
    MESH = 5  # triangles in the box |x|, |y|, |z| <= half


class Surface(IntEnum):
    """What a surface looks like beyond its shape."""

    PLAIN = 0
    LEAVES = 1  # rays enter and stop at a random depth; `detail` = mean stops per metre
    SLATS = 2  # upright slats; `detail` = pitch in metres, `fill` = share covered
    MESH = 3  # rays stop with probability `fill`: wire mesh, tinted glass
    WINDOWS = 4  # façade: panes set back behind the wall; `detail` = pitch in metres


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in the box from -1 to 1; a shape of kind ``MESH`` scales them by its half extents.

    Attributes:
        vertices: (V, 3) float32.
        faces: (F, 3) int32; both sides of a face stop a ray.
    """

    vertices: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class Shapes:
    """P shapes as a structure of arrays; the frame (map, object, sensor) is the caller's.

    Attributes:
        kind: (P,) uint8 ``ShapeKind``.
        centre: (P, 3) float64 metres.
        rotation: (P, 3, 3) float64, local axes as columns.
        half: (P, 3) float64 half extents in metres along the local axes.
        label: (P,) uint8 segmentation class.
        instance: (P,) uint16, 0 = none.
        reflectivity: (P,) float32 in [0, 1].
        surface: (P,) uint8 ``Surface``.
        detail: (P,) float32, meaning depends on the surface.
        fill: (P,) float32 in [0, 1], meaning depends on the surface.
        mesh: (P,) objects, a ``Mesh`` where the kind is ``MESH``, else None.
    """

    kind: np.ndarray
    centre: np.ndarray
    rotation: np.ndarray
    half: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    reflectivity: np.ndarray
    surface: np.ndarray
    detail: np.ndarray
    fill: np.ndarray
    mesh: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, index: np.ndarray | slice) -> Shapes:
        return Shapes(*(getattr(self, field.name)[index] for field in fields(self)))

    def moved(self, pose: np.ndarray) -> Shapes:
        """The shapes under a rigid (4, 4) ``pose`` from their frame to another."""
        rotation = pose[:3, :3]
        return replace(
            self,
            centre=self.centre @ rotation.T + pose[:3, 3],
            rotation=rotation @ self.rotation,
        )

    @property
    def radius(self) -> np.ndarray:
        """(P,) radius of a sphere around the centre that holds the shape."""
        return np.linalg.norm(self.outer_half, axis=1)

    @property
    def outer_half(self) -> np.ndarray:
        """(P, 3) half extents of the oriented box around each shape."""
        outer = self.half.copy()
        capsule = self.kind == ShapeKind.CAPSULE
        outer[capsule, 2] += outer[capsule, 0]
        return outer


def concatenate(parts: Iterable[Shapes]) -> Shapes:
    """All shapes of ``parts``, in order. Raises ``ValueError`` if there are no parts."""
    parts = list(parts)
    return Shapes(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Shapes)))


def up(height: float) -> np.ndarray:
    """(3,) vector of ``height`` metres along z."""
    return np.array([0.0, 0.0, height])


def yaw_rotation(yaw: float) -> np.ndarray:
    """(3, 3) rotation about z by ``yaw`` radians."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotation_from_rpy(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """(3, 3) rotation Rz(yaw) Ry(pitch) Rx(roll); positive pitch turns the nose down."""
    cr, sr, cp, sp = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    return yaw_rotation(yaw) @ about_y @ about_x


def rotations_with_z(axis: np.ndarray) -> np.ndarray:
    """Some right-handed rotation whose third column is the unit vector ``axis``: (..., 3, 3)."""
    axis = np.asarray(axis, float)
    helper = np.where(np.abs(axis[..., 2:3]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    helper = helper.reshape(axis.shape)
    first = np.cross(helper, axis)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    return np.stack([first, np.cross(axis, first), axis], axis=-1)


def rigid(position: Vector, rotation: np.ndarray | None = None) -> np.ndarray:
    """(4, 4) pose from a position and a (3, 3) rotation (identity if not given)."""
    pose = np.eye(4)
    pose[:3, 3] = position
    if rotation is not None:
        pose[:3, :3] = rotation
    return pose


def capsules(
    start: np.ndarray,
    end: np.ndarray,
    radius: np.ndarray,
    *,
    label: int,
    instance: int,
    reflectivity: np.ndarray,
) -> Shapes:
    """Capsules around the segments from ``start`` (P, 3) to ``end`` (P, 3), built at once.

    A body of fifteen is built anew for every frame: one by one, that took longer than casting it.
    """
    count = len(start)
    along = end - start
    length = np.linalg.norm(along, axis=1, keepdims=True)
    axis = np.where(length > 1e-9, along / np.maximum(length, 1e-9), [[0.0, 0.0, 1.0]])
    return Shapes(
        kind=np.full(count, ShapeKind.CAPSULE, np.uint8),
        centre=(start + end) / 2,
        rotation=rotations_with_z(axis),
        half=np.stack([radius, radius, np.maximum(length[:, 0] / 2, 1e-4)], axis=1),
        label=np.full(count, label, np.uint8),
        instance=np.full(count, instance, np.uint16),
        reflectivity=np.asarray(reflectivity, np.float32),
        surface=np.full(count, Surface.PLAIN, np.uint8),
        detail=np.zeros(count, np.float32),
        fill=np.ones(count, np.float32),
        mesh=np.full(count, None, object),
    )


def mesh_shape(
    vertices: np.ndarray, faces: np.ndarray, *, label: int, instance: int, reflectivity: float
) -> Shapes:
    """One shape of kind ``MESH`` from vertices (V, 3) in metres, in the frame they are given in."""
    low, high = vertices.min(0), vertices.max(0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-4)
    mesh = Mesh(((vertices - centre) / half).astype(np.float32), faces)
    builder = ShapeBuilder(label, instance, reflectivity)
    builder.add(ShapeKind.MESH, centre, half, mesh=mesh)
    return builder.build()


class ShapeBuilder:
    """Collects shapes one by one and packs them once.

    Args:
        label: Segmentation class of shapes that name none of their own.
        instance: Instance id of shapes that name none of their own.
        reflectivity: Reflectivity of shapes that name none of their own.
    """

    def __init__(self, label: int = 0, instance: int = 0, reflectivity: float = 0.4) -> None:
        self.label = label
        self.instance = instance
        self.reflectivity = reflectivity
        self._rows: list[tuple] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        kind: ShapeKind,
        centre: Vector,
        half: Vector,
        rotation: np.ndarray | float = 0.0,
        *,
        label: int | None = None,
        instance: int | None = None,
        reflectivity: float | None = None,
        surface: Surface = Surface.PLAIN,
        detail: float = 0.0,
        fill: float = 1.0,
        mesh: Mesh | None = None,
    ) -> None:
        """Add one shape; ``rotation`` is a (3, 3) matrix or a yaw in radians."""
        if not isinstance(rotation, np.ndarray):
            rotation = yaw_rotation(rotation)
        self._rows.append(
            (
                kind,
                np.asarray(centre, float),
                rotation,
                np.maximum(np.asarray(half, float), 1e-4),
                self.label if label is None else label,
                self.instance if instance is None else instance,
                self.reflectivity if reflectivity is None else reflectivity,
                surface,
                detail,
                fill,
                mesh,
            )
        )

    def box(
        self,
        centre: Vector,
        half: Vector,
        rotation: np.ndarray | float = 0.0,
        **more: Any,
    ) -> None:
        """Add a box."""
        self.add(ShapeKind.BOX, centre, half, rotation, **more)

    def cylinder(
        self,
        centre: Vector,
        radius: float,
        half_length: float,
        rotation: np.ndarray | float = 0.0,
        **more: Any,
    ) -> None:
        """Add a capped cylinder along its local z."""
        self.add(ShapeKind.CYLINDER, centre, (radius, radius, half_length), rotation, **more)

    def ellipsoid(
        self,
        centre: Vector,
        half: Vector,
        rotation: np.ndarray | float = 0.0,
        **more: Any,
    ) -> None:
        """Add an ellipsoid."""
        self.add(ShapeKind.ELLIPSOID, centre, half, rotation, **more)

    def capsule(self, start: Vector, end: Vector, radius: float, **more: Any) -> None:
        """Add a capsule around the segment from ``start`` to ``end``."""
        first, last = np.asarray(start, float), np.asarray(end, float)
        length = float(np.linalg.norm(last - first))
        axis = (last - first) / length if length > 1e-9 else np.array([0.0, 0.0, 1.0])
        half = (radius, radius, length / 2)
        self.add(ShapeKind.CAPSULE, (first + last) / 2, half, rotations_with_z(axis), **more)

    def wall(self, start: Vector, end: Vector, bottom: float, top: float, **more: Any) -> None:
        """Add an upright rectangle over the line from ``start`` to ``end`` (x, y)."""
        along = np.append(np.subtract(end[:2], start[:2]), 0.0)
        length = float(np.linalg.norm(along))
        along /= length
        rotation = np.stack([along, [0.0, 0.0, 1.0], np.cross(along, [0.0, 0.0, 1.0])], axis=1)
        centre = (*np.add(start[:2], end[:2]) / 2, (bottom + top) / 2)
        half = (length / 2, (top - bottom) / 2, 1e-3)
        self.add(ShapeKind.RECTANGLE, centre, half, rotation, **more)

    def floor(
        self, centre: Vector, half_x: float, half_y: float, yaw: float = 0.0, **more: Any
    ) -> None:
        """Add a level rectangle."""
        self.add(ShapeKind.RECTANGLE, centre, (half_x, half_y, 1e-3), yaw, **more)

    def build(self) -> Shapes:
        """Pack what was added."""
        if not self._rows:
            return EMPTY
        columns = list(zip(*self._rows))
        return Shapes(
            kind=np.array(columns[0], np.uint8),
            centre=np.stack(columns[1]),
            rotation=np.stack(columns[2]),
            half=np.stack(columns[3]),
            label=np.array(columns[4], np.uint8),
            instance=np.array(columns[5], np.uint16),
            reflectivity=np.array(columns[6], np.float32),
            surface=np.array(columns[7], np.uint8),
            detail=np.array(columns[8], np.float32),
            fill=np.array(columns[9], np.float32),
            mesh=np.fromiter(columns[10], object, len(columns[10])),
        )


EMPTY = Shapes(
    kind=np.zeros(0, np.uint8),
    centre=np.zeros((0, 3)),
    rotation=np.zeros((0, 3, 3)),
    half=np.zeros((0, 3)),
    label=np.zeros(0, np.uint8),
    instance=np.zeros(0, np.uint16),
    reflectivity=np.zeros(0, np.float32),
    surface=np.zeros(0, np.uint8),
    detail=np.zeros(0, np.float32),
    fill=np.zeros(0, np.float32),
    mesh=np.zeros(0, object),
)
