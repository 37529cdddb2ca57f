# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An image encoder of our own, trained to name the family of a rendered shape.

ImageNet weights cannot be had everywhere, and a frozen random network would make point-image
contrast meaningless. So a ResNet-18 is trained on the rendered images themselves. Its labels are
family names, and a point encoder trained to match it learns from them indirectly: probes therefore
use families that neither of them has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from pointata_core.models.camera.resnet import ResNet
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.safe_files import write_atomically, write_json
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.engine.optimiser import cosine, make_optimiser, train_steps
from pointata_core.training.pretrain.batches import split_shapes
from pointata_core.training.pretrain.costs import cost_facts
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.image_encoder import normalise_images
from pointata_core.training.pretrain.settings import TeacherConfig


def train_teacher(
    bank: ImageBank,
    config: TeacherConfig,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[ResNet, dict[str, Any]]:
    """Train a ResNet to name the families of a bank.

    Returns:
        The network in evaluation mode, and facts: accuracy on images of shapes held back (None
        without any), chance, costs.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = ResNet(config.depth, classes=len(bank.families)).train()
    shapes, held_back = split_shapes(len(bank), config.held_back)
    optimiser = make_optimiser(
        network.parameters(),
        cosine(config.steps, warmup=0.1),
        learning_rate=config.learning_rate,
        weight_decay=0.05,
    )

    def loss_of(step: int) -> Tensor:
        images, label = _draw(bank, shapes, config, rng)
        scores = network(normalise_images(images))
        return F.cross_entropy(scores, label, label_smoothing=0.1)

    watch = Stopwatch()
    train_steps(optimiser, loss_of, config.steps, progress=progress)
    costs = cost_facts(watch.lap('training'), images=config.steps * config.batch)
    network.eval()
    accuracy = teacher_accuracy(network, bank, held_back)
    facts = {
        'accuracy': None if accuracy is None else round(accuracy, 4),
        'chance': round(1 / len(bank.families), 4),
        'families': list(bank.families),
        'image_size': int(bank.size),
        'shapes': len(shapes),
        'costs': costs,
        'config': asdict(config),
    }
    return network, facts


@torch.no_grad()
def teacher_accuracy(network: ResNet, bank: ImageBank, shapes: np.ndarray) -> float | None:
    """Share of images of these shapes whose family the network names; None without shapes."""
    if not len(shapes):
        return None
    right = 0
    for shape in shapes:
        scores = network(normalise_images(torch.from_numpy(bank.images[shape])))
        right += int((scores.argmax(1) == int(bank.label[shape])).sum())
    return right / (len(shapes) * bank.views)


def save_teacher(path: str | Path, network: ResNet, facts: dict[str, Any]) -> None:
    """Write weights (torchvision's names) as safetensors, and what is known of them beside."""
    path = Path(path)
    state = {
        name: value.contiguous()
        for name, value in network.state_dict().items()
        if not name.startswith('fc.')
    }
    write_atomically(path, save(state))
    facts = {'kind': 'image encoder', 'depth': network.depth, 'sha256': sha256_of(path), **facts}
    write_json(path.with_suffix('.json'), facts)


def _draw(
    bank: ImageBank, shapes: np.ndarray, config: TeacherConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    chosen = rng.choice(shapes, config.batch, replace=len(shapes) < config.batch)
    images = bank.images[chosen, rng.integers(bank.views, size=config.batch)]
    side = bank.size
    most = int(config.shift * side)
    edges = ((0, 0), (most, most), (most, most), (0, 0))[: images.ndim]
    padded = np.pad(images, edges, constant_values=255)
    row, column = rng.integers(2 * most + 1, size=(2, config.batch))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    # Windows have their rows and columns last: (P, [3,] H, H).
    shifted = windows[np.arange(config.batch), row, column]
    mirror = rng.random((config.batch, *(1,) * (shifted.ndim - 1))) < 0.5
    turned = np.where(mirror, shifted[..., ::-1], shifted)
    turned = turned if turned.ndim == 3 else np.moveaxis(turned, 1, -1)
    return torch.from_numpy(turned), torch.from_numpy(bank.label[chosen])
