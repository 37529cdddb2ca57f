# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of one cloud: byte order, unit, origin, and points that are no returns.

The limits lie far outside of what a sensor in metres gives, on a robot, a vehicle or a person's
desk: half of the points beyond 200 m, or nearly all of them within 12 cm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pointata_core.inference.plausibility.suspicion import Suspicion
from pointata_core.inference.preparation import NO_RETURN_M

FEWEST_POINTS = 10
_LARGEST, _SMALLEST = 1e7, 1e-7
_SENSELESS_SHARE, _TOLERATED_SHARE = 0.3, 0.05
_ONE_PLACE_M = 1e-3
_FARTHEST_MEDIAN_M = 200.0
_NEAREST_SCENE_M = 0.12
# A scene in centimetres that is all within 2 m; a cloud in metres has something nearer than this.
_EMPTY_RANGE_M, _EMPTY_MEDIAN_M, _ENOUGH_POINTS = 30.0, 50.0, 500
_TYPICAL_MEDIAN_M = 4.0
_MAP_DISTANCE_M, _MAP_SPREADS = 1000.0, 8.0
_FAR_SHARE = 0.9
_ZERO_SHARE, _ALL_ZERO_SHARE = 0.05, 0.95
_UNITS = {1e-3: 'millimetres', 1e-2: 'centimetres'}


def senseless_share(points: NDArray[np.float32]) -> float:
    """Share of the points whose coordinates no sensor gives; points without returns do not count.

    Numbers with swapped bytes have exponents at random, so they are huge or next to nothing.
    """
    size: NDArray[np.float32] = np.abs(points)
    with np.errstate(invalid='ignore'):
        huge = (size > _LARGEST).any(axis=1)
        tiny = (size <= _SMALLEST).all(axis=1)
        sought = (size > 0).any(axis=1)
    counted = sought & ~np.isnan(size).any(axis=1) & ~np.isinf(size).all(axis=1)
    total = np.count_nonzero(counted)
    return np.count_nonzero(counted & (huge | tiny)) / total if total else 0.0


def byte_order(
    points: NDArray[np.float32], swapped: Callable[[], NDArray[np.float32] | None] | None
) -> Suspicion | None:
    """Coordinates that make no sense.

    Args:
        points: (N, 3) as they came.
        swapped: The same points, read with the other byte order; ``None`` where that is unknown.
    """
    share, zeros = senseless_share(points), _zero_share(points)
    # Small numbers of 64 bits with swapped bytes round to 0.
    if share < _SENSELESS_SHARE and zeros < _ALL_ZERO_SHARE:
        return None
    found = f'{share:.0%} of the points have coordinates that make no sense (beyond any range)'
    if zeros >= _ALL_ZERO_SHARE:
        found = f'{zeros:.0%} of the points are (0, 0, 0) or next to it'
    other = swapped() if swapped is not None else None
    if other is not None and _makes_sense(other):
        return Suspicion(
            'byte_order',
            f'{found}; in the other byte order they make sense: is_bigendian of the clouds seems '
            'to be wrong. Correct it in the driver',
        )
    if share < _SENSELESS_SHARE:
        return None
    return Suspicion('senseless', f'{found}: check the fields of the clouds and their byte order')


def _makes_sense(points: NDArray[np.float32]) -> bool:
    return senseless_share(points) < _TOLERATED_SHARE and _zero_share(points) < _ALL_ZERO_SHARE


def _zero_share(points: NDArray[np.float32]) -> float:
    return float((points == 0).all(axis=1).mean()) if len(points) else 0.0


def is_return(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the points (N, 3), in metres about the sensor, are finite and no (0, 0, 0)."""
    with np.errstate(invalid='ignore', over='ignore'):
        distance = np.linalg.norm(points, axis=1)
        return np.isfinite(distance) & (distance >= NO_RETURN_M)


def zero_points(points: NDArray[np.float32]) -> Suspicion | None:
    """Points at (0, 0, 0), which many drivers write where nothing came back."""
    share = _zero_share(points)
    if share < _ZERO_SHARE:
        return None
    text = f'{share:.0%} of the points are (0, 0, 0): no returns, which stay unlabelled'
    if share < _ALL_ZERO_SHARE:
        return Suspicion('zero_points', text, is_fact=True)
    return Suspicion('zero_points', f'{text}. Check the sensor and its driver')


def unit(points: NDArray[np.float32], max_range_m: float) -> tuple[Suspicion | None, float]:
    """A wrong unit or origin.

    Args:
        points: (N, 3) returns, metres about the sensor as far as is known.
        max_range_m: Points beyond get no label.

    Returns:
        The suspicion, and the factor that seems to make metres of the coordinates.
    """
    low, high = np.percentile(points, (5, 95), axis=0)
    distance = np.linalg.norm(points.astype(np.float64), axis=1)
    nearest, near, median, far = np.percentile(distance, (1, 5, 50, 95))
    spread = float((high - low).max())
    if spread < _ONE_PLACE_M:
        where = ', '.join(f'{value:g}' for value in np.median(points, axis=0))
        text = f'all points are at one place, ({where}). Check the sensor and its driver'
        return Suspicion('one_place', text), 1.0
    beyond = float((distance > max_range_m).mean())
    found = f'half of the points are farther than {median:.0f} m'
    if beyond >= 0.5:
        found += f', and {beyond:.0%} beyond the {max_range_m:g} m within which points get labels'
    if near > _MAP_DISTANCE_M and near > _MAP_SPREADS * spread:
        text = (
            f'{found}, around ({", ".join(f"{value:.0f}" for value in np.median(points, axis=0))}):'
            ' they seem to be in the frame of a map. Give them in the frame of the sensor'
        )
        return Suspicion('origin', text), 1.0
    empty = nearest > _EMPTY_RANGE_M and median > _EMPTY_MEDIAN_M and len(points) >= _ENOUGH_POINTS
    if median > _FARTHEST_MEDIAN_M or empty:
        if empty and median <= _FARTHEST_MEDIAN_M:
            found += f', none nearer than {nearest:.0f} m'
        ordered = sorted(_UNITS, key=lambda one: abs(np.log(one * median / _TYPICAL_MEDIAN_M)))
        first, second = ordered
        text = (
            f'{found}: the unit seems to be {_UNITS[first]}, not metres. Set input_scale '
            f'(--input-scale) to {first:g} (for {_UNITS[second]} {second:g})'
        )
        return Suspicion('unit', text), first
    if far < _NEAREST_SCENE_M:
        text = (
            f'nearly all points are within {far:.3f} m of the sensor: the unit does not seem to be '
            'metres. Set input_scale (--input-scale) to the metres per unit (for kilometres 1000)'
        )
        return Suspicion('unit', text), 1000.0
    if beyond >= _FAR_SHARE:
        text = (
            f'{found}. Check the unit (input_scale, --input-scale: metres per unit of the '
            'coordinates) and the frame of the clouds'
        )
        return Suspicion('range', text), 1.0
    return None, 1.0
