# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Occupied voxels of a batch, and the rulebooks of which feeds which in a convolution.

A sparse convolution never touches empty space: for each tap of its kernel, a list of pairs gives
which input voxel meets which output voxel (Graham et al., CVPR 2018). The lists depend on the
coordinates alone, so a grid makes each of them once and all layers of a level share it. Neighbours
are found by binary search in sorted integer keys: no hash table, nothing to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import torch
from torch import Tensor

_REACH = 4
"""Empty key cells between rows: a neighbour up to so far over an edge meets nothing."""


@dataclass(frozen=True, eq=False)
class Rulebook:
    """Pairs of voxels that meet in each tap of a kernel.

    Within one tap no source and no target occurs twice, so that sums do not depend on the order in
    which a device works.

    Attributes:
        source: ``(P,)`` int64, rows of the input, tap after tap.
        target: ``(P,)`` int64, rows of the output.
        sizes: Pairs of each of the K taps; 0 for the tap ``identity``.
        inputs: Rows of the input.
        outputs: Rows of the output.
        identity: Tap in which every row meets itself and which is left out of the lists, or None.
    """

    source: Tensor
    target: Tensor
    sizes: tuple[int, ...]
    inputs: int
    outputs: int
    identity: int | None = None

    @cached_property
    def taps(self) -> list[tuple[int, Tensor, Tensor]]:
        """``(tap, source, target)`` of each tap that has pairs, the identity left out."""
        lists = zip(self.source.split(self.sizes), self.target.split(self.sizes))
        return [(tap, *pair) for tap, pair in enumerate(lists) if self.sizes[tap]]

    @cached_property
    def transposed(self) -> Rulebook:
        """The same pairs the other way, for a transposed convolution back to the finer level."""
        return Rulebook(
            self.target, self.source, self.sizes, self.outputs, self.inputs, self.identity
        )


