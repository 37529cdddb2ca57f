# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Returns that show no surface: light that took a detour, drops of rain, dust.

Light that is mirrored by wet asphalt, panes or paint returns late, along the ray that it left on:
it shows a thing behind the pane or below the road. One mirror shows a connected piece of what it
mirrors, so such points come in patches. Drops and dust return early, at short range (Charron et
al., De-noising of lidar point clouds corrupted by snowfall, CRV 2018).
"""

from __future__ import annotations

import numpy as np

from pointata_core.simulation.sensing.sensors import SensorModel

_PATCHES = 2.5  # a scan in the mean
_PATCH_ROWS, _PATCH_TURN = 0.05, 0.007  # mean half extent, shares of rows and columns
_SINGLE = 3e-5  # share of returns that come late on their own
_DROP_RANGE = 5.0  # metres, mean range of drops


def drops(sensor: SensorModel, share: float, rng: np.random.Generator) -> np.ndarray:
    """(rays,) range of the drop that each ray meets, inf for none.

    Args:
        sensor: The sensor.
        share: Of the rays that meet a drop within some metres.
        rng: Source of randomness.
    """
    distance = np.full(sensor.rays, np.inf, np.float32)
    met = np.flatnonzero(rng.random(sensor.rays, np.float32) < share)
    distance[met] = sensor.min_range + rng.exponential(_DROP_RANGE, len(met))
    return distance


def shadowed(directions: np.ndarray, carrier: tuple[float, float, float]) -> np.ndarray:
    """(rays,) bool, rays that the vehicle under the sensor blocks.

    Args:
        directions: (3, rows, columns) unit directions in the frame of the sensor.
        carrier: Metres from the sensor down to the roof, half its length, half its width.
    """
    drop, length, width = carrier
    with np.errstate(divide='ignore'):
        reach = np.float32(drop) / np.maximum(-directions[2].ravel(), 1e-6)
    x, y = directions[0].ravel() * reach, directions[1].ravel() * reach
    return (np.abs(x) < length) & (np.abs(y) < width)


def late(
    sensor: SensorModel,
    ray: np.ndarray,
    distance: np.ndarray,
    mirrors: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """(M,) float32 metres by which returns come late; 0 for most, and for depth cameras.

    Args:
        sensor: The sensor.
        ray: (M,) flat index of the ray of each return.
        distance: (M,) ranges, metres.
        mirrors: (M,) how likely a surface is to mirror, relative to others.
        rng: Source of randomness.
    """
    extra = np.zeros(len(ray), np.float32)
    if sensor.is_camera or not mirrors.any():
        return extra
    share = (sensor.azimuths[1] - sensor.azimuths[0]) / (2 * np.pi)  # of a turn
    chance = np.cumsum(mirrors, dtype=np.float64)
    row, column = np.divmod(ray, sensor.columns)
    for seed in np.searchsorted(
        chance, rng.random(rng.poisson(_PATCHES * share)) * chance[-1], 'right'
    ):
        mean = (len(sensor.rows) * _PATCH_ROWS, sensor.columns / share * _PATCH_TURN)
        size = 0.5 + rng.exponential(mean)
        turn = np.abs(column - column[seed])
        turn = np.minimum(turn, sensor.columns - turn)
        patch = ((row - row[seed]) / size[0]) ** 2 + (turn / size[1]) ** 2 < 1
        patch = np.flatnonzero(patch & (mirrors > 0))
        patch = patch[rng.random(len(patch)) < rng.uniform(0.2, 0.9)]
        way = 0.4 + rng.exponential(4.0)
        extra[patch] = way + rng.normal(0, rng.choice([0.05, 0.4]), len(patch))
    single = rng.random(len(ray), np.float32) < _SINGLE
    extra[single] = rng.exponential(6.0, int(single.sum()))
    return np.where((extra > 0) & (distance + extra < sensor.max_range), extra, 0)
