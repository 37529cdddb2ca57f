# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces hit by the rays of a camera: class, position, normal and other inputs of colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointata_core.simulation.camera.model import CameraModel
from pointata_core.simulation.scenes.world import World
from pointata_core.simulation.sensing.ray_casting import HitBuffer, cast
from pointata_core.simulation.sensing.returns import on_pane
from pointata_core.simulation.solids import ShapeKind, Shapes, Surface

GROUND = -2


@dataclass(frozen=True)
class Surfaces:
    """The M hits of a camera's rays, in the map frame.

    Attributes:
        ray: (M,) flat index into the camera's ray grid.
        distance: (M,) metres.
        direction: (M, 3) unit, from the camera.
        place: (M, 3) metres.
        normal: (M, 3) unit, towards the camera's side.
        shape: (M,) index of the shape, or ``GROUND``.
        label: (M,) segmentation class.
        instance: (M,) 0 = none.
        reflectivity: (M,) at the LiDAR's wavelength; separates paint, tyre, glass and skin.
        pane: (M,) bool, window panes of houses and vehicles.
        leaf: (M,) bool.
    """

    ray: np.ndarray
    distance: np.ndarray
    direction: np.ndarray
    place: np.ndarray
    normal: np.ndarray
    shape: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    reflectivity: np.ndarray
    pane: np.ndarray
    leaf: np.ndarray


def look(
    world: World, shapes: Shapes, camera: CameraModel, pose: np.ndarray, rng: np.random.Generator
) -> tuple[Surfaces, np.ndarray]:
    """Cast all rays of a camera.

    Args:
        world: Gives the ground.
        shapes: In the map frame.
        camera: The camera.
        pose: (4, 4) body of the camera -> map.
        rng: Draws foliage and what passes a mesh.

    Returns:
        The hits, and (rays, 3) unit directions of all rays in the map frame.
    """
    grid = camera.grid
    directions = grid.directions()
    in_map = pose[:3, :3].astype(np.float32) @ directions.reshape(3, -1)
    hits = HitBuffer.empty(grid)
    if world.ground is not None:
        distance = world.ground.cast(pose[:3, 3], in_map, grid.max_range)
        hits.distance.reshape(-1)[:] = distance
        hits.shape.reshape(-1)[np.isfinite(distance)] = GROUND
    # Shapes far beyond the range cost windows, nothing else; shapes behind have none.
    cast(shapes.moved(np.linalg.inv(pose)), grid, directions, rng, hits)
    ray = np.flatnonzero(np.isfinite(hits.distance.reshape(-1)))
    distance, owner = hits.distance.reshape(-1)[ray], hits.shape.reshape(-1)[ray]
    of_mesh = pose[:3, :3] @ hits.normals(ray)
    found = _describe(world, shapes, pose, ray, distance, owner, in_map[:, ray].T, of_mesh.T)
    return found, in_map.T


def _describe(
    world: World,
    shapes: Shapes,
    pose: np.ndarray,
    ray: np.ndarray,
    distance: np.ndarray,
    owner: np.ndarray,
    direction: np.ndarray,
    of_mesh: np.ndarray,
) -> Surfaces:
    count = len(ray)
    place = pose[:3, 3] + direction.astype(np.float64) * distance[:, None]
    normal = np.zeros((count, 3))
    label, instance = np.zeros(count, np.uint8), np.zeros(count, np.uint16)
    reflectivity = np.zeros(count, np.float32)
    pane, leaf = np.zeros(count, bool), np.zeros(count, bool)
    solid = np.flatnonzero(owner >= 0)
    index = owner[solid]
    label[solid], instance[solid] = shapes.label[index], shapes.instance[index]
    reflectivity[solid] = shapes.reflectivity[index]
    normal[solid], pane[solid] = _normals(shapes, index, place[solid], of_mesh[solid])
    leaf[solid] = shapes.surface[index] == Surface.LEAVES
    ground = np.flatnonzero(owner == GROUND)
    if len(ground) and world.ground is not None:
        x, y = place[ground, 0], place[ground, 1]
        label[ground] = world.ground.class_at(x, y)
        reflectivity[ground] = world.ground.reflectivity_at(x, y)
        normal[ground] = world.ground.normal(x, y)
    away = (normal * direction).sum(1) > 0
    normal[away] *= -1
    return Surfaces(
        ray, distance, direction, place, normal, owner, label, instance, reflectivity, pane, leaf
    )


def _normals(
    shapes: Shapes, index: np.ndarray, place: np.ndarray, of_mesh: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Outward normals (M, 3) in the frame of the shapes, and which hits lie on glass."""
    normal, pane = np.zeros((len(index), 3)), np.zeros(len(index), bool)
    kind = shapes.kind[index]
    for each in ShapeKind:
        at = np.flatnonzero(kind == each)
        if not len(at):
            continue
        shape = index[at]
        if each == ShapeKind.MESH:
            normal[at] = of_mesh[at]
            pane[at] = shapes.surface[shape] == Surface.MESH
            continue
        rotation = shapes.rotation[shape]
        local = np.einsum('nji,nj->ni', rotation, place[at] - shapes.centre[shape])
        half = shapes.half[shape]
        turned = _local_normals(each, local, half)
        normal[at] = np.einsum('nij,nj->ni', rotation, turned)
        if each == ShapeKind.BOX:
            pane[at] = on_pane(shapes, shape, local, half)
            pane[at] |= shapes.surface[shape] == Surface.MESH  # windows of vehicles
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return normal / np.maximum(length, 1e-9), pane


def _local_normals(kind: int, point: np.ndarray, half: np.ndarray) -> np.ndarray:
    if kind == ShapeKind.BOX:
        relative = point / half
        face = np.argmax(np.abs(relative), axis=1)
        normal = np.zeros_like(point)
        rows = np.arange(len(point))
        normal[rows, face] = np.sign(relative[rows, face])
        return normal
    if kind == ShapeKind.RECTANGLE:
        return np.broadcast_to([0.0, 0.0, 1.0], point.shape)
    if kind == ShapeKind.CYLINDER:
        cap = np.abs(point[:, 2]) / half[:, 2] > np.hypot(point[:, 0], point[:, 1]) / half[:, 0]
        return np.where(cap[:, None], point * [0, 0, 1], point * [1, 1, 0])
    if kind == ShapeKind.CAPSULE:
        normal = point.copy()
        normal[:, 2] -= np.clip(point[:, 2], -half[:, 2], half[:, 2])
        return normal
    return point / half**2
