# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People as shapes to learn from: the simulator's bodies in captured, parametric and free poses.

Free poses have arms, and some legs, at random angles: captured motions are mostly gaits, and people
who gesture hold their arms in many other ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.colours import draw_colour
from pointata_core.shapes.procedural.assembly import normalise
from pointata_core.shapes.shape import Shape
from pointata_core.simulation.people.captured import captured_pose
from pointata_core.simulation.people.figures import Figure, draw_figure, read
from pointata_core.simulation.people.motions import NEUTRAL, draw_style, motion, posture
from pointata_core.simulation.people.poses import BONES, Pose, pose_of
from pointata_core.taxonomy import ACTION_CLASSES
from pointata_core.training.pretrain.sensor_views import sometimes_scanned

ACTIONS = ACTION_CLASSES[1:]
_STREAM = 20_001  # keeps the seeds of people apart from those of other shapes
_FREE, _FREE_LEGS = 0.5, 0.4
_LATEST = 3.0  # seconds into an action
_ADULTS = 0.85
_BARE = [BONES.index(bone) for bone in ('head', 'neck', 'left_hand', 'right_hand')]
_LEGS = [n for n, bone in enumerate(BONES) if bone.endswith(('thigh', 'shank', 'pelvis'))]
_FEET = [n for n, bone in enumerate(BONES) if bone.endswith('foot')]


@dataclass(frozen=True)
class PersonSource:
    """A person of the simulator in one pose.

    Args:
        action: What the person does.
        seed: Of body, pose, colours and sensor.
        scanned: Share of people whose points are a scan.
    """

    action: str
    seed: int
    scanned: float = 0.0

    @property
    def name(self) -> str:
        """Unique among people."""
        return f'person-{self.seed:08d}'

    def load(self) -> Shape:
        """Draw the person."""
        rng = np.random.default_rng([_STREAM, self.seed])
        figure, pose = self._figure(rng), draw_pose(self.action, rng)
        shape = person_shape(figure, pose, self.action, self.name, rng)
        return sometimes_scanned(shape, self.scanned, rng)

    @staticmethod
    def _figure(rng: np.random.Generator) -> Figure:
        adult = rng.random() < _ADULTS
        return draw_figure(rng, float(rng.uniform(1.5, 1.95) if adult else rng.uniform(1, 1.5)), 0)


def people_sources(count: int, scanned: float, first: int = 0) -> list[PersonSource]:
    """Sources of ``count`` people, actions in turn, with seeds from ``first`` on."""
    return [
        PersonSource(ACTIONS[number % len(ACTIONS)], first + number, scanned)
        for number in range(count)
    ]


def draw_pose(action: str, rng: np.random.Generator) -> Pose:
    """A moment of a performance of ``action``, or a free pose that begins with one."""
    style, moment = draw_style(action, rng), float(rng.uniform(0.0, _LATEST))
    pose = captured_pose(action, moment, style, 1.7)
    if pose is None:
        start = NEUTRAL
        if action == 'stand_up':
            start = motion('sit_down', _LATEST, style, NEUTRAL)
        pose = pose_of(motion(action, moment, style, start))
    return freed(pose, rng) if rng.random() < _FREE else pose


def freed(pose: Pose, rng: np.random.Generator) -> Pose:
    """The pose with arms, and in some cases legs, at random angles."""
    angles: dict[str, float] = {}
    for side in ('left', 'right'):
        angles[f'{side}_shoulder_flexion'] = rng.uniform(-40, 170)
        angles[f'{side}_shoulder_abduction'] = rng.uniform(0, 110)
        angles[f'{side}_elbow'] = rng.uniform(0, 145)
    bones = {'chest': ('arm', 'forearm', 'hand')}
    if rng.random() < _FREE_LEGS:
        for side in ('left', 'right'):
            angles[f'{side}_hip_flexion'] = rng.uniform(-15, 90)
            angles[f'{side}_hip_abduction'] = rng.uniform(0, 35)
            angles[f'{side}_knee'] = rng.uniform(0, 110)
        bones['pelvis'] = ('thigh', 'shank', 'foot')
    drawn, turns = pose_of(posture(**angles)).turns, pose.turns.copy()
    for base, limbs in bones.items():
        for side in ('left', 'right'):
            for limb in limbs:
                bone = BONES.index(f'{side}_{limb}')
                turns[bone] = pose.turns[BONES.index(base)] @ drawn[bone]
    return Pose(turns, pose.offset)


def person_shape(
    figure: Figure, pose: Pose, action: str, name: str, rng: np.random.Generator
) -> Shape:
    """A body in a pose, dressed in random colours; its parts are the bones."""
    data = read()
    faces = data['faces'].astype(np.int32)
    bone = data['weights'].argmax(axis=1)[faces][:, 0].astype(np.uint8)
    return Shape(
        vertices=normalise(figure.vertices(pose)).astype(np.float32),
        faces=faces,
        face_part=bone,
        part_names=BONES,
        family=action,
        name=name,
        group='people',
        face_colour=_clothes(rng)[bone],
    )


def _clothes(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(19, 3) colour at each bone."""
    colours = np.tile(draw_colour(rng), (len(BONES), 1))
    colours[_LEGS] = draw_colour(rng)
    colours[_FEET] = draw_colour(rng)
    colours[_BARE] = np.rint(np.array([224, 172, 138]) * rng.uniform(0.3, 1.1)).clip(0, 255)
    return colours
