# SPDX-License-Identifier: Apache-2.0
"""How a cloud is normalised and sampled before the network sees it: a part of every bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from pointata_core.errors import ConfigError


@dataclass(frozen=True)
class FeatureSpec:
    """How one sensor field enters the network: ``(value - offset) / scale``.

    Attributes:
        offset: Subtracted first.
        scale: Divided by then.
        default: Value where the sensor does not deliver the field.
    """

    offset: float = 0.0
    scale: float = 1.0
    default: float = 0.0


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
        for name in ('scale_m', 'voxel_size_m', 'max_voxels', 'max_range_m'):
            if not getattr(self, name) > 0:
                raise ConfigError(f'preparation.{name} is {getattr(self, name)}, expected > 0')
        if self.max_voxels < 8:
            raise ConfigError(
                f'preparation.max_voxels is {self.max_voxels}, expected at least 8',
                'A grid cannot merge the eight octants about the sensor',
            )
        if not 0 <= self.min_range_m < self.max_range_m:
            raise ConfigError(
                f'preparation.min_range_m is {self.min_range_m}, expected between 0 and '
                f'max_range_m ({self.max_range_m})'
            )
        if self.range_knee_m < 0:
            raise ConfigError(f'preparation.range_knee_m is {self.range_knee_m}, expected >= 0')
        if self.origin not in ('sensor', 'first_frame'):
            raise ConfigError(
                f"preparation.origin is '{self.origin}', expected sensor or first_frame"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PreparationConfig:
        """Build from plain values; an unknown or mistyped field raises :class:`ConfigError`."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"preparation has the unknown field '{unknown[0]}'",
                f'Known fields: {sorted(known)}',
            )
        values = dict(values)
        try:
            specs = values.get('features', {})
            values['features'] = {name: FeatureSpec(**spec) for name, spec in specs.items()}
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ConfigError(f'preparation has a value of the wrong type: {error}') from error
