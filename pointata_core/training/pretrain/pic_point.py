# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Lightning module of pre-training: encode, project, contrast, and watch for collapse."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import preset_config
from pointata_core.models.point.dgcnn import DgcnnEncoder
from pointata_core.models.point.encoders import PointFeatures, TransformerEncoder, cut_patches
from pointata_core.training.engine.optimiser import (
    cosine,
    make_optimiser,
    parameter_groups,
    require_finite,
    with_muon,
)
from pointata_core.training.pretrain.contrast import (
    alignment,
    effective_rank,
    local_contrast,
    overall_contrast,
    uniformity,
)
from pointata_core.training.pretrain.heads import LocalPointHead, PoseEncoder, ProjectionHead
from pointata_core.training.pretrain.image_encoder import (
    FrozenImageEncoder,
    ImageFeatures,
    features_of,
)
from pointata_core.training.pretrain.masked import MaskedReconstruction
from pointata_core.training.pretrain.settings import PretrainingConfig

COLLAPSED = -0.2
"""Uniformity above which shapes count as indistinct: their mean cosine is then about 0.95."""

_WATCH_EVERY = 10
_FROZEN = 'images.'


class CollapseWarning(UserWarning):
    """The features of all shapes have become nearly the same."""


def new_encoder(config: PretrainingConfig) -> TransformerEncoder | DgcnnEncoder:
    """An untrained 3D backbone behind the common interface."""
    if config.encoder == 'dgcnn':
        return DgcnnEncoder(config.patch_size, config.tokens)
    backbone = Backbone(preset_config(config.preset).backbone)
    return TransformerEncoder(backbone, config.tokens, config.patch_size)


