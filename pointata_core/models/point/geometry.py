# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a frame's tokens lie and which points, neighbours and past tokens belong to them.

Nothing here is learned: it is computed once per frame, cached in training, and the same whether a
frame comes alone (a stream) or in a clip. That is half of why streaming is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from pointata_core.models.point.anchors import followed_centres
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.tubes import moved_points
from pointata_core.ops import (
    Interpolation,
    farthest_point_sample,
    gather,
    interpolation_weights,
    knn,
    nearest_within,
    voxel_grid,
)
from pointata_core.ops.range_compression import compress_range

_ROUNDING = 1e-5  # of the distance that a followed centre may move


@dataclass(frozen=True)
class TokenGeometry:
    """What backbone and adapters need of F frames with G token slots; ``-1`` means none.

    Attributes:
        centre_index: ``(F, G)`` into the points.
        centres: ``(F, G, 3)``; zero where there is no token.
        patch_index: ``(F, G, K)`` into the points.
        context_index: ``(F, G, k)`` into the tokens, the token itself excluded.
    """

    centre_index: Tensor
    centres: Tensor
    patch_index: Tensor
    context_index: Tensor

    @property
    def token_mask(self) -> Tensor:
        """``(F, G)``, true where there is a token."""
        return self.centre_index >= 0


@dataclass(frozen=True)
class FrameGeometry(TokenGeometry):
    """The whole index structure of F frames: that of the tokens, and that of the N point slots.

    Attributes:
        interpolation_index: ``(F, N, 3)`` into the tokens.
        interpolation_weight: ``(F, N, 3)``.
        pillars: ``(F, S, N)`` voxel of each point at S pillar sizes, numbered within a frame.
    """

    interpolation_index: Tensor
    interpolation_weight: Tensor
    pillars: Tensor

    @property
    def interpolation(self) -> Interpolation:
        """Weights from tokens to points."""
        return Interpolation(self.interpolation_index, self.interpolation_weight)

    def map(self, function: Callable[[Tensor], Tensor]) -> FrameGeometry:
        """Apply ``function`` to every tensor."""
        return FrameGeometry(**{f.name: function(getattr(self, f.name)) for f in fields(self)})

    def unfold(self, batch: int) -> FrameGeometry:
        """Turn ``(B*T, ...)`` into ``(B, T, ...)``."""
        return self.map(lambda t: t.unflatten(0, (batch, -1)))

    def fold(self) -> FrameGeometry:
        """Turn ``(B, T, ...)`` into ``(B*T, ...)``."""
        return self.map(lambda t: t.flatten(0, 1))


class Centres(NamedTuple):
    """Token centres of the frame before, which followed centres begin with.

    Attributes:
        centres: ``(F, G, 3)`` in the coordinates of the frame that follows.
        mask: ``(F, G)``, where there is one.
    """

    centres: Tensor
    mask: Tensor


def frame_geometry(
    points: Tensor, mask: Tensor | None, config: GeometryConfig, before: Centres | None = None
) -> FrameGeometry:
    """Compute the geometry of F frames.

    Args:
        points: ``(F, N, 3)`` normalised, finite.
        mask: ``(F, N)``, false for padding; ``None`` when every slot holds a point.
        config: Sizes and radii.
        before: Of the frames before, for followed centres; ``None`` where histories begin.
    """
    return point_geometry(points, mask, token_geometry(points, mask, config, before), config)


def clip_geometry(
    points: Tensor, mask: Tensor | None, motion: Tensor | None, config: GeometryConfig
) -> FrameGeometry:
    """Compute the geometry of whole clips, which begin as streams do.

    Args:
        points: ``(B, T, N, 3)`` normalised, finite.
        mask: ``(B, T, N)`` or ``None``.
        motion: ``(B, T, 4, 4)`` taking the frame before into each frame; ``None`` at rest.
        config: Sizes and radii.

    Returns:
        That of the ``B * T`` frames.
    """
    if not config.follows:
        flat_mask = None if mask is None else mask.flatten(0, 1)
        return frame_geometry(points.flatten(0, 1), flat_mask, config)
    frames, before = [], None
    for t in range(points.shape[1]):
        if before is not None and motion is not None:
            before = before._replace(centres=moved_points(before.centres, motion[:, t]))
        found = frame_geometry(points[:, t], None if mask is None else mask[:, t], config, before)
        before = Centres(found.centres, found.token_mask)
        frames.append(found)
    return FrameGeometry(
        **{
            f.name: torch.stack([getattr(one, f.name) for one in frames], dim=1).flatten(0, 1)
            for f in fields(FrameGeometry)
        }
    )


