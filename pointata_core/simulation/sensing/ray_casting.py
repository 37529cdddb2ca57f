# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""First hits of all rays of a sensor with all shapes of a scene, on one core.

Shapes go from near to far. Those with a wide window (façades, cars close by) are tested one by one
against a slice of the grid, without copying it; the many small ones (leaves, limbs, distant
things) are flattened to (shape, ray) pairs and tested a few ten thousand at a time, which fits the
cache. A pair whose ray already stopped before the shape begins is dropped untested. Meshes come
last, one by one (`mesh_casting`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointata_core.simulation.sensing import intersections
from pointata_core.simulation.sensing.intersections import Components
from pointata_core.simulation.sensing.mesh_casting import cast_mesh
from pointata_core.simulation.sensing.sensors import SensorModel
from pointata_core.simulation.sensing.windows import Windows, windows_of
from pointata_core.simulation.solids import ShapeKind, Shapes, Surface

_WIDE = 2500  # rays; above it a Python loop costs less than gathering the parameters per pair
_PAIRS = 40_000  # per flat batch
_NOTHING = -1
_SOLIDS = tuple(kind for kind in ShapeKind if kind != ShapeKind.MESH)


@dataclass
class HitBuffer:
    """What each ray has met so far: range (metres, inf = nothing) and index of the shape."""

    distance: np.ndarray  # (rows, columns) float32
    shape: np.ndarray  # (rows, columns) int32, -1 = nothing or not a shape
    normal: np.ndarray | None = None  # (3, rows * columns) float32 where a mesh was hit

    def normals(self, ray: np.ndarray) -> np.ndarray:
        """(3, M) unit normals of the faces that the flat rays ``ray`` (M,) hit; 0 off meshes."""
        return np.zeros((3, len(ray)), np.float32) if self.normal is None else self.normal[:, ray]

    @classmethod
    def empty(cls, sensor: SensorModel) -> HitBuffer:
        """A buffer with no hits."""
        size = (len(sensor.rows), sensor.columns)
        return cls(np.full(size, np.inf, np.float32), np.full(size, _NOTHING, np.int32))


@dataclass(frozen=True)
class _Table:
    """Per-shape constants in float32, ready to be broadcast or gathered."""

    kind: np.ndarray
    matrix: np.ndarray  # (9, P) direction -> local, row-major
    origin: np.ndarray  # (3, P) the sensor in the local frame
    half: np.ndarray  # (3, P)
    surface: np.ndarray
    detail: np.ndarray
    fill: np.ndarray


def _table(shapes: Shapes) -> _Table:
    scale = shapes.half.copy()
    capsule = shapes.kind == ShapeKind.CAPSULE
    scale[capsule, 2] = scale[capsule, 0]
    matrix = shapes.rotation.transpose(0, 2, 1) / scale[:, :, None]
    origin = -(matrix @ shapes.centre[:, :, None])[:, :, 0]
    return _Table(
        kind=shapes.kind,
        matrix=np.ascontiguousarray(matrix.reshape(-1, 9).T, np.float32),
        origin=np.ascontiguousarray(origin.T, np.float32),
        half=np.ascontiguousarray(shapes.half.T, np.float32),
        surface=shapes.surface,
        detail=shapes.detail,
        fill=shapes.fill,
    )


def cast(
    shapes: Shapes,
    sensor: SensorModel,
    directions: np.ndarray,
    rng: np.random.Generator,
    hits: HitBuffer | None = None,
) -> HitBuffer:
    """Find the first shape each ray meets.

    Args:
        shapes: Shapes in the sensor frame.
        sensor: The sensor; its rows and columns span the grid.
        directions: ``sensor.directions()``, (3, rows, columns) float32.
        rng: Draws how deep a ray enters foliage and which pass through a mesh.
        hits: Earlier hits (of the ground) to start from; changed in place.

    Returns:
        The hits, with indices into ``shapes``.
    """
    hits = HitBuffer.empty(sensor) if hits is None else hits
    if not len(shapes):
        return hits
    table = _table(shapes)
    windows = windows_of(shapes, sensor, directions)
    of_mesh = shapes.kind[windows.shape] == ShapeKind.MESH
    mesh_windows, windows = windows[of_mesh], windows[~of_mesh]
    wide = windows.rays > _WIDE
    for window in np.flatnonzero(wide):
        _cast_wide(table, windows, int(window), directions, rng, hits)
    narrow = windows[~wide]
    kinds = table.kind[narrow.shape]
    for kind in _SOLIDS:
        _cast_narrow(kind, table, narrow[kinds == kind], directions, rng, hits)
    _cast_windows_of_meshes(shapes, mesh_windows, directions, rng, hits)
    return hits


def _cast_windows_of_meshes(
    shapes: Shapes,
    windows: Windows,
    directions: np.ndarray,
    rng: np.random.Generator,
    hits: HitBuffer,
) -> None:
    if not len(windows.shape):
        return
    columns = hits.distance.shape[1]
    flat, distance, owner = directions.reshape(3, -1), hits.distance.reshape(-1), hits.shape
    normal = hits.normal = np.zeros((3, len(distance)), np.float32)
    rays = np.arange(len(distance)).reshape(-1, columns)
    for window, shape in enumerate(windows.shape):
        ray = rays[slice(*windows.row[window]), slice(*windows.column[window])].reshape(-1)
        ray = ray[distance[ray] > windows.near[window]]
        if not len(ray):
            continue
        t, across = cast_mesh(shapes, int(shape), flat[:, ray], distance[ray], rng)
        closer = t < distance[ray]
        ray = ray[closer]
        distance[ray], normal[:, ray] = t[closer], across[:, closer]
        owner.reshape(-1)[ray] = shape


def first_hits(
    shapes: Shapes, directions: np.ndarray, limit: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Find the first shape that each of some single rays meets, on no grid.

    Args:
        shapes: Shapes in the frame of the rays, which start at its origin.
        directions: (3, N) unit directions.
        limit: (N,) metres; what begins farther away is of no interest and may be left out.
        rng: As for `cast`.

    Returns:
        (N,) float32 range in metres, inf for none, and (N,) int32 index of the shape, -1 for none.
    """
    table, directions = _table(shapes), np.asarray(directions, np.float32)
    away, radius = np.linalg.norm(shapes.centre, axis=1), shapes.radius
    distance = np.full(directions.shape[1], np.inf, np.float32)
    owner = np.full(directions.shape[1], _NOTHING, np.int32)
    for kind in _SOLIDS:
        of_kind = np.flatnonzero(shapes.kind == kind)
        ends = max(1, _PAIRS * 50 // max(1, len(of_kind)))
        for start in range(0, len(distance), ends):
            rays = slice(start, start + ends)
            # A ray can meet a shape only if its line passes the sphere around it.
            along = directions[:, rays].T.astype(np.float64) @ shapes.centre[of_kind].T
            near = along**2 >= away[of_kind] ** 2 - radius[of_kind] ** 2 - 1e-6
            near &= (along > -radius[of_kind]) & (
                away[of_kind] - radius[of_kind] < limit[rays, None]
            )
            ray, place = np.nonzero(near)
            _test_pairs(kind, table, ray + start, of_kind[place], directions, rng, distance, owner)
    for shape in np.flatnonzero(shapes.kind == ShapeKind.MESH):
        along = directions.T @ shapes.centre[shape].astype(np.float32)
        near = along**2 >= away[shape] ** 2 - radius[shape] ** 2 - 1e-4
        near &= (along > -radius[shape]) & (away[shape] - radius[shape] < limit)
        ray = np.flatnonzero(near)
        if len(ray):
            t, _ = cast_mesh(shapes, int(shape), directions[:, ray], distance[ray], rng)
            closer = t < distance[ray]
            distance[ray[closer]], owner[ray[closer]] = t[closer], shape
    return distance, owner


def _test_pairs(
    kind: int,
    table: _Table,
    ray: np.ndarray,
    shape: np.ndarray,
    directions: np.ndarray,
    rng: np.random.Generator,
    distance: np.ndarray,
    owner: np.ndarray,
) -> None:
    """Test pairs of a ray and a shape; ``distance`` and ``owner`` take what is nearer."""
    for start in range(0, len(ray), _PAIRS):
        r, s = ray[start : start + _PAIRS], shape[start : start + _PAIRS]
        local = _to_local(table.matrix[:, s], directions[:, r])
        t = _enter(kind, table, s, tuple(table.origin[:, s]), local, rng)
        _keep_nearest(distance, owner, r, t, s)


def _keep_nearest(
    distance: np.ndarray, owner: np.ndarray, ray: np.ndarray, t: np.ndarray, shape: np.ndarray
) -> None:
    won = t < distance[ray]
    ray, t, shape = ray[won], t[won], shape[won]
    np.minimum.at(distance, ray, t)
    nearest = t == distance[ray]
    owner[ray[nearest]] = shape[nearest]


def _cast_wide(
    table: _Table,
    windows: Windows,
    window: int,
    directions: np.ndarray,
    rng: np.random.Generator,
    hits: HitBuffer,
) -> None:
    rows = slice(*windows.row[window])
    columns = slice(*windows.column[window])
    distance = hits.distance[rows, columns]
    near = windows.near[window]
    if distance.max() <= near:
        return
    shape = windows.shape[window]
    d = directions[:, rows, columns]
    m, o = table.matrix[:, shape], table.origin[:, shape]
    local = _to_local(m, d)
    t = _enter(int(table.kind[shape]), table, np.full(1, shape), tuple(o), local, rng)
    closer = t < distance
    np.copyto(distance, t, where=closer)
    hits.shape[rows, columns][closer] = shape


def _to_local(m: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        m[0] * d[0] + m[1] * d[1] + m[2] * d[2],
        m[3] * d[0] + m[4] * d[1] + m[5] * d[2],
        m[6] * d[0] + m[7] * d[1] + m[8] * d[2],
    )


def _cast_narrow(
    kind: int,
    table: _Table,
    windows: Windows,
    directions: np.ndarray,
    rng: np.random.Generator,
    hits: HitBuffer,
) -> None:
    if not len(windows.shape):
        return
    flat_directions = directions.reshape(3, -1)
    distance, owner = hits.distance.reshape(-1), hits.shape.reshape(-1)
    total_columns = hits.distance.shape[1]
    ends = np.cumsum(windows.rays)
    start = 0
    while start < len(ends):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _PAIRS, 'right')))
        part = windows[np.arange(start, stop)]
        start = stop
        ray, window = _pairs(part, total_columns)
        open_ = distance[ray] > part.near[window]
        ray, window = ray[open_], window[open_]
        if not len(ray):
            continue
        shape = part.shape[window]
        local = _to_local(table.matrix[:, shape], flat_directions[:, ray])
        t = _enter(kind, table, shape, tuple(table.origin[:, shape]), local, rng)
        _keep_nearest(distance, owner, ray, t, shape)


def _pairs(windows: Windows, total_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """All (flat ray, window) pairs: each window is a run of rows, each row a run of rays."""
    height = np.diff(windows.row)[:, 0]
    of_row = np.repeat(np.arange(len(height), dtype=np.int32), height)
    row = np.arange(len(of_row)) - np.repeat(np.cumsum(height) - height, height)
    row += windows.row[of_row, 0]
    width = np.diff(windows.column)[of_row, 0]
    first = row * total_columns + windows.column[of_row, 0]
    ray = np.repeat(first - (np.cumsum(width) - width), width) + np.arange(width.sum())
    return ray, np.repeat(of_row, width)


def _enter(
    kind: int,
    table: _Table,
    shape: np.ndarray,
    o: Components,
    d: Components,
    rng: np.random.Generator,
) -> np.ndarray:
    """Range of the first entry for shapes of one kind; ``shape`` is one index, or one per pair."""
    if kind == ShapeKind.BOX:
        return _through_mesh(intersections.box(o, d), table, shape, rng)
    if kind == ShapeKind.CYLINDER:
        return intersections.cylinder(o, d)
    if kind == ShapeKind.CAPSULE:
        return intersections.capsule(o, d, table.half[2, shape] / table.half[0, shape])
    if kind == ShapeKind.ELLIPSOID:
        t, leave = intersections.ellipsoid(o, d)
        return _through_leaves(t, leave, table.surface[shape], table.detail[shape], rng)
    t, x, _ = intersections.rectangle(o, d)
    return _through_gaps(t, x * table.half[0, shape], table, shape, rng)


def _through_leaves(
    enter: np.ndarray,
    leave: np.ndarray,
    surface: np.ndarray,
    density: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Stop at an exponentially distributed depth (Beer-Lambert), or pass through."""
    leafy = surface == Surface.LEAVES
    if not leafy.any():
        return enter
    depth = rng.standard_exponential(enter.shape, np.float32) / np.maximum(density, 1e-3)
    stop = enter + np.where(leafy, depth, np.float32(0))
    with np.errstate(invalid='ignore'):
        return np.where(stop <= leave, stop, np.float32(np.inf))


def _through_gaps(
    t: np.ndarray, across: np.ndarray, table: _Table, shape: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Let rays through between the slats, or through a mesh."""
    slats = table.surface[shape] == Surface.SLATS
    if slats.any():
        pitch = np.maximum(table.detail[shape], 1e-3)
        gap = np.mod(across / pitch, 1) > table.fill[shape]
        t = np.where(slats & gap, np.float32(np.inf), t)
    return _through_mesh(t, table, shape, rng)


def _through_mesh(
    t: np.ndarray, table: _Table, shape: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Let a share of the rays pass."""
    mesh = table.surface[shape] == Surface.MESH
    if mesh.any():
        passes = rng.random(t.shape, np.float32) > table.fill[shape]
        t = np.where(mesh & passes, np.float32(np.inf), t)
    return t
