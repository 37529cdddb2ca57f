# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Two streams that predict the action: one from tokens, one from their positions and motion.

A small PointNet reads the token centres and their displacements. This description of a moving pose
generalises to unseen persons, while a head on the tokens of a backbone trained on other data
overfits easily. Each stream has its own readout; that of the tokens also reads the positions. Both
are trained side by side (``PointATA.predict_from_positions``). At inference the head averages their
logarithmic probabilities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pointata_core.models.point.heads.action_head import ActionHead, masked_max

# A hand moves a tenth of its reach from frame to frame.
_DISPLACEMENT_SCALE = 5.0


class TwoStreamHead(nn.Module):
    """An action head on tokens and one on positions.

    Args:
        width: Token width D.
        actor_width: Width of the actor descriptor with its trace; 0 for none.
        position_width: Width P of a frame's positions.
        auxiliary_width: Columns of the auxiliary token features; 0 for displacements along tubes.
        readout_width: Width of each readout.
        frames: Frames of the running mean and max.
        classes: Number of actions.
        dropout: See :class:`ActionHead`.
        pooled: See :class:`ActionHead`.
        position_share: Share of the training clips that only the position stream predicts; they
            do not run through the backbone.
        token_weight: Weight of the token stream in a prediction; the position stream has the rest.
    """

    def __init__(
        self,
        width: int,
        actor_width: int,
        position_width: int,
        auxiliary_width: int,
        readout_width: int,
        frames: int,
        classes: int,
        dropout: float,
        pooled: bool,
        position_share: float,
        token_weight: float = 0.5,
    ) -> None:
        super().__init__()
        self.position_width, self.position_share, self.auxiliary_width = (
            position_width,
            position_share,
            auxiliary_width,
        )
        self.token_weight = token_weight
        self.position_encoder = nn.Sequential(
            nn.Linear(3 + (auxiliary_width or 5), 64), nn.GELU(), nn.Linear(64, position_width)
        )
        sizes = (readout_width, frames, classes, dropout, pooled)
        evidence_width = position_width + 2 * width + actor_width
        self.tokens = ActionHead(width, actor_width, *sizes, evidence_width=evidence_width)
        self.positions = ActionHead(0, 0, *sizes, evidence_width=position_width)

    @property
    def receptive_field(self) -> int:
        """Frames that a prediction depends on, the newest included."""
        return max(self.tokens.receptive_field, self.positions.receptive_field)

    @property
    def descriptor_width(self) -> int:
        """Width of a frame's descriptor: that of both streams."""
        return self.tokens.descriptor_width + self.positions.descriptor_width

    def collect(
        self,
        class_token: Tensor,
        tokens: Tensor,
        token_mask: Tensor,
        actor: Tensor | None,
        positions: Tensor,
    ) -> Tensor:
        """Gather ``[positions ; class token ; max over tokens ; actor]`` of frames.

        Args:
            class_token: ``(F, D)``.
            tokens: ``(F, G, D)``.
            token_mask: ``(F, G)``.
            actor: ``(F, A)`` or ``None``.
            positions: ``(F, G, 7)``: centre, displacement along the tube, and whether there is
                one; or ``(F, G, 3 + auxiliary_width)``: centre and auxiliary features.

        Returns:
            ``(F, P + 2 D + A)``.
        """
        evidence = self._read(positions, token_mask)
        rest = ActionHead.collect(class_token, tokens, token_mask, actor)
        return torch.cat([evidence, rest], dim=1)

    def describe(self, evidence: Tensor) -> Tensor:
        """Compress evidence ``(..., P + 2 D + A)`` to ``(..., descriptor_width)``."""
        positions = self.positions.describe(evidence[..., : self.position_width])
        return torch.cat([positions, self.tokens.describe(evidence)], dim=-1)

    def predict_from_positions(self, positions: Tensor, token_mask: Tensor, mask: Tensor) -> Tensor:
        """Predict with the position stream alone.

        Args:
            positions: Of the ``B * T`` frames, see :meth:`collect`.
            token_mask: ``(B * T, G)``.
            mask: ``(B, T)``, false for frames without points.

        Returns:
            Logits ``(B, T, classes)``.
        """
        described = self.positions.describe(self._read(positions, token_mask))
        return self.positions(described.unflatten(0, mask.shape), mask)

    def forward(self, descriptors: Tensor, mask: Tensor) -> Tensor:
        """Read out every frame; shapes as :meth:`ActionHead.forward`.

        In training the logits are those of the token stream, in evaluation those of both.
        """
        width = self.positions.descriptor_width
        tokens = self.tokens(descriptors[..., width:], mask)
        if self.training:
            return tokens
        positions = self.positions(descriptors[..., :width], mask)
        streams = positions.float().log_softmax(-1), tokens.float().log_softmax(-1)
        return torch.lerp(*streams, self.token_weight)

    def token_logits(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Recover the token stream's logits from those of both and of the position stream.

        Args:
            logits: Of :meth:`forward` in evaluation, ``(B, T, classes)``.
            positions: Logits of :meth:`predict_from_positions`.

        Returns:
            Logarithmic probabilities ``(B, T, classes)``.

        Raises:
            ValueError: ``token_weight`` is 0, so the logits do not depend on the token stream.
        """
        if not self.token_weight:
            raise ValueError('token_weight is 0: the logits do not depend on the token stream')
        positions = positions.float().log_softmax(-1)
        return torch.lerp(positions, logits, 1 / self.token_weight)

    def _read(self, positions: Tensor, token_mask: Tensor) -> Tensor:
        if not self.auxiliary_width:
            displacement = _DISPLACEMENT_SCALE * positions[..., 3:6]
            length = torch.linalg.vector_norm(displacement, dim=-1, keepdim=True)
            positions = torch.cat(
                [positions[..., :3], displacement, length, positions[..., 6:]], dim=-1
            )
        return masked_max(self.position_encoder(positions), token_mask)
