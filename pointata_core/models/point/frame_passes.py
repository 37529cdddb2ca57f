# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The passes inside a frame: embedder, blocks, heads; the same in whole clips and in streams.

What is past comes in from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from pointata_core.models.point.align_embedder import EarlierFrame
from pointata_core.models.point.geometry import FrameGeometry, TokenGeometry
from pointata_core.models.point.heads.segmentation_head import DescribedPoints, class_probabilities
from pointata_core.models.point.network_parts import NetworkParts
from pointata_core.models.point.stream_state import HeadMemory
from pointata_core.models.point.video_adapter import VideoAdapter
from pointata_core.ops import knn


def patches_before(
    parts: NetworkParts,
    geometry: TokenGeometry,
    points: Tensor,
    features: Tensor | None,
    mask: Tensor,
) -> EarlierFrame:
    """Find the nearest points of the frame before for each patch."""
    size = parts.config.geometry.patch_size
    index = knn(geometry.centres, points, size, mask, geometry.token_mask).index
    return EarlierFrame(points, features, index)


def run_blocks(
    parts: NetworkParts,
    patches: Tensor,
    geometry: TokenGeometry,
    past: Callable[[int, Tensor], list[Tensor]],
    prefix: Tensor | None = None,
    auxiliary: Tensor | None = None,
) -> list[Tensor]:
    """Run all blocks of F frames.

    Args:
        parts: Of the network.
        patches: ``(F, G, D)`` tokens of the embedder, or of the prefix.
        geometry: Of the tokens.
        past: Called with the number of an adapted block and its latents ``(F, 1 + G, r)``; returns
            those of the earlier frames along the tubes, newest first.
        prefix: ``(F, 1 + G, D)`` where the adapted blocks begin, when computed before.
        auxiliary: ``(F, G, C)`` auxiliary token features.

    Returns:
        The normed streams ``(F, 1 + G, D)`` after the tapped blocks and after the last one; of a
        network without tokens, zeros in place of the class token.

    Raises:
        ValueError: The segmentation head taps a block of the prefix.
    """
    if not parts.config.geometry.tokens:
        return [patches.new_zeros((len(patches), 1, parts.config.backbone.width))]
    backbone, context, first = parts.backbone, parts.context, parts.config.first_adapted
    tapped = parts.config.segmentation_blocks if parts.segmentation_head is not None else ()
    if prefix is not None and any(number <= first for number in tapped):
        raise ValueError(f'segmentation taps blocks {tapped}, the prefix ends with {first}')
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
        if own == 0 and parts.class_offset is not None:
            x, position = (
                _add_to_class(v, o) for v, o in zip((x, position), parts.class_offset, strict=True)
            )
        if own == 0 and parts.auxiliary is not None:
            assert auxiliary is not None, 'the network was trained with auxiliary features'
            x = _add_to_patches(x, parts.auxiliary(auxiliary, geometry.token_mask))
        x = x + position
        beside = None
        if own >= 0 and parts.adapters:
            adapter = parts.adapters[own]
            assert isinstance(adapter, VideoAdapter)
            latents = adapter.latents(x)
            x = adapter(x, latents, past(own, latents))
        if own >= 0 and context is not None and around is not None:
            beside = partial(context, around=around, block=own)
        x = backbone.blocks[number](x, mask, beside)
        if number + 1 in tapped:
            taps.append(backbone.norm(x))
    taps.append(backbone.norm(x))
    return taps


def describe_points(
    parts: NetworkParts,
    points: Tensor,
    features: Tensor | None,
    mask: Tensor | None,
    geometry: TokenGeometry,
) -> DescribedPoints | None:
    """Run the part of the segmentation head that needs no tokens; ``None`` without such a head."""
    if parts.segmentation_head is None:
        return None
    assert isinstance(geometry, FrameGeometry), 'the head needs the geometry of the points'
    return parts.segmentation_head.describe(points, features, geometry, mask)


def segment(
    parts: NetworkParts,
    points: Tensor,
    mask: Tensor | None,
    described: DescribedPoints | None,
    taps: list[Tensor],
    auxiliary: Tensor | None = None,
    earlier: list[Tensor] | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """Run the segmentation head and pool the points of the actor.

    Args:
        parts: Of the network.
        points: ``(F, N, 3)``.
        mask: ``(F, N)`` or ``None``.
        described: From :func:`describe_points`.
        taps: From :func:`run_blocks`.
        auxiliary: ``(F, G, C)`` auxiliary token features.
        earlier: Maps of earlier frames, see :meth:`SegmentationHead.classify_points`.

    Returns:
        Logits ``(F, N, classes)`` and the actor's descriptor ``(F, A)``, each ``None`` without
        such a part.
    """
    head = parts.segmentation_head
    if head is None or described is None:
        return None, None
    tokens = [tap[:, 1:] for tap in taps[:-1]]
    logits = head.classify_points(described, tokens, auxiliary, earlier)
    if parts.actor is None:
        return logits, None
    column = parts.config.segmentation_classes.index(parts.config.actor_class)
    # The mask that chooses the actor's points is given, not trained through.
    probability = class_probabilities(logits.detach())[:, column]
    return logits, parts.actor(points, probability, mask)


def describe_frames(
    parts: NetworkParts,
    taps: list[Tensor],
    geometry: TokenGeometry,
    actor: Tensor | None,
    steps: Tensor,
) -> Tensor | None:
    """Descriptors ``(F, W)`` of frames for the action head; ``None`` without one."""
    head, last = parts.action_head, taps[-1]
    if head is None:
        return None
    mask, positions = geometry.token_mask, token_positions(geometry, steps)
    return head.describe(head.collect(last[:, 0], last[:, 1:], mask, actor, positions))


def token_positions(geometry: TokenGeometry, steps: Tensor) -> Tensor:
    """Token centres beside their motion or auxiliary features, ``(F, G, 3 + C)``.

    Args:
        geometry: Of the F frames.
        steps: ``(F, G, C)``, from ``tube_steps`` or the auxiliary token features.
    """
    return torch.cat([geometry.centres, steps], dim=-1)


def _add_to_class(stream: Tensor, offset: Tensor) -> Tensor:
    return torch.cat([stream[:, :1] + offset, stream[:, 1:]], dim=1)


def _add_to_patches(stream: Tensor, auxiliary: Tensor) -> Tensor:
    return torch.cat([stream[:, :1], stream[:, 1:] + auxiliary], dim=1)


def read_action(
    parts: NetworkParts, descriptor: Tensor | None, present: Tensor, memory: HeadMemory
) -> tuple[Tensor | None, HeadMemory]:
    """Read the action of the newest of the frames that the action head remembers.

    Args:
        parts: Of the network.
        descriptor: ``(B, width)`` of the newest frame; ``None`` without an action head.
        present: ``(B,)``, whether it holds anything.
        memory: Before the frame.

    Returns:
        Logits ``(B, classes)`` or ``None``, and the memory after the frame.
    """
    if descriptor is None or parts.action_head is None:
        return None, memory
    seen = torch.cat([memory.descriptors, descriptor.unsqueeze(1)], dim=1)
    mask = torch.cat([memory.mask, present.unsqueeze(1)], dim=1)
    return parts.action_head(seen, mask)[:, -1], HeadMemory(seen[:, 1:], mask[:, 1:], memory.maps)
