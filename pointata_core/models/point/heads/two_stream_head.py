# SPDX-License-Identifier: Apache-2.0
"""Two opinions on the action: what the tokens say, and where they lie and how they move.

Where the token centres lie, and how far each came, is the plainest account of a pose in motion (a
small PointNet reads it), and it carries over to persons never seen, where tokens of a
backbone trained on something else are easily learned by heart. Each opinion has a readout of its
own; the tokens' hears of the places, too. Both are trained side by side
(``PointATA.answer_by_places``), afterwards their logarithmic probabilities are averaged.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pointata_core.models.point.heads.action_head import ActionHead, masked_max

# A hand moves a tenth of its reach from frame to frame.
_WAY_SCALE = 5.0


class TwoStreamHead(nn.Module):
    """An action head on tokens and one on places.

    Args:
        width: Token width D.
        actor_width: Width of the actor descriptor with its trace; 0 for none.
        place_width: Width P of a frame's places.
        cue_width: Columns of the tokens' cues; 0 for the way along tubes.
        readout_width: Width of each readout.
        frames: Frames of the running mean and max.
        classes: Number of actions.
        dropout: See :class:`ActionHead`.
        pooled: See :class:`ActionHead`.
        place_share: Share of the training clips that only the places answer, which spares them
            the backbone.
        token_weight: What the tokens' opinion counts in an answer; the places' is the rest.
    """

    def __init__(
        self,
        width: int,
        actor_width: int,
        place_width: int,
        cue_width: int,
        readout_width: int,
        frames: int,
        classes: int,
        dropout: float,
        pooled: bool,
        place_share: float,
        token_weight: float = 0.5,
    ) -> None:
        super().__init__()
        self.place_width, self.place_share, self.cue_width = place_width, place_share, cue_width
        self.token_weight = token_weight
        self.read_places = nn.Sequential(
            nn.Linear(3 + (cue_width or 5), 64), nn.GELU(), nn.Linear(64, place_width)
        )
        sizes = (readout_width, frames, classes, dropout, pooled)
        heard = place_width + 2 * width + actor_width
        self.tokens = ActionHead(width, actor_width, *sizes, evidence_width=heard)
        self.places = ActionHead(0, 0, *sizes, evidence_width=place_width)

    @property
    def receptive_field(self) -> int:
        """Frames that an answer depends on, the newest included."""
        return max(self.tokens.receptive_field, self.places.receptive_field)

    @property
    def descriptor_width(self) -> int:
        """Width of a frame's descriptor: that of both streams."""
        return self.tokens.descriptor_width + self.places.descriptor_width

    def collect(
        self,
        class_token: Tensor,
        tokens: Tensor,
        token_mask: Tensor,
        actor: Tensor | None,
        places: Tensor,
    ) -> Tensor:
        """Gather ``[places ; class token ; max over tokens ; actor]`` of frames.

        Args:
            class_token: ``(F, D)``.
            tokens: ``(F, G, D)``.
            token_mask: ``(F, G)``.
            actor: ``(F, A)`` or ``None``.
            places: ``(F, G, 7)``: centre, way along the tube, and whether there is one; or
                ``(F, G, 3 + cue_width)``: centre and cues.

        Returns:
            ``(F, P + 2 D + A)``.
        """
        evidence = self._read(places, token_mask)
        said = ActionHead.collect(class_token, tokens, token_mask, actor)
        return torch.cat([evidence, said], dim=1)

    def describe(self, evidence: Tensor) -> Tensor:
        """Compress evidence ``(..., P + 2 D + A)`` to ``(..., descriptor_width)``."""
        places = self.places.describe(evidence[..., : self.place_width])
        return torch.cat([places, self.tokens.describe(evidence)], dim=-1)

    def answer_by_places(self, places: Tensor, token_mask: Tensor, mask: Tensor) -> Tensor:
        """Answer by places alone.

        Args:
            places: Of the ``B * T`` frames, see :meth:`collect`.
            token_mask: ``(B * T, G)``.
            mask: ``(B, T)``, false for frames without points.

        Returns:
            Logits ``(B, T, classes)``.
        """
        described = self.places.describe(self._read(places, token_mask))
        return self.places(described.unflatten(0, mask.shape), mask)

    def forward(self, descriptors: Tensor, mask: Tensor) -> Tensor:
        """Read out every frame; shapes as :meth:`ActionHead.forward`.

        In training the tokens answer alone, afterwards both.
        """
        width = self.places.descriptor_width
        tokens = self.tokens(descriptors[..., width:], mask)
        if self.training:
            return tokens
        places = self.places(descriptors[..., :width], mask)
        opinions = places.float().log_softmax(-1), tokens.float().log_softmax(-1)
        return torch.lerp(*opinions, self.token_weight)

    def tokens_opinion(self, answer: Tensor, places: Tensor) -> Tensor:
        """Say what the tokens alone answered, from what both said and what the places said.

        Args:
            answer: Of :meth:`forward`, ``(B, T, classes)``.
            places: Logits of :meth:`answer_by_places`.

        Returns:
            Logarithmic probabilities ``(B, T, classes)``.

        Raises:
            ValueError: The answer holds nothing of the tokens' (``token_weight`` is 0).
        """
        if not self.token_weight:
            raise ValueError('token_weight is 0: the answer holds nothing of the tokens')
        places = places.float().log_softmax(-1)
        return torch.lerp(places, answer, 1 / self.token_weight)

    def _read(self, places: Tensor, token_mask: Tensor) -> Tensor:
        if not self.cue_width:
            way = _WAY_SCALE * places[..., 3:6]
            length = torch.linalg.vector_norm(way, dim=-1, keepdim=True)
            places = torch.cat([places[..., :3], way, length, places[..., 6:]], dim=-1)
        return masked_max(self.read_places(places), token_mask)
