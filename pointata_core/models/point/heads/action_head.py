# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The current action of every frame: a frame descriptor and a causal temporal readout.

Clip recognition is the prediction at the last frame, action segmentation that at every frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.point.heads.actor_pooling import TRACE_WIDTH

_DILATIONS = (1, 2, 4)
_KERNEL = 3
_LAGS = (1, 2, 4, 8)
# Differences of seven columns, length of the step on the ground, and whether there is one.
_MOTION_COLUMNS = TRACE_WIDTH + 1


class ActionHead(nn.Module):
    """Descriptors to action logits.

    Args:
        width: Token width D.
        actor_width: Width of the actor descriptor with its trace; 0 for none.
        readout_width: Width W of the readout.
        frames: Frames of the running mean.
        classes: Number of actions.
        dropout: Before the last layer; with ``pooled`` on the evidence as well.
        pooled: Also classify by mean and max of the convolutions over ``frames``.
        evidence_width: Width of a frame's evidence, where it is not ``2 D + A``.
    """

    def __init__(
        self,
        width: int,
        actor_width: int,
        readout_width: int,
        frames: int,
        classes: int,
        dropout: float,
        pooled: bool = False,
        evidence_width: int | None = None,
    ) -> None:
        super().__init__()
        self.frames, self.pooled = frames, pooled
        if evidence_width is None:
            evidence_width = 2 * width + actor_width
        self.compress = nn.Linear(evidence_width, readout_width)
        self.compress_norm = nn.LayerNorm(readout_width)
        self.readout_width = readout_width
        self.trace_width = TRACE_WIDTH if actor_width else 0
        # Speed is a small difference of large numbers: left to the convolutions, it drowns.
        self.motion = (
            nn.Linear(_MOTION_COLUMNS * len(_LAGS), readout_width) if actor_width else None
        )
        self.convolutions = nn.ModuleList(
            nn.Conv1d(readout_width, readout_width, _KERNEL, dilation=d) for d in _DILATIONS
        )
        self.hidden = nn.Linear((5 if pooled else 3) * readout_width, readout_width)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(readout_width, classes)

    @property
    def receptive_field(self) -> int:
        """Frames that a prediction depends on, the newest included."""
        reach = (_KERNEL - 1) * sum(_DILATIONS)
        readout = self.frames + reach if self.pooled else max(self.frames, 1 + reach)
        return readout + (max(_LAGS) if self.trace_width else 0)

    @property
    def descriptor_width(self) -> int:
        """Width of a frame's descriptor, the trace included."""
        return self.readout_width + self.trace_width

    @staticmethod
    def collect(
        class_token: Tensor,
        tokens: Tensor,
        token_mask: Tensor,
        actor: Tensor | None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Concatenate a frame's evidence: ``[class token ; max over tokens ; actor]``.

        Args:
            class_token: ``(F, D)``.
            tokens: ``(F, G, D)``.
            token_mask: ``(F, G)``.
            actor: ``(F, A)``, its trace last, or ``None``.
            positions: Unused; :class:`TwoStreamHead` reads them.

        Returns:
            ``(F, 2 D + A)``.
        """
        pooled = masked_max(tokens, token_mask)
        parts = [class_token, pooled] if actor is None else [class_token, pooled, actor]
        return torch.cat(parts, dim=1)

    def describe(self, evidence: Tensor) -> Tensor:
        """Compress the evidence of frames ``(..., 2 D + A)`` to ``(..., descriptor_width)``."""
        if self.pooled:
            evidence = self.dropout(evidence)
        compressed = F.gelu(self.compress_norm(self.compress(evidence)))
        if not self.trace_width:
            return compressed
        return torch.cat([compressed, evidence[..., -self.trace_width :]], dim=-1)

    def forward(self, descriptors: Tensor, mask: Tensor) -> Tensor:
        """Read out every frame of a clip.

        Args:
            descriptors: ``(B, T, descriptor_width)``, oldest first.
            mask: ``(B, T)``, false for frames without points.

        Returns:
            Logits ``(B, T, classes)``; a frame's depend on it and the frames before it only.
        """
        present = mask.unsqueeze(1).to(descriptors.dtype)
        x = descriptors[..., : self.readout_width]
        if self.motion is not None:
            trace = descriptors[..., self.readout_width :]
            x = x + F.gelu(self.motion(_differences(trace, mask)))
        x = x.transpose(1, 2) * present
        mean = running_mean(x, present, self.frames)
        y = x
        for layer in self.convolutions:
            assert isinstance(layer, nn.Conv1d)
            # Masking after every layer makes "no frame" and "before the first frame" the same.
            y = (y + F.gelu(_convolve_causally(layer, y))) * present
        parts = [x, mean, y]
        if self.pooled:
            parts += [running_mean(y, present, self.frames), _running_max(y, mask, self.frames)]
        z = torch.cat(parts, dim=1).transpose(1, 2)
        return self.classify(self.dropout(F.gelu(self.hidden(z))))


def _convolve_causally(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """Apply ``layer`` to ``(B, C, T)`` with zeros before the first frame.

    One product over the frames laid beside each other: a dilated convolution of this size takes
    the CPU twice as long.
    """
    taps, dilation, frames = layer.kernel_size[0], layer.dilation[0], x.shape[-1]
    padded = F.pad(x, ((taps - 1) * dilation, 0))
    columns = torch.cat([padded[..., i * dilation :][..., :frames] for i in range(taps)], dim=1)
    weight = layer.weight.transpose(1, 2).flatten(1)
    assert layer.bias is not None
    return weight @ columns + layer.bias.unsqueeze(1)


def running_mean(x: Tensor, present: Tensor, frames: int) -> Tensor:
    """Mean over those of the last ``frames`` entries of the last axis that are present.

    Args:
        x: ``(B, C, T)``, zero where not present.
        present: ``(B, 1, T)``, 1 or 0.
        frames: How far back the mean reaches.
    """
    return _running_sum(x, frames) / _running_sum(present, frames).clamp_min(1.0)


def _running_sum(x: Tensor, frames: int) -> Tensor:
    """Sum over the last ``frames`` entries of the last axis, fewer at the start."""
    return F.pad(x, (frames - 1, 0)).unfold(-1, frames, 1).sum(-1)


def _running_max(x: Tensor, mask: Tensor, frames: int) -> Tensor:
    """Max over those of the last ``frames`` entries of ``(B, C, T)`` that are present, else 0."""
    shown = x.masked_fill(~mask.unsqueeze(1), float('-inf'))
    found = F.max_pool1d(F.pad(shown, (frames - 1, 0), value=float('-inf')), frames, 1)
    return found.masked_fill(torch.isinf(found), 0.0)


def masked_max(tokens: Tensor, mask: Tensor) -> Tensor:
    """Max over the tokens ``(F, G, D)`` of each frame; 0 for a frame without any."""
    if not tokens.shape[1]:
        return tokens.new_zeros((len(tokens), tokens.shape[2]))
    pooled = tokens.masked_fill(~mask.unsqueeze(-1), float('-inf')).amax(dim=1)
    return pooled.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def _differences(trace: Tensor, mask: Tensor) -> Tensor:
    """Return how a trace ``(B, T, TRACE_WIDTH)`` changed over several lags; zero where unknown."""
    # One point is no evidence, two begin to be; no threshold, which rounding could cross.
    seen = (4.0 * trace[..., :1] - 2.0).clamp(0.0, 1.0) * mask.unsqueeze(-1)
    columns = []
    for lag in _LAGS:
        before = F.pad(trace, (0, 0, lag, 0))[:, : trace.shape[1]]
        both = seen * F.pad(seen, (0, 0, lag, 0))[:, : trace.shape[1]]
        # The nearest actor may have become another one: no person moves two metres a frame.
        change = ((trace - before)[..., 1:] * both).clamp(-2.0, 2.0)
        step = torch.linalg.vector_norm(change[..., :2], dim=-1, keepdim=True)
        columns += [change, step, both]
    return torch.cat(columns, dim=-1)
