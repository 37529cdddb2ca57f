# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sensor models: ray directions, range and noise.

All sensors share one frame: x forward, y left, z up, origin at the optical centre. Ray
directions form a grid: row = ring (or image row, both from the bottom up), column = azimuth step
(or image column).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from pointata_core.errors import ConfigError
from pointata_core.simulation.sensing import beams


@dataclass(frozen=True)
class SensorModel:
    """A LiDAR with rings (``projection`` ``'spinning'``), one without, or a depth camera.

    Attributes:
        name: Name of the preset.
        rows: Slope of each row, ascending: tan(elevation) of a ring, z/x of an image row. Rays of
            a rosette are sorted into rows by elevation; there only their number counts.
        columns: Number of azimuth steps in a turn, or of image columns.
        max_range: Metres; nothing beyond it returns.
        min_range: Metres; nothing nearer returns.
        range_noise: Standard deviation in metres.
        range_noise_quadratic: Metres per square metre added to it: stereo and structured light.
        dropout: Share of returns lost for no visible reason.
        sensitivity: Range in metres at which a surface of reflectivity 0.1, seen head-on, is
            returned every second time.
        projection: ``'spinning'``, ``'pinhole'``, or ``'rosette'`` (the pattern of ``name``).
        half_width: tan of half the horizontal field of view; pinhole only.
        azimuths: First and last azimuth of the columns, radians; spinning only.
        turn_s: Seconds of a turn, during which a moving sensor distorts its scan; 0 = all rays
            leave at once, as after motion compensation.
        mount: Heights above the ground at which it is mounted, metres; None = as the scene has it.
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
    azimuths: tuple[float, float] = (-np.pi, np.pi)
    turn_s: float = 0.0
    mount: tuple[float, float] | None = None
    rise: float = 0.0
    angular: float = 0.5
    gain: float = 1.0
    intensity_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.projection not in ('spinning', 'pinhole', 'rosette'):
            raise ConfigError(
                f"sensor {self.name}: projection is {self.projection!r}, expected 'spinning', "
                "'pinhole' or 'rosette'"
            )
        if self.projection == 'rosette' and self.name not in beams.ROSETTES:
            raise ConfigError(
                f'sensor {self.name}: no pattern of that name, there are '
                f'{", ".join(beams.ROSETTES)}'
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

    @property
    def is_spinning(self) -> bool:
        """True for a LiDAR with rings."""
        return self.projection == 'spinning'

    @property
    def column_step(self) -> float:
        """Azimuth between two columns of a LiDAR with rings, radians."""
        return (self.azimuths[1] - self.azimuths[0]) / self.columns

    def directions(self, frame: int = 0) -> np.ndarray:
        """Unit directions of all rays, (3, rows, columns) float32; rosettes differ by frame."""
        if self.projection == 'rosette':
            return self._rosette(frame)
        slope = np.asarray(self.rows)[:, None]
        if self.is_camera:
            across = self.column_slopes()[None, :]
            parts = np.broadcast_arrays(1.0, across, slope)
        else:
            azimuth = self.column_azimuths()[None, :]
            parts = np.broadcast_arrays(np.cos(azimuth), np.sin(azimuth), slope)
        grid = np.stack(parts)
        return (grid / np.linalg.norm(grid, axis=0)).astype(np.float32)

    def _rosette(self, frame: int) -> np.ndarray:
        """Rays in rows of ascending elevation; within a row azimuth ascends."""
        azimuth, elevation = beams.ROSETTES[self.name](self.rays, frame)
        order = np.argsort(elevation, kind='stable').reshape(len(self.rows), self.columns)
        within = np.argsort(azimuth[order], axis=1, kind='stable')
        order = np.take_along_axis(order, within, axis=1)
        azimuth, elevation = azimuth[order], elevation[order]
        level = np.cos(elevation)
        grid = [level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)]
        return np.stack(grid).astype(np.float32)

    def column_azimuths(self) -> np.ndarray:
        """Azimuth of each column of a LiDAR with rings, ascending."""
        return self.azimuths[0] + (np.arange(self.columns) + 0.5) * self.column_step

    def sectors(self, count: int) -> list[SensorModel]:
        """The parts of a turn, each with an equal share of the columns as nearly as may be."""
        edges = np.linspace(0, self.columns, count + 1).astype(int)
        bounds = self.azimuths[0] + edges * self.column_step
        return [
            replace(self, columns=int(last - first), azimuths=(float(low), float(high)), turn_s=0.0)
            for first, last, low, high in zip(edges, edges[1:], bounds, bounds[1:])
        ]

    def column_slopes(self) -> np.ndarray:
        """y/x of each column of a camera, ascending (right to left)."""
        return self.half_width * (2 * (np.arange(self.columns) + 0.5) / self.columns - 1)

    def with_columns(self, columns: int) -> SensorModel:
        """The same sensor with another azimuth resolution."""
        return replace(self, columns=columns)


# Calibration files of HDL-64E units (ros-drivers/velodyne, velodyne_pointcloud/params, BSD) place
# the beams 0.11 to 0.21 m above the origin. Recorded scans (KITTI) show asphalt to 60 m, with one
# reading at all angles up to 20 m.
_HDL64 = SensorModel(
    'hdl64',
    beams.hdl64(),
    2083,
    120.0,
    sensitivity=130.0,
    rise=0.19,
    angular=0.15,
    gain=1.15,
    mount=(1.55, 1.9),
)
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


def _velodyne(name: str, rows: tuple[float, ...], columns: int, **more: Any) -> SensorModel:
    """Reads 0 to 100 for diffuse surfaces; only retro-reflectors read more, up to 255."""
    return SensorModel(name, rows, columns, **{'intensity_scale': 100.0, **more})


def _ouster(
    name: str, rows: tuple[float, ...], max_range: float, sensitivity: float
) -> SensorModel:
    """Infrared of 865 nm, 1024 columns, 0 to 255."""
    return SensorModel(name, rows, 1024, max_range, 0.5, 0.015, sensitivity=sensitivity,
                       intensity_scale=255.0)  # fmt: skip


def _rosette(name: str, rows: int, columns: int, max_range: float, **more: Any) -> SensorModel:
    return SensorModel(
        name, tuple(range(rows)), columns, max_range, projection='rosette', intensity_scale=255.0,
        **more,
    )  # fmt: skip


_SIXTEEN = beams.even(-15.0, 15.0, 16)
SENSORS = MappingProxyType(
    {
        sensor.name: sensor
        for sensor in (
            _HDL64,
            replace(_HDL64, name='hdl64_lite', columns=720, mount=None),
            _velodyne('rs16', _SIXTEEN, 1800, max_range=150.0, min_range=0.4, sensitivity=60.0),
            _velodyne('vlp16', _SIXTEEN, 1800, max_range=100.0, min_range=0.5, sensitivity=50.0),
            _ouster('os1_32', beams.even(-22.5, 22.5, 32), 90.0, 45.0),
            _KINECT,
            # As on the cars of nuScenes: 20 turns a second, 1.84 m above the road.
            SensorModel(
                'hdl32e', beams.even(-30.67, 10.67, 32), 1084, 100.0, 1.0, sensitivity=55.0,
                intensity_scale=255.0, mount=(1.7, 2.0),
            ),
            _velodyne('vls128', beams.vls128(), 1800, max_range=220.0, min_range=0.9,
                      sensitivity=130.0, mount=(1.8, 2.5)),
            _ouster('os0_128', beams.even(-45.0, 45.0, 128), 50.0, 25.0),
            _ouster('os1_64', beams.even(-22.5, 22.5, 64), 120.0, 60.0),
            _ouster('os1_128', beams.even(-22.5, 22.5, 128), 120.0, 60.0),
            _velodyne('xt16', beams.even(-15.0, 15.0, 16), 2000, max_range=120.0, min_range=0.3,
                      sensitivity=80.0, range_noise=0.01, intensity_scale=255.0),
            _velodyne('xt32', beams.even(-16.0, 15.0, 32), 2000, max_range=120.0, min_range=0.3,
                      sensitivity=80.0, range_noise=0.01, intensity_scale=255.0),
            _velodyne('qt64', beams.qt64(), 600, max_range=60.0, min_range=0.1, sensitivity=20.0,
                      intensity_scale=255.0),
            # Solid state: 120° by 25° in front.
            SensorModel(
                'rs_m1', beams.even(-12.5, 12.5, 126), 600, 200.0, 0.5, 0.03, sensitivity=150.0,
                azimuths=(-np.pi / 3, np.pi / 3), intensity_scale=255.0,
            ),
            _rosette('mid360', 40, 500, 70.0, min_range=0.1, sensitivity=40.0),
            _rosette('avia', 48, 500, 190.0, min_range=1.0, sensitivity=190.0),
            _rosette('unitree_l1', 18, 120, 30.0, min_range=0.05, range_noise=0.02,
                     sensitivity=15.0),
        )
    }
)  # fmt: skip
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
