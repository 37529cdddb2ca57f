# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages of a run: each changes the network, and leaves its result in a folder of its own.

A stage whose result is there is taken over, so a run that was stopped at any moment goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from pointata_core.errors import ConfigError
from pointata_core.models.point.heads.action_head import ActionHead
from pointata_core.models.point.pointata import PointATA
from pointata_core.safe_files import write_atomically, write_json
from pointata_core.stopwatch import Stopwatch
from pointata_core.training.clips.clip_store import Clips, ClipStore, Windows, open_store
from pointata_core.training.clips.frozen_features import FrozenFeatures, freeze_features
from pointata_core.training.clips.preparation import Task
from pointata_core.training.engine.run_folder import cache_lock
from pointata_core.training.engine.trainer import (
    StepData,
    Steps,
    chosen_device,
    train,
    uses_bf16,
)
from pointata_core.training.skill.actors import (
    find_actor_clips,
    read_actor_clips,
    train_on_actors,
)
from pointata_core.training.skill.adapt import (
    AdaptTraining,
    adjust_logits,
    class_weights,
    clip_key,
    load_trained,
    sample_weights,
    steps_of,
    trained_state,
)
from pointata_core.training.skill.align import AlignResult, AlignState, LabelledFrames, align
from pointata_core.training.skill.network import build_network, load_teacher
from pointata_core.training.skill.settings import StageSettings, TrainingSettings
from pointata_core.training.skill.shape_source import source_features
from pointata_core.training.skill.tuning import apply_mode, prefix_is_frozen, tuning_mode

Reporter = Callable[[str], AbstractContextManager[Callable[[int, int], None] | None]]
WEIGHTS, ALIGN = 'weights.safetensors', 'align.json'


def silent(what: str) -> AbstractContextManager[None]:
    """Report nothing."""
    return nullcontext()


