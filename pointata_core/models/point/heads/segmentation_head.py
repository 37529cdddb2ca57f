# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Per-point classes: tokens of several depths, interpolated to the points, with local features."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from pointata_core.models.activation import gelu
from pointata_core.models.linear import Linear, product
from pointata_core.models.point.geometry import FrameGeometry
from pointata_core.models.point.heads.local_feature import LocalFeature
from pointata_core.models.scene.config import SceneConfig
from pointata_core.models.scene.scene_encoder import SceneEncoder, SceneFeatures
from pointata_core.ops import Interpolation, interpolate


class DescribedPoints(NamedTuple):
    """The features of the points that depend neither on tokens nor on earlier frames.

    Attributes:
        own: ``(F, N, H)`` local features as they enter the fusion, or those of the scene encoder.
        interpolation: Weights from tokens to points.
    """

    own: Tensor | SceneFeatures
    interpolation: Interpolation


class SegmentationHead(nn.Module):
    """Tokens to class logits per point.

    Interpolation is linear, so the tokens are projected before it: a few hundred rows instead of
    thousands.

    Args:
        width: Token width D.
        taps: How many blocks' tokens come in.
        features: Sensor feature columns per point.
        pillar_sizes: See :class:`LocalFeature`.
        hidden: Hidden width H.
        classes: Number of classes.
        dropout: Before the last layer.
        auxiliary: Columns of the auxiliary token features; 0 for none.
        scene: Sizes of the scene encoder; ``None`` for :class:`LocalFeature`.
    """

    def __init__(
        self,
        width: int,
        taps: int,
        features: int,
        pillar_sizes: tuple[float, ...],
        hidden: int,
        classes: int,
        dropout: float,
        auxiliary: int = 0,
        scene: SceneConfig | None = None,
    ) -> None:
        super().__init__()
        self.local: SceneEncoder | LocalFeature
        if scene is not None:
            self.local = SceneEncoder(features, scene, hidden)
        else:
            self.local = LocalFeature(features, pillar_sizes, hidden)
        self.project = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(taps))
        self.auxiliary = nn.Linear(auxiliary, hidden, bias=False) if auxiliary else None
        self.fuse = Linear(2 * hidden if taps else hidden, hidden)
        self.refine = Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(hidden, classes)

    def forward(
        self,
        points: Tensor,
        features: Tensor | None,
        geometry: FrameGeometry,
        tokens: list[Tensor],
        auxiliary: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Classify every point.

        Args:
            points: ``(F, N, 3)`` normalised.
            features: ``(F, N, C)`` or ``None``.
            geometry: Of the same frames.
            tokens: Per tap ``(F, G, D)`` patch tokens.
            auxiliary: ``(F, G, C)`` of the tokens, if there are any.
            mask: ``(F, N)``, false for padding; ``None`` when every slot holds a point.

        Returns:
            Logits ``(F, N, classes)``.
        """
        described = self.describe(points, features, geometry, mask)
        return self.classify_points(described, tokens, auxiliary)

    def describe(
        self,
        points: Tensor,
        features: Tensor | None,
        geometry: FrameGeometry,
        mask: Tensor | None = None,
    ) -> DescribedPoints:
        """Compute what does not depend on tokens; arguments as :meth:`forward`."""
        if isinstance(self.local, SceneEncoder):
            scene = self.local(points, features, mask)
            return DescribedPoints(scene, geometry.interpolation)
        local = self.local(points, features, geometry.pillars)
        return DescribedPoints(self._own_half(local), geometry.interpolation)

    def classify_points(
        self,
        described: DescribedPoints,
        tokens: list[Tensor],
        auxiliary: Tensor | None = None,
        earlier: list[Tensor] | None = None,
    ) -> Tensor:
        """Classify points that :meth:`describe` described; the rest as for :meth:`forward`.

        Args:
            described: The points.
            tokens: See :meth:`forward`.
            auxiliary: See :meth:`forward`.
            earlier: Maps of earlier frames, for a scene encoder that compares them.
        """
        own = described.own
        if isinstance(own, SceneFeatures):
            assert isinstance(self.local, SceneEncoder)
            fine = self.local.with_history(own.fine, earlier or [])
            own = self._own_half(self.local.read(own, fine))
        x = gelu(self._with_tokens(own, described.interpolation, tokens, auxiliary))
        refined = gelu(self.refine(x))
        final = self.dropout(refined.add_(x))
        return self.classify(final.to(self.classify.weight.dtype))

    def _own_half(self, local: Tensor) -> Tensor:
        """Linear over [local, context] without building the concatenation; here the first half."""
        return product(local, self.fuse.factor[:, : local.shape[-1]], self.fuse.bias)

    def _with_tokens(
        self,
        own: Tensor,
        interpolation: Interpolation,
        tokens: list[Tensor],
        auxiliary: Tensor | None,
    ) -> Tensor:
        if not self.project:
            return own.clone()  # the activation may overwrite it
        projected = sum(layer(t) for layer, t in zip(self.project, tokens, strict=True))
        if self.auxiliary is not None:
            projected = projected + self.auxiliary(auxiliary)
        # The second half, at the tokens, of which there are fewer than points.
        weight = self.fuse.factor[:, own.shape[-1] :]
        return interpolate(product(projected, weight), interpolation).add_(own)


def map_of(described: DescribedPoints | None) -> Tensor | None:
    """The scene encoder's finest map of the frames ``(F, C, S, S)``; ``None`` without one."""
    if described is not None and isinstance(described.own, SceneFeatures):
        return described.own.fine
    return None


def class_probabilities(logits: Tensor) -> Tensor:
    """Turn logits ``(F, N, classes)`` into probabilities ``(F, classes, N)``.

    Long rows of points, not short rows of classes, suit vector units: twenty times faster on a CPU
    than a softmax over the last axis.
    """
    return logits.transpose(-1, -2).contiguous().softmax(dim=-2)
