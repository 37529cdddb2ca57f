# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kalman filter of constant velocity over the ground, for many people at once.

State: x, y, and their velocities. The velocity wanders as white noise of acceleration makes it
(Bar-Shalom et al., Estimation with Applications to Tracking and Navigation, 2001, section 6.2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ACCELERATION = 3.0
"""Metres per second squared: how quickly people start, stop and turn."""

_FIRST_SPEED = 1.5  # metres per second, standard deviation before any motion was seen


def first_state(centre: Floats, noise: float) -> tuple[Floats, Floats]:
    """Mean (4,) and covariance (4, 4) of a person seen once.

    Args:
        centre: (2,) metres.
        noise: Metres, standard deviation of ``centre``.
    """
    mean = np.array([*centre, 0.0, 0.0])
    return mean, np.diag([noise**2, noise**2, _FIRST_SPEED**2, _FIRST_SPEED**2])


def predicted(mean: Floats, covariance: Floats, seconds: float) -> tuple[Floats, Floats]:
    """States (T, 4), (T, 4, 4) after some seconds."""
    step = np.eye(4)
    step[0, 2] = step[1, 3] = seconds
    spread = np.array([[seconds**4 / 4, seconds**3 / 2], [seconds**3 / 2, seconds**2]])
    noise = np.kron(spread, np.eye(2)) * ACCELERATION**2
    return mean @ step.T, step @ covariance @ step.T + noise


def distances(
    mean: Floats, covariance: Floats, centres: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """How well measurements fit states.

    Args:
        mean: (T, 4).
        covariance: (T, 4, 4).
        centres: (M, 2) measured places.
        noise: (M,) their standard deviations, metres.

    Returns:
        (T, M) squared Mahalanobis distances, and (T, M) log-determinants of their covariance.
    """
    spread = covariance[:, None, :2, :2] + np.eye(2) * (noise**2)[None, :, None, None]
    offset = centres[None] - mean[:, None, :2]
    determinant = spread[..., 0, 0] * spread[..., 1, 1] - spread[..., 0, 1] ** 2
    squared = (
        spread[..., 1, 1] * offset[..., 0] ** 2
        - 2 * spread[..., 0, 1] * offset[..., 0] * offset[..., 1]
        + spread[..., 0, 0] * offset[..., 1] ** 2
    ) / determinant
    return squared, np.log(determinant)


def corrected(
    mean: Floats, covariance: Floats, centre: Floats, noise: float
) -> tuple[Floats, Floats]:
    """One state (4,), (4, 4) after a measurement (2,) with its standard deviation."""
    spread = covariance[:2, :2] + np.eye(2) * noise**2
    gain = np.linalg.solve(spread, covariance[:2]).T
    keep = np.eye(4)
    keep[:, :2] -= gain
    # Joseph's form stays symmetric and positive.
    new = keep @ covariance @ keep.T + gain @ gain.T * noise**2
    return mean + gain @ (centre - mean[:2]), new
