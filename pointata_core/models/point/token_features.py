# SPDX-License-Identifier: Apache-2.0
"""What a frozen 3D embedder cannot say of a token: how it moves, and what else the sensor measured.

The embedder knows shapes. Ways from the points of earlier frames and the sensor's fields (velocity,
intensity) are cues beside its tokens: added to them where the adapted blocks begin, and read by the
heads as they are. No trained weight has a part in them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.geometry import TokenGeometry
from pointata_core.models.point.patch_motion import WAY_WIDTH, clip_ways
from pointata_core.models.point.stream_state import StreamState
from pointata_core.ops import gather

_HIDDEN = 32


def way_width(config: NetworkConfig) -> int:
    """Columns of the ways, the first of the cues."""
    return WAY_WIDTH * len(config.motion_lags)


def cue_width(config: NetworkConfig) -> int:
    """Columns of the cues; 0 for none."""
    return way_width(config) + (len(config.features) if config.token_fields else 0)


@torch.no_grad()
def clip_cues(
    config: NetworkConfig,
    points: Tensor,
    features: Tensor | None,
    mask: Tensor | None,
    motion: Tensor | None,
    geometry: TokenGeometry,
) -> Tensor | None:
    """Cues of all tokens of whole clips.

    Args:
        config: Of the network.
        points: ``(B, T, N, 3)`` normalised.
        features: ``(B * T, N, C)`` or ``None``.
        mask: ``(B, T, N)``; ``None`` when every slot holds a point.
        motion: ``(B, T, 4, 4)`` taking the frame before into each; ``None`` for a sensor at rest.
        geometry: Of the ``B * T`` frames.

    Returns:
        ``(B * T, G, cues)``: ways of the patches, then fields; ``None`` without any.
    """
    ways = None
    if config.motion_lags:
        lags, reach = config.motion_lags, config.motion_reach
        ways = clip_ways(points, mask, geometry, motion, lags, reach)
    return _with_fields(config, ways, features, geometry)


@torch.no_grad()
def step_cues(
    config: NetworkConfig,
    points: Tensor,
    features: Tensor | None,
    mask: Tensor | None,
    motion: Tensor | None,
    geometry: TokenGeometry,
    state: StreamState,
) -> tuple[Tensor | None, StreamState]:
    """Cues of the tokens of one frame of B streams.

    Args:
        config: Of the network.
        points: ``(B, N, 3)`` normalised.
        features: ``(B, N, C)`` or ``None``.
        mask: ``(B, N)`` or ``None``.
        motion: ``(B, 4, 4)`` taking the frame before into this one; ``None`` at rest.
        geometry: Of these frames.
        state: Before this frame.

    Returns:
        ``(B, G, cues)`` as :func:`clip_cues`, and the state that remembers the points.
    """
    ways = None
    if config.motion_lags:
        trail = state.trail.moved(motion)
        ways = trail.ways(points, geometry, config.motion_lags, config.motion_reach)
        state = state.with_trail(trail.followed_by(points, mask))
    return _with_fields(config, ways, features, geometry), state


def _with_fields(
    config: NetworkConfig, ways: Tensor | None, features: Tensor | None, geometry: TokenGeometry
) -> Tensor | None:
    if not config.token_fields:
        return ways
    fields = gather(features, geometry.centre_index)
    return fields if ways is None else torch.cat([ways, fields], dim=-1)


class CueEmbedding(nn.Module):
    """Cues to what is added to the tokens where the adapted blocks begin; zero until trained.

    Args:
        cues: Columns.
        width: Token width D.
    """

    def __init__(self, cues: int, width: int) -> None:
        super().__init__()
        self.lift = nn.Linear(cues, _HIDDEN)
        self.up = nn.Linear(_HIDDEN, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, cues: Tensor, token_mask: Tensor) -> Tensor:
        """Map ``(F, G, C)`` to ``(F, G, D)``, zero where there is no token."""
        return self.up(F.gelu(self.lift(cues))) * token_mask.unsqueeze(-1)
