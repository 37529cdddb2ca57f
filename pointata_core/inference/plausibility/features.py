# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sensor fields, such as intensity, whose range is not the one that a network was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointata_core.inference.plausibility.suspicion import Suspicion

_MOST_SCALES = 10.0
_FEWEST_SCALES = 1e-3


class Normalisation(Protocol):
    """How a field enters the network: ``(value - offset) / scale``."""

    @property
    def offset(self) -> float:
        """Subtracted first."""

    @property
    def scale(self) -> float:
        """Divided by then."""


def odd_features(
    features: Mapping[str, NDArray[np.float32]], expected: Mapping[str, Normalisation]
) -> list[Suspicion]:
    """Fields whose values are far from what the bundle expects.

    Args:
        features: Name to values (N,) of one cloud, with points that have a return only.
        expected: The fields that the network reads.
    """
    found = []
    for name, spec in expected.items():
        values = features.get(name)
        if values is None or not len(values):
            continue
        finite = values[np.isfinite(values)]
        if len(finite) < len(values) / 2:
            text = f'{name} is not finite in most points'
        else:
            low, median, high = np.percentile(finite, (2, 50, 98))
            centre = (median - spec.offset) / spec.scale
            width = (high - low) / abs(spec.scale)
            seen = f'{name} lies between {low:g} and {high:g} in most points'
            if abs(centre) > _MOST_SCALES or width > 2 * _MOST_SCALES:
                text = seen
            elif 0 < width < _FEWEST_SCALES:
                text = f'{seen}, hardly different from point to point'
            else:
                continue
        wanted = f'values around {spec.offset:g}, give or take a few times {abs(spec.scale):g}'
        text += f'; the bundle expects {wanted}. Check the unit of the field'
        found.append(Suspicion(f'feature_{name}', text))
    return found