class Run:
    """A run at work: its data and its network.

    Args:
        settings: Of the run.
        folder: Its folder.
        progress: Makes a progress report for a phase.
        quiet: Show no bar while training.

    Attributes:
        network: Changed stage by stage.
        source: Where its backbone comes from.
        device: Where to compute.
        watch: Seconds of each phase.

    Raises:
        PointataError: Data or backbone cannot be read.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        folder: Path,
        progress: Reporter = silent,
        quiet: bool = True,
    ) -> None:
        self.settings, self.folder = settings, folder
        self.progress, self.quiet = progress, quiet
        self.device = chosen_device(settings)
        self.watch = Stopwatch()
        self._stores: dict[tuple[str, bool], ClipStore] = {}
        first = self.store(splits_of(settings, settings.plan[0])[0])
        self.network, self.source = build_network(settings, first.classes)

    def store(self, split: str, training: bool = True) -> ClipStore:
        """Clips of a split, prepared when first asked for."""
        key = (split, training)
        if key not in self._stores:
            self._stores[key] = open_clips(self.settings, split, training, self.progress)
        return self._stores[key]

    def frozen(self, store: ClipStore) -> FrozenFeatures:
        """The clips of a store with what the frozen prefix makes of them."""
        autocast = uses_bf16(self.settings, self.device)
        with cache_lock(self.settings.data.cache), self.progress('frozen features') as report:
            return freeze_features(self.network, store, self.device, autocast, report)

    def caches_prefix(self, window: int = 0) -> bool:
        """Whether the frozen prefix is worth keeping: it exists, and nothing needs the points."""
        whole = not window and 'points' not in self.settings.tasks
        return whole and prefix_is_frozen(self.network)

    def forget(self) -> None:
        """Free the memory that clips take."""
        for store in self._stores.values():
            store.forget()


def open_clips(
    settings: TrainingSettings, split: str, training: bool, progress: Reporter = silent
) -> ClipStore:
    """Prepare and open the clips of a split, one process at a time."""
    data = settings.data
    with cache_lock(data.cache), progress(f'preparing {split}') as report:
        recipe = settings.store_recipe(split, training)
        return open_store(recipe, data.cache, report, data.processes, data.ray)


def splits_of(settings: TrainingSettings, stage: StageSettings) -> list[str]:
    """Splits that a stage reads."""
    actors = stage.actors
    named = [*actors.labelled, *actors.found] if stage.kind == 'actors' else [stage.split]
    return [split or settings.data.train for split in named] or [settings.data.train]


def prepare_data(run: Run) -> None:
    """Prepare the clips of all stages and of the score first: mistakes show before hours pass."""
    settings = run.settings
    for stage in settings.plan:
        for split in splits_of(settings, stage):
            run.store(split)
    if settings.data.stream:
        settings.store_recipe(settings.data.validation, False).open()
    elif settings.trains_heads:
        run.store(settings.data.validation, training=False)


def run_stage(run: Run, stage: StageSettings) -> None:
    """Change the run's network by one stage, or take over its result.

    Raises:
        ConfigError: The stage does not fit the network.
        PointataError: Shapes cannot be read, or features not compared.
    """
    work = {'align': _align, 'adapt': _adapt, 'actors': _actors}[stage.kind]
    torch.manual_seed(run.settings.seed)
    work(run, stage, run.folder / stage.folder)
    run.forget()
    run.watch.lap(stage.folder)


def read_align(folder: Path) -> AlignResult:
    """Read what an ``align`` stage measured."""
    values = json.loads((folder / ALIGN).read_text())
    for name in ('before', 'after'):
        values[name] = AlignState(**values[name])
    return AlignResult(**values)


def _align(run: Run, stage: StageSettings, folder: Path) -> None:
    settings, network = run.settings, run.network
    network.set_stage('align')
    # One process of several trains; the others find its result.
    with cache_lock(settings.data.cache):
        if not _taken_over(network, folder):
            with run.progress('embedding shapes') as report:
                source = source_features(
                    network.backbone, settings.align, settings.network.geometry, settings.seed,
                    run.device, report,
                )  # fmt: skip
            frames = LabelledFrames(run.store(stage.split or settings.data.train), settings.tasks)
            with run.progress('aligning') as report:
                result = align(
                    network, source, frames, settings.align, settings.seed, run.device, report
                )
            write_json(folder / ALIGN, asdict(result))
            network.set_stage('align')
            _store(network, folder)


def _adapt(run: Run, stage: StageSettings, folder: Path) -> None:
    settings, network = run.settings, run.network
    optimiser, tuning = settings.of_stage(stage)
    apply_mode(
        network,
        tuning_mode(tuning.mode),
        train_embedder=tuning.train_embedder,
        lora_rank=tuning.lora_rank,
    )
    if _taken_over(network, folder):
        return
    store = run.store(stage.split or settings.data.train)
    clips: ClipStore | Windows | FrozenFeatures = store
    if stage.window:
        clips = Windows(store, stage.window, stage.hop)
    elif run.caches_prefix():
        clips = run.frozen(store)
    weights = loss_weights(store, settings.tasks, optimiser.class_weight_power)
    with run.progress(f'training {stage.folder}') if run.quiet else nullcontext() as report:
        first = train_on_clips(
            settings, stage, network, clips, weights, folder, quiet=run.quiet, report=report
        )
    if stage.logit_adjustment:
        if 'points' not in weights:
            raise ConfigError(
                'logit_adjustment has no class weights to take back',
                'Set optimiser.class_weight_power, for the task points',
            )
        adjust_logits(network, weights['points'], stage.logit_adjustment)
    if first:
        _store(network, folder)


def train_on_clips(
    settings: TrainingSettings,
    stage: StageSettings,
    network: nn.Module,
    clips: Clips,
    weights: Mapping[Task, Tensor],
    folder: Path,
    *,
    quiet: bool = True,
    report: Callable[[int, int], None] | None = None,
) -> bool:
    """Train a network on clips, or go on where the folder's checkpoint ends.

    Args:
        settings: Of the run.
        stage: An ``adapt`` stage of it.
        network: A tuning mode applied.
        clips: What to learn from.
        weights: Weights of the classes, see :func:`loss_weights`.
        folder: Checkpoint and logs go here.
        quiet: Show no bar.
        report: Called after each step with (done, of how many).

    Returns:
        Whether this is the first process.
    """
    optimiser, _ = settings.of_stage(stage)
    steps, batch = steps_of(optimiser, len(clips)), min(optimiser.batch, len(clips))
    module = AdaptTraining(
        network,
        settings.tasks,
        optimiser,
        steps,
        settings.seed,
        loss_weights=stage.loss_weights,
        class_weights=weights,
        augmentation=settings.step_augmentation,
        dropped=settings.drop,
        up_axis=settings.augmentation.up_axis,
        teacher=load_teacher(settings) if stage.keep else None,
        keep=stage.keep,
    )
    shares = sample_weights(clips.kinds, stage.sample_shares) if stage.sample_shares else None
    key = clip_key(len(clips), clips.variants, settings.seed, shares)
    data = StepData(clips.__getitem__, key, batch, settings)
    callbacks = [Steps(report)] if report else []
    trainer = train(
        module, data, folder, steps=steps, clip=optimiser.clip, callbacks=callbacks, quiet=quiet
    )
    return trainer.is_global_zero


def _actors(run: Run, stage: StageSettings, folder: Path) -> None:
    settings, network = run.settings, run.network
    optimiser, _ = settings.of_stage(stage)
    config = network.config
    if network.actor is None or not isinstance(network.action_head, ActionHead):
        raise ConfigError(
            f'stage {stage.folder} trains on actors, but the network has none',
            'Set network.actor_class, tasks to points and frames, and network.position_width to 0',
        )
    if not optimiser.steps or not stage.window:
        raise ConfigError(
            f'stage {stage.folder} lacks optimiser.steps or window', 'Set both, e.g. 1200 and 32'
        )
    actor = config.segmentation_classes.index(config.actor_class)
    network.set_stage('probe')
    with cache_lock(settings.data.cache):
        if _taken_over(network, folder):
            return
        clips = []
        for split in splits_of(settings, stage):
            if split in stage.actors.labelled or not stage.actors.found:
                clips += read_actor_clips(run.store(split), actor)
        for split in stage.actors.found:
            with run.progress(f'looking for actors in {split}') as report:
                clips += find_actor_clips(network, run.store(split), actor, run.device, report)
        seed = settings.seed + settings.plan.index(stage)
        with run.progress('training on actors') as report:
            train_on_actors(network, clips, stage.actors, optimiser, stage.window, seed, report)
        _store(network, folder)


def loss_weights(store: ClipStore, tasks: tuple[Task, ...], power: float) -> dict[Task, Tensor]:
    """Weights of the classes by their frequency in the training clips, if they are asked for."""
    if not power:
        return {}
    return {
        task: class_weights(torch.from_numpy(store.labels(task)), len(names), power)
        for task, names in store.classes.items()
        if task in tasks
    }


def _store(network: PointATA, folder: Path) -> None:
    """Write what a stage may have changed."""
    tensors = {name: value.cpu().contiguous() for name, value in trained_state(network).items()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(tensors))


def _taken_over(network: PointATA, folder: Path) -> bool:
    """Load the result of a finished stage."""
    path = folder / WEIGHTS
    if not path.is_file():
        return False
    load_trained(network, safetensors.torch.load_file(path))
    return True
