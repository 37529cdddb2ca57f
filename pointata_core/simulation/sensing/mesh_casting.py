# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""First hits of rays with a mesh, through Embree.

Each mesh is prepared once, in its own box from -1 to 1; rays are taken into that box. Only bodies
with a skin, which are other meshes in every frame, are prepared anew.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.simulation.solids import Mesh, Shapes, Surface

_PANES = 6  # a ray passes at most this many panes of glass
_BEHIND = np.float32(0.004)  # metres behind a pane at which a ray that passed it goes on
_prepared: WeakKeyDictionary[Mesh, Any] = WeakKeyDictionary()


def require_embree() -> None:
    """Raise ``ConfigError`` where the ray caster for meshes is not installed."""
    if importlib.util.find_spec('embreex') is None:
        raise ConfigError(
            'the simulator has meshes to scan, and embreex is not installed',
            "pip install 'pointata_ros[simulate]', or simulate with meshes=0",
        )


def cast_mesh(
    shapes: Shapes,
    index: int,
    directions: np.ndarray,
    limit: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Find where each ray from the origin meets one mesh.

    Args:
        shapes: Shapes in the frame of the rays.
        index: One of kind ``MESH``.
        directions: (3, N) float32 unit directions.
        limit: (N,) metres; what lies farther away is not of interest.
        rng: Draws which rays pass glass and wire (``Surface.MESH``).

    Returns:
        (N,) float32 metres, inf for none; (3, N) float32 unit normal of the face, either side.

    Raises:
        ConfigError: embreex is not installed.
    """
    count = directions.shape[1]
    distance = np.full(count, np.inf, np.float32)
    normal = np.zeros((3, count), np.float32)
    scene = _scene(shapes.mesh[index])
    # A linear map keeps the range along a ray, in units of its direction.
    into = (shapes.rotation[index] / shapes.half[index]).astype(np.float32)
    origin = -shapes.centre[index].astype(np.float32) @ into
    porous = shapes.surface[index] == Surface.MESH
    ray, start = np.arange(count), np.zeros(count, np.float32)
    towards = np.ascontiguousarray(directions.T @ into, np.float32)
    for _ in range(_PANES):
        found = scene.run(
            origin + towards * start[ray, None],
            towards,
            dists=(limit[ray] - start[ray]).astype(np.float32),
            output=True,
        )
        hit = np.flatnonzero(found['primID'] >= 0)
        ray, towards, at = ray[hit], towards[hit], start[ray[hit]] + found['tfar'][hit]
        across = into @ found['Ng'][hit].T
        across /= np.maximum(np.linalg.norm(across, axis=0), 1e-12)
        if not porous:
            distance[ray], normal[:, ray] = at, across
            break
        passes = rng.random(len(ray), np.float32) > shapes.fill[index]
        stops = ~passes
        distance[ray[stops]], normal[:, ray[stops]] = at[stops], across[:, stops]
        ray, towards = ray[passes], towards[passes]
        if not len(ray):
            break
        start[ray] = at[passes] + _BEHIND
    return distance, normal


def _scene(mesh: Mesh) -> Any:
    """An Embree scene of the mesh."""
    if mesh not in _prepared:
        require_embree()
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh

        scene = rtcore_scene.EmbreeScene(_device())
        TriangleMesh(
            scene,
            np.ascontiguousarray(mesh.vertices, np.float32),
            np.ascontiguousarray(mesh.faces, np.int32),
        )
        _prepared[mesh] = scene
    return _prepared[mesh]


@cache
def _device() -> Any:
    from embreex import rtcore

    return rtcore.EmbreeDevice()
