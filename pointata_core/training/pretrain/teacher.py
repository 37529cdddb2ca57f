# SPDX-License-Identifier: Apache-2.0
"""A image encoder of our own, taught to name the family of a rendered shape.

ImageNet weights cannot be had everywhere, and a frozen random network would make point-image
contrast meaningless. So a ResNet-18 learns on the rendered images themselves. What it knows are
family names: a point encoder that imitates it has indirectly seen them, which is why probes use
families that neither was shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from pointata_core.errors import ConfigError
from pointata_core.models.camera.resnet import BLOCKS, ResNet
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.training.pretrain.costs import Stopwatch, cost_facts
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.image_encoder import normalise_images


@dataclass(frozen=True)
class TeacherConfig:
    """How the image encoder is taught.

    Attributes:
        steps: Optimiser steps.
        batch: Images per step.
        learning_rate: Peak of one cosine with warm-up.
        weight_decay: Of AdamW.
        smoothing: Label smoothing.
        shift: Largest shift of an image in pixels, as a share of its width.
        held_back: Every so many-th shape is kept to measure accuracy.
        seed: Of weights, order and augmentation.
        depth: 18 or 34, as in ResNet-18.
    """

    steps: int = 1500
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    shift: float = 0.1
    held_back: int = 16
    seed: int = 0
    depth: int = 18

    def __post_init__(self) -> None:
        for name, least in (('steps', 1), ('batch', 2), ('held_back', 2)):
            if getattr(self, name) < least:
                raise ConfigError(f'teacher.{name} is {getattr(self, name)}, expected >= {least}')
        if self.depth not in BLOCKS:
            raise ConfigError(f'teacher.depth is {self.depth}, expected one of {sorted(BLOCKS)}')


def train_teacher(
    bank: ImageBank,
    config: TeacherConfig,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[ResNet, dict[str, Any]]:
    """Teach a ResNet the families of a bank.

    Returns:
        The network in evaluation mode, and facts: accuracy on images of shapes held back (None
        without any), chance, costs.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = ResNet(config.depth, classes=len(bank.families)).train()
    kept = np.arange(len(bank)) % config.held_back == config.held_back - 1
    shapes = np.flatnonzero(~kept)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    # A rise of a single step, as a tenth of ten would be, divides by zero in the scheduler.
    rise = max(0.1, 2 / config.steps) if config.steps > 2 else 0.1
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps, pct_start=rise
    )
    watch = Stopwatch()
    for step in range(config.steps):
        grey, label = _draw(bank, shapes, config, rng)
        loss = F.cross_entropy(
            network(normalise_images(grey)), label, label_smoothing=config.smoothing
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        progress(step + 1, config.steps)
    costs = cost_facts(*watch.lap(), images=config.steps * config.batch)
    network.eval()
    accuracy = teacher_accuracy(network, bank, np.flatnonzero(kept))
    facts = {
        'accuracy': None if accuracy is None else round(accuracy, 4),
        'chance': round(1 / len(bank.families), 4),
        'families': list(bank.families),
        'image_size': int(bank.grey.shape[-1]),
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
        scores = network(normalise_images(torch.from_numpy(bank.grey[shape])))
        right += int((scores.argmax(1) == int(bank.label[shape])).sum())
    return right / (len(shapes) * bank.views)


def save_teacher(path: str | Path, network: ResNet, facts: dict[str, Any]) -> None:
    """Write weights (torchvision's names) as safetensors, and what is known of them beside."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    part = path.with_name(f'.{path.name}.part')
    save_file({k: v for k, v in state.items() if not k.startswith('fc.')}, part)
    part.replace(path)
    facts = {'kind': 'image encoder', 'depth': network.depth, 'sha256': sha256_of(path), **facts}
    path.with_suffix('.json').write_text(json.dumps(facts, indent=2) + '\n')


def _draw(
    bank: ImageBank, shapes: np.ndarray, config: TeacherConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    chosen = rng.choice(shapes, config.batch, replace=len(shapes) < config.batch)
    grey = bank.grey[chosen, rng.integers(bank.views, size=config.batch)]
    side = grey.shape[-1]
    most = int(config.shift * side)
    padded = np.pad(grey, ((0, 0), (most, most), (most, most)), constant_values=255)
    row, column = rng.integers(2 * most + 1, size=(2, config.batch))
    shifted = [
        image[r : r + side, c : c + side] for image, r, c in zip(padded, row, column, strict=True)
    ]
    turned = [
        image[:, ::-1] if mirror else image
        for image, mirror in zip(shifted, rng.random(config.batch) < 0.5, strict=True)
    ]
    return torch.from_numpy(np.stack(turned)), torch.from_numpy(bank.label[chosen])
