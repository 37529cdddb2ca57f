# SPDX-License-Identifier: Apache-2.0
"""Stage 2: train adapters, context encoder and heads on clips (Lightning runs the loop)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.models.point.heads.two_stream_head import TwoStreamHead
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.token_features import displacement_width
from pointata_core.training.clips.prepared_clips import IGNORED, ClipBatch, with_auxiliary
from pointata_core.training.clips.step_augmentation import augment_step
from pointata_core.training.engine.optimiser import (
    cosine,
    make_optimiser,
    parameter_groups,
    require_finite,
)
from pointata_core.training.engine.sampler import SampleOrder
from pointata_core.training.engine.trainer import StepData, train
from pointata_core.training.skill.settings import OptimiserSettings, Task, TrainingSettings


class AdaptTraining(lightning.LightningModule):
    """One skill's training.

    Args:
        network: The network, a tuning mode applied.
        task: What is learned.
        optimiser: How.
        steps: Of the whole run.
        seed: Of dropout and augmentation.
        class_weights: ``(classes,)`` weights of the loss, or ``None``.
        up_axis: Vertical axis of the sensor frame.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        optimiser: OptimiserSettings,
        steps: int,
        seed: int,
        class_weights: Tensor | None = None,
        up_axis: str = 'z',
    ) -> None:
        super().__init__()
        self.network, self.task, self.optimiser = network, task, optimiser
        self.steps, self.seed, self.up_axis = steps, seed, up_axis
        self.register_buffer('class_weights', class_weights, persistent=False)
        self.displacements = (
            displacement_width(network.config) if isinstance(network, PointATA) else 0
        )
        # Lightning leaves every module in the mode it finds it in.
        network.train()

    def on_train_batch_start(self, batch: ClipBatch, number: int) -> None:
        """Tie dropout to the step, so that a resumed run drops what an unbroken one drops."""
        torch.manual_seed((self.seed * 4096 + self.global_rank) * 2**32 + self.global_step)

    def training_step(self, batch: ClipBatch, number: int) -> Tensor:
        """Return the loss of one batch."""
        batch = augment_step(
            with_auxiliary(self.network, batch),
            self.optimiser,
            self.up_axis,
            self.displacements,
            self.seed * 2**32 + self.global_step,
            self.trainer.global_rank,
            self.trainer.world_size,
        )
        loss, part = 0.0, batch
        head = getattr(self.network, 'action_head', None)
        if isinstance(head, TwoStreamHead):
            # Places cost next to nothing: all clips train them, some the tokens.
            positions = self.network.predict_from_positions(
                batch.geometry, len(batch.points), batch.motion, batch.auxiliary
            )
            loss = self._loss(*logits_and_truth(self.task, NetworkOutput(None, positions), batch))
            part = batch.take(self._token_rows(len(batch.points), 1 - head.position_share))
        output = self.network(
            part.points,
            part.features,
            part.mask,
            part.motion,
            geometry=part.geometry,
            prefix=part.prefix,
            auxiliary=part.auxiliary,
        )
        logits, truth = logits_and_truth(self.task, output, part)
        loss = loss + self._loss(logits, truth)
        require_finite(loss, self.global_step)
        with torch.no_grad():
            right = (logits.argmax(1) == truth).float().mean()
        values = {'loss': loss, 'accuracy': right}
        self.log_dict(values, prog_bar=True, batch_size=len(batch.points))
        return loss

    def _token_rows(self, clips: int, share: float) -> Tensor:
        """Numbers of the clips whose tokens are chosen, evenly over the batch of all processes."""
        position = torch.arange(clips) + self.trainer.global_rank * clips
        chosen = ((position + 1) * share + 1e-6).floor() > (position * share + 1e-6).floor()
        rows = chosen.nonzero().flatten()
        return rows if len(rows) else torch.arange(1)

    def _loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        smoothing = self.optimiser.label_smoothing
        return F.cross_entropy(logits, truth, self.class_weights, label_smoothing=smoothing)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW, a linear warm-up and one cosine to zero, stepped per batch."""
        settings = self.optimiser
        groups = parameter_groups(
            self.network,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            slow=('backbone.', 'embedder.'),
            slow_share=settings.backbone_rate,
            keep=('class_offset',),
        )
        return make_optimiser(groups, cosine(self.steps, settings.warmup)).for_lightning()

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """Leave out what is not trained: it comes from the backbone's file."""
        kept = {n for n, p in self.network.named_parameters() if p.requires_grad}
        kept |= {n for n, _ in self.network.named_buffers()}
        checkpoint['state_dict'] = {
            name: tensor
            for name, tensor in checkpoint['state_dict'].items()
            if name.removeprefix('network.') in kept
        }

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        """Load a checkpoint, which holds the trained tensors only."""
        trained = {f'network.{n}' for n, p in self.network.named_parameters() if p.requires_grad}
        missing = trained - set(state_dict)
        if missing:
            raise RuntimeError(f'the checkpoint lacks {sorted(missing)[0]}')
        return super().load_state_dict(state_dict, strict=False, assign=assign)


def train_skill(
    settings: TrainingSettings,
    network: nn.Module,
    clips: Any,
    class_weights: Tensor | None,
    folder: Path,
    *,
    quiet: bool = True,
) -> lightning.Trainer:
    """Train a network on clips, or go on where the folder's checkpoint ends.

    Args:
        settings: Of the run.
        network: A tuning mode applied; trained in place.
        clips: A clip store or frozen features.
        class_weights: ``(classes,)`` weights of the loss, or ``None``.
        folder: Of the run.
        quiet: Show no progress bar.
    """
    optimiser = settings.optimiser
    batch = min(optimiser.batch, len(clips))
    steps = optimiser.epochs * (len(clips) // batch)
    module = AdaptTraining(
        network,
        settings.task,
        optimiser,
        steps,
        settings.seed,
        class_weights,
        settings.augmentation.up_axis,
    )
    key = clip_key(len(clips), clips.variants, settings.seed)
    data = StepData(clips.__getitem__, key, batch, settings)
    return train(module, data, folder, steps=steps, clip=optimiser.clip, quiet=quiet)


def clip_key(clips: int, variants: int, seed: int) -> Callable[[int], tuple[int, int]]:
    """Clip and copy of every draw: each pass takes the next copy, each clip from another start."""
    order = SampleOrder(clips, seed)
    start = np.random.default_rng(seed).integers(0, variants, clips)

    def key(draw: int) -> tuple[int, int]:
        clip = order[draw]
        return clip, int((start[clip] + draw // clips) % variants)

    return key


def logits_and_truth(task: Task, output: NetworkOutput, batch: ClipBatch) -> tuple[Tensor, Tensor]:
    """Return what is compared: logits ``(n, classes)`` and classes ``(n,)``, ignored ones cut out.

    A clip's answer is that of its last frame, when a stream has seen all of it.
    """
    if task == 'clip':
        return output.action[:, -1].float(), batch.action[:, -1]
    if task == 'frames':
        logits, truth = output.action.flatten(0, 1), batch.action.flatten()
        use = truth >= 0
    else:
        logits, truth = output.segmentation.flatten(0, 2), batch.label.flatten()
        use = truth != IGNORED
    return logits[use].float(), truth[use]
