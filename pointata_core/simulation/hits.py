# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the rays of a scan met: class, instance, reflectivity and angle of each hit."""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.scenes.world import World
from pointata_core.simulation.sensing.returns import incidence
from pointata_core.simulation.solids import Shapes
from pointata_core.taxonomy import class_id

NO_CLASS = 255
"""Label of points that show no surface: mirrored light, drops of rain, dust."""

GROUND, DROP = -2, -3
"""In place of the index of a shape: the ground, a drop of rain."""

_DROP_REFLECTIVITY = 0.03
_BLADES = 0.15  # cosine of incidence of grass seen along the ground
_GLOSS = 2.5  # exponent of the cosine: lacquer returns light at steep incidence only
_CAR, _TERRAIN = class_id('car'), class_id('terrain')


def describe(
    world: World,
    shapes: Shapes,
    pose: np.ndarray,
    owner: np.ndarray,
    direction: np.ndarray,
    in_map: np.ndarray,
    distance: np.ndarray,
    normal: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:
    """Find out what M hits lie on.

    Args:
        world: Gives the ground.
        shapes: In the frame of the rays.
        pose: (4, 4) that frame -> map.
        owner: (M,) index of the shape, ``GROUND`` or ``DROP``.
        direction: (3, M) unit directions.
        in_map: (3, M) the same in the map frame.
        distance: (M,) metres.
        normal: (3, M) unit normals of hits on meshes.
        rng: Draws the attitude of leaves.

    Returns:
        (M,) label, instance, reflectivity, cosine of incidence, and whether it is a pane.
    """
    label = np.zeros(len(owner), np.uint8)
    instance = np.zeros(len(owner), np.uint16)
    reflectivity = np.zeros(len(owner), np.float32)
    cosine = np.ones(len(owner), np.float32)
    pane = np.zeros(len(owner), bool)
    solid = np.flatnonzero(owner >= 0)
    index = owner[solid]
    label[solid] = shapes.label[index]
    instance[solid] = shapes.instance[index]
    reflectivity[solid] = shapes.reflectivity[index]
    cosine[solid], pane[solid] = incidence(
        shapes, index, direction[:, solid], distance[solid], normal[:, solid], rng
    )
    ground = np.flatnonzero(owner == GROUND)
    if len(ground) and world.ground is not None:
        at = in_map[:, ground] * distance[ground]
        x, y = at[0] + float(pose[0, 3]), at[1] + float(pose[1, 3])
        label[ground] = world.ground.class_at(x, y)
        reflectivity[ground] = world.ground.reflectivity_at(x, y)
        normal = world.ground.normal(x, y)
        cosine[ground] = np.abs(np.einsum('nk,kn->n', normal, in_map[:, ground]))
        # Blades of grass face the sensor wherever it is.
        cosine[ground] += _BLADES * (label[ground] == _TERRAIN) * (1 - cosine[ground])
    cosine[label == _CAR] **= _GLOSS
    drop = owner == DROP
    label[drop], reflectivity[drop] = NO_CLASS, _DROP_REFLECTIVITY
    return label, instance, reflectivity, cosine, pane


def in_the_grass(
    distance: np.ndarray,
    label: np.ndarray,
    downward: np.ndarray,
    height: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Ranges with rays to terrain ended by blades of grass, up to ``height`` above the soil."""
    lawn = label == _TERRAIN
    blade = rng.random(len(label), np.float32) ** 2 * np.float32(height)
    return distance - lawn * np.minimum(blade / np.maximum(-downward, 0.05), 0.1 * distance)
