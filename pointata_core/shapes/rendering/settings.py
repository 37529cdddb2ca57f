# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the images of a shape."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pointata_core.errors import ConfigError


@dataclass(frozen=True)
class RenderSettings:
    """Cameras, shading and the points whose pixels are recorded.

    The views follow Pic@Point (Herzog and Suwelack, arXiv 2410.09519): 20, from the vertices of a
    dodecahedron. The paper leaves the other settings open.

    Args:
        views: Number of cameras; 6, 12, 20 and 30 are regular, others spread evenly.
        size: Width and height of an image in pixels.
        points: Surface points per shape whose pixel in every view is kept.
        radius: Distance of the cameras from the origin; shapes fill the unit sphere.
        fov_degrees: Full angle of view; 50 takes in the unit sphere from a distance of 2.5.
        near: Near plane of the projection matrix.
        far: Far plane of the projection matrix.
        albedo: Brightness of a surface that faces the light.
        ambient: Share of light that comes from everywhere; the rest comes from the camera.
        crease_degrees: Edges blunter than this are shaded round; 0 shades every face flat.
        tolerance: How far behind the visible surface a point may lie, along the ray through it, and
            still count as visible.
        seed: Seed of the surface points.
        colour: Images show the colours of the shapes; else all surfaces are grey.
    """

    views: int = 20
    size: int = 224
    points: int = 8192
    radius: float = 2.5
    fov_degrees: float = 50.0
    near: float = 0.1
    far: float = 10.0
    albedo: float = 0.75
    ambient: float = 0.3
    crease_degrees: float = 40.0
    tolerance: float = 1e-4
    seed: int = 0
    colour: bool = False

    def __post_init__(self) -> None:
        needed = np.degrees(2 * np.arcsin(min(1.0, 1 / self.radius))) if self.radius > 0 else 180.0
        rules = (
            ('views', self.views >= 1, 'at least 1'),
            ('size', 8 <= self.size <= 4096, '8 to 4096'),
            ('points', self.points >= 1, 'at least 1'),
            ('radius', self.radius > 1, 'more than 1, outside the unit sphere'),
            (
                'fov_degrees',
                needed <= self.fov_degrees < 180,
                f'{needed:.1f} to less than 180, to take in the unit sphere from {self.radius:g}',
            ),
            ('near', 0 < self.near <= self.radius - 1, 'more than 0, before the unit sphere'),
            ('far', self.far >= self.radius + 1, 'behind the unit sphere'),
            ('albedo', 0 < self.albedo <= 1, 'in (0, 1]'),
            ('ambient', 0 <= self.ambient <= 1, 'in [0, 1]'),
            ('crease_degrees', 0 <= self.crease_degrees <= 180, '0 to 180'),
            ('tolerance', self.tolerance > 0, 'more than 0'),
            ('seed', self.seed >= 0, '0 or more'),
        )
        for name, holds, expected in rules:
            if not holds:
                raise ConfigError(
                    f'{name} of the image settings is {getattr(self, name)}, expected {expected}',
                    'Correct the value',
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name, for JSON."""
        return asdict(self)
