# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of a network's heads, and the values between its blocks and its heads."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pointata_core.models.point.geometry import TokenGeometry


@dataclass(frozen=True)
class NetworkOutput:
    """Logits of the heads.

    Attributes:
        segmentation: Logits ``(B, T, N, classes)``, or ``(B, N, classes)`` from a step; ``None``
            without a segmentation head.
        action: Logits ``(B, T, classes)`` or ``(B, classes)``; ``None`` without an action head.
    """

    segmentation: Tensor | None
    action: Tensor | None


@dataclass(frozen=True)
class EncodedFrame:
    """A frame of B streams after the blocks: the input of the heads.

    Attributes:
        points: ``(B, N, 3)``.
        features: ``(B, N, C)`` or ``None``.
        mask: ``(B, N)`` or ``None``.
        motion: ``(B, 4, 4)`` taking the frame before into this one, or ``None``.
        geometry: Of the tokens, or of points and tokens.
        taps: Normed streams ``(B, 1 + G, D)`` after the tapped blocks and the last one.
        steps: Auxiliary features of the tokens ``(B, G, C)``, or without any their displacements
            along tubes ``(B, G, 4)``.
    """

    points: Tensor
    features: Tensor | None
    mask: Tensor | None
    motion: Tensor | None
    geometry: TokenGeometry
    taps: list[Tensor]
    steps: Tensor
