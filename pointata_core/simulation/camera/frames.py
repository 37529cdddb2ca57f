# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR frames with the image of a calibrated camera, taken at the same instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.simulation.camera.domains import CameraDomain, get_domain
from pointata_core.simulation.camera.light import develop
from pointata_core.simulation.camera.materials import albedo
from pointata_core.simulation.camera.model import CameraModel, upright
from pointata_core.simulation.camera.surfaces import look
from pointata_core.simulation.scanning import SimulatedFrame, scan
from pointata_core.simulation.scenes.street import street
from pointata_core.simulation.scenes.world import World
from pointata_core.simulation.sensing.ray_casting import first_hits
from pointata_core.simulation.solids import Shapes, Surface
from pointata_core.taxonomy import class_id

SKY = 255
"""Class of a pixel that shows nothing."""

_SLACK_M, _SLACK_SHARE = 0.3, 0.01
_FOLIAGE_M = 2.0
_VEGETATION, _CAR = class_id('vegetation'), class_id('car')


@dataclass(frozen=True, eq=False)
class SimulatedCameraFrame:
    """A LiDAR frame with N points, and an image of H rows and W columns.

    Attributes:
        lidar: The scan with its truth.
        image: (H, W, 3) uint8.
        classes: (H, W) uint8 class of what the middle of each pixel shows; ``SKY`` for nothing.
        depth: (H, W) float32 metres along the ray; inf for nothing.
        pixels: (N, 2) row and column of each point; NaN behind the camera.
        visible: (N,) bool: in the image, and nothing stands between the point and the camera.
    """

    lidar: SimulatedFrame
    image: np.ndarray
    classes: np.ndarray
    depth: np.ndarray
    pixels: np.ndarray
    visible: np.ndarray


def simulate_camera(
    domain: str | CameraDomain, seed: int, frames: int, rate_hz: float = 2.0
) -> Iterator[SimulatedCameraFrame]:
    """Draw a street and record it with LiDAR and camera.

    Args:
        domain: Name in ``DOMAINS``, or a domain.
        seed: Same arguments and seed, same frames, bit for bit. Domains that share a city have the
            same street for the same seed.
        frames: How many.
        rate_hz: Frames per second.

    Yields:
        Frames in order of time.

    Raises:
        ConfigError: An unknown domain, no frames, or a rate that is not positive.
    """
    domain = get_domain(domain)
    if frames < 1 or not rate_hz > 0:
        raise ConfigError(
            f'frames is {frames} and rate_hz is {rate_hz}, expected 1 or more and more than 0'
        )
    return _frames(domain, seed, frames, rate_hz)


def _frames(
    domain: CameraDomain, seed: int, frames: int, rate_hz: float
) -> Iterator[SimulatedCameraFrame]:
    world_rng, lidar_rng, camera_rng = np.random.default_rng(seed).spawn(3)
    world = street(world_rng, frames / rate_hz, domain.lidar_height, domain.city)
    ego = replace(world.ego, pitch=world.ego.pitch + np.radians(domain.lidar_pitch_deg))
    world, directions = replace(world, ego=ego), domain.lidar.directions()
    for number in range(frames):
        t = number / rate_hz
        frame = scan(world, domain.lidar, directions, t, lidar_rng)
        yield photograph(world, frame, t, domain, seed, camera_rng)


def photograph(
    world: World,
    frame: SimulatedFrame,
    t: float,
    domain: CameraDomain,
    seed: int,
    rng: np.random.Generator,
) -> SimulatedCameraFrame:
    """Take the image that belongs to a scan.

    Args:
        world: The scene.
        frame: The scan.
        t: Its time, seconds since the start.
        domain: Camera, light and colours.
        seed: Of the scene's colours.
        rng: Draws foliage, noise and rain.
    """
    camera, shapes = domain.camera, _glazed(world.shapes_at(t))
    pose = frame.pose @ camera.pose
    surfaces, directions = look(world, shapes, camera, pose, rng)
    colours = albedo(surfaces, domain.colours, seed, 1 / camera.focal)
    image = develop(surfaces, colours, directions, shapes, pose, camera, domain.light, seed, rng)
    size = camera.height * camera.width
    classes, depth = np.full(size, SKY, np.uint8), np.full(size, np.inf, np.float32)
    classes[surfaces.ray], depth[surfaces.ray] = surfaces.label, surfaces.distance
    pixels, _ = camera.project(frame.points)
    visible = camera.inside(pixels)
    seen = np.flatnonzero(visible)
    visible[seen] = ~hidden(world, shapes, camera, pose, frame, seen, rng)
    shape = (camera.height, camera.width)
    return SimulatedCameraFrame(
        frame,
        image,
        np.ascontiguousarray(upright(classes.reshape(shape))),
        np.ascontiguousarray(upright(depth.reshape(shape))),
        pixels,
        visible,
    )


def _glazed(shapes: Shapes) -> Shapes:
    """Windows of vehicles, which let half of the LiDAR's rays in, show the camera their tint."""
    glass = (shapes.surface == Surface.MESH) & (shapes.label == _CAR)
    return replace(shapes, fill=np.where(glass, np.float32(1), shapes.fill))


def hidden(
    world: World,
    shapes: Shapes,
    camera: CameraModel,
    pose: np.ndarray,
    frame: SimulatedFrame,
    chosen: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Which points something hides from the camera, by a ray from the camera to each.

    A point is hidden if its own ray ends more than 0.3 m and 1 % of its distance before it: the
    slack covers the LiDAR's noise. Foliage lets rays through at random, and leaves around a leaf
    do not hide it.

    Args:
        world: Gives the ground.
        shapes: In the map frame.
        camera: The camera.
        pose: (4, 4) body of the camera -> map.
        frame: The points.
        chosen: (K,) indices of the points to test.
        rng: Draws which rays pass through foliage and meshes.

    Returns:
        (K,) bool.
    """
    points = frame.points[chosen].astype(np.float64)
    body = (points - camera.pose[:3, 3]) @ camera.pose[:3, :3]
    away = np.linalg.norm(body, axis=1)
    directions = (body / np.maximum(away, 1e-6)[:, None]).T.astype(np.float32)
    end = away - (_SLACK_M + _SLACK_SHARE * away)
    local = shapes.moved(np.linalg.inv(pose))
    distance, owner = first_hits(local, directions, end, rng)
    leafy = (owner >= 0) & (shapes.surface[owner] == Surface.LEAVES)
    among = leafy & (frame.label[chosen] == _VEGETATION) & (away - distance < _FOLIAGE_M)
    covered = (distance < end) & ~among
    if world.ground is not None:
        in_map = pose[:3, :3].astype(np.float32) @ directions
        covered |= world.ground.cast(pose[:3, 3], in_map, camera.max_range) < end
    return covered
