# SPDX-License-Identifier: Apache-2.0
"""First hits of rays with the meshes of a scene, through Embree.

The triangles of all meshes go into one scene, built anew for each frame: people and vehicles move,
and building a hundred thousand triangles takes less time than casting at them.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.simulation.solids import Shapes, Surface

_PANES = 6  # a ray passes at most this many panes of glass
_BEHIND = np.float32(0.004)  # metres behind a pane at which a ray that passed it goes on


def require_embree() -> None:
    """Raise ``ConfigError`` where the ray caster for meshes is not installed."""
    if importlib.util.find_spec('embreex') is None:
        raise ConfigError(
            'the simulator has meshes to scan, and embreex is not installed',
            "pip install 'pointata_ros[simulate]', or simulate with meshes=0",
        )


def cast_meshes(
    shapes: Shapes,
    index: np.ndarray,
    directions: np.ndarray,
    limit: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the first mesh that each ray from the origin meets.

    Args:
        shapes: Shapes in the frame of the rays.
        index: (K,) those of kind ``MESH`` that take part.
        directions: (3, N) float32 unit directions.
        limit: (N,) metres; what lies farther away is not of interest.
        rng: Draws which rays pass glass and wire (``Surface.MESH``).

    Returns:
        (N,) float32 metres, inf for none; (N,) int32 index into ``shapes``, -1 for none; (3, N)
        float32 unit normal of the face, either side.

    Raises:
        ConfigError: There are meshes, and embreex is not installed.
    """
    count = directions.shape[1]
    distance = np.full(count, np.inf, np.float32)
    owner = np.full(count, -1, np.int32)
    normal = np.zeros((3, count), np.float32)
    if not len(index) or not count:
        return distance, owner, normal
    scene, of_face = _scene(shapes, index)
    ray = np.arange(count)
    start = np.zeros(count, np.float32)
    for _ in range(_PANES):
        towards = np.ascontiguousarray(directions[:, ray].T, np.float32)
        found = scene.run(
            towards * start[ray, None],
            towards,
            dists=(limit[ray] - start[ray]).astype(np.float32),
            output=True,
        )
        hit = found['primID'] >= 0
        ray, met = ray[hit], of_face[found['primID'][hit]]
        at = start[ray] + found['tfar'][hit]
        porous = shapes.surface[met] == Surface.MESH
        passes = porous & (rng.random(len(met), np.float32) > shapes.fill[met])
        stops = ~passes
        distance[ray[stops]], owner[ray[stops]] = at[stops], met[stops]
        across = found['Ng'][hit][stops].T
        normal[:, ray[stops]] = across / np.maximum(np.linalg.norm(across, axis=0), 1e-12)
        ray, at = ray[passes], at[passes]
        if not len(ray):
            break
        start[ray] = at + _BEHIND
    return distance, owner, normal


def _scene(shapes: Shapes, index: np.ndarray) -> tuple:
    """An Embree scene of the meshes, and (F,) the shape of each of its faces."""
    require_embree()
    from embreex import rtcore_scene
    from embreex.mesh_construction import TriangleMesh

    vertices, faces, first = [], [], 0
    for each in index:
        mesh = shapes.mesh[each]
        turn = (shapes.rotation[each] * shapes.half[each]).astype(np.float32)
        vertices.append(mesh.vertices @ turn.T + shapes.centre[each].astype(np.float32))
        faces.append(mesh.faces + first)
        first += len(mesh.vertices)
    scene = rtcore_scene.EmbreeScene()
    TriangleMesh(
        scene,
        np.ascontiguousarray(np.concatenate(vertices), np.float32),
        np.ascontiguousarray(np.concatenate(faces), np.int32),
    )
    return scene, np.repeat(index, [len(part) for part in faces]).astype(np.int32)
