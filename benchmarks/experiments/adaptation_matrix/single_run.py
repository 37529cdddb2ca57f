# SPDX-License-Identifier: Apache-2.0
"""One run of the matrix: from settings to what goes into the results."""

from __future__ import annotations

import contextlib
import shutil
import statistics
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.experiments.adaptation_matrix.methods import method
from benchmarks.experiments.baselines.p4transformer import P4Transformer, small_config
from benchmarks.run_store import Run
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.clips.clip_store import ClipStore
from pointata_core.training.engine.run_folder import claim
from pointata_core.training.engine.trainer import chosen_device
from pointata_core.training.skill.scoring import SkillScore, score_clips
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.stages import loss_weights, open_clips, train_on_clips
from pointata_core.training.skill.training import run_train


def prepare(settings: TrainingSettings) -> None:
    """Prepare clips, which runs share and which is therefore in nobody's time."""
    Path(settings.data.cache).mkdir(parents=True, exist_ok=True)
    _open(settings)


def measure(run: Run, settings: TrainingSettings) -> dict[str, Any]:
    """Carry a run out, from nothing to the score after the last epoch.

    An earlier attempt's checkpoint and frozen features are thrown away first: a resumed run would
    not tell its time.
    """
    shutil.rmtree(settings.output, ignore_errors=True)
    _forget_frozen_features(settings)
    watch = Stopwatch()
    if method(run.method).own_network:
        measured = _train_p4transformer(settings)
    else:
        measured = _train_ours(settings)
    spent = watch.lap('run')
    _forget_frozen_features(settings)
    shutil.rmtree(settings.output, ignore_errors=True)
    return {
        **measured,
        'wall_s': round(spent.wall_s, 1),
        'processor_s': round(spent.processor_s, 1),
        'peak_rss_bytes': peak_rss_bytes(),
        'threads': torch.get_num_threads(),
    }


def _open(settings: TrainingSettings) -> tuple[ClipStore, ClipStore]:
    """Training and validation clips."""
    data = settings.data
    return open_clips(settings, data.train, True), open_clips(settings, data.validation, False)


def _train_ours(settings: TrainingSettings) -> dict[str, Any]:
    result = run_train(settings)
    assert result is not None, 'one process trains'
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
    }


class P4TransformerOnClips(nn.Module):
    """P4Transformer with the signature of our network: the same points, one answer per clip.

    Args:
        classes: Number of actions.
        features: Fields of a point beside x, y, z.
        anchors: Per frame: as many as our network has tokens. A stride would make their number,
            and with it the answer, depend on how far the other clips of a batch are padded.
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
        """Answer clips; our geometry, and how the sensor moved, are of no use here."""
        answer = self.network(self.units * points, features, mask)
        return NetworkOutput(None, answer.unsqueeze(1))


def _train_p4transformer(settings: TrainingSettings) -> dict[str, Any]:
    """The same clips, batches, optimiser, schedule and scoring as for our network."""
    folder = claim(settings.output, settings.to_dict())
    train, validation = _open(settings)
    torch.manual_seed(settings.seed)
    preparation, anchors = settings.preparation, settings.network.geometry.tokens
    fields = len(preparation.features)
    network = P4TransformerOnClips(len(train.classes['clip']), fields, anchors, preparation.scale_m)
    weights = loss_weights(train, settings.tasks, settings.optimiser.class_weight_power)
    train_on_clips(settings, settings.plan[0], network, train, weights, folder)
    (score,) = score_clips(network, validation, settings.tasks, chosen_device(settings))
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
    }


def _scored(score: SkillScore) -> dict[str, Any]:
    if score.task == 'points':
        return {
            'miou': score.metrics['miou'],
            'accuracy': score.metrics['accuracy'],
            'correct': score.right,
            'judged': score.total,
            'iou': score.facts['iou'],
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
