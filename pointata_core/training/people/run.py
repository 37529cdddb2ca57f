# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One training of a person skill in one folder: crops, steps, temperature, scores, bundle.

Started again after an interruption it goes on, and ends as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pointata_core.bundles.bundle import save_bundle
from pointata_core.bundles.manifest_fields import Task
from pointata_core.bundles.person_manifest import PersonManifest
from pointata_core.errors import ConfigError
from pointata_core.models.person.person_network import PersonConfig, PersonNetwork
from pointata_core.safe_files import write_json
from pointata_core.training.engine.optimiser import (
    cosine,
    make_optimiser,
    parameter_groups,
    require_finite,
    with_muon,
)
from pointata_core.training.engine.provenance import provenance
from pointata_core.training.engine.run_folder import RESULTS, claim
from pointata_core.training.engine.sampler import SampleOrder
from pointata_core.training.engine.trainer import StepData, processes, train
from pointata_core.training.people.crop_store import CLASSES, PersonClip, read_clips
from pointata_core.training.people.scoring import clip_logits, fit_temperature, score_clips
from pointata_core.training.people.settings import PeopleSettings
from pointata_core.training.people.windows import Windows, draw

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig

BUNDLE = 'bundle'
Progress = Callable[[int, int], None]


def run_people(
    settings: PeopleSettings,
    *,
    quiet: bool = True,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Train, or go on training; return what ``results.json`` holds.

    Raises:
        ConfigError: The folder holds a run with other settings, or nobody is in the recordings.
    """
    output = claim(settings.output, asdict(settings))
    cache = Path(settings.cache)
    preparation = settings.preparation
    clips = read_clips(settings.train, preparation, cache, progress, held_out=False)
    held_out = read_clips(settings.held_out, preparation, cache, progress)
    clips, held_out = _near(clips, settings), _near(held_out, settings)
    lightning.seed_everything(settings.seed, verbose=False)
    network = PersonNetwork(PersonConfig(CLASSES, width=settings.width))
    data = StepData(
        _Fetch(clips, settings), _key(clips, settings), settings.batch * processes(), settings
    )
    module = SkillModule(network, settings, _class_weights(clips, settings))
    train(module, data, output, steps=settings.steps, clip=5.0, quiet=quiet)
    network.cpu().eval()
    logits = [clip_logits(network, clip) for clip in held_out]
    # Half of the people fit the temperature, all are scored with it: it changes no order of scores.
    actions = [np.where(clip.unseen, clip.action, -1) for clip in held_out]
    temperature = fit_temperature(logits[::2], actions[::2])
    preparation = replace(settings.preparation, temperature=round(temperature, 4))
    scores = score_clips(logits, held_out, preparation)
    manifest = PersonManifest(
        settings.name,
        network.config.to_dict(),
        {'action': Task(CLASSES)},
        preparation,
        licence=settings.licence,
        provenance={
            'recipe': settings.recipe,
            **provenance(asdict(settings), scores=scores, people=len(clips)),
        },
    )
    save_bundle(output / BUNDLE, network, manifest)
    results = {'scores': scores, 'bundle': str(output / BUNDLE), 'people': len(clips)}
    write_json(output / RESULTS, results)
    return results


class _Fetch:
    """Makes a batch of keys: clip, first frame and seed of each window."""

    def __init__(self, clips: Sequence[PersonClip], settings: PeopleSettings) -> None:
        self.clips, self.settings = clips, settings

    def __call__(self, keys: list[tuple[int, int, int]]) -> Windows:
        starts = [(number, start) for number, start, _ in keys]
        rng = np.random.default_rng([self.settings.seed, 1, keys[0][2]])
        settings = self.settings
        most = settings.preparation.points
        return draw(self.clips, starts, settings.window, most, settings.disturbances, rng)


def _key(
    clips: Sequence[PersonClip], settings: PeopleSettings
) -> Callable[[int], tuple[int, int, int]]:
    """Window of each draw: clips by the frames that are learned, any start in them."""
    learned = [int(((clip.action >= 0) & ~clip.unseen).sum()) for clip in clips]
    order = SampleOrder(len(clips), [settings.seed, 0], learned)

    def key(number: int) -> tuple[int, int, int]:
        clip = order[number]
        last = max(0, len(clips[clip].action) - settings.window)
        start = int(np.random.default_rng([settings.seed, 2, number]).integers(last + 1))
        return clip, start, number

    return key


class SkillModule(lightning.LightningModule):
    """Trains the network on windows of people.

    Args:
        network: What is trained.
        settings: Of the run.
        weights: (classes,) of the cross-entropy.
    """

    weights: Tensor

    def __init__(self, network: PersonNetwork, settings: PeopleSettings, weights: Tensor) -> None:
        super().__init__()
        self.network, self.settings = network, settings
        self.register_buffer('weights', weights, persistent=False)

    def training_step(self, batch: Windows, number: int) -> Tensor:
        """Return the loss."""
        # Dropout depends on the step alone, so a resumed run repeats it.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.global_step)
        loss = self.loss(batch)
        require_finite(loss, self.global_step)
        self.log('loss', loss, prog_bar=True, batch_size=len(batch.points))
        return loss

    def loss(self, batch: Windows) -> Tensor:
        """Mean cross-entropy over the frames that are learned; zero without any."""
        total = F.cross_entropy(
            self.network(batch.points, batch.mask, batch.motion).flatten(0, 1),
            batch.action.flatten(),
            self.weights,
            ignore_index=-1,
            label_smoothing=self.settings.label_smoothing,
            reduction='sum',
        )
        learned = batch.action[batch.action >= 0]
        return total / self.weights[learned].sum().clamp_min(1e-6)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, or Muon and AdamW, on a cosine."""
        settings = self.settings
        groups = parameter_groups(
            self.network, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        groups = with_muon(groups, settings.muon_rate, settings.learning_rate)
        return make_optimiser(groups, cosine(settings.steps, 0.05)).for_lightning()


def _class_weights(clips: Sequence[PersonClip], settings: PeopleSettings) -> Tensor:
    actions = np.concatenate([clip.action[~clip.unseen] for clip in clips])
    count = np.bincount(actions[actions >= 0], minlength=len(CLASSES)).clip(1)
    weights = (count.sum() / count) ** settings.class_weight_power
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def _near(clips: list[PersonClip], settings: PeopleSettings) -> list[PersonClip]:
    """People with the actions of frames beyond the range left out.

    Raises:
        ConfigError: There are none.
    """
    found = [
        replace(clip, action=np.where(clip.distance <= settings.range_m, clip.action, -1))
        for clip in clips
    ]
    found = [clip for clip in found if (clip.action >= 0).any()]
    if not found:
        raise ConfigError(
            f'nobody is within {settings.range_m} m in the recordings',
            'Simulate more or longer recordings',
        )
    return found