@dataclass(frozen=True, eq=False)
class SparseGrid:
    """Occupied voxels of one level, ordered by batch, x, y, z. Make one with `sparse_grid`.

    Attributes:
        coordinates: ``(V, 4)`` int64: x, y, z, batch.
        keys: ``(V,)`` int64, strictly increasing; one number per voxel.
        extent: Voxels along x, y and z; coordinates lie in ``[0, extent)``.
    """

    coordinates: Tensor
    keys: Tensor
    extent: tuple[int, int, int]
    _made: dict = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """Number of voxels."""
        return len(self.keys)

    def submanifold(self, kernel: int = 3) -> Rulebook:
        """Rulebook of a convolution whose output sites are its input sites.

        Args:
            kernel: Odd edge of the kernel, at most 9; tap ``(i k + j) k + l`` looks
                ``(i, j, l) - k // 2`` voxels away.
        """
        return self._once(('submanifold', kernel), lambda: _submanifold(self, kernel))

    def strided(
        self, kernel: int = 2, stride: int = 2, padding: int = 0
    ) -> tuple[SparseGrid, Rulebook]:
        """Coarser grid and rulebook of a strided convolution: every site that an input reaches.

        Args:
            kernel: Edge of the kernel.
            stride: Step of the output sites.
            padding: Empty voxels around the grid, as in ``conv3d``.

        Returns:
            The grid of ``(extent + 2 padding - kernel) // stride + 1`` voxels, and the rulebook.
        """
        return self._once(
            ('strided', kernel, stride, padding), lambda: _strided(self, kernel, stride, padding)
        )

    def _once(self, name: tuple, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


def sparse_grid(coordinates: Tensor, extent: tuple[int, int, int]) -> tuple[SparseGrid, Tensor]:
    """Find the occupied voxels of points.

    Args:
        coordinates: ``(N, 4)`` int64: x, y, z, batch; points may share a voxel.
        extent: Voxels along x, y and z.

    Returns:
        The grid, and ``(N,)`` int64: the voxel of each point.

    Raises:
        ValueError: Wrong shape or type, a coordinate outside the grid or a batch too large.
    """
    if coordinates.dim() != 2 or coordinates.shape[1] != 4 or coordinates.dtype != torch.int64:
        raise ValueError(
            'coordinates must be int64 (N, 4): x, y, z, batch; '
            f'found {coordinates.dtype} {tuple(coordinates.shape)}'
        )
    if min(extent) < 1:
        raise ValueError(f'extent must be positive, found {tuple(extent)}')
    _, (batch_stride, *_) = _strides(extent)
    limit = torch.tensor([*extent, (1 << 62) // batch_stride], device=coordinates.device)
    if len(coordinates) and not bool(((coordinates >= 0) & (coordinates < limit)).all()):
        raise ValueError(
            f'coordinates must lie in [0, {tuple(extent)}) and batches in [0, {int(limit[3])}); '
            'drop points outside of the grid first'
        )
    return _occupied(coordinates, extent)


def average_by_voxel(features: Tensor, voxel_of_point: Tensor, voxels: int) -> Tensor:
    """Mean feature of the points of each voxel: ``(N, C) -> (voxels, C)``, differentiable."""
    total = features.new_zeros(voxels, features.shape[1]).index_add(0, voxel_of_point, features)
    counts = torch.bincount(voxel_of_point, minlength=voxels).clamp(min=1)
    return total / counts.unsqueeze(1).to(total.dtype)


def _strides(extent: tuple[int, int, int]) -> tuple[list[int], list[int]]:
    """Key strides in the order (x, y, z, batch) of the columns, and (batch, x, y, z) of rank."""
    y_cells, z_cells = extent[1] + _REACH, extent[2] + _REACH
    per_x = y_cells * z_cells
    per_batch = (extent[0] + _REACH) * per_x
    return [per_x, z_cells, 1, per_batch], [per_batch, per_x, z_cells, 1]


def _keys(coordinates: Tensor, extent: tuple[int, int, int]) -> Tensor:
    columns, _ = _strides(extent)
    x, y, z, batch = coordinates.unbind(1)
    return batch * columns[3] + x * columns[0] + y * columns[1] + z


def _coordinates(keys: Tensor, extent: tuple[int, int, int]) -> Tensor:
    """Undo `_keys`, by division."""
    parts, rest = [], keys
    for stride in _strides(extent)[1]:
        parts.append(torch.div(rest, stride, rounding_mode='floor'))
        rest = rest - parts[-1] * stride
    batch, x, y, z = parts
    return torch.stack([x, y, z, batch], dim=1)


def _occupied(coordinates: Tensor, extent: tuple[int, int, int]) -> tuple[SparseGrid, Tensor]:
    keys, voxel = torch.unique(_keys(coordinates, extent), return_inverse=True)
    return SparseGrid(_coordinates(keys, extent), keys, extent), voxel


def _submanifold(grid: SparseGrid, kernel: int) -> Rulebook:
    reach = kernel // 2
    if kernel % 2 == 0 or kernel < 1 or reach > _REACH:
        raise ValueError(f'kernel must be odd and at most {2 * _REACH + 1}, found {kernel}')
    columns, _ = _strides(grid.extent)
    offsets = list(product(range(-reach, reach + 1), repeat=3))
    centre = len(offsets) // 2
    # The taps behind the centre see what those before it see, from the other side.
    steps = [sum(d * s for d, s in zip(offset, columns[:3])) for offset in offsets[:centre]]
    target = grid.keys + torch.tensor(steps, device=grid.keys.device).unsqueeze(1)
    place = torch.searchsorted(grid.keys, target).clamp(max=max(len(grid) - 1, 0))
    found = grid.keys[place] == target if len(grid) else torch.zeros_like(target, dtype=torch.bool)
    tap, target = found.nonzero(as_tuple=True)
    source = place[tap, target]
    half = tuple(torch.bincount(tap, minlength=centre).tolist())
    mirrored_source = torch.cat(target.split(half)[::-1]) if centre else target
    mirrored_target = torch.cat(source.split(half)[::-1]) if centre else source
    return Rulebook(
        torch.cat([source, mirrored_source]),
        torch.cat([target, mirrored_target]),
        (*half, 0, *half[::-1]),
        inputs=len(grid),
        outputs=len(grid),
        identity=centre,
    )


def _strided(
    grid: SparseGrid, kernel: int, stride: int, padding: int
) -> tuple[SparseGrid, Rulebook]:
    x, y, z = ((size + 2 * padding - kernel) // stride + 1 for size in grid.extent)
    extent = (x, y, z)
    if kernel < 1 or stride < 1 or padding < 0 or min(extent) < 1:
        raise ValueError(
            f'kernel {kernel}, stride {stride} and padding {padding} leave nothing of {grid.extent}'
        )
    reached = [
        _reached(grid, tap, stride, padding, extent) for tap in _taps(grid, kernel, stride, padding)
    ]
    sizes = tuple(len(source) for source, _ in reached)
    source = torch.cat([source for source, _ in reached])
    coarse, target = _occupied(torch.cat([sites for _, sites in reached]), extent)
    return coarse, Rulebook(source, target, sizes, inputs=len(grid), outputs=len(coarse))


def _taps(
    grid: SparseGrid, kernel: int, stride: int, padding: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Per tap, the rows that can take part and where they lie relative to it.

    A row takes part where its coordinate is a whole number of strides from the tap. Sorting the
    rows by that remainder first means that each tap looks only at its own.
    """
    shifted = grid.coordinates[:, :3] + padding
    remainder = shifted % stride
    group = (remainder[:, 0] * stride + remainder[:, 1]) * stride + remainder[:, 2]
    order = torch.sort(group, stable=True).indices
    rows = order.split(torch.bincount(group, minlength=stride**3).tolist())
    for tap in product(range(kernel), repeat=3):
        x, y, z = (d % stride for d in tap)
        chosen = rows[(x * stride + y) * stride + z]
        yield chosen, shifted[chosen] - torch.tensor(tap, device=shifted.device)


def _reached(
    grid: SparseGrid,
    tap: tuple[Tensor, Tensor],
    stride: int,
    padding: int,
    extent: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """Rows of one tap whose output site lies in the coarser grid, and those sites."""
    rows, relative = tap
    site = torch.div(relative, stride, rounding_mode='floor')
    inside = ((site >= 0) & (site < torch.tensor(extent, device=site.device))).all(dim=1)
    rows, site = rows[inside], site[inside]
    return rows, torch.cat([site, grid.coordinates[rows, 3:]], dim=1)
