# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bodies with a skin: children to elders, posed by linear blend skinning.

``bodies.npz`` holds what ``tools/derive_bodies.py`` derives from a parametric body: one surface,
its weights, and the vertices and joints of some phenotypes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.simulation.people.poses import BONES, Pose, aligning
from pointata_core.simulation.solids import Shapes, concatenate, mesh_shape, yaw_rotation
from pointata_core.taxonomy import class_id

FILE = Path(__file__).with_name('bodies.npz')
_SKIN = 0.45
_BARE = ('head', 'neck', 'left_hand', 'right_hand')
_TROUSERS = ('pelvis', 'left_thigh', 'left_shank', 'right_thigh', 'right_shank')
_CHILD = 1.5  # metres; below it a body has a child's proportions


@cache
def read() -> dict[str, Any]:
    """The arrays of the file, and its manifest under ``manifest``."""
    with np.load(FILE) as file:
        arrays = {name: file[name] for name in file.files}
    arrays['manifest'] = json.loads(arrays['manifest'].tobytes())
    return arrays


@cache
def _parts() -> tuple[np.ndarray, ...]:
    """Faces of bare skin, of the upper clothes and of trousers and shoes."""
    data = read()
    owner = data['weights'].argmax(1)[data['faces'].astype(int)][:, 0]
    bare = np.isin(owner, [BONES.index(name) for name in _BARE])
    legs = np.isin(owner, [BONES.index(name) for name in _TROUSERS])
    legs |= np.isin(owner, [BONES.index(f'{side}_foot') for side in ('left', 'right')])
    faces = data['faces'].astype(np.int32)
    return faces[bare], faces[~bare & ~legs], faces[legs]


@dataclass(frozen=True, eq=False)
class Figure:
    """A person with a skin.

    Attributes:
        phenotype: Row of the file.
        height: Metres.
        instance: Instance id of all points.
        reflectivity: (2,) of the upper clothes, and of trousers and shoes.
        cloth: Metres that clothes stand off the skin.
        plain: Whether the upper clothes' reflectivity is that of the whole body: a third of the
            time to scan it, for who does not need its intensity.
    """

    phenotype: int
    height: float
    instance: int
    reflectivity: tuple[float, float]
    cloth: float
    plain: bool = False

    @cached_property
    def _rest(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and joints in metres, standing as the file has it."""
        data = read()
        vertices = data['vertices'][self.phenotype] * float(data['manifest']['step_m'])
        scale = self.height / np.ptp(vertices[:, 2])
        vertices, joints = vertices * scale, data['joints'][self.phenotype].astype(float) * scale
        faces = data['faces'].astype(int)
        across = np.cross(
            vertices[faces[:, 1]] - vertices[faces[:, 0]],
            vertices[faces[:, 2]] - vertices[faces[:, 0]],
        )
        normal = np.zeros_like(vertices)
        for corner in range(3):
            np.add.at(normal, faces[:, corner], across)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        bare = data['weights'][:, [BONES.index(name) for name in _BARE]].sum(1) > 127
        return vertices + normal * np.where(bare, 0.0, self.cloth)[:, None], joints

    @cached_property
    def _to_t(self) -> np.ndarray:
        """(19, 3, 3) rotations that bring the limbs from the file's posture into a T."""
        data, joints = read(), self._rest[1]
        turns = np.broadcast_to(np.eye(3), (len(BONES), 3, 3)).copy()
        for bone, end in _LIMBS.items():
            row = BONES.index(bone)
            along = joints[BONES.index(end)] - joints[row]
            turns[row] = aligning(along, data['rest'][row])
        for side in ('left', 'right'):
            turns[BONES.index(f'{side}_hand')] = turns[BONES.index(f'{side}_forearm')]
        return turns

    @property
    def leg(self) -> float:
        """Length from hip to sole, metres, as of a body of capsules."""
        return 0.53 * self.height

    def vertices(self, pose: Pose) -> np.ndarray:
        """(V, 3) vertices, x forward, z up, the ground below the pelvis at the origin."""
        data, (rest, joints) = read(), self._rest
        turns = pose.turns @ self._to_t
        place = np.zeros_like(joints)
        for bone, parent in enumerate(data['parents']):
            if parent >= 0:
                place[bone] = place[parent] + turns[parent] @ (joints[bone] - joints[parent])
        weights = data['weights'] / data['weights'].sum(1, keepdims=True, dtype=float)
        shift = place - np.einsum('bij,bj->bi', turns, joints)
        blend = (weights @ turns.reshape(len(turns), 9)).reshape(-1, 3, 3)
        points = np.einsum('vij,vj->vi', blend, rest) + weights @ shift
        points += self.leg * pose.offset
        points[:, 2] += self.leg * pose.offset[2] - points[:, 2].min()
        return points

    def shapes(self, pose: Pose, position: np.ndarray, yaw: float) -> Shapes:
        """Meshes of skin and clothes in the map frame.

        Args:
            pose: Posture.
            position: (3,) ground point below the body's anchor.
            yaw: Heading, radians.
        """
        points = self.vertices(pose) @ yaw_rotation(yaw).T + position
        pieces = _parts()
        looks: tuple[float, ...] = (_SKIN, *self.reflectivity)
        if self.plain:
            pieces, looks = (np.concatenate(pieces),), looks[1:2]
        parts = []
        for faces, reflectivity in zip(pieces, looks):
            used, corners = np.unique(faces, return_inverse=True)
            parts.append(
                mesh_shape(
                    points[used],
                    corners.reshape(-1, 3).astype(np.int32),
                    label=class_id('person'),
                    instance=self.instance,
                    reflectivity=reflectivity,
                )
            )
        return concatenate(parts)


_LIMBS = {
    f'{side}_{bone}': f'{side}_{end}'
    for side in ('left', 'right')
    for bone, end in (
        ('arm', 'forearm'),
        ('forearm', 'hand'),
        ('thigh', 'shank'),
        ('shank', 'foot'),
    )
}


def draw_figure(rng: np.random.Generator, height: float, instance: int) -> Figure:
    """A person of ``height`` metres: below 1.5 m a child, an adult or elder above."""
    ages = np.array([row['age'] for row in read()['manifest']['phenotypes']])
    fitting = np.flatnonzero((ages <= 0.5) == (height < _CHILD))
    return Figure(
        int(rng.choice(fitting)),
        height,
        instance,
        (float(rng.uniform(0.05, 0.75)), float(rng.uniform(0.05, 0.6))),
        float(rng.uniform(0.002, 0.035)),
    )
