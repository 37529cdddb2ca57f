# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the beams of real sensors point: rings with uneven spacing, and patterns without rings.

Numbers come from the makers' data sheets and, for VLS-128, from the parameter file of the ROS
driver (ros-drivers/velodyne, velodyne_pointcloud/params, BSD). The rosettes are models of the
published principle of each scanner, not copies of recorded patterns.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

_GOLDEN = (5**0.5 - 1) / 2


def slopes(elevations_deg: np.ndarray) -> tuple[float, ...]:
    """Ascending tan of elevations given in degrees."""
    return tuple(np.tan(np.radians(np.sort(elevations_deg))).tolist())


def even(lowest_deg: float, highest_deg: float, count: int) -> tuple[float, ...]:
    """Slopes of evenly spaced rings."""
    return slopes(np.linspace(lowest_deg, highest_deg, count))


def hdl64() -> tuple[float, ...]:
    """Two laser blocks, 1/3° apart above -8.6° and 1/2° below, as the HDL-64E manual has them.

    No unit is built to the manual: calibration files scatter by some hundredths of a degree, and a
    network trained on perfect spacing would learn the spacing. The scatter is part of the preset.
    """
    upper = np.linspace(2.0, -8.6, 32)
    lower = np.linspace(-9.2, -24.9, 32)
    scatter = np.random.default_rng(64).uniform(-0.06, 0.06, 64)
    return slopes(np.concatenate([upper, lower]) + scatter)


def vls128() -> tuple[float, ...]:
    """Beams 0.11° apart around the horizon, farther apart towards -25° and +15°."""
    low = [-25.0, -19.58, -16.04, -13.57, -11.74, -10.35, -9.24, -8.35, -7.65, -7.15]
    high = [5.18, 5.43, 5.73, 6.08, 6.48, 6.98, 7.58, 8.43, 9.7, 11.75, 15.0]
    return slopes(np.array([*low, *np.linspace(-6.85, 4.98, 107), *high]))


def qt64() -> tuple[float, ...]:
    """Beams of a short-range sensor from -52° to 52°, closest around the horizon."""
    share = np.linspace(-1, 1, 64)
    return slopes(52.1 * (0.75 * share + 0.25 * share**3))


def mid360(count: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A turning mirror with beams from -7° to 52°; no two frames show the same pattern."""
    index = np.arange(count) + count * frame
    azimuth = 2 * np.pi * np.mod(index * (20.0 / count), 1.0)
    sweep = np.mod(index * (1 + _GOLDEN) * 0.05, 1.0)
    return azimuth - np.pi, np.radians(-7.0 + 59.0 * (1 - np.abs(2 * sweep - 1)))


def avia(count: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Two turning prisms draw a rosette of 70° by 77°, six beams side by side.

    Prisms at 7,294 and -4,664 turns a minute (Brazeal et al., Remote Sensing 13, 2021, for the
    Mid-40, which has one beam).
    """
    beam = np.arange(count) % 6
    seconds = (np.arange(count) // 6 / (count // 6) + frame) * 0.1
    first, second = (2 * np.pi * turns / 60 * seconds for turns in (7294.0, -4664.0))
    across = 0.5 * (np.cos(first) + np.cos(second))
    upward = 0.5 * (np.sin(first) + np.sin(second))
    upward = upward + (beam - 2.5) * 0.012
    return np.radians(35.2) * across, np.radians(37.0) * upward


def unitree_l1(count: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A mirror spins fast about a level axis that turns slowly: a half sphere above the sensor."""
    index = np.arange(count) + count * frame
    turn = 2 * np.pi * np.mod(index * (1.1 / count), 1.0)
    tilt = np.pi * np.mod(index * (18.0 / count) + _GOLDEN * frame, 1.0)
    upright, level = np.sin(tilt), np.cos(tilt)
    azimuth = np.where(level >= 0, turn, turn + np.pi)
    return np.mod(azimuth, 2 * np.pi) - np.pi, np.arctan2(upright, np.abs(level))


ROSETTES = MappingProxyType({'mid360': mid360, 'avia': avia, 'unitree_l1': unitree_l1})
"""Azimuth and elevation (N,) of N rays of a frame, by name of the pattern."""