class PicPointModule(lightning.LightningModule):
    """Trains a 3D backbone, heads and pose encoder; the image encoder stays as it is.

    Args:
        config: Objectives and optimiser.
        images: The frozen image encoder, or None when only patches are reconstructed.
        camera_radius: Distance of the cameras.
    """

    def __init__(
        self, config: PretrainingConfig, images: FrozenImageEncoder | None, camera_radius: float
    ) -> None:
        super().__init__()
        # Checkpoints leave the frozen network out; it comes from its own file.
        self.strict_loading = False
        self.config = config
        self.encoder = new_encoder(config)
        self.images = images if config.contrasts else None
        heads: dict[str, nn.Module] = {}
        if config.overall_weight:
            heads['shape'] = ProjectionHead(self.encoder.overall_width, config.latent)
            assert images is not None, 'a contrast needs an image encoder'
            heads['image'] = ProjectionHead(images.overall_width, config.latent)
        if config.local_weight:
            heads['region'] = LocalPointHead(
                self.encoder.local_width, config.latent, config.pose_join
            )
            assert images is not None, 'a contrast needs an image encoder'
            heads['cell'] = ProjectionHead(images.width, config.latent)
            heads['pose'] = PoseEncoder(camera_radius)
        self.heads = nn.ModuleDict(heads)
        self.masked = None
        if config.masked_weight and isinstance(self.encoder, TransformerEncoder):
            backbone = self.encoder.backbone
            self.masked = MaskedReconstruction(backbone, config.patch_size)
        self.train()

    def training_step(self, batch: dict[str, Tensor], number: int) -> Tensor:
        """Return the weighted loss and log its parts."""
        loss, facts = self.objectives(batch, watch=self.global_step % _WATCH_EVERY == 0)
        require_finite(loss, self.global_step)
        self.log('loss', loss, prog_bar=True)
        self.log_dict(facts)
        if 'uniformity' in facts:
            self._watch(float(facts['uniformity']))
        return loss

    def validation_step(self, batch: dict[str, Tensor], number: int) -> None:
        """Log the same on shapes held back."""
        loss, facts = self.objectives(batch, watch=True)
        named = {f'held_back_{name}': value for name, value in {'loss': loss, **facts}.items()}
        self.log_dict(named, batch_size=len(batch['points']), sync_dist=True)

    def objectives(
        self, batch: dict[str, Tensor], watch: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the weighted sum of all objectives of a batch (see `ImageClouds`).

        Returns:
            The loss, its parts and, if they are watched, the monitors by name.
        """
        config, points = self.config, batch['points']
        loss, encoder, patches = points.new_zeros(()), self.encoder, None
        facts: dict[str, Tensor] = {}
        if isinstance(encoder, TransformerEncoder):
            patches = cut_patches(points, config.tokens, config.patch_size)
            encode = partial(encoder.encode, patches)
        else:
            encode = partial(encoder, points)
        if self.images is not None:
            features = encode()
            seen = self._seen(batch)
            if config.overall_weight:
                loss = loss + config.overall_weight * self._overall(features, seen, facts, watch)
            if config.local_weight:
                loss = loss + config.local_weight * self._local(features, seen, batch, facts, watch)
        if self.masked is not None and patches is not None:
            generator = torch.Generator().manual_seed(self._seed_of_step())
            masked = self.masked(encoder.backbone, patches, generator)
            facts['masked_loss'] = masked.detach()
            loss = loss + config.masked_weight * masked
        return loss, facts

    def _seen(self, batch: dict[str, Any]) -> ImageFeatures:
        """Image features of a batch, computed now or kept from before."""
        if 'stages' in batch:
            return features_of([stage.flatten(0, 1).float() for stage in batch['stages']])
        assert self.images is not None, 'a contrast needs an image encoder'
        return self.images(batch['images'].flatten(0, 1))

    def _overall(self, features: PointFeatures, seen: Any, facts: dict, watch: bool) -> Tensor:
        shapes = self.heads['shape'](features.overall)
        images = self.heads['image'](seen.overall).unflatten(0, (len(shapes), -1))
        contrast = overall_contrast(shapes, images, self.config.temperature)
        facts['overall_loss'] = contrast.loss.detach()
        facts['overall_retrieval'] = contrast.retrieval
        if watch:
            facts['alignment'] = alignment(shapes, images[:, 0])
            facts['uniformity'] = uniformity(shapes)
        return contrast.loss

    def _local(
        self, features: PointFeatures, seen: Any, batch: dict, facts: dict, watch: bool
    ) -> Tensor:
        pose = self.heads['pose'](batch['view'], batch['projection'][0])
        regions = self.heads['region'](features.tokens, pose)
        cells = self.heads['cell'](seen.cells.flatten(2).transpose(1, 2))
        cells = cells.unflatten(0, batch['view'].shape[:2])
        place = cells_of_regions(features.index, batch['cell'])
        contrast = local_contrast(
            regions, cells, place, self.config.temperature, self.config.negatives
        )
        facts['local_loss'] = contrast.loss.detach()
        facts['local_retrieval'] = contrast.retrieval
        views = place.shape[0] * place.shape[1]
        facts['visible_regions'] = torch.tensor(contrast.pairs / views)
        facts['occupied_cells'] = torch.tensor(contrast.candidates / views)
        if watch:
            facts['effective_rank'] = effective_rank(regions[place >= 0][:1024].detach())
        return contrast.loss

    def _seed_of_step(self) -> int:
        return self.config.seed * 1_000_003 + 17 * self.global_step + self.global_rank

    def _watch(self, found: float) -> None:
        started = self.global_step > 0.05 * self.config.steps
        if started and found > COLLAPSED:
            warnings.warn(
                f'uniformity is {found:.2f} at step {self.global_step}: the features of all shapes '
                'are nearly the same; lower the learning rate or raise the batch size',
                CollapseWarning,
                stacklevel=2,
            )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """One cosine to zero, with warm-up if wanted, stepped per batch."""
        config = self.config
        groups = parameter_groups(
            self, learning_rate=config.learning_rate, weight_decay=config.weight_decay
        )
        return make_optimiser(
            with_muon(groups, config.muon_rate, config.learning_rate),
            cosine(config.steps, config.warmup),
            decoupled=config.optimizer == 'adamw',
        ).for_lightning()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen image encoder out."""
        state = checkpoint['state_dict']
        checkpoint['state_dict'] = {k: v for k, v in state.items() if not k.startswith(_FROZEN)}


def cells_of_regions(index: Tensor, cell: Tensor) -> Tensor:
    """The cell of each region's centre: ``(B, G), (B, W, N) -> (B, W, G)``; -1 where hidden."""
    spread = index.clamp_min(0).unsqueeze(1).expand(-1, cell.shape[1], -1)
    return torch.gather(cell, 2, spread).masked_fill((index < 0).unsqueeze(1), -1)
