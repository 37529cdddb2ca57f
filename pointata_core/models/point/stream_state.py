# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a stream remembers between frames: a bounded set of tensors, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.patch_motion import PointHistory
from pointata_core.models.scene.map_history import MapHistory


class HeadMemory(NamedTuple):
    """What the heads look back on.

    Attributes:
        descriptors: ``(B, R, W)`` of the action head, oldest frame first.
        mask: ``(B, R)``, which of them had points.
        maps: Of the scene encoder.
    """

    descriptors: Tensor
    mask: Tensor
    maps: MapHistory


@dataclass(frozen=True)
class StreamState:
    """Temporal state of B streams over k-tap tubes; index 0 of a time axis is the newest frame.

    Attributes:
        centres: ``(B, G, 3)`` of the last frame, in that frame's coordinates.
        token_mask: ``(B, G)`` of the last frame; all false before the first one.
        parents: ``(k - 2, B, 1 + G)`` slot parents of the last frames.
        latents: ``(L, k - 1, B, 1 + G, r)`` bottleneck values per adapted block.
        readout: ``(B, R, W)`` frame descriptors of the action head, oldest first.
        readout_mask: ``(B, R)``.
        scene_maps: Of the scene encoder, see :class:`.MapHistory`.
        scene_motion: Likewise.
        points: ``(B, N, 3)`` of the last frame, kept for a two-frame embedder only.
        features: ``(B, N, C)`` likewise.
        point_mask: ``(B, N)`` likewise.
        history_points: Of the last frames, see :class:`.PointHistory`.
        history_mask: Likewise.
        history_motion: Likewise.
    """

    centres: Tensor
    token_mask: Tensor
    parents: Tensor
    latents: Tensor
    readout: Tensor
    readout_mask: Tensor
    scene_maps: Tensor
    scene_motion: Tensor
    points: Tensor
    features: Tensor
    point_mask: Tensor
    history_points: Tensor
    history_mask: Tensor
    history_motion: Tensor

    @property
    def history(self) -> PointHistory:
        """The points that patches are compared with."""
        return PointHistory(self.history_points, self.history_mask, self.history_motion)

    def with_history(self, history: PointHistory) -> StreamState:
        """The same state but for the points that patches are compared with."""
        return replace(
            self,
            history_points=history.points,
            history_mask=history.mask,
            history_motion=history.motion,
        )

    @property
    def head_memory(self) -> HeadMemory:
        """What the heads look back on."""
        maps = MapHistory(self.scene_maps, self.scene_motion)
        return HeadMemory(self.readout, self.readout_mask, maps)

    def with_heads(self, memory: HeadMemory) -> StreamState:
        """The same state but for what the heads look back on."""
        return replace(
            self,
            readout=memory.descriptors,
            readout_mask=memory.mask,
            scene_maps=memory.maps.maps,
            scene_motion=memory.maps.motion,
        )

    @property
    def nbytes(self) -> int:
        """Bytes held by the tensors."""
        return sum(t.numel() * t.element_size() for t in self.tensors().values())

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name, ready for safetensors."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to(self, device: torch.device | str) -> StreamState:
        """Move to a device."""
        return StreamState(**{name: t.to(device) for name, t in self.tensors().items()})


def empty_state(
    config: NetworkConfig,
    readout: tuple[int, int],
    batch: int,
    device: torch.device | str,
    dtype: torch.dtype,
) -> StreamState:
    """Return the state before the first frame.

    Args:
        config: Of the network.
        readout: Frames R and width W that the action head looks back on.
        batch: Number of streams.
        device: Where the tensors lie.
        dtype: Of the floating-point ones.
    """
    tokens, taps = config.geometry.tokens, config.adapter_kernel
    slots, depth = tokens + 1, config.backbone.depth - config.first_adapted

    def zeros(*shape: int, kind: torch.dtype = dtype) -> Tensor:
        return torch.zeros(shape, dtype=kind, device=device)

    maps = MapHistory.empty(config.scene, batch, device, dtype)
    history = PointHistory.empty(max(config.motion_lags, default=0), batch, device, dtype)
    return StreamState(
        centres=zeros(batch, tokens, 3),
        token_mask=zeros(batch, tokens, kind=torch.bool),
        parents=zeros(max(taps - 2, 0), batch, slots, kind=torch.int64) - 1,
        latents=zeros(depth, taps - 1, batch, slots, config.adapter_width),
        readout=zeros(batch, *readout),
        readout_mask=zeros(batch, readout[0], kind=torch.bool),
        scene_maps=maps.maps,
        scene_motion=maps.motion,
        points=zeros(batch, 0, 3),
        features=zeros(batch, 0, len(config.features)),
        point_mask=zeros(batch, 0, kind=torch.bool),
        history_points=history.points,
        history_mask=history.mask,
        history_motion=history.motion,
    )


def newest_latents(now: list[Tensor], before: Tensor) -> Tensor:
    """Put this frame's latents before those of the frames before, and forget the oldest."""
    if not now:
        return before
    return torch.cat([torch.stack(now).unsqueeze(1), before], dim=1)[:, : before.shape[1]]


def last_points(points: Tensor, features: Tensor | None, mask: Tensor | None) -> dict[str, Tensor]:
    """The fields of a state that keep a frame for an embedder that looks at two."""
    if mask is None:
        mask = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
    if features is None:
        features = points.new_zeros(*points.shape[:2], 0)
    return {'points': points, 'features': features, 'point_mask': mask}
