# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the network is made of, and which of it is trained in which stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from pointata_core.models.point.align_embedder import AlignEmbedder
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import NetworkConfig
from pointata_core.models.point.context_encoder import ContextEncoder
from pointata_core.models.point.heads.action_head import ActionHead
from pointata_core.models.point.heads.actor_pooling import ActorPooling
from pointata_core.models.point.heads.linear_readout import LinearReadout
from pointata_core.models.point.heads.segmentation_head import SegmentationHead
from pointata_core.models.point.heads.two_stream_head import TwoStreamHead
from pointata_core.models.point.token_features import AuxiliaryEmbedding, auxiliary_width
from pointata_core.models.point.video_adapter import VideoAdapter

Stage = Literal['align', 'adapt', 'probe', 'full']
_ACTOR_WIDTH = 128


class NetworkParts(nn.Module):
    """Backbone, align embedder, video adapters, context encoder and heads, not yet connected.

    Args:
        config: Sizes, classes and geometry.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.backbone.width
        adapted = config.backbone.depth - config.first_adapted
        self.backbone = Backbone(config.backbone)
        self.embedder = AlignEmbedder(self.backbone, len(config.features), config.embedder_frames)
        self.adapters = nn.ModuleList(
            VideoAdapter(width, config.adapter_width, config.adapter_kernel)
            for _ in range(adapted if config.adapter_width else 0)
        )
        self.context = (
            ContextEncoder(width, config.context_width, adapted) if config.context_width else None
        )
        # Without adapters no trained part of the blocks reads them.
        embedded = auxiliary_width(config) and config.adapter_width and adapted
        self.auxiliary = AuxiliaryEmbedding(auxiliary_width(config), width) if embedded else None
        # Token and position; belongs to the skill, so that the backbone stays as it is.
        self.class_offset = (
            nn.Parameter(torch.zeros(2, 1, 1, width)) if config.class_offset else None
        )
        self.segmentation_head = self._build_segmentation_head()
        self.actor = ActorPooling(_ACTOR_WIDTH) if config.actor_class else None
        self.action_head = self._build_action_head()
        self.set_stage('adapt')

    def _build_segmentation_head(self) -> SegmentationHead | None:
        config = self.config
        if not config.segmentation_classes:
            return None
        return SegmentationHead(
            config.backbone.width,
            len(config.segmentation_blocks),
            len(config.features),
            config.geometry.pillar_sizes,
            config.segmentation_width,
            len(config.segmentation_classes),
            config.dropout,
            auxiliary_width(config),
            config.scene,
        )

    def _build_action_head(self) -> ActionHead | TwoStreamHead | LinearReadout | None:
        config = self.config
        if not config.action_classes:
            return None
        actor_width = self.actor.out_width if self.actor is not None else 0
        if config.readout == 'linear':
            return LinearReadout(
                config.backbone.width,
                actor_width,
                config.readout_frames,
                len(config.action_classes),
            )
        sizes = (
            config.readout_width,
            config.readout_frames,
            len(config.action_classes),
            config.dropout,
            config.readout == 'pooled',
        )
        width = config.backbone.width
        if config.position_width:
            positions = config.position_width
            auxiliary = auxiliary_width(config)
            shares = config.position_share, config.token_weight
            return TwoStreamHead(width, actor_width, positions, auxiliary, *sizes, *shares)
        return ActionHead(width, actor_width, *sizes)

    # ------------------------------------------------------------------ training

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Take over a pre-trained backbone; the align embedder starts again as its copy."""
        self.backbone.load_state_dict(state)
        self.embedder.copy_from(self.backbone)

    def set_stage(self, stage: Stage) -> None:
        """Choose what gradients reach.

        ``align``: the align embedder. ``adapt``: adapters, context encoder, auxiliary, the skill's
        class token and heads. ``probe``: heads only. ``full``: everything, the backbone included.
        """
        groups: dict[str, list[nn.Module | None]] = {
            'align': [self.embedder],
            'adapt': [self.adapters, self.context, self.auxiliary, *self._heads()],
            'probe': self._heads(),
            'full': [self],
        }
        if stage not in groups:
            raise ValueError(f'stage {stage!r} is unknown, expected one of {sorted(groups)}')
        self.stage = stage
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        for module in groups[stage]:
            if module is not None:
                module.requires_grad_(True)
        if self.class_offset is not None and stage == 'adapt':
            self.class_offset.requires_grad_(True)
        self.train(self.training)

    def _heads(self) -> list[nn.Module | None]:
        return [self.segmentation_head, self.actor, self.action_head]

    def train(self, mode: bool = True) -> NetworkParts:
        """Set the mode; whatever the stage keeps frozen evaluates, BatchNorm statistics too."""
        super().train(mode)
        stage = getattr(self, 'stage', 'adapt')
        if stage != 'full':
            self.backbone.eval()
            if stage != 'align':
                self.embedder.eval()
        return self

    def parameter_summary(self) -> dict[str, int]:
        """Count parameters: per part, and trainable with and without heads in this stage."""

        def count(*modules: nn.Module | None, trainable: bool = False) -> int:
            return sum(
                p.numel()
                for m in modules
                if m is not None
                for p in m.parameters()
                if p.requires_grad or not trainable
            )

        heads = self._heads()
        trainable = count(self, trainable=True)
        return {
            'backbone': count(self.backbone),
            'embedder': count(self.embedder),
            'adapters': count(self.adapters, self.auxiliary),
            'context': count(self.context),
            'heads': count(*heads),
            'total': count(self),
            'trainable': trainable,
            'trainable_without_heads': trainable - count(*heads, trainable=True),
            'frozen': count(self) - trainable,
        }
