# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning: the whole encoder learns a task, classes of wholes or parts of points.

The recipe is the same for a pre-trained and for an untrained encoder, so that the difference is
what pre-training brings. AdamW, one cosine, label smoothing, turns and scales; the last epoch
counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pointata_core.errors import ConfigError
from pointata_core.models.point.dgcnn import DgcnnEncoder
from pointata_core.models.point.encoders import PointEncoder, TransformerEncoder
from pointata_core.ops import interpolate, interpolation_weights
from pointata_core.training.engine.optimiser import cosine, make_optimiser, train_steps
from pointata_core.training.engine.sampler import SampleOrder
from pointata_core.training.pretrain.probe_sets import LabelledClouds

Task = Literal['classes', 'parts']


@dataclass(frozen=True)
class FineTuningConfig:
    """How to fine-tune.

    Attributes:
        task: Class of each cloud, or part of each point.
        epochs: Passes over the training set.
        batch: Clouds per step.
        learning_rate: Peak of one cosine with warm-up over a tenth of the steps.
        width: Hidden width of the head.
        dropout: In the head.
        seed: Of head, order and augmentation.
    """

    task: Task = 'classes'
    epochs: int = 30
    batch: int = 32
    learning_rate: float = 5e-4
    width: int = 256
    dropout: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in ('classes', 'parts'):
            raise ConfigError(f"task is '{self.task}', expected classes or parts")
        if self.epochs < 1 or self.batch < 2:
            raise ConfigError(
                f'epochs is {self.epochs} and batch {self.batch}, expected at least 1 and 2'
            )


@dataclass(frozen=True)
class FineTuningScore:
    """Outcome on the test set; which figures are there depends on the task.

    Attributes:
        accuracy: Share of clouds, or of points, that are right.
        instance_miou: Mean over clouds of the mean IoU over the parts of their class.
        class_miou: The same, averaged within classes first.
    """

    accuracy: float
    instance_miou: float | None = None
    class_miou: float | None = None


def fine_tune(
    encoder: TransformerEncoder | DgcnnEncoder,
    train: LabelledClouds,
    test: LabelledClouds,
    config: FineTuningConfig,
) -> FineTuningScore:
    """Train encoder and head on one set, score them on the other. The encoder changes.

    Raises:
        ConfigError: The clouds have no parts, or there are fewer of them than in one batch.
    """
    if config.task == 'parts':
        _parts(train), _parts(test)
    if len(train) < config.batch:
        raise ConfigError(f'{len(train)} clouds are less than one batch of {config.batch}')
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    width, outputs = encoder.overall_width, len(train.classes)
    if config.task == 'parts':
        width += encoder.local_width + len(train.classes) + 3
        outputs = sum(map(len, train.parts_of_class))
    head = _mlp(width, config, outputs)
    trained = [*encoder.parameters(), *head.parameters()]
    steps = config.epochs * (len(train) // config.batch)
    optimiser = make_optimiser(
        trained, cosine(steps, warmup=0.1), learning_rate=config.learning_rate, weight_decay=0.05
    )
    order = SampleOrder(len(train), config.seed)

    def loss_of(step: int) -> Tensor:
        draws = range(step * config.batch, (step + 1) * config.batch)
        rows = np.array([order[draw] for draw in draws])
        return _loss(encoder, head, train, rows, config, rng)

    encoder.train()
    head.train()
    train_steps(optimiser, loss_of, steps, clip=10.0)
    encoder.eval()
    head.eval()
    return _score(encoder, head, test, config)


def mean_iou(predicted: np.ndarray, truth: np.ndarray, parts: range) -> float:
    """Mean IoU over the parts of a class for one cloud; a part neither has counts as 1."""
    ious = []
    for part in parts:
        mine, theirs = predicted == part, truth == part
        union = np.count_nonzero(mine | theirs)
        ious.append(np.count_nonzero(mine & theirs) / union if union else 1.0)
    return float(np.mean(ious))


def _mlp(width: int, config: FineTuningConfig, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, config.width, bias=False),
        nn.BatchNorm1d(config.width),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.width, outputs),
    )


