# SPDX-License-Identifier: Apache-2.0
"""Every choice of a pre-training run; each field is a key of ``config/training/pretrain_*.yaml``.

What the paper states is the default (1,024 points, 512-dimensional space, pose joined, Adam and
cosine, 20 views); the rest it leaves open, and is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pointata_core.errors import ConfigError

PoseJoin = Literal['none', 'input', 'mid']
Negatives = Literal['batch', 'image']


@dataclass(frozen=True)
class PretrainingConfig:
    """How a 3D backbone is pre-trained.

    Attributes:
        encoder: ``transformer`` (a preset of ours) or ``dgcnn``.
        preset: Shape of the transformer.
        tokens: Patches per cloud (transformer), or points with a local feature (DGCNN).
        patch_size: Points per patch, or neighbours in DGCNN's graphs.
        points: Points per cloud and step.
        views: Images per shape and step, drawn anew each time.
        view_pool: Images to draw from, evenly spread over those stored; 0 for all.
        latent: Width d of the shared space.
        map_stride: Pixels per cell of the image encoder's map.
        pose_join: Where the pose enters the local point head; ``none`` leaves it out.
        train_image_heads: Whether the heads behind the frozen image encoder learn.
        temperature: Of both contrasts.
        negatives: Cells of the whole batch compete, or those of a region's own image.
        overall_weight: Of the contrast of shapes and images; 0 switches it off.
        local_weight: Of the contrast of regions and cells; 0 switches it off.
        masked_weight: Of masked patch reconstruction (transformer only); 0 switches it off.
        mask_ratio: Share of patches hidden for reconstruction.
        batch: Shapes per step and process.
        steps: Optimiser steps.
        epoch_steps: Steps between two checkpoints.
        optimizer: ``adam`` as published, or ``adamw``.
        learning_rate: Peak rate.
        weight_decay: Of the optimiser.
        warmup: Share of the steps in which the rate rises before its cosine.
        gradient_clip: Largest norm of the gradient.
        scale: Clouds grow or shrink by up to this factor.
        turn: Whether clouds turn about the vertical.
        jitter: Standard deviation of noise on points, clipped at five times.
        drop: Largest share of points that a cloud loses (others are repeated).
        held_back: Every so many-th shape is kept for validation.
        workers: Processes that prepare batches; 0 prepares in the training process.
        seed: Of everything random.
    """

    encoder: Literal['transformer', 'dgcnn'] = 'transformer'
    preset: str = 'tiny'
    tokens: int = 64
    patch_size: int = 32
    points: int = 1024
    views: int = 1
    view_pool: int = 0
    latent: int = 512
    map_stride: int = 32
    pose_join: PoseJoin = 'mid'
    train_image_heads: bool = True
    temperature: float = 0.1
    negatives: Negatives = 'batch'
    overall_weight: float = 1.0
    local_weight: float = 1.0
    masked_weight: float = 0.0
    mask_ratio: float = 0.6
    batch: int = 32
    steps: int = 10_000
    epoch_steps: int = 100
    optimizer: Literal['adam', 'adamw'] = 'adam'
    learning_rate: float = 1e-3
    weight_decay: float = 1e-6
    warmup: float = 0.0
    gradient_clip: float = 1.0
    scale: float = 1.25
    turn: bool = True
    jitter: float = 0.01
    drop: float = 0.5
    held_back: int = 20
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        rules = (
            *((name, getattr(self, name) >= 1, '1 or more') for name in _COUNTS),
            ('view_pool', self.view_pool == 0 or self.view_pool >= self.views, '0 or >= views'),
            ('batch', self.batch >= 2, '2 or more: a contrast needs two shapes'),
            ('temperature', self.temperature > 0, 'more than 0'),
            ('mask_ratio', 0 < self.mask_ratio < 1, 'in (0, 1)'),
            ('warmup', 0 <= self.warmup < 1, 'in [0, 1)'),
            ('learning_rate', self.learning_rate > 0, 'more than 0'),
            ('scale', self.scale >= 1, '1 or more'),
            ('jitter', self.jitter >= 0, '0 or more'),
            ('drop', 0 <= self.drop < 1, 'in [0, 1)'),
            ('held_back', self.held_back >= 2, '2 or more'),
            ('points', self.points >= self.patch_size, f'patch_size ({self.patch_size}) or more'),
            ('masked_weight', self._can_mask(), '0 with encoder dgcnn, which has no patches'),
            ('overall_weight', self._has_objective(), 'an objective with a weight above 0'),
        )
        for name, holds, expected in rules:
            if not holds:
                raise ConfigError(
                    f'training.{name} is {getattr(self, name)}, expected {expected}',
                    'Correct the value in the configuration',
                )

    def _can_mask(self) -> bool:
        return self.masked_weight == 0 or self.encoder == 'transformer'

    def _has_objective(self) -> bool:
        weights = (self.overall_weight, self.local_weight, self.masked_weight)
        return min(weights) >= 0 and max(weights) > 0

    @property
    def contrasts(self) -> bool:
        """Whether images are looked at."""
        return self.overall_weight > 0 or self.local_weight > 0


_COUNTS = ('tokens', 'patch_size', 'points', 'views', 'latent', 'steps', 'epoch_steps')
