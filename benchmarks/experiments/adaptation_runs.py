# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the comparison: from a method to its settings, and to what goes into the results."""

from __future__ import annotations

import contextlib
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.experiments.adaptation_methods import PASSES, method
from benchmarks.experiments.p4transformer import P4Transformer, small_config
from benchmarks.experiments.skill_runs import costs, prepare_clips, read_task, train_fresh
from benchmarks.run_store import Run
from pointata_core.datasets.registry import open_dataset
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.engine.run_folder import claim
from pointata_core.training.engine.trainer import chosen_device
from pointata_core.training.skill.scorers import SkillScore
from pointata_core.training.skill.scoring import score_clips
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.stages import loss_weights, train_on_clips


@dataclass(frozen=True)
class DataSet:
    """Settings that all runs on a data set share.

    Args:
        config: YAML file.
        root: Folder of the data set.
        work: Folder of prepared clips and runs.
        backbone: Backbone in place of the file's.
        overrides: ``NAME=VALUE`` in place of other values of the file.
    """

    config: Path
    root: Path
    work: Path
    backbone: str | None = None
    overrides: Sequence[str] = ()

    def settings(self, *more: str) -> TrainingSettings:
        """The settings, with more overrides."""
        backbone = [f'network.backbone={self.backbone}'] if self.backbone else []
        return read_task(self.config, self.root, self.work, [*backbone, *self.overrides, *more])

    def of_run(self, run: Run) -> TrainingSettings:
        """Settings of one run.

        With fewer labels there are more passes, so that every run takes about as many steps.
        """
        compared = method(run.method)
        settings = self.settings(
            f'output={self.work / "runs" / run.folder}', f'seed={run.seed}', *compared.overrides
        )
        data, optimiser = settings.data, settings.optimiser
        epochs = optimiser.epochs
        if compared.longer:
            epochs = round(PASSES[settings.tasks[0]] * epochs)
        if run.fraction != 1:
            found = open_dataset(data.name, data.root, data.train, sampling=data.sampling,
                                 **data.options)  # fmt: skip
            available = min(data.limit or len(found), len(found))
            limit = max(optimiser.batch, round(run.fraction * available))
            epochs = max(1, round(epochs * available / limit))
            data = replace(data, limit=limit)
        return replace(settings, data=data, optimiser=replace(optimiser, epochs=epochs))


def measure(run: Run, settings: TrainingSettings) -> dict[str, Any]:
    """Carry a run out, from nothing to the score after the last epoch.

    Frozen features of an earlier attempt are removed first: their time belongs to the run.
    """
    Path(settings.data.cache).mkdir(parents=True, exist_ok=True)
    prepare_clips(settings)
    _forget_frozen_features(settings)
    train = _train_p4transformer if method(run.method).own_network else _train_ours
    measured = train(settings)
    _forget_frozen_features(settings)
    return {**measured, 'peak_rss_bytes': peak_rss_bytes(), 'threads': torch.get_num_threads()}


def _train_ours(settings: TrainingSettings) -> dict[str, Any]:
    result, spent = train_fresh(settings)
    training = result.training
    sizes = training['parameters']
    aligned = None
    if result.align is not None:
        aligned = {
            'before': vars(result.align.before),
            'after': vars(result.align.after),
            'losses': result.align.losses,
            'offsets_scaled': result.align.offsets_scaled,
            'wall_s': result.align.seconds,
        }
    return {
        **_scored(result.score),
        'trainable': sizes['trainable'],
        'trainable_without_head': sizes['trainable_without_heads'],
        'parameters': sizes['total'],
        'backbone': training['backbone'],
        'train_clips': training['train_clips'],
        'phases_wall_s': training['seconds'],
        'align': aligned,
        **spent,
    }


class P4TransformerOnClips(nn.Module):
    """P4Transformer with the signature of our network: the same points, one prediction per clip.

    Args:
        classes: Number of actions.
        features: Fields of a point beside x, y, z.
        anchors: Per frame: as many as our network has tokens. A stride would make their number,
            and with it the prediction, depend on how far the other clips of a batch are padded.
        scale_m: Metres per unit of the points.
    """

    def __init__(self, classes: int, features: int, anchors: int, scale_m: float) -> None:
        super().__init__()
        # The published network takes points in units of 0.3 m; from points in metres it learned
        # nothing in hundreds of steps.
        self.units = scale_m / 0.3
        self.network = P4Transformer(small_config(classes, features=features, anchors=anchors))

    def forward(
        self,
        points: Tensor,
        features: Tensor | None = None,
        mask: Tensor | None = None,
        motion: Tensor | None = None,
        geometry: Any = None,
        prefix: None = None,
        auxiliary: None = None,
    ) -> NetworkOutput:
        """Classify clips; our geometry, and how the sensor moved, are of no use here."""
        logits = self.network(self.units * points, features, mask)
        return NetworkOutput(None, logits.unsqueeze(1))


def _train_p4transformer(settings: TrainingSettings) -> dict[str, Any]:
    """The same clips, batches, optimiser, schedule and scoring as for our network."""
    shutil.rmtree(settings.output, ignore_errors=True)
    watch = Stopwatch()
    folder = claim(settings.output, settings.to_dict())
    train, validation = prepare_clips(settings)
    torch.manual_seed(settings.seed)
    preparation, anchors = settings.preparation, settings.network.geometry.tokens
    fields = len(preparation.features)
    network = P4TransformerOnClips(len(train.classes['clip']), fields, anchors, preparation.scale_m)
    weights = loss_weights(train, settings.tasks, settings.optimiser.class_weight_power)
    train_on_clips(settings, settings.plan[0], network, train, weights, folder)
    (score,) = score_clips(network, validation, settings.tasks, chosen_device(settings))
    spent = costs(watch)
    shutil.rmtree(settings.output, ignore_errors=True)
    size = sum(p.numel() for p in network.parameters())
    head = sum(p.numel() for p in network.network.classify.parameters())
    return {
        **_scored(score),
        'trainable': size,
        'trainable_without_head': size - head,
        'parameters': size,
        'backbone': 'random',
        'train_clips': len(train),
        'align': None,
        **spent,
    }


def _scored(score: SkillScore) -> dict[str, Any]:
    if score.task == 'points':
        return {
            'miou': score.metrics['miou'],
            'accuracy': score.metrics['accuracy'],
            'correct': score.right,
            'judged': score.total,
            'iou': score.per_class,
            'confusion': score.confusion,
        }
    diagonal = [row[place] / sum(row) for place, row in enumerate(score.confusion) if sum(row)]
    return {
        'accuracy': score.metrics['accuracy'],
        'correct': score.right,
        'videos': score.total,
        'clip_accuracy': score.metrics['clip_accuracy'],
        'positions_accuracy': score.metrics.get('positions_accuracy'),
        'tokens_accuracy': score.metrics.get('tokens_accuracy'),
        'class_accuracy_median': statistics.median(diagonal),
        'confusion': score.confusion,
    }


def _forget_frozen_features(settings: TrainingSettings) -> None:
    for path in Path(settings.data.cache).glob('clips/*/prefix_*.npy'):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
