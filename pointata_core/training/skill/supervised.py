# SPDX-License-Identifier: Apache-2.0
"""Plain supervised training of a network on prepared clips (Lightning runs the loop)."""

from __future__ import annotations

from dataclasses import dataclass

import lightning
import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.point.network_parts import Stage
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.prepared_clips import IGNORED, ClipBatch, augment


@dataclass(frozen=True)
class SupervisedConfig:
    """How to train.

    Attributes:
        stage: What is trained, see :meth:`PointATA.set_stage`.
        train_embedder: The align embedder as well; its BatchNorm statistics stay.
        steps: Optimiser steps; the learning rate follows one cosine over them.
        learning_rate: Peak rate of AdamW.
        weight_decay: On matrices; never on biases, norms and tokens.
        warmup: Share of the steps with a rising rate.
        action_weight: Weight of the action loss beside the segmentation loss.
        seed: Of the augmentation.
    """

    stage: Stage = 'adapt'
    train_embedder: bool = False
    steps: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    action_weight: float = 0.3
    seed: int = 0


class SupervisedTraining(lightning.LightningModule):
    """Cross-entropy on voxels and frames.

    Args:
        network: The network to train.
        config: How to train.
        class_weights: ``(classes,)`` weights of the segmentation loss, or ``None``.
    """

    def __init__(
        self,
        network: PointATA,
        config: SupervisedConfig,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.register_buffer('class_weights', class_weights, persistent=False)
        self.generator = torch.Generator().manual_seed(config.seed)
        network.set_stage(config.stage)
        if config.train_embedder:
            network.embedder.requires_grad_(True)
        # Lightning leaves every module in the mode it finds it in.
        network.train()

    def training_step(self, batch: ClipBatch, number: int) -> Tensor:
        """Return the loss of one batch and log its parts."""
        batch = augment(batch, self.generator)
        output = self.network(batch.points, mask=batch.mask, geometry=batch.geometry)
        loss = batch.points.new_zeros(())
        if output.segmentation is not None:
            segmentation = self._segmentation_loss(output.segmentation, batch.label)
            self.log('segmentation_loss', segmentation)
            loss = loss + segmentation
        if output.action is not None and self.config.action_weight:
            action = F.cross_entropy(
                output.action.float().flatten(0, 1), batch.action.flatten(), ignore_index=-100
            )
            self.log('action_loss', action)
            loss = loss + self.config.action_weight * action
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f'the loss is {loss.item()} at step {self.global_step}: lower the learning rate '
                f'({self.config.learning_rate}) or look for non-finite input'
            )
        self.log('loss', loss, prog_bar=True)
        return loss

    def _segmentation_loss(self, logits: Tensor, label: Tensor) -> Tensor:
        use = label != IGNORED
        logits, label = logits[use].float(), label[use]
        loss = F.cross_entropy(logits, label, weight=self.class_weights)
        with torch.no_grad():
            self.log('cell_accuracy', (logits.argmax(1) == label).float().mean(), prog_bar=True)
        return loss

    def configure_optimizers(self):
        """AdamW and one cosine with warm-up, stepped per batch."""
        trained = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {'params': [p for p in trained if p.dim() > 1 and p.shape[0] > 1]},
            {
                'params': [p for p in trained if p.dim() <= 1 or p.shape[0] == 1],
                'weight_decay': 0.0,
            },
        ]
        config = self.config
        optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=config.steps, pct_start=config.warmup
        )
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': scheduler, 'interval': 'step'},
        }

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """Keep the augmentation's random state, so that a resumed run sees the same data."""
        checkpoint['augmentation'] = self.generator.get_state()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Restore the augmentation's random state."""
        self.generator.set_state(checkpoint['augmentation'])

    def transfer_batch_to_device(self, batch: ClipBatch, device, dataloader_idx: int) -> ClipBatch:
        """Move a batch, its geometry included."""
        return batch.to(device)


def class_weights(labels: Tensor, classes: int, power: float = 0.5) -> Tensor:
    """Weigh rare classes up: share to the ``-power``, mean one over the labels' classes.

    Args:
        labels: Any shape, int; ``IGNORED`` does not count.
        classes: Number of classes.
        power: 0 for no weighting, 1 for fully balanced.
    """
    counts = torch.bincount(labels[labels != IGNORED].flatten(), minlength=classes).float()
    weights = (counts.clamp_min(1) / counts.sum()) ** -power
    weights[counts == 0] = 0.0
    return weights / weights[counts > 0].mean()
