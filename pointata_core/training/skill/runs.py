# SPDX-License-Identifier: Apache-2.0
"""A run of stage 2 from settings to bundle: prepare, train, score, store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pointata_core.bundles.bundle import save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.models.point.pointata import PointATA
from pointata_core.safe_files import write_json
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.clips.clip_store import ClipStore, open_store, recipe_for
from pointata_core.training.clips.frozen_features import FrozenFeatures, freeze_features
from pointata_core.training.engine.provenance import provenance
from pointata_core.training.engine.run_folder import RESULTS, cache_lock, claim
from pointata_core.training.engine.trainer import chosen_device, uses_bf16
from pointata_core.training.skill.adapt import train_skill
from pointata_core.training.skill.scoring import SkillScore, score_clips
from pointata_core.training.skill.settings import TrainingSettings
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
    folder = folder or claim(settings.output, settings.to_dict())
    watch = Stopwatch()
    train, validation = open_stores(settings, progress)
    watch.lap('prepare')
    network, origin = prepared_network(settings, train.classes)
    device, cached = chosen_device(settings), caches_prefix(settings, network)
    clips, held_out = train, validation
    if cached:
        clips, held_out = frozen_pair(settings, network, train, validation, progress)
        watch.lap('freeze')
    weights = loss_weights(settings, train)
    trainer = train_skill(settings, network, clips, weights, folder, quiet=quiet)
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
    write_json(folder / RESULTS, {'score': score.to_dict(), 'training': training})
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
        with cache_lock(settings.data.cache), progress(f'preparing {split}') as report:
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
        with cache_lock(settings.data.cache), progress(f'frozen features, {what}') as report:
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
        provenance=provenance(settings.to_dict(), **facts),
    )
    path = Path(settings.output) / 'bundle'
    save_bundle(path, network.cpu(), manifest, half=settings.half, self_contained=True)
    return path


def _rate(settings: TrainingSettings, clips, seconds: float) -> float:
    epochs = settings.optimiser.epochs
    return round(epochs * len(clips) / seconds, 2) if seconds > 0 else 0.0
