# SPDX-License-Identifier: Apache-2.0
"""Sensor models: ray directions, range and noise.

All sensors share one frame: x forward, y left, z up, origin at the optical centre. Ray
directions form a grid: row = ring (or image row, both from the bottom up), column = azimuth step
(or image column).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from pointata_core.errors import ConfigError


@dataclass(frozen=True)
class SensorModel:
    """A spinning LiDAR, or a depth camera where ``projection`` is ``'pinhole'``.

    Attributes:
        name: Name of the preset.
        rows: Slope of each row, ascending: tan(elevation) of a ring, z/x of an image row.
        columns: Number of azimuth steps in a turn, or of image columns.
        max_range: Metres; nothing beyond it returns.
        min_range: Metres; nothing nearer returns.
        range_noise: Standard deviation in metres.
        range_noise_quadratic: Metres per square metre added to it: stereo and structured light.
        dropout: Share of returns lost for no visible reason.
        sensitivity: Range in metres at which a surface of reflectivity 0.1, seen head-on, is
            returned every second time.
        projection: ``'spinning'`` or ``'pinhole'``.
        half_width: tan of half the horizontal field of view; pinhole only.
        rise: Metres from the origin of the points' frame up to where the rays start.
        angular: How much of the intensity goes with the cosine of incidence; 0 = none, as where a
            sensor corrects for it.
        gain: Factor on the intensity; each recording has its own around it.
        intensity_scale: What full reflectivity reads on the real sensor; frames hold 0..1 always,
            bags are written in this scale.
    """

    name: str
    rows: tuple[float, ...]
    columns: int
    max_range: float
    min_range: float = 0.9
    range_noise: float = 0.02
    range_noise_quadratic: float = 0.0
    dropout: float = 0.02
    sensitivity: float = 60.0
    projection: str = 'spinning'
    half_width: float = 0.0
    rise: float = 0.0
    angular: float = 0.5
    gain: float = 1.0
    intensity_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.projection not in ('spinning', 'pinhole'):
            raise ConfigError(
                f"sensor {self.name}: projection is {self.projection!r}, expected 'spinning' or "
                "'pinhole'"
            )
        if not self.rows or np.any(np.diff(self.rows) <= 0):
            raise ConfigError(f'sensor {self.name}: rows must ascend strictly', 'Sort them')
        if self.columns < 4 or not 0 <= self.min_range < self.max_range:
            raise ConfigError(
                f'sensor {self.name}: needs at least 4 columns and 0 <= min_range < max_range, '
                f'found {self.columns}, {self.min_range}, {self.max_range}'
            )

    @property
    def rays(self) -> int:
        """Rays per frame."""
        return len(self.rows) * self.columns

    @property
    def is_camera(self) -> bool:
        """True for a pinhole depth camera."""
        return self.projection == 'pinhole'

    def directions(self) -> np.ndarray:
        """Unit directions of all rays, (3, rows, columns) float32."""
        slope = np.asarray(self.rows)[:, None]
        if self.is_camera:
            across = self.column_slopes()[None, :]
            parts = np.broadcast_arrays(1.0, across, slope)
        else:
            azimuth = self.column_azimuths()[None, :]
            parts = np.broadcast_arrays(np.cos(azimuth), np.sin(azimuth), slope)
        grid = np.stack(parts)
        return (grid / np.linalg.norm(grid, axis=0)).astype(np.float32)

    def column_azimuths(self) -> np.ndarray:
        """Azimuth of each column of a spinning sensor, ascending from -pi."""
        return -np.pi + (np.arange(self.columns) + 0.5) * (2 * np.pi / self.columns)

    def column_slopes(self) -> np.ndarray:
        """y/x of each column of a camera, ascending (right to left)."""
        return self.half_width * (2 * (np.arange(self.columns) + 0.5) / self.columns - 1)

    def with_columns(self, columns: int) -> SensorModel:
        """The same sensor with another azimuth resolution."""
        return replace(self, columns=columns)


def _slopes(elevations_deg: np.ndarray) -> tuple[float, ...]:
    return tuple(np.tan(np.radians(np.sort(elevations_deg))).tolist())


def _hdl64_elevations() -> np.ndarray:
    """Two laser blocks, 1/3° apart above -8.6° and 1/2° below, as the HDL-64E manual has them.

    No unit is built to the manual: calibration files scatter by some hundredths of a degree, and a
    network trained on perfect spacing would learn the spacing. The scatter is part of the preset.
    """
    upper = np.linspace(2.0, -8.6, 32)
    lower = np.linspace(-9.2, -24.9, 32)
    scatter = np.random.default_rng(64).uniform(-0.06, 0.06, 64)
    return np.concatenate([upper, lower]) + scatter


# Calibration files of HDL-64E units (ros-drivers/velodyne, velodyne_pointcloud/params, BSD) place
# the beams 0.11 to 0.21 m above the origin. Recorded scans (KITTI) show asphalt to 60 m, with one
# reading at all angles up to 20 m.
_HDL64 = SensorModel(
    'hdl64',
    _slopes(_hdl64_elevations()),
    2083,
    120.0,
    sensitivity=130.0,
    rise=0.19,
    angular=0.15,
    gain=1.15,
)
_SIXTEEN = _slopes(np.linspace(-15.0, 15.0, 16))
_KINECT = SensorModel(
    'kinect',
    rows=tuple((np.tan(np.radians(43 / 2)) * (2 * (np.arange(120) + 0.5) / 120 - 1)).tolist()),
    columns=160,
    max_range=8.0,
    min_range=0.5,
    range_noise=0.002,
    range_noise_quadratic=0.0015,
    dropout=0.01,
    sensitivity=30.0,
    projection='pinhole',
    half_width=float(np.tan(np.radians(57 / 2))),
)

SENSORS = MappingProxyType(
    {
        sensor.name: sensor
        for sensor in (
            _HDL64,
            replace(_HDL64, name='hdl64_lite', columns=720),
            # Both report 0..100 for diffuse surfaces; only retro-reflectors read more, up to 255.
            SensorModel(
                'rs16', _SIXTEEN, 1800, 150.0, 0.4, sensitivity=60.0, intensity_scale=100.0
            ),
            SensorModel(
                'vlp16', _SIXTEEN, 1800, 100.0, 0.5, sensitivity=50.0, intensity_scale=100.0
            ),
            SensorModel(
                'os1_32',
                _slopes(np.linspace(-22.5, 22.5, 32)),
                1024,
                90.0,
                0.5,
                sensitivity=45.0,
                intensity_scale=255.0,
            ),
            _KINECT,
        )
    }
)
"""The presets by name."""


def get_sensor(sensor: str | SensorModel) -> SensorModel:
    """A preset by name, or the model itself; ``ConfigError`` for an unknown name."""
    if isinstance(sensor, SensorModel):
        return sensor
    if sensor not in SENSORS:
        raise ConfigError(
            f'sensor is {sensor!r}, expected one of {", ".join(SENSORS)}', 'Choose one of these'
        )
    return SENSORS[sensor]
