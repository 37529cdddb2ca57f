# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a cloud is normalised and sampled before the network sees it: a part of every bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pointata_core.errors import ConfigError
from pointata_core.models.point.config import build_config


@dataclass(frozen=True)
class FeatureSpec:
    """How one sensor field enters the network.

    Attributes:
        offset: Subtracted first.
        scale: Divided by then.
        default: Value where the sensor does not deliver the field.
        form: ``value`` for ``(value - offset) / scale``, the mean of each voxel; ``rank`` for the
            rank of this mean among the voxels of the frame, from -1 to 1. Ranks make sensors alike
            whose intensities have no common unit.
    """

    offset: float = 0.0
    scale: float = 1.0
    default: float = 0.0
    form: Literal['value', 'rank'] = 'value'


@dataclass(frozen=True)
class PreparationConfig:
    """Causal normalisation and sampling; part of the bundle.

    Attributes:
        scale_m: Metres per normalised unit.
        origin: ``sensor``, or ``first_frame``: the centroid of the stream's first frame, kept.
        voxel_size_m: Cell edge close to the sensor.
        range_knee_m: Range at which voxels begin to grow; 0 for uniform voxels.
        max_voxels: Voxels a frame may have; the voxel size grows until they fit.
        min_range_m: Nearer points are unlabelled (the robot itself).
        max_range_m: Farther points are unlabelled.
        features: Sensor fields that enter the network, in the network's order.
    """

    scale_m: float = 10.0
    origin: Literal['sensor', 'first_frame'] = 'sensor'
    voxel_size_m: float = 0.1
    range_knee_m: float = 10.0
    max_voxels: int = 8192
    min_range_m: float = 0.0
    max_range_m: float = 120.0
    features: Mapping[str, FeatureSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, holds, expected in (
            ('scale_m', self.scale_m > 0, '> 0'),
            ('voxel_size_m', self.voxel_size_m > 0, '> 0'),
            # A grid cannot merge the eight octants about the sensor.
            ('max_voxels', self.max_voxels >= 8, 'at least 8'),
            (
                'min_range_m',
                0 <= self.min_range_m < self.max_range_m,
                f'between 0 and max_range_m ({self.max_range_m})',
            ),
            ('range_knee_m', self.range_knee_m >= 0, '>= 0'),
            ('origin', self.origin in ('sensor', 'first_frame'), 'sensor or first_frame'),
        ):
            if not holds:
                raise ConfigError(
                    f'preparation.{name} is {getattr(self, name)!r}, expected {expected}'
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PreparationConfig:
        """Build from plain values; an unknown or mistyped field raises :class:`ConfigError`."""
        features = values.get('features', {})
        if not isinstance(features, Mapping):
            raise ConfigError(f'preparation.features is {features!r}, expected a mapping')
        specs = {
            name: build_config(FeatureSpec, spec, f'preparation.features.{name}')
            for name, spec in features.items()
        }
        return build_config(cls, {**values, 'features': specs}, 'preparation')
