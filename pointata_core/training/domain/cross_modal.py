# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Lightning module of domain adaptation: terms of one step, their sum, optimiser, teacher."""

from __future__ import annotations

import copy
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
from pointata_core.training.domain.batches import Pair, with_loss_points
from pointata_core.training.domain.losses import (
    domain_terms,
    mixed_terms,
    source_terms,
    target_terms,
)
from pointata_core.training.domain.published import LossWeights
from pointata_core.training.domain.settings import DomainAdaptationConfig
from pointata_core.training.domain.stylised import mixed_for_student, stylise
from pointata_core.training.engine.optimiser import falling, make_optimiser, require_finite


class MovingAverageTeacher(nn.Module):
    """Copy of a network that follows it: ``theta' <- a theta' + (1 - a) theta``.

    Mean teacher, Tarvainen & Valpola, NeurIPS 2017.

    ``a = min(1 - 1 / (t + 1), decay)`` with t the number of the step from 1, so that the first
    step weighs both equally and the start is soon forgotten.

    As published, it predicts with the statistics of the batch and with dropout.

    Args:
        student: The network to copy; it is not kept.
        decay: Largest a.
    """

    step: Tensor

    def __init__(self, student: nn.Module, decay: float = 0.999) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f'decay must lie in [0, 1), found {decay}')
        self.decay = decay
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.register_buffer('step', torch.zeros((), dtype=torch.int64))
        self.train()

    def train(self, mode: bool = True) -> MovingAverageTeacher:
        """Stay in training mode, whatever mode the training loop sets."""
        return super().train()

    @torch.no_grad()
    def forward(self, *inputs: Any) -> Any:
        """Predict without a graph."""
        return self.network(*inputs)

    @torch.no_grad()
    def follow(self, student: nn.Module) -> float:
        """Move towards the student after one of its steps; returns the weight a of the past."""
        self.step += 1
        past = min(1 - 1 / (int(self.step) + 1), self.decay)
        for own, new in zip(self.network.parameters(), student.parameters(), strict=True):
            own.lerp_(new, 1 - past)
        return past


class CrossModalModule(lightning.LightningModule):
    """Trains a camera and LiDAR network on a labelled source and an unlabelled target.

    Args:
        config: Every choice.
        network: The student.
        weights: Of the loss terms of this stage.
        class_weights: ``(K,)`` for the cross-entropy on the source, or None.
        labelled_weights: ``(K,)`` for that on labelled frames of the target domain, or None.
    """

    class_weights: Tensor | None
    labelled_weights: Tensor | None

    def __init__(
        self,
        config: DomainAdaptationConfig,
        network: CameraLidarNetwork,
        weights: LossWeights,
        class_weights: Tensor | None = None,
        labelled_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config, self.network, self.weights = config, network, weights
        self.register_buffer('class_weights', class_weights, persistent=False)
        self.register_buffer('labelled_weights', labelled_weights, persistent=False)
        self.teacher = None
        if weights.needs_teacher:
            self.teacher = MovingAverageTeacher(network)
        self.train()

    def training_step(self, pair: Pair, number: int) -> Tensor:
        """Return the loss and log its terms."""
        # Dropout and the style's coin depend on the step alone, so a resumed run repeats them.
        torch.manual_seed(self.config.seed * 1_000_003 + 17 * self.global_step + self.global_rank)
        terms = self.terms(pair)
        loss = torch.stack(list(terms.values())).sum()
        require_finite(loss, self.global_step, terms)
        size = len(pair.source.pixels)
        self.log('loss', loss, prog_bar=True, batch_size=size)
        self.log_dict({k: v.detach() for k, v in terms.items()}, batch_size=size)
        return loss

    def terms(self, pair: Pair) -> dict[str, Tensor]:
        """Weighted terms of one step, by name."""
        config, weights = self.config, self.weights
        if config.loss_points is not None:
            source, target = (with_loss_points(part, config.loss_points) for part in pair[:2])
            pair = pair._replace(source=source, target=target)
        source = mixed_for_student(pair.source, pair.target, config.style)
        predictions, labels = self.network(source), source.labels
        assert labels is not None, 'the source is labelled'
        if pair.mixed:
            of_target = source.samples % 2 == 1
            balances = self.class_weights, self.labelled_weights
            terms = mixed_terms(predictions, labels, weights, of_target, balances)
        else:
            terms = source_terms(predictions, labels, weights, self.class_weights)
        if self.teacher is not None:
            grid = self.network.cloud_net.grid
            batch, kept = stylise(pair.source, pair.target, config.style, grid)
            # Statistics of a batch need two points; a cloud far too large for the grid has none.
            if int(kept.sum()) > 1:
                terms |= domain_terms(self.teacher(batch), predictions.rows(kept), weights)
        if weights.needs_target:
            target = pair.target
            image, cloud = target.image_pseudo_labels, target.cloud_pseudo_labels
            pseudo = None if image is None or cloud is None else (image, cloud)
            terms |= target_terms(self.network(target), weights, pseudo)
        return terms

    def on_train_batch_end(self, outputs: Any, batch: Any, number: int) -> None:
        """Let the teacher follow."""
        if self.teacher is not None:
            self.teacher.follow(self.network)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam with a rate of its own for the 2D branch; rates fall at the milestones."""
        schedule = self.config.schedule
        groups = [
            {'params': params, 'lr': schedule.image_rate if name == 'image' else schedule.rate}
            for name, params in self.network.parameter_groups().items()
        ]
        optimiser = make_optimiser(groups, falling(schedule.milestones), decoupled=False)
        return optimiser.for_lightning()
