# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every operator demands of its coordinates, and the one distance they all use.

A NaN that slips into a nearest-neighbour search does not crash: it silently wins or loses every
comparison. So non-finite coordinates stop here, before any arithmetic. Coordinates behind a mask
are padding and may hold anything.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_COORDINATE = 1e18
"""Largest coordinate (metres) whose squared distances still fit a float32."""


def checked_points(points: Tensor, mask: Tensor | None, name: str) -> Tensor:
    """Return float32 coordinates with padding set to the origin.

    Args:
        points: ``(B, N, 3)`` coordinates of any floating or integer type.
        mask: ``(B, N)`` bool, true where a point is real; None when all are.
        name: What the caller calls this argument, for the error text.

    Returns:
        ``(B, N, 3)`` float32, detached; same storage where nothing had to change.

    Raises:
        ValueError: Wrong shape, or a real point that is not finite (or beyond ``MAX_COORDINATE``).
    """
    if points.dim() != 3 or points.shape[-1] != 3:
        raise ValueError(f'{name} must have shape (B, N, 3), found {tuple(points.shape)}')
    points = points.detach().to(torch.float32)
    if mask is not None:
        if mask.shape != points.shape[:2] or mask.dtype != torch.bool:
            raise ValueError(
                f'the mask of {name} must be bool of shape {tuple(points.shape[:2])}, '
                f'found {mask.dtype} {tuple(mask.shape)}'
            )
        points = points.masked_fill(~mask.unsqueeze(-1), 0.0)
    require_finite(points, name)
    return points


def require_finite(coordinates: Tensor, name: str, limit: float = MAX_COORDINATE) -> None:
    """Raise ValueError unless every coordinate is finite and at most ``limit``."""
    if coordinates.numel() and not bool(coordinates.abs().amax() <= limit):
        raise ValueError(
            f'{name} holds non-finite coordinates (or some beyond {limit:g}); '
            'mask or drop those points first'
        )


def require_same_batch(first: Tensor, second: Tensor, names: str) -> None:
    """Raise ValueError unless both tensors have the same batch size and device."""
    if first.shape[0] != second.shape[0] or first.device != second.device:
        raise ValueError(
            f'{names} must share batch size and device, found {first.shape[0]} on {first.device} '
            f'and {second.shape[0]} on {second.device}'
        )


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """Squared distances ``(..., 3) x (..., 3) -> (...)`` in the project's one arithmetic.

    ``(dx*dx + dy*dy) + dz*dz`` in the type of the input, each operation rounded on its own. The
    usual expansion ``|a|^2 - 2ab + |b|^2`` is quicker on a GPU but loses all digits far from the
    origin and differs between devices; this form gives the same bits everywhere.
    """
    dx, dy, dz = (first[..., axis] - second[..., axis] for axis in range(3))
    return dx * dx + dy * dy + dz * dz
