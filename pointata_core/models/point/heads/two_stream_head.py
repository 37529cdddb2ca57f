# SPDX-License-Identifier: Apache-2.0
"""Two opinions on the action: what the tokens say, and where they lie and how they move.

Where the token centres lie, and how far each came, is the plainest account of a pose in motion (a
small PointNet reads it), and it carries over to persons never seen, where tokens of a
backbone trained on something else are easily learned by heart. Each opinion has a readout of its
own; the tokens' hears of the positions, too. Both are trained side by side
(``PointATA.predict_from_positions``), afterwards their logarithmic probabilities are averaged.
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
        auxiliary_width: Columns of the auxiliary token features; 0 for the displacement along tubes.
        readout_width: Width of each readout.
        frames: Frames of the running mean and max.
        classes: Number of actions.
        dropout: See :class:`ActionHead`.
        pooled: See :class:`ActionHead`.
        position_share: Share of the training clips that only the positions answer, which spares them
            the backbone.
        token_weight: What the tokens' opinion counts in an answer; the positions' is the rest.
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
        heard = position_width + 2 * width + actor_width
        self.tokens = ActionHead(width, actor_width, *sizes, evidence_width=heard)
        self.positions = ActionHead(0, 0, *sizes, evidence_width=position_width)

    @property
    def receptive_field(self) -> int:
        """Frames that an answer depends on, the newest included."""
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
            positions: ``(F, G, 7)``: centre, displacement along the tube, and whether there is one; or
                ``(F, G, 3 + auxiliary_width)``: centre and auxiliary.

        Returns:
            ``(F, P + 2 D + A)``.
        """
        evidence = self._read(positions, token_mask)
        said = ActionHead.collect(class_token, tokens, token_mask, actor)
        return torch.cat([evidence, said], dim=1)

    def describe(self, evidence: Tensor) -> Tensor:
        """Compress evidence ``(..., P + 2 D + A)`` to ``(..., descriptor_width)``."""
        positions = self.positions.describe(evidence[..., : self.position_width])
        return torch.cat([positions, self.tokens.describe(evidence)], dim=-1)

    def predict_from_positions(self, positions: Tensor, token_mask: Tensor, mask: Tensor) -> Tensor:
        """Answer by positions alone.

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

        In training the tokens answer alone, afterwards both.
        """
        width = self.positions.descriptor_width
        tokens = self.tokens(descriptors[..., width:], mask)
        if self.training:
            return tokens
        positions = self.positions(descriptors[..., :width], mask)
        opinions = positions.float().log_softmax(-1), tokens.float().log_softmax(-1)
        return torch.lerp(*opinions, self.token_weight)

    def token_logits(self, answer: Tensor, positions: Tensor) -> Tensor:
        """Say what the tokens alone answered, from what both said and what the positions said.

        Args:
            answer: Of :meth:`forward`, ``(B, T, classes)``.
            positions: Logits of :meth:`predict_from_positions`.

        Returns:
            Logarithmic probabilities ``(B, T, classes)``.

        Raises:
            ValueError: The answer holds nothing of the tokens' (``token_weight`` is 0).
        """
        if not self.token_weight:
            raise ValueError('token_weight is 0: the answer holds nothing of the tokens')
        positions = positions.float().log_softmax(-1)
        return torch.lerp(positions, answer, 1 / self.token_weight)

    def _read(self, positions: Tensor, token_mask: Tensor) -> Tensor:
        if not self.auxiliary_width:
            displacement = _DISPLACEMENT_SCALE * positions[..., 3:6]
            length = torch.linalg.vector_norm(displacement, dim=-1, keepdim=True)
            positions = torch.cat(
                [positions[..., :3], displacement, length, positions[..., 6:]], dim=-1
            )
        return masked_max(self.position_encoder(positions), token_mask)
