# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far the points of a patch are from where the scene was some frames ago.

Token centres are sampled anew in every frame and jump by as much as a hand or a car moves, so steps
along tubes hardly show motion. Points do: after compensating the sensor's motion, static objects
lie where earlier frames have points; moving ones do not, more clearly with a longer lag. The
displacement from the nearest point of an earlier frame takes one neighbour search and no learned
weights, and is the same in a clip and in a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.point.geometry import TokenGeometry
from pointata_core.models.point.tubes import moved_points, shift_frames
from pointata_core.ops import gather, knn

DISPLACEMENT_WIDTH = 6
"""Columns per lag: the centre's displacement and distance, the patch's mean distance, and whether
there was such a frame with points."""


class PointHistory(NamedTuple):
    """The points of the last P frames of B streams, newest first.

    Attributes:
        points: ``(P, B, N, 3)``, each frame in its own coordinates, N that of the largest so far.
        mask: ``(P, B, N)``, false for padding.
        motion: ``(P, B, 4, 4)`` taking each frame into the newest.
    """

    points: Tensor
    mask: Tensor
    motion: Tensor

    @classmethod
    def empty(
        cls, frames: int, batch: int, device: torch.device | str, dtype: torch.dtype
    ) -> PointHistory:
        """The history before the first frame."""
        return cls(
            torch.zeros(frames, batch, 0, 3, dtype=dtype, device=device),
            torch.zeros(frames, batch, 0, dtype=torch.bool, device=device),
            torch.eye(4, dtype=dtype, device=device).repeat(frames, batch, 1, 1),
        )

    def moved(self, motion: Tensor | None) -> PointHistory:
        """The same seen from the next frame, where ``motion (B, 4, 4)`` leads; ``None`` at rest."""
        return self if motion is None else self._replace(motion=motion @ self.motion)

    def followed_by(self, points: Tensor, mask: Tensor | None) -> PointHistory:
        """Put a frame before those of a history that has :meth:`moved` to it.

        Args:
            points: ``(B, N, 3)``.
            mask: ``(B, N)``; ``None`` when every slot holds a point.
        """
        if mask is None:
            mask = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
        slots = max(points.shape[1], self.points.shape[2])

        def newest(now: Tensor, before: Tensor, axis: int) -> Tensor:
            frames = [
                F.pad(v, [0, 0] * axis + [0, slots - v.shape[2]]) for v in (now[None], before)
            ]
            return torch.cat(frames)[: len(before)]

        at_rest = torch.eye(4, dtype=points.dtype, device=points.device).expand(
            1, len(points), 4, 4
        )
        return PointHistory(
            newest(points, self.points, 1),
            newest(mask, self.mask, 0),
            torch.cat([at_rest, self.motion])[: len(self.motion)],
        )

    def displacements(
        self, points: Tensor, geometry: TokenGeometry, lags: Sequence[int], reach: float
    ) -> Tensor:
        """The displacements of the patches of the frame that the history has :meth:`moved` to.

        Args:
            points: ``(B, N, 3)`` of that frame.
            geometry: Of its tokens.
            lags: How many frames back to look.
            reach: See :func:`patch_displacements`.

        Returns:
            ``(B, G, 6 * lags)``.
        """
        return torch.cat(
            [
                patch_displacements(
                    points, geometry, moved_points(self.points[lag - 1], self.motion[lag - 1]),
                    self.mask[lag - 1], reach,
                )
                for lag in lags
            ],
            dim=-1,
        )  # fmt: skip


