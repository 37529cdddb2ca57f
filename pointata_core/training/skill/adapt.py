# SPDX-License-Identifier: Apache-2.0
"""Stage 2: train adapters, context encoder and heads on clips (Lightning runs the loop)."""

from __future__ import annotations

import math

import lightning
import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.point.heads.two_stream_head import TwoStreamHead
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.token_features import displacement_width
from pointata_core.training.clips.prepared_clips import IGNORED, ClipBatch, with_auxiliary
from pointata_core.training.clips.step_augmentation import augment_step
from pointata_core.training.engine.batches import EpochBatches
from pointata_core.training.skill.settings import OptimiserSettings, Task
from pointata_core.training.skill.tuning import parameter_groups


class AdaptTraining(lightning.LightningModule):
    """One skill's training.

    Args:
        network: The network, a tuning mode applied.
        task: What is learned.
        optimiser: How.
        clips: A clip store or frozen features.
        seed: Of order and dropout.
        class_weights: ``(classes,)`` weights of the loss, or ``None``.
        up_axis: Vertical axis of the sensor frame.
    """

    def __init__(
        self,
        network: PointATA,
        task: Task,
        optimiser: OptimiserSettings,
        clips: torch.utils.data.Dataset,
        seed: int,
        class_weights: Tensor | None = None,
        up_axis: str = 'z',
    ) -> None:
        super().__init__()
        self.network, self.task, self.optimiser = network, task, optimiser
        self.clips, self.seed, self.up_axis = clips, seed, up_axis
        self.register_buffer('class_weights', class_weights, persistent=False)
        self.displacements = (
            displacement_width(network.config) if isinstance(network, PointATA) else 0
        )
        # Lightning leaves every module in the mode it finds it in.
        network.train()

    def train_dataloader(self) -> torch.utils.data.DataLoader:
        """Every process takes its share of the same batches."""
        sampler = EpochBatches(
            len(self.clips),
            self.clips.variants,
            self.optimiser.batch,
            self.seed,
            self.trainer.global_rank,
            self.trainer.world_size,
        )
        return torch.utils.data.DataLoader(self.clips, sampler=sampler, batch_size=None)

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
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f'the loss is {loss.item()} at step {self.global_step}: lower '
                f'optimiser.learning_rate ({self.optimiser.learning_rate}) or look for '
                'non-finite input'
            )
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

    def configure_optimizers(self):
        """AdamW, a linear warm-up and one cosine to zero, stepped per batch."""
        settings = self.optimiser
        optimizer = torch.optim.AdamW(
            parameter_groups(
                self.network, settings.weight_decay, settings.learning_rate, settings.backbone_rate
            )
        )
        steps = settings.epochs * (len(self.clips) // min(settings.batch, len(self.clips)))
        warmup = round(settings.warmup * steps)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            done = (step - warmup) / max(steps - warmup, 1)
            return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': scheduler, 'interval': 'step'},
        }

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

    def transfer_batch_to_device(self, batch: ClipBatch, device, dataloader_idx: int) -> ClipBatch:
        """Move a batch, its geometry included."""
        return batch.to(device)


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
