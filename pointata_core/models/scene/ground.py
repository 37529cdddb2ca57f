# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How high the ground is under every point, robust against returns from under the ground.

A reflection in a puddle or a car's paint gives returns below the road. One of them must not make
everything around it stand a metre high, so no minimum is taken of single points.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.scene.grid_points import GridPoints

_QUANTILE = 0.15
_FEWEST = 3  # points from which a quantile is believed
_SLOPE = 0.06  # rise to the next patch, normalised units, up to which ground may be uneven
_DEPTH = 0.05  # a patch this far below all around it is a reflection
_FAR = 1e3


@torch.no_grad()
def ground_height(points: Tensor, mask: Tensor | None, grid: GridPoints, patch: int) -> Tensor:
    """Height of the ground at every point, ``(F, N)``, in the unit of the points.

    Patches of cells take a low quantile of their heights. Those far below their neighbourhood are
    replaced by its median; those far above its lowest, like roofs of cars, by what a gentle slope
    allows. Patches without points take over from those around.

    Args:
        points: ``(F, N, 3)``.
        mask: ``(F, N)`` or ``None``.
        grid: The same points on the grid.
        patch: Cells of a patch along each side.
    """
    frames = len(points)
    side = grid.rows // patch
    column, row = (grid.position / patch).clamp(0, side - 1e-3).long().unbind(-1)
    first = torch.arange(frames, device=points.device).unsqueeze(1) * side**2
    patches = first + row * side + column
    if mask is not None:
        patches = torch.where(mask, patches, frames * side**2)
    low, known = _quantiles(points[..., 2].flatten(), patches.flatten(), frames * side**2)
    height = torch.where(known, low, torch.nan).view(frames, 1, side, side)
    # Below all around: a reflection.
    around = _neighbourhood(height, 5)
    median = around.nanmedian(dim=1, keepdim=True).values
    height = torch.where(height < median - _DEPTH - _SLOPE, median, height)
    # Above all around: something that stands. The lowest of the neighbourhood, each a little higher
    # the farther it is, is the highest that the ground may be.
    around = _neighbourhood(height, 5).nan_to_num(_FAR)
    reach = torch.arange(-2, 3, device=points.device)
    distance = (reach.view(5, 1).square() + reach.square()).sqrt().view(1, 25, 1, 1)
    lowest = (around + _SLOPE * distance).amin(dim=1, keepdim=True)
    height = _filled(torch.where(lowest < _FAR / 2, lowest, torch.nan))
    height = F.avg_pool2d(F.pad(height, (1, 1, 1, 1), 'replicate'), 3, 1)
    return grid.gather(height)[..., 0]


def _quantiles(values: Tensor, group: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """A low quantile of each group ``(groups,)``, and whether it has points enough for one."""
    # Two stable sorts order by group, then by value; group number ``groups`` is padding.
    order = values.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    count = torch.bincount(group, minlength=groups + 1)[:groups]
    start = count.cumsum(0) - count
    index = start + (count * _QUANTILE).long()
    return values[order[index.clamp_max(len(order) - 1)]], count >= _FEWEST


def _neighbourhood(image: Tensor, size: int) -> Tensor:
    """The values around every pixel ``(F, size * size, H, W)``; NaN beyond the border."""
    frames, _, height, width = image.shape
    half = size // 2
    padded = F.pad(image, (half, half, half, half), value=torch.nan)
    return F.unfold(padded, size).view(frames, size * size, height, width)


def _filled(image: Tensor) -> Tensor:
    """Fill NaN from what surrounds it, nearest first; zero where a frame has nothing at all."""
    for _ in range(image.shape[-1]):
        missing = image.isnan()
        if not missing.any():
            break
        mean = _neighbourhood(image, 3).nanmean(dim=1, keepdim=True)
        if mean.isnan().all():
            break
        image = torch.where(missing, mean, image)
    return image.nan_to_num(0.0)