def _scores(
    encoder: PointEncoder, head: nn.Module, points: Tensor, label: Tensor, classes: int, task: Task
) -> Tensor:
    """Scores ``(B, classes)`` of clouds ``(B, N, 3)``, or ``(B, N, parts)`` of their points.

    Parts are scored from local features at each point, the overall feature, coordinates and the
    class, which is known in ShapeNetPart's protocol.
    """
    features = encoder(points)
    if task == 'classes':
        return head(features.overall)
    weights = interpolation_weights(points, features.centres, features.index >= 0)
    local = interpolate(features.tokens, weights)
    whole = torch.cat([features.overall, F.one_hot(label, classes)], dim=1)
    spread = whole.unsqueeze(1).expand(-1, points.shape[1], -1)
    x = torch.cat([local, spread, points], dim=-1)
    return head(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _loss(
    encoder: PointEncoder,
    head: nn.Module,
    clouds: LabelledClouds,
    rows: np.ndarray,
    config: FineTuningConfig,
    rng: np.random.Generator,
) -> Tensor:
    largest = np.log(1.1)
    angle = torch.from_numpy(rng.uniform(-np.pi, np.pi, len(rows)).astype(np.float32))
    size = torch.from_numpy(np.exp(rng.uniform(-largest, largest, len(rows))).astype(np.float32))
    turn = torch.zeros(len(rows), 3, 3)
    turn[:, 0, 0], turn[:, 0, 1] = angle.cos(), -angle.sin()
    turn[:, 1, 0], turn[:, 1, 1] = angle.sin(), angle.cos()
    turn[:, 2, 2] = 1
    points = torch.einsum('bij,bnj->bni', turn * size[:, None, None], _points(clouds, rows))
    label = torch.from_numpy(clouds.label[rows])
    target = label if config.task == 'classes' else torch.from_numpy(_parts(clouds)[rows]).flatten()
    scores = _scores(encoder, head, points, label, len(clouds.classes), config.task).flatten(0, -2)
    return F.cross_entropy(scores, target, label_smoothing=0.2)


@torch.no_grad()
def _score(
    encoder: PointEncoder, head: nn.Module, clouds: LabelledClouds, config: FineTuningConfig
) -> FineTuningScore:
    found = []
    for start in range(0, len(clouds), config.batch):
        rows = np.arange(start, min(start + config.batch, len(clouds)))
        label = torch.from_numpy(clouds.label[rows])
        points, classes = _points(clouds, rows), len(clouds.classes)
        scores = _scores(encoder, head, points, label, classes, config.task)
        if config.task == 'parts':
            for own, category in zip(scores, clouds.label[rows], strict=True):
                allowed = clouds.parts_of_class[category]
                others = [p for p in range(own.shape[-1]) if p not in allowed]
                own[:, others] = -torch.inf
        found.append(scores.argmax(dim=-1).numpy())
    predicted = np.concatenate(found)
    if config.task == 'classes':
        return FineTuningScore(round(float((predicted == clouds.label).mean()), 4))
    ious = np.array(
        [
            mean_iou(mine, theirs, clouds.parts_of_class[category])
            for mine, theirs, category in zip(predicted, _parts(clouds), clouds.label, strict=True)
        ]
    )
    per_class = [ious[clouds.label == category].mean() for category in np.unique(clouds.label)]
    figures = ((predicted == _parts(clouds)).mean(), ious.mean(), np.mean(per_class))
    return FineTuningScore(*(round(float(figure), 4) for figure in figures))


def _points(clouds: LabelledClouds, rows: np.ndarray) -> Tensor:
    return torch.from_numpy(clouds.points[rows])


def _parts(clouds: LabelledClouds) -> np.ndarray:
    if clouds.part is None:
        raise ConfigError('the clouds have no parts', 'Use procedural or shapenet_part')
    return clouds.part
