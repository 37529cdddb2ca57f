# SPDX-License-Identifier: Apache-2.0
"""From a cloud as it came to what the network sees, and back to every input point.

The network works on *cells*: voxels whose size grows with range. Each input point remembers its
cell, so each gets an answer, in input order; points that are not finite or out of range have no
cell and come back unlabelled. The same function prepares training data and live frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pointata_core.errors import ConfigError
from pointata_core.ops import count_cells, segment_reduce, voxel_grid
from pointata_core.ops.range_compression import compress_range

UNLABELLED = 65535
"""Label of an input point that gets no answer."""

# Occupied cells of a surface fall with the square of the cell size; a little more, so that the
# second attempt nearly always fits.
_GROWTH_MARGIN = 1.08


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
        cell_size_m: Cell edge close to the sensor.
        range_knee_m: Range at which cells begin to grow; 0 for uniform cells.
        max_cells: Cells a frame may have; the cell size grows until they fit.
        min_range_m: Nearer points are unlabelled (the robot itself).
        max_range_m: Farther points are unlabelled.
        features: Sensor fields that enter the network, in the network's order.
    """

    scale_m: float = 10.0
    origin: Literal['sensor', 'first_frame'] = 'sensor'
    cell_size_m: float = 0.1
    range_knee_m: float = 10.0
    max_cells: int = 8192
    min_range_m: float = 0.0
    max_range_m: float = 120.0
    features: Mapping[str, FeatureSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ('scale_m', 'cell_size_m', 'max_cells', 'max_range_m'):
            if not getattr(self, name) > 0:
                raise ConfigError(f'preparation.{name} is {getattr(self, name)}, expected > 0')
        if self.max_cells < 8:
            raise ConfigError(
                f'preparation.max_cells is {self.max_cells}, expected at least 8',
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


@dataclass(frozen=True)
class PreparedFrame:
    """One frame as the network sees it.

    Attributes:
        points: ``(M, 3)`` float32 cell centroids, normalised.
        features: ``(M, C)`` float32, or ``None`` when the network takes none.
        cell_of_point: ``(N,)`` int64; ``-1`` for points without a cell.
        origin: ``(3,)`` float64 metres, subtracted before scaling.
    """

    points: Tensor
    features: Tensor | None
    cell_of_point: np.ndarray
    origin: np.ndarray


class FramePreparer:
    """Prepares clouds by one configuration; holds no state.

    Args:
        config: Normalisation and sampling.
    """

    def __init__(self, config: PreparationConfig) -> None:
        self.config = config

    def prepare(
        self,
        points: np.ndarray,
        features: Mapping[str, np.ndarray] | None = None,
        origin: np.ndarray | None = None,
    ) -> PreparedFrame:
        """Prepare one cloud.

        Args:
            points: ``(N, 3)`` metres in the sensor frame, in input order; NaN and infinity allowed.
            features: Field name to ``(N,)``; missing ones take their default.
            origin: The stream's origin, when it has one already.

        Raises:
            ValueError: ``points`` is not ``(N, 3)``, or a feature has another length.
        """
        points = np.ascontiguousarray(points, dtype=np.float32)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f'points have shape {points.shape}, expected (N, 3)')
        config = self.config
        usable = self._usable(points)
        kept = points if usable is None else points[usable]
        cloud = torch.from_numpy(kept)
        grid = self._grid(cloud)
        if origin is None:
            origin = np.zeros(3)
            if config.origin == 'first_frame' and len(kept):
                origin = kept.mean(axis=0, dtype=np.float64)
        cells = grid.centroids - torch.as_tensor(origin, dtype=torch.float32)
        cell_of_point = grid.cell_of_point.numpy()
        if usable is not None:
            whole = np.full(len(points), -1, dtype=np.int64)
            whole[usable] = cell_of_point
            cell_of_point = whole
        columns = self._features(features or {}, len(points), usable, grid)
        return PreparedFrame(cells / config.scale_m, columns, cell_of_point, origin)

    def motion(self, transform: np.ndarray, origin: np.ndarray) -> Tensor:
        """Express a rigid motion ``(4, 4)`` in metres as one ``(1, 4, 4)`` in normalised units."""
        rotation, shift = transform[:3, :3], transform[:3, 3]
        normalised = np.eye(4)
        normalised[:3, :3] = rotation
        normalised[:3, 3] = (rotation @ origin + shift - origin) / self.config.scale_m
        return torch.from_numpy(normalised.astype(np.float32)).unsqueeze(0)

    def _usable(self, points: np.ndarray) -> np.ndarray | None:
        """Return the mask of points to keep, or ``None`` when that is all of them."""
        squared = np.einsum('ij,ij->i', points, points, dtype=np.float64)
        low, high = self.config.min_range_m**2, self.config.max_range_m**2
        with np.errstate(invalid='ignore'):
            # A NaN or an infinity fails both comparisons.
            usable = (squared >= low) & (squared <= high)
        return None if usable.all() else usable

    def _grid(self, cloud: Tensor):
        config = self.config
        coordinates = compress_range(cloud, config.range_knee_m)
        size = config.cell_size_m
        while (count := count_cells(coordinates, size)) > config.max_cells:
            size *= (count / config.max_cells) ** 0.5 * _GROWTH_MARGIN
        return voxel_grid(cloud, size, coordinates)

    def _features(
        self,
        given: Mapping[str, np.ndarray],
        count: int,
        usable: np.ndarray | None,
        grid: Any,
    ) -> Tensor | None:
        if not self.config.features:
            return None
        cells = len(grid.counts)
        columns = []
        for name, spec in self.config.features.items():
            values = given.get(name)
            if values is None:
                columns.append(torch.full((cells, 1), (spec.default - spec.offset) / spec.scale))
                continue
            values = np.asarray(values, dtype=np.float32)
            if values.shape != (count,):
                raise ValueError(f"feature '{name}' has shape {values.shape}, expected ({count},)")
            values = values if usable is None else values[usable]
            values = np.nan_to_num((values - spec.offset) / spec.scale, posinf=0.0, neginf=0.0)
            column = torch.from_numpy(values.astype(np.float32)).unsqueeze(1)
            columns.append(segment_reduce(column, grid.cell_of_point, cells, 'mean'))
        return torch.cat(columns, dim=1)
