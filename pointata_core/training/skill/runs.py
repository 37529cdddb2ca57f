# SPDX-License-Identifier: Apache-2.0
"""A run of stage 2 from settings to bundle: prepare, train, score, store."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pointata_core.bundles.bundle import save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.errors import ConfigError
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.clip_store import ClipStore, open_store, recipe_for
from pointata_core.training.clips.frozen_features import FrozenFeatures, freeze_features
from pointata_core.training.engine.provenance import provenance
from pointata_core.training.engine.trainer import chosen_device, fit, make_trainer, uses_bf16
from pointata_core.training.skill.adapt import AdaptTraining
from pointata_core.training.skill.scoring import SkillScore, score_clips
from pointata_core.training.skill.settings import TrainingSettings, write_settings
from pointata_core.training.skill.skill_network import build_network
from pointata_core.training.skill.supervised import class_weights
from pointata_core.training.skill.tuning import (
    apply_mode,
    merge_and_freeze,
    prefix_is_frozen,
    tuning_mode,
)

Reporter = Callable[[str], AbstractContextManager[Callable[[int, int], None] | None]]


@dataclass(frozen=True)
class AdaptResult:
    """What a run of stage 2 left.

    Args:
        bundle: Folder of the skill.
        score: On the validation split.
        training: Seconds by phase, parameters, loss and clips per second.
    """

    bundle: Path
    score: SkillScore
    training: dict[str, Any]


def silent(what: str) -> AbstractContextManager[None]:
    """Report nothing."""
    return nullcontext()


def run_adapt(
    settings: TrainingSettings,
    *,
    folder: Path | None = None,
    progress: Reporter = silent,
    quiet: bool = True,
) -> AdaptResult | None:
    """Train a skill and leave its bundle in ``output/bundle``.

    Started again on the same folder it goes on from the last checkpoint.

    Args:
        settings: Of the run.
        folder: The run's folder, if it is claimed already.
        progress: Makes a progress report for a phase.
        quiet: Show no bar while training.

    Returns:
        The result; ``None`` in the processes of torchrun beside the first.

    Raises:
        ConfigError: Settings do not fit each other, or the folder holds another run.
        PointataError: Data or backbone cannot be read.
    """
    folder = folder or claim_folder(settings)
    watch = _Phases()
    train, validation = open_stores(settings, progress)
    watch.lap('prepare')
    network, origin = prepared_network(settings, train.classes)
    device, cached = chosen_device(settings), caches_prefix(settings, network)
    clips, held_out = train, validation
    if cached:
        clips, held_out = frozen_pair(settings, network, train, validation, progress)
        watch.lap('freeze')
    module = AdaptTraining(
        network,
        settings.task,
        settings.optimiser,
        clips,
        settings.seed,
        loss_weights(settings, train),
        settings.augmentation.up_axis,
    )
    trainer = make_trainer(settings, folder, settings.optimiser.epochs, quiet=quiet)
    fit(trainer, module, folder)
    watch.lap('train')
    if not trainer.is_global_zero:
        return None
    done = merge_and_freeze(network)
    with progress('scoring') as report:
        score = score_clips(done, held_out, settings.task, device, progress=report)
    watch.lap('score')
    training = {
        'backbone': origin,
        'mode': settings.tuning.mode,
        'parameters': network.parameter_summary(),
        'train_clips': len(clips),
        'variants': clips.variants,
        'frozen_features': cached,
        'seconds': watch.seconds,
        'clips_per_second': _rate(settings, clips, watch.seconds['train']),
        'bf16': uses_bf16(settings, device),
    }
    store_skill(settings, done, score, training)
    (folder / 'results.json').write_text(
        json.dumps({'score': score.to_dict(), 'training': training}, indent=2) + '\n'
    )
    return AdaptResult(folder / 'bundle', score, training)


def prepared_network(settings: TrainingSettings, classes: tuple[str, ...]) -> tuple[PointATA, str]:
    """Build the network and apply the tuning mode; also says where the backbone comes from."""
    network, origin = build_network(settings, classes)
    tuning = settings.tuning
    apply_mode(
        network,
        tuning_mode(tuning.mode),
        train_embedder=tuning.train_embedder,
        lora_rank=tuning.lora_rank,
    )
    return network, origin


def open_stores(
    settings: TrainingSettings, progress: Reporter = silent
) -> tuple[ClipStore, ClipStore]:
    """Prepare and open training and validation clips."""
    stores = []
    for split, training in ((settings.data.train, True), (settings.data.validation, False)):
        recipe = recipe_for(settings, split, training)
        with alone(settings), progress(f'preparing {split}') as report:
            stores.append(open_store(recipe, settings.data.options, settings.data.cache, report))
    return stores[0], stores[1]


def caches_prefix(settings: TrainingSettings, network: PointATA) -> bool:
    """Whether the frozen prefix is worth keeping: it exists, and nothing needs the points."""
    return settings.task != 'points' and prefix_is_frozen(network)


def frozen_pair(
    settings: TrainingSettings,
    network: PointATA,
    train: ClipStore,
    validation: ClipStore,
    progress: Reporter = silent,
) -> tuple[FrozenFeatures, FrozenFeatures]:
    """Frozen features of both splits."""
    device = chosen_device(settings)
    found = []
    for store, what in ((train, 'training'), (validation, 'validation')):
        with alone(settings), progress(f'frozen features, {what}') as report:
            found.append(
                freeze_features(network, store, device, uses_bf16(settings, device), report)
            )
    return found[0], found[1]


def loss_weights(settings: TrainingSettings, store: ClipStore) -> Tensor | None:
    """Weights of the loss by class frequency in the training clips, if they are asked for."""
    power = settings.optimiser.class_weight_power
    if not power:
        return None
    if settings.task == 'clip':
        labels = store.actions
    else:
        name = 'label' if settings.task == 'points' else 'action'
        labels = [store.arrays(clip, 0)[name].ravel() for clip in range(len(store))]
        labels = [torch.from_numpy(values.astype('int64')) for values in labels]
        labels = torch.cat(labels)
    labels = torch.as_tensor(labels)
    return class_weights(labels[labels >= 0], len(store.classes), power)


def store_skill(
    settings: TrainingSettings, network: PointATA, score: SkillScore, training: dict[str, Any]
) -> Path:
    """Write the bundle of a trained network into ``output/bundle``."""
    facts = {
        'data': settings.data.name,
        'split': settings.data.train,
        'validation': {'split': settings.data.validation, **score.metrics, 'total': score.total},
        'backbone': training['backbone'],
        'parameters': training['parameters'],
    }
    manifest = Manifest.for_network(
        settings.name,
        network.config.to_dict(),
        preparation=settings.preparation.to_dict(),
        licence=settings.licence,
        provenance=provenance(settings, **facts),
    )
    path = Path(settings.output) / 'bundle'
    save_bundle(path, network.cpu(), manifest, half=settings.half, self_contained=True)
    return path


def claim_folder(settings: TrainingSettings) -> Path:
    """Make the run's folder, or make sure that it holds this very run.

    Raises:
        ConfigError: It holds another run.
    """
    folder = Path(settings.output)
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / 'settings.yaml'
    fresh = folder / f'settings.{os.getpid()}.yaml'
    write_settings(settings, fresh)
    if text.exists() and text.read_text() != fresh.read_text():
        fresh.unlink()
        raise ConfigError(
            f'{folder} holds a run with other settings (settings.yaml)',
            'Choose another output=FOLDER, or delete that one',
        )
    fresh.replace(text)
    return folder


@contextmanager
def alone(settings: TrainingSettings) -> Iterator[None]:
    """Prepare in one process at a time; the others then find everything prepared."""
    folder = Path(settings.data.cache)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _rate(settings: TrainingSettings, clips, seconds: float) -> float:
    epochs = settings.optimiser.epochs
    return round(epochs * len(clips) / seconds, 2) if seconds > 0 else 0.0


class _Phases:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] = round(now - self._last, 2)
        self._last = now
