# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Domains: a city, a light, a LiDAR and a camera that belong together.

Two pairs are made to be crossed. From ``day`` to ``night`` the city stays; light, ring count and
noise change. From ``day``, recorded in city A, to ``city_b`` the light stays; streets, colours, the
LiDAR, its pose and the camera change.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.simulation.camera.light import Style, get_style
from pointata_core.simulation.camera.materials import PALETTES, Palette
from pointata_core.simulation.camera.model import CameraModel
from pointata_core.simulation.scenes.street_plan import City
from pointata_core.simulation.sensing.sensors import SENSORS, SensorModel


@dataclass(frozen=True)
class CameraDomain:
    """Where, when and with what is recorded.

    Attributes:
        name: Of the domain.
        style: Light and weather.
        lidar: The LiDAR.
        camera: The camera, mounted on it.
        palette: Name in ``PALETTES``.
        city: Its streets; None for all streets of the simulator.
        lidar_height: Metres above the road; None draws it for each scene.
        lidar_pitch_deg: Of the LiDAR with all that is mounted on it; positive looks down.

    Raises:
        ConfigError: An unknown style or palette.
    """

    name: str
    style: str
    lidar: SensorModel
    camera: CameraModel = field(default_factory=CameraModel)
    palette: str = 'plaster'
    city: City | None = None
    lidar_height: float | None = None
    lidar_pitch_deg: float = 0.0

    def __post_init__(self) -> None:
        get_style(self.style)
        if self.palette not in PALETTES:
            raise ConfigError(f'palette is {self.palette!r}, expected one of {", ".join(PALETTES)}')

    @property
    def light(self) -> Style:
        """The style itself."""
        return get_style(self.style)

    @property
    def colours(self) -> Palette:
        """The palette itself."""
        return PALETTES[self.palette]


def rings(name: str, count: int, lowest_deg: float, highest_deg: float, **more: Any) -> SensorModel:
    """A spinning LiDAR with evenly spaced rings; ``more`` as for `SensorModel`."""
    slopes = np.tan(np.radians(np.linspace(lowest_deg, highest_deg, count)))
    return SensorModel(name, tuple(slopes.tolist()), **more)


_SIXTY_FOUR = replace(SENSORS['hdl64'], name='hdl64_512', columns=512)
_SIXTEEN = replace(SENSORS['vlp16'], name='vlp16_900', columns=900, range_noise=0.03)
_THIRTY_TWO = rings('rings32', 32, -30.7, 10.7, columns=900, max_range=80.0, range_noise=0.03)

DOMAINS = MappingProxyType(
    {
        domain.name: domain
        for domain in (
            CameraDomain('day', 'day', _SIXTY_FOUR, lidar_height=1.75),
            CameraDomain('night', 'night', _SIXTEEN, lidar_height=1.75),
            CameraDomain('rain', 'rain', _SIXTY_FOUR, lidar_height=1.75),
            CameraDomain(
                'city_b', 'day', _THIRTY_TWO,
                CameraModel(view_deg=95.0, position=(0.6, 0.0, -0.7), pitch_deg=6.0),
                palette='brick',
                city=City(greenery=(0.05, 0.45), parked=(0.3, 0.9), breadth=1.5),
                lidar_height=2.2, lidar_pitch_deg=4.0,
            ),
        )
    }
)  # fmt: skip
"""Domains by name. Append only: seeds of recorded scenes count on the order."""


def get_domain(domain: str | CameraDomain) -> CameraDomain:
    """A domain by name, or the domain itself; ``ConfigError`` for an unknown name."""
    if isinstance(domain, CameraDomain):
        return domain
    if domain not in DOMAINS:
        raise ConfigError(
            f'domain is {domain!r}, expected one of {", ".join(DOMAINS)}', 'Choose one of these'
        )
    return DOMAINS[domain]
