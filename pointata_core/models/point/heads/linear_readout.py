# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A linear classifier of the mean evidence of the last frames.

The linear probe of the comparison tables. It replaces the action head and streams like it, so a
probe is served, evaluated and stored like any other skill.
"""

from __future__ import annotations

from torch import Tensor, nn

from pointata_core.models.point.heads.action_head import ActionHead, running_mean


class LinearReadout(nn.Module):
    """Frame evidence to action logits, without hidden layers.

    Args:
        width: Token width D.
        actor_width: Width of the actor descriptor; 0 for none.
        frames: Frames of the running mean.
        classes: Number of actions.
    """

    collect = staticmethod(ActionHead.collect)

    def __init__(self, width: int, actor_width: int, frames: int, classes: int) -> None:
        super().__init__()
        self.frames = frames
        self.descriptor_width = 2 * width + actor_width
        self.norm = nn.LayerNorm(self.descriptor_width, elementwise_affine=False)
        self.classify = nn.Linear(self.descriptor_width, classes)
        nn.init.zeros_(self.classify.weight)
        nn.init.zeros_(self.classify.bias)

    @property
    def receptive_field(self) -> int:
        """Frames that a prediction depends on, the newest included."""
        return self.frames

    def describe(self, evidence: Tensor) -> Tensor:
        """Return the evidence ``(..., 2 D + A)`` as it is."""
        return evidence

    def forward(self, descriptors: Tensor, mask: Tensor) -> Tensor:
        """Read out every frame; shapes as :meth:`ActionHead.forward`."""
        present = mask.unsqueeze(1).to(descriptors.dtype)
        x = self.norm(descriptors).transpose(1, 2) * present
        return self.classify(running_mean(x, present, self.frames).transpose(1, 2))
