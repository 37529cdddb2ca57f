# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a finished bundle on any data set of clips; nothing is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import dataset_info
from pointata_core.datasets.scenes.semantickitti_clips import scheme_of
from pointata_core.errors import ConfigError
from pointata_core.inference.loading import LoadedBundle, open_bundle
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.clip_store import open_store
from pointata_core.training.clips.preparation import Task
from pointata_core.training.clips.store_recipe import task_classes
from pointata_core.training.engine.run_folder import cache_lock
from pointata_core.training.skill.classes import SharedClasses
from pointata_core.training.skill.data_check import check_split_for
from pointata_core.training.skill.scorers import SkillScore
from pointata_core.training.skill.scoring import score_clips
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.stages import Reporter, silent
from pointata_core.training.skill.stream_scoring import score_streams


@dataclass(frozen=True)
class BundleScore:
    """What was measured of a bundle.

    Args:
        scores: For each task and kind of recording.
        data: Data set, split and sampling.
        bundle: Facts about the bundle.
        notes: What a reader of the figures must know.
    """

    scores: tuple[SkillScore, ...]
    data: dict[str, Any]
    bundle: dict[str, Any]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready values."""
        return {
            'kind': 'score',
            'data': self.data,
            'bundle': self.bundle,
            'notes': list(self.notes),
            'scores': [score.to_dict() for score in self.scores],
        }


def score_bundle(
    settings: TrainingSettings,
    bundle: str | None = None,
    split: str = '',
    device: str = 'auto',
    precision: str = 'auto',
    progress: Reporter = silent,
) -> BundleScore:
    """Score a bundle by the protocol of a recipe.

    The recipe gives data set, split, sampling and tasks; voxels, normalisation and tokens are the
    bundle's own. Classes belong together by name.

    Args:
        settings: The recipe.
        bundle: Folder of the bundle; ``None`` for the default bundle.
        split: In place of ``data.validation``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``float32`` or ``bfloat16``, see :func:`.open_bundle`.
        progress: Makes a progress report for a phase.

    Raises:
        BundleError: The bundle cannot be used.
        ConfigError: Bundle and data set have no task or no class in common.
        DataError: The data set cannot be read.
    """
    if split:
        settings = replace(settings, data=replace(settings.data, validation=split))
    loaded = open_bundle(bundle, device, precision)
    settings, notes = _with_labels_of(loaded, settings)
    data = settings.data
    recipe = settings.store_recipe(data.validation, training=False)
    info = dataset_info(data.name)
    notes += check_split_for(recipe, data.cache, 'data.validation', progress)
    dataset = recipe.open()
    shared = _shared(settings, dataset, loaded)
    notes += _notes(settings, dataset, loaded, shared)
    network, manifest = loaded.bundle.network, loaded.bundle.manifest
    if (
        isinstance(network, PointATA)
        and isinstance(manifest, Manifest)
        and _runs_whole(settings, network)
    ):
        preparation = PreparationConfig.from_dict(manifest.preparation)
        recipe = replace(recipe, preparation=preparation, geometry=network.config.geometry)
        with cache_lock(data.cache), progress('preparing clips') as report:
            store = open_store(recipe, data.cache, report, data.processes, data.ray)
        with progress('scoring') as report:
            scores = score_clips(
                network, store, tuple(shared), loaded.device.device, progress=report, shared=shared
            )
    else:
        with progress('scoring') as report:
            scores = score_streams(
                loaded.session, dataset, shared, info, report, motion=data.motion
            )
    facts = {
        'name': data.name,
        'split': data.validation,
        'sampling': None if data.sampling is None else asdict(data.sampling),
        'options': data.options,
        **dataset.describe().counts[data.validation],
    }
    return BundleScore(scores, facts, loaded.facts(), tuple(notes))


def _runs_whole(settings: TrainingSettings, network: PointATA) -> bool:
    """Whether clips can run whole: they have one length, and no head looks for an actor."""
    sampling = settings.data.sampling
    lengths_differ = sampling is not None and sampling.window == 'whole'
    return network.actor is None and not settings.data.stream and not lengths_differ


def _with_labels_of(
    loaded: LoadedBundle, settings: TrainingSettings
) -> tuple[TrainingSettings, list[str]]:
    """The recipe with the labels of the bundle, where the data set has them: its own classes."""
    data, scheme = settings.data, scheme_of(loaded.bundle.manifest.segmentation_classes)
    if data.name != 'semantickitti' or scheme in (None, data.options.get('labels')):
        return settings, []
    options = {**data.options, 'labels': scheme}
    note = f"labels are those of the bundle's classes: data.options.labels={scheme}"
    return replace(settings, data=replace(data, options=options)), [note]


def _shared(
    settings: TrainingSettings, dataset: ClipDataset, loaded: LoadedBundle
) -> dict[Task, SharedClasses]:
    """Tasks that the bundle has a head for, with the classes of both."""
    shared = {}
    for task in settings.tasks:
        if names := _classes(loaded, task):
            known = task_classes(dataset, task, settings.tasks)
            shared[task] = SharedClasses.between(known, names, f'task {task}')
    if not shared:
        raise ConfigError(
            f'the recipe scores {list(settings.tasks)}, for which the bundle has no head',
            'Set tasks to what the bundle predicts, or choose another bundle',
        )
    return shared


def _classes(loaded: LoadedBundle, task: Task) -> tuple[str, ...]:
    manifest = loaded.bundle.manifest
    return manifest.segmentation_classes if task == 'points' else manifest.action_classes


def _notes(
    settings: TrainingSettings,
    dataset: ClipDataset,
    loaded: LoadedBundle,
    shared: dict[Task, SharedClasses],
) -> list[str]:
    notes = [
        f'task {task} is not scored: the bundle has no head for it'
        for task in settings.tasks
        if task not in shared
    ]
    for task, classes in shared.items():
        if classes.missing:
            notes.append(
                f'task {task}: the bundle lacks {len(classes.missing)} of the classes, which are '
                f'never right: {", ".join(classes.missing)}'
            )
    absent = [f for f in loaded.bundle.manifest.features if f not in dataset.feature_names]
    if absent:
        notes.append(f'the data set has no {", ".join(absent)}: the bundle gets default values')
    return [*notes, *dataset.describe().notes]
