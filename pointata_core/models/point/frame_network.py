# SPDX-License-Identifier: Apache-2.0
"""What happens inside a frame: tokens, blocks, heads; the same in whole clips and in streams."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pointata_core.models.point.context_encoder import ContextEncoder, Neighbourhood
from pointata_core.models.point.geometry import TokenGeometry
from pointata_core.models.point.heads.segmentation_head import DescribedPoints, class_probabilities
from pointata_core.models.point.network_parts import NetworkParts
from pointata_core.ops import knn


class FrameNetwork(NetworkParts):
    """The parts, connected within a frame; what is past comes in from outside.

    Args:
        config: Sizes, classes and geometry.
    """

    def _previous(
        self, geometry: TokenGeometry, points: Tensor, features: Tensor | None, mask: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        index = knn(
            geometry.centres, points, self.config.geometry.patch_size, mask, geometry.token_mask
        ).index
        return points, features, index

    def embed(
        self,
        points: Tensor,
        features: Tensor | None,
        geometry: TokenGeometry,
        previous: tuple[Tensor, Tensor | None, Tensor] | None = None,
    ) -> Tensor:
        """Patch tokens ``(F, G, D)`` of single frames, zero in empty slots.

        Args:
            points: ``(F, N, 3)`` normalised.
            features: ``(F, N, C)`` or ``None``.
            geometry: Of these frames.
            previous: Of the frames before, for a two-frame embedder: points, features, and which
                of them belong to each patch.
        """
        tokens = self.embedder(points, features, geometry.centres, geometry.patch_index, previous)
        return tokens * geometry.token_mask.unsqueeze(-1)

    def _run_blocks(
        self,
        tokens: Tensor | None,
        geometry: TokenGeometry,
        past: Callable[[int, Tensor], list[Tensor]],
        prefix: Tensor | None = None,
        auxiliary: Tensor | None = None,
    ) -> list[Tensor]:
        """Run all blocks; return the normed streams after the tapped blocks and the last one."""
        backbone, context, first = self.backbone, self.context, self.config.first_adapted
        tapped = self.config.segmentation_blocks if self.segmentation_head is not None else ()
        if prefix is not None and any(number <= first for number in tapped):
            raise ValueError(f'segmentation taps blocks {tapped}, the prefix ends with {first}')
        patches = prefix[:, 1:] if tokens is None else tokens
        x, position = backbone.with_class(patches, geometry.centres)
        if prefix is not None:
            x = prefix
        mask = backbone.attention_mask(geometry.token_mask)
        around = None
        if context is not None:
            around = context.positions(geometry.centres, geometry.context_index)
        taps = []
        for number in range(first if prefix is not None else 0, len(backbone.blocks)):
            own = number - first
            if own == 0 and self.class_offset is not None:
                x, position = (_with_offset(v, o) for v, o in zip((x, position), self.class_offset))
            if own == 0 and self.auxiliary is not None:
                x = _with_auxiliary(x, self.auxiliary(auxiliary, geometry.token_mask))
            x = x + position
            if own >= 0 and self.adapters:
                latents = self.adapters[own].latents(x)
                x = self.adapters[own](x, latents, past(own, latents))
            beside = None
            if own >= 0 and context is not None:
                beside = _bind_context(context, around, own)
            x = backbone.blocks[number](x, mask, beside)
            if number + 1 in tapped:
                taps.append(backbone.norm(x))
        taps.append(backbone.norm(x))
        return taps

    def _segment(
        self,
        points: Tensor,
        features: Tensor | None,
        mask: Tensor | None,
        geometry: TokenGeometry,
        taps: list[Tensor],
        described: Callable[[], DescribedPoints] | None = None,
        auxiliary: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        head = self.segmentation_head
        if head is None:
            return None, None
        known = described() if described else head.describe(points, features, geometry)
        logits = head.classify_points(known, [t[:, 1:] for t in taps[:-1]], auxiliary)
        if self.actor is None:
            return logits, None
        column = self.config.segmentation_classes.index(self.config.actor_class)
        # The mask that chooses the actor's points is given, not trained through.
        probability = class_probabilities(logits.detach())[:, column]
        return logits, self.actor(points, probability, mask)

    def _describe(
        self, taps: list[Tensor], geometry: TokenGeometry, actor: Tensor | None, steps: Tensor
    ) -> Tensor | None:
        head, last = self.action_head, taps[-1]
        if head is None:
            return None
        mask, positions = geometry.token_mask, token_positions(geometry, steps)
        return head.describe(head.collect(last[:, 0], last[:, 1:], mask, actor, positions))


def token_positions(geometry: TokenGeometry, steps: Tensor) -> Tensor:
    """Where tokens lie and how they came, ``(F, G, 3 + C)``.

    Args:
        geometry: Of the F frames.
        steps: ``(F, G, C)``, from ``tube_steps`` or the auxiliary token features.
    """
    return torch.cat([geometry.centres, steps], dim=-1)


def _with_offset(stream: Tensor, offset: Tensor) -> Tensor:
    """Add to the class slot only."""
    return torch.cat([stream[:, :1] + offset, stream[:, 1:]], dim=1)


def _with_auxiliary(stream: Tensor, auxiliary: Tensor) -> Tensor:
    """Add to the patch slots only."""
    return torch.cat([stream[:, :1], stream[:, 1:] + auxiliary], dim=1)


def _bind_context(
    context: ContextEncoder, around: Neighbourhood, block: int
) -> Callable[[Tensor], Tensor]:
    return lambda x: context(x, around, block)
