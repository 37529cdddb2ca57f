# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ``adapt`` stage: train adapters, context encoder and heads on clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from pointata_core.taxonomy import IGNORE
from pointata_core.training.clips.augmentation import Axis, StepAugmentation, augment_step
from pointata_core.training.clips.clip_batch import ClipBatch, predict, with_auxiliary
from pointata_core.training.clips.clip_store import Pair
from pointata_core.training.clips.dropping import DropSettings, drop
from pointata_core.training.clips.mixing import mix_sectors
from pointata_core.training.clips.preparation import Task
from pointata_core.training.engine.optimiser import (
    cosine,
    make_optimiser,
    parameter_groups,
    require_finite,
    with_muon,
)
from pointata_core.training.engine.sampler import SampleOrder
from pointata_core.training.skill.losses import lovasz_softmax
from pointata_core.training.skill.settings import OptimiserSettings

_PRE_TRAINED = ('backbone.', 'embedder.')


class AdaptTraining(lightning.LightningModule):
    """One skill's training.

    Args:
        network: The network, a tuning mode applied.
        tasks: What is learned.
        optimiser: How.
        steps: Steps in all, see :func:`steps_of`.
        seed: Of augmentation and dropout.
        loss_weights: Weight of each task's loss; 1 where left out.
        class_weights: ``(classes,)`` weights of a task's classes, for tasks that have any.
        augmentation: What changes in every step.
        dropped: What is left out in every step.
        up_axis: Vertical axis of the sensor frame.
        teacher: Network with the first classes of points of this one.
        keep: Weight of the difference from its labels.
    """

    def __init__(
        self,
        network: nn.Module,
        tasks: Sequence[Task],
        optimiser: OptimiserSettings,
        steps: int,
        seed: int,
        *,
        loss_weights: Mapping[str, float] | None = None,
        class_weights: Mapping[Task, Tensor] | None = None,
        augmentation: StepAugmentation | None = None,
        dropped: DropSettings | None = None,
        up_axis: Axis = 'z',
        teacher: nn.Module | None = None,
        keep: float = 0.0,
    ) -> None:
        super().__init__()
        # In a tuple: it is neither trained nor written into checkpoints.
        self._teacher, self.keep = (teacher,), keep
        self.network, self.tasks, self.optimiser = network, tasks, optimiser
        self.steps, self.seed, self.up_axis = steps, seed, up_axis
        self.loss_weights = loss_weights or {}
        self.augmentation = augmentation or StepAugmentation()
        self.dropped = dropped or DropSettings()
        for task in tasks:
            weights = (class_weights or {}).get(task)
            self.register_buffer(f'class_weights_{task}', weights, persistent=False)
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
            self.augmentation,
            self.up_axis,
            self.displacements,
            self.seed * 2**32 + self.global_step,
            self.trainer.global_rank,
            self.trainer.world_size,
        )
        step_seed = self.seed * 2**32 + self.global_step
        batch = mix_sectors(batch, self.augmentation.sector_mix, step_seed)
        batch = drop(batch, self.dropped, step_seed, self.trainer.global_rank)
        losses: dict[str, Tensor] = {}
        part = batch
        head = getattr(self.network, 'action_head', None)
        if isinstance(head, TwoStreamHead) and isinstance(self.network, PointATA):
            # Positions cost next to nothing: all clips train them, some the tokens.
            positions = self.network.predict_from_positions(
                batch.geometry, len(batch.points), batch.motion, batch.auxiliary
            )
            actions = next(task for task in self.tasks if task != 'points')
            logits, truth = logits_and_truth(actions, NetworkOutput(None, positions), batch)
            losses['positions'] = self._loss(actions, logits, truth)
            part = batch.take(self._token_rows(len(batch.points), 1 - head.position_share))
        output = predict(self.network, part)
        values: dict[str, Tensor] = {}
        for task in self.tasks:
            logits, truth = logits_and_truth(task, output, part)
            losses[task] = self._loss(task, logits, truth)
            right = (logits.detach().argmax(1) == truth).float().mean()
            values['accuracy' if len(self.tasks) == 1 else f'{task}_accuracy'] = right
        if self._teacher[0] is not None:
            losses['kept'] = self.keep * self._difference(self._teacher[0], output, part)
        loss = torch.stack(list(losses.values())).sum()
        require_finite(loss, self.global_step, losses)
        if len(losses) > 1:
            values.update({f'{name}_loss': value.detach() for name, value in losses.items()})
        self.log_dict({'loss': loss, **values}, prog_bar=True, batch_size=len(batch.points))
        return loss

    def _difference(self, teacher: nn.Module, output: NetworkOutput, batch: ClipBatch) -> Tensor:
        """Kullback-Leibler divergence from the teacher's labels, where the truth is not another.

        After Hinton et al., Distilling the knowledge in a neural network, 2015.
        """
        with torch.no_grad():
            theirs = predict(teacher.to(batch.label.device).eval(), batch).segmentation
        assert theirs is not None and output.segmentation is not None
        free = batch.mask & ((batch.label < 0) | (batch.label == theirs.argmax(-1)))
        taught = theirs[free].float().log_softmax(1)
        ours = output.segmentation[free][:, : theirs.shape[-1]].float().log_softmax(1)
        return F.kl_div(ours, taught, reduction='batchmean', log_target=True)

    def _token_rows(self, clips: int, share: float) -> Tensor:
        """Numbers of the clips whose tokens are chosen, evenly over the batch of all processes."""
        position = torch.arange(clips) + self.trainer.global_rank * clips
        chosen = ((position + 1) * share + 1e-6).floor() > (position * share + 1e-6).floor()
        rows = chosen.nonzero().flatten()
        return rows if len(rows) else torch.arange(1)

    def _loss(self, task: Task, logits: Tensor, truth: Tensor) -> Tensor:
        """Cross-entropy of a task, and what stands beside it, weighted."""
        weights = getattr(self, f'class_weights_{task}')
        smoothing = self.optimiser.label_smoothing
        loss = F.cross_entropy(logits, truth, weights, label_smoothing=smoothing)
        if task == 'points' and self.optimiser.lovasz:
            loss = loss + self.optimiser.lovasz * lovasz_softmax(logits, truth)
        return self.loss_weights.get(task, 1.0) * loss

    def configure_optimizers(self) -> Any:
        """AdamW or Muon, a linear warm-up and one cosine to zero, stepped per batch."""
        settings = self.optimiser
        groups = parameter_groups(
            self.network,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            slow=_PRE_TRAINED,
            slow_share=settings.backbone_rate,
            keep=('class_offset',),
        )
        groups = with_muon(groups, settings.muon_rate, settings.learning_rate)
        return make_optimiser(groups, cosine(self.steps, settings.warmup)).for_lightning()

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """Leave out what is not trained: it comes from the backbone's file."""
        kept = {f'network.{name}' for name in trained_state(self.network)}
        state = checkpoint['state_dict']
        checkpoint['state_dict'] = {name: state[name] for name in state if name in kept}

    def load_state_dict(
        self, state_dict: Mapping[str, Tensor], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load a checkpoint, which holds the trained tensors only."""
        own = {name.removeprefix('network.'): tensor for name, tensor in state_dict.items()}
        return load_trained(self.network, own)

    def transfer_batch_to_device(
        self, batch: ClipBatch, device: torch.device, dataloader_idx: int
    ) -> ClipBatch:
        """Move a batch, its geometry included."""
        return batch.to(device)


def logits_and_truth(task: Task, output: NetworkOutput, batch: ClipBatch) -> tuple[Tensor, Tensor]:
    """Return what is compared: logits ``(n, classes)`` and classes ``(n,)``, ignored ones cut out.

    The prediction for a clip is that of its last frame, when a stream has seen all of it.
    """
    if task == 'points':
        assert output.segmentation is not None
        logits, truth = output.segmentation.flatten(0, 2), batch.label.flatten()
    else:
        assert output.action is not None
        if task == 'clip':
            return output.action[:, -1].float(), batch.action[:, -1]
        logits, truth = output.action.flatten(0, 1), batch.action.flatten()
    use = truth >= 0
    return logits[use].float(), truth[use]


def steps_of(optimiser: OptimiserSettings, clips: int) -> int:
    """Steps of a stage: those asked for, else whole batches in so many passes."""
    return optimiser.steps or optimiser.epochs * (clips // min(optimiser.batch, clips))


def clip_key(
    clips: int, variants: int, seed: int, weights: np.ndarray | None = None
) -> Callable[[int], Pair]:
    """Clip and copy of every draw: each pass takes the next copy, each clip from another start."""
    order = SampleOrder(clips, seed, weights)
    start = np.random.default_rng(seed).integers(0, variants, clips)

    def key(draw: int) -> Pair:
        clip = order[draw]
        return clip, int((start[clip] + draw // clips) % variants)

    return key


def sample_weights(kinds: Sequence[str], shares: Mapping[str, float]) -> np.ndarray:
    """Weights that give each named kind of recording its share of the samples.

    Args:
        kinds: Kind of recording of every sample.
        shares: Share by how the kind begins; all others share the rest.

    Returns:
        ``(n,)``.
    """
    names = [next((name for name in shares if kind.startswith(name)), '') for kind in kinds]
    of = {**shares, '': 1 - sum(shares.values())}
    counts = {name: names.count(name) for name in set(names)}
    return np.array([of[name] / counts[name] for name in names])


def class_weights(labels: Tensor, classes: int, power: float = 0.5) -> Tensor:
    """Weigh rare classes up: share to the ``-power``, mean one over the labels' classes.

    Args:
        labels: Any shape, int; ``IGNORE`` does not count.
        classes: Number of classes.
        power: 0 for no weighting, 1 for fully balanced.
    """
    counts = torch.bincount(labels[labels != IGNORE].flatten(), minlength=classes).float()
    weights = (counts.clamp_min(1) / counts.sum()) ** -power
    weights[counts == 0] = 0.0
    return weights / weights[counts > 0].mean()


@torch.no_grad()
def adjust_logits(network: PointATA, weights: Tensor, share: float) -> None:
    """Take a share of the class weights back out of the segmentation logits.

    A loss weighted by w teaches probabilities that are w times too high (logit adjustment, Menon et
    al., ICLR 2021): all of it favours recall of rare classes, nothing of it favours accuracy.
    """
    assert network.segmentation_head is not None
    logits = weights.clamp_min(1e-6).log() * (weights > 0)
    bias = network.segmentation_head.classify.bias
    bias.sub_(share * logits.to(bias.device))


def trained_state(network: nn.Module) -> dict[str, Tensor]:
    """Tensors that a stage may have changed: parameters with gradients, and all buffers."""
    state = {n: p.detach() for n, p in network.named_parameters() if p.requires_grad}
    return state | dict(network.named_buffers())


def load_trained(network: nn.Module, state: Mapping[str, Tensor]) -> Any:
    """Take over what :func:`trained_state` gave.

    Raises:
        RuntimeError: A trained tensor is missing.
    """
    missing = {n for n, p in network.named_parameters() if p.requires_grad} - set(state)
    if missing:
        raise RuntimeError(f'the checkpoint lacks {min(missing)}')
    return network.load_state_dict(state, strict=False)