def token_geometry(
    points: Tensor, mask: Tensor | None, config: GeometryConfig, before: Centres | None = None
) -> TokenGeometry:
    """The first half of :func:`frame_geometry`, enough for everything but the per-point head."""
    if not config.tokens:
        nothing = points.new_zeros((len(points), 0), dtype=torch.int64)
        patches = nothing.unsqueeze(-1).expand(-1, -1, config.patch_size)
        around = nothing.unsqueeze(-1).expand(-1, -1, config.context_neighbours)
        return TokenGeometry(nothing, points.new_zeros((len(points), 0, 3)), patches, around)
    sampled = compress_range(points, config.range_knee)
    if config.follows and before is not None:
        centre_index = followed_centres(points, mask, *before, config.tube_radius, sampled)
    else:
        centre_index = farthest_point_sample(sampled, config.tokens, mask)
    centres = gather(points, centre_index)
    token_mask = centre_index >= 0
    patch_index = knn(centres, points, config.patch_size, mask, token_mask).index
    context = knn(centres, centres, config.context_neighbours + 1, token_mask, token_mask).index
    return TokenGeometry(centre_index, centres, patch_index, context[..., 1:])


def point_geometry(
    points: Tensor, mask: Tensor | None, tokens: TokenGeometry, config: GeometryConfig
) -> FrameGeometry:
    """The second half of :func:`frame_geometry`; arguments as there."""
    if config.tokens:
        interpolation = interpolation_weights(points, tokens.centres, tokens.token_mask)
    else:
        nothing = points.new_zeros((*points.shape[:2], 0))
        interpolation = Interpolation(nothing.long(), nothing)
    return FrameGeometry(
        **vars(tokens),
        interpolation_index=interpolation.index,
        interpolation_weight=interpolation.weight,
        pillars=_pillars(points, mask, config.pillar_sizes),
    )


def _pillars(points: Tensor, mask: Tensor | None, sizes: tuple[float, ...]) -> Tensor:
    frames, slots = points.shape[:2]
    voxels = points.new_full((frames, len(sizes), slots), -1, dtype=torch.int64)
    ground = points.clone()
    ground[..., 2] = 0.0
    for f in range(frames):
        keep = slice(None) if mask is None else mask[f]
        for s, size in enumerate(sizes):
            voxels[f, s, keep] = voxel_grid(ground[f][keep], size).voxel_of_point
    return voxels


def frames_with_points(geometry: TokenGeometry, points: Tensor, mask: Tensor | None) -> Tensor:
    """Whether each of F frames has points, ``(F,)``.

    Clips of frozen features come without their points, so tokens count first where there are any.

    Args:
        geometry: Of the frames.
        points: ``(F, N, 3)``.
        mask: ``(F, N)`` or ``None``.
    """
    if geometry.token_mask.shape[1]:
        return geometry.token_mask.any(dim=1)
    if mask is not None:
        return mask.any(dim=1)
    return points.new_full((len(points),), bool(points.shape[1]), dtype=torch.bool)


def tube_parents(
    centres: Tensor,
    mask: Tensor,
    before: Tensor,
    before_mask: Tensor,
    radius: float,
    follows: bool = False,
) -> Tensor:
    """Return for each token the token of the frame before that it continues.

    Args:
        centres: ``(F, G, 3)``.
        mask: ``(F, G)``.
        before: ``(F, G, 3)`` centres of the frame before, in this frame's coordinates.
        before_mask: ``(F, G)``.
        radius: Beyond this distance a tube begins anew.
        follows: Whether centres are followed, so that a token can only continue its own slot.

    Returns:
        ``(F, G)`` index, ``-1`` for none.
    """
    if not centres.shape[1] or not before.shape[1]:
        return torch.full(mask.shape, -1, dtype=torch.int64, device=mask.device)
    if follows:
        offset = (centres - before).double()
        near = (offset * offset).sum(dim=-1) <= (radius * (1 + _ROUNDING)) ** 2
        own = torch.arange(centres.shape[1], device=centres.device).expand_as(mask)
        return torch.where(near & mask & before_mask, own, -1)
    return nearest_within(centres, before, radius, before_mask, mask)
