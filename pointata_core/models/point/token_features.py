# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Auxiliary token features: motion and sensor fields, which a frozen 3D embedder does not encode.

They are the displacements from the points of earlier frames and the sensor's fields (velocity,
intensity). The network adds an embedding of them to the tokens where the adapted blocks begin, and
the heads read them directly. No trained weight has a part in them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.geometry import TokenGeometry
from pointata_core.models.point.patch_motion import DISPLACEMENT_WIDTH, clip_displacements
from pointata_core.models.point.stream_state import StreamState
from pointata_core.ops import gather

_HIDDEN = 32


def displacement_width(config: NetworkConfig) -> int:
    """Columns of the displacements, which come first in the auxiliary features."""
    return DISPLACEMENT_WIDTH * len(config.motion_lags)


def auxiliary_width(config: NetworkConfig) -> int:
    """Columns of the auxiliary features; 0 for none."""
    return displacement_width(config) + (len(config.features) if config.token_fields else 0)


@torch.no_grad()
def clip_auxiliary(
    config: NetworkConfig,
    points: Tensor,
    features: Tensor | None,
    mask: Tensor | None,
    motion: Tensor | None,
    geometry: TokenGeometry,
) -> Tensor | None:
    """Auxiliary features of all tokens of whole clips.

    Args:
        config: Of the network.
        points: ``(B, T, N, 3)`` normalised.
        features: ``(B * T, N, C)`` or ``None``.
        mask: ``(B, T, N)``; ``None`` when every slot holds a point.
        motion: ``(B, T, 4, 4)`` taking the frame before into each; ``None`` for a sensor at rest.
        geometry: Of the ``B * T`` frames.

    Returns:
        ``(B * T, G, auxiliary)``: displacements of the patches, then fields; ``None`` without any.
    """
    displacements = None
    if config.motion_lags:
        lags, reach = config.motion_lags, config.motion_reach
        displacements = clip_displacements(points, mask, geometry, motion, lags, reach)
    return _with_fields(config, displacements, features, geometry)


@torch.no_grad()
def step_auxiliary(
    config: NetworkConfig,
    points: Tensor,
    features: Tensor | None,
    mask: Tensor | None,
    motion: Tensor | None,
    geometry: TokenGeometry,
    state: StreamState,
) -> tuple[Tensor | None, StreamState]:
    """Auxiliary features of the tokens of one frame of B streams.

    Args:
        config: Of the network.
        points: ``(B, N, 3)`` normalised.
        features: ``(B, N, C)`` or ``None``.
        mask: ``(B, N)`` or ``None``.
        motion: ``(B, 4, 4)`` taking the frame before into this one; ``None`` at rest.
        geometry: Of these frames.
        state: Before this frame.

    Returns:
        ``(B, G, auxiliary)`` as :func:`clip_auxiliary`, and the state that remembers the points.
    """
    displacements = None
    if config.motion_lags:
        history = state.history.moved(motion)
        displacements = history.displacements(
            points, geometry, config.motion_lags, config.motion_reach
        )
        state = state.with_history(history.followed_by(points, mask))
    return _with_fields(config, displacements, features, geometry), state


def _with_fields(
    config: NetworkConfig,
    displacements: Tensor | None,
    features: Tensor | None,
    geometry: TokenGeometry,
) -> Tensor | None:
    if not config.token_fields:
        return displacements
    if features is None:
        raise ValueError('token_fields is on, but no features are given')
    fields = gather(features, geometry.centre_index)
    return fields if displacements is None else torch.cat([displacements, fields], dim=-1)


class AuxiliaryEmbedding(nn.Module):
    """Auxiliary features to an offset of the tokens at the first adapted block; zero until trained.

    Args:
        auxiliary: Columns.
        width: Token width D.
    """

    def __init__(self, auxiliary: int, width: int) -> None:
        super().__init__()
        self.lift = nn.Linear(auxiliary, _HIDDEN)
        self.up = nn.Linear(_HIDDEN, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, auxiliary: Tensor, token_mask: Tensor) -> Tensor:
        """Map ``(F, G, C)`` to ``(F, G, D)``, zero where there is no token."""
        return self.up(F.gelu(self.lift(auxiliary))) * token_mask.unsqueeze(-1)
