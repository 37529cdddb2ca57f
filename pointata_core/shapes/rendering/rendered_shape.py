# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One shape with its points, its images and the map between the two."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointata_core.shapes.rendering.cameras import Cameras, cameras_around
from pointata_core.shapes.rendering.correspondence import pixel_cells, point_pixels
from pointata_core.shapes.rendering.ray_casting import RayCaster
from pointata_core.shapes.rendering.rendering import render
from pointata_core.shapes.rendering.scans import sample_scan
from pointata_core.shapes.rendering.settings import RenderSettings
from pointata_core.shapes.sampling import sample_surface
from pointata_core.shapes.shape import Shape


@dataclass(frozen=True, eq=False)
class RenderedShape:
    """What pre-training needs of one shape.

    Args:
        points: (M, 3) float32 surface points in random order, inside the unit sphere.
        normals: (M, 3) float32 unit normals.
        part: (M,) uint8 index into ``part_names``.
        images: (V, S, S) uint8 grey, or (V, S, S, 3) colours, white background.
        pixels: (V, M, 2) int16 row and column of every point, -1 where it is hidden.
        cameras: V cameras with view and projection matrices.
        family: Label of the shape.
        group: Coarser label; may be empty.
        name: Unique name.
        part_names: Parts of the family.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    part: NDArray[np.uint8]
    images: NDArray[np.uint8]
    pixels: NDArray[np.int16]
    cameras: Cameras
    family: str
    group: str
    name: str
    part_names: tuple[str, ...]

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(V, M) whether each point is seen in each view."""
        return self.pixels[..., 0] >= 0

    def cells(self, stride: int) -> NDArray[np.int16]:
        """(V, M) cell of a feature map of the given stride, row by row; -1 where hidden."""
        return pixel_cells(self.pixels, stride, self.cameras.size)


def render_shape(
    shape: Shape, settings: RenderSettings, cameras: Cameras | None = None
) -> RenderedShape:
    """Sample a shape's surface, or scan it, render it and find every point in every view.

    The points depend on the shape's name and the settings' seed only.

    Args:
        shape: The shape.
        settings: What to do.
        cameras: Those of the settings, if they are at hand.
    """
    cameras = cameras_around(settings) if cameras is None else cameras
    rng = np.random.default_rng([zlib.crc32(shape.name.encode()), settings.seed])
    caster = RayCaster(shape)
    if shape.scan is None:
        samples = sample_surface(shape, settings.points, rng)
    else:
        samples = sample_scan(shape, caster, settings.points, rng)
    return RenderedShape(
        points=samples.points,
        normals=samples.normals,
        part=samples.part,
        images=render(shape, cameras, settings, caster).images,
        pixels=point_pixels(samples.points, cameras, caster, settings.tolerance),
        cameras=cameras,
        family=shape.family,
        group=shape.group,
        name=shape.name,
        part_names=shape.part_names,
    )