def clip_displacements(
    points: Tensor,
    mask: Tensor | None,
    geometry: TokenGeometry,
    motion: Tensor | None,
    lags: Sequence[int],
    reach: float,
) -> Tensor:
    """The displacements of all patches of whole clips.

    Args:
        points: ``(B, T, N, 3)``.
        mask: ``(B, T, N)``; ``None`` when every slot holds a point.
        geometry: Of the ``B * T`` frames.
        motion: ``(B, T, 4, 4)`` taking the frame before into each; ``None`` for a sensor at rest.
        lags: How many frames back to look.
        reach: See :func:`patch_displacements`.

    Returns:
        ``(B * T, G, 6 * lags)``.
    """
    if mask is None:
        mask = torch.ones(points.shape[:3], dtype=torch.bool, device=points.device)
    found: dict[int, Tensor] = {}
    since = motion
    for lag in range(1, max(lags) + 1):
        if lag > 1 and motion is not None and since is not None:
            since = motion @ shift_frames(since.flatten(2), 1).view_as(motion)
        if lag in lags:
            before = moved_points(shift_frames(points, lag), since).flatten(0, 1)
            before_mask = shift_frames(mask, lag, False).flatten(0, 1)
            found[lag] = patch_displacements(
                points.flatten(0, 1), geometry, before, before_mask, reach
            )
    return torch.cat([found[lag] for lag in lags], dim=-1)


def patch_displacements(
    points: Tensor, geometry: TokenGeometry, before: Tensor, before_mask: Tensor, reach: float
) -> Tensor:
    """How the points of each patch lie to the nearest points of an earlier frame.

    Args:
        points: ``(F, N, 3)``.
        geometry: Of the tokens of these frames.
        before: ``(F, M, 3)`` of the earlier ones, in these frames' coordinates.
        before_mask: ``(F, M)``.
        reach: Unit of the displacements, and their upper limit.

    Returns:
        ``(F, G, 6)``, see ``DISPLACEMENT_WIDTH``; zeros where the earlier frame has no points or
        there is no token. The centre has its own columns, because a mean over its neighbourhood
        blurs the displacement of hands and corners; on surfaces, which every frame samples anew,
        the mean distance is more stable.
    """
    frames, tokens = geometry.centre_index.shape
    index = torch.cat([geometry.centre_index.unsqueeze(2), geometry.patch_index], dim=2)
    size = index.shape[2]
    index = index.flatten(1)
    here = gather(points, index)
    there = before_mask.any(dim=1)
    if not before.shape[1]:
        return points.new_zeros(frames, tokens, DISPLACEMENT_WIDTH)
    valid = (index >= 0) & there.unsqueeze(1)
    nearest = knn(here.detach(), before.detach(), 1, before_mask, valid).index[..., 0]
    known = (nearest >= 0).unsqueeze(-1)
    displacement = (here - gather(before, nearest)) * known / reach
    length = torch.linalg.vector_norm(displacement, dim=-1, keepdim=True)
    columns = torch.cat(
        [displacement / length.clamp_min(1.0), length.clamp_max(1.0), known], dim=-1
    )
    columns = columns.view(frames, tokens, size, -1)
    own, patch = columns[:, :, 0], columns[:, :, 1:].sum(2)
    mean = patch[..., 3:4] / patch[..., 4:].clamp_min(1.0)
    return torch.cat([own[..., :4], mean, own[..., 4:]], dim=-1)


def rotated_displacements(displacements: Tensor, matrix: Tensor) -> Tensor:
    """Displacements of clips that an augmentation turns and scales.

    Args:
        displacements: ``(B, X, G, 6 * lags)``.
        matrix: ``(B, 3, 3)`` for row vectors.

    Returns:
        The same shape; distances grow as the cube root of the volume does.
    """
    columns = displacements.unflatten(-1, (-1, DISPLACEMENT_WIDTH))
    displacement = (columns[..., :3].flatten(1, -2) @ matrix).view(*columns.shape[:-1], 3)
    size = torch.linalg.det(matrix.float()).abs().pow(1 / 3).to(displacements.dtype)
    distances = columns[..., 3:5] * size.view(-1, *[1] * (columns.dim() - 1))
    return torch.cat([displacement, distances, columns[..., 5:]], dim=-1).flatten(-2)
