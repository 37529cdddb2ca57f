# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A run from settings to bundle: prepare clips, train stage by stage, score, write the bundle."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pointata_core.bundles.bundle import load_bundle, save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.datasets.registry import dataset_info
from pointata_core.inference.session import StreamingSession
from pointata_core.models.point.config import PRESETS, NetworkConfig, preset_config
from pointata_core.models.point.pointata import PointATA
from pointata_core.safe_files import write_json
from pointata_core.taxonomy import (
    ACTION_CLASSES,
    ACTION_COLOURS,
    SEGMENTATION_CLASSES,
    SEGMENTATION_COLOURS,
)
from pointata_core.training.clips.store_recipe import task_classes
from pointata_core.training.engine.provenance import provenance
from pointata_core.training.engine.run_folder import RESULTS, claim
from pointata_core.training.engine.trainer import uses_bf16
from pointata_core.training.skill.align import AlignResult
from pointata_core.training.skill.classes import SharedClasses
from pointata_core.training.skill.data_check import check_data
from pointata_core.training.skill.report import write_training_report
from pointata_core.training.skill.scorers import SkillScore
from pointata_core.training.skill.scoring import score_clips
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.stages import (
    Reporter,
    Run,
    prepare_data,
    read_align,
    run_stage,
    silent,
)
from pointata_core.training.skill.stream_scoring import score_streams
from pointata_core.training.skill.tuning import merge_and_freeze


@dataclass(frozen=True)
class TrainResult:
    """What a run left.

    Args:
        folder: Of the run.
        align: What its ``align`` stage measured, if it has one.
        bundle: Folder of the skill; ``None`` where no stage trains a head.
        scores: On the validation split, for each task and kind of recording.
        training: Seconds by phase, parameters, backbone and mode.
        report: ``report.html``, where there are scores.
    """

    folder: Path
    align: AlignResult | None
    bundle: Path | None = None
    scores: tuple[SkillScore, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    report: Path | None = None

    @property
    def score(self) -> SkillScore:
        """The first score."""
        return self.scores[0]


def run_train(
    settings: TrainingSettings, *, progress: Reporter = silent, quiet: bool = True
) -> TrainResult | None:
    """Train a skill, score it and leave its bundle in ``output/bundle``.

    Started again on the same folder it goes on where it was stopped.

    Args:
        settings: Of the run.
        progress: Makes a progress report for a phase.
        quiet: Show no bar while training.

    Returns:
        The result; ``None`` in the processes of torchrun beside the first.

    Raises:
        ConfigError: Settings do not fit each other, or the folder holds another run.
        PointataError: Data, shapes or backbone cannot be read.
    """
    folder = claim(settings.output, settings.to_dict())
    data_notes = check_data(settings, progress)
    run = Run(settings, folder, progress, quiet)
    prepare_data(run)
    run.watch.lap('prepare')
    for stage in settings.plan:
        run_stage(run, stage)
    if int(os.environ.get('RANK', 0)):
        return None
    aligned = [read_align(folder / s.folder) for s in settings.plan if s.kind == 'align']
    align = aligned[-1] if aligned else None
    if not settings.trains_heads:
        return TrainResult(folder, align)
    training = {
        'backbone': run.source.origin,
        'mode': settings.tuning.mode,
        'parameters': run.network.parameter_summary(),
        'train_clips': len(run.store(settings.data.train)),
        'bf16': uses_bf16(settings, run.device),
        'frozen_features': run.caches_prefix(),
        'data_notes': data_notes,
    }
    scores = _score(run, training)
    bundle = folder / 'bundle'
    write_json(
        folder / RESULTS,
        {'scores': [score.to_dict() for score in scores], 'training': training},
    )
    report = write_training_report(settings, align, scores, training, folder)
    return TrainResult(folder, align, bundle, scores, training, report)


def _score(run: Run, training: dict[str, Any]) -> tuple[SkillScore, ...]:
    """Score the network and write its bundle, whose provenance holds the scores."""
    settings, data = run.settings, run.settings.data
    network = merge_and_freeze(run.network)
    bundle = run.folder / 'bundle'
    if data.stream:
        draft = _write_bundle(run.folder / 'draft', run, network, (), training)
        dataset = settings.store_recipe(data.validation, False).open()
        with run.progress('scoring') as report:
            session = partial(StreamingSession, load_bundle(draft))
            shared = {
                task: SharedClasses.equal(task_classes(dataset, task, settings.tasks))
                for task in settings.tasks
            }
            info = dataset_info(data.name)
            scores = score_streams(session, dataset, shared, info, report, motion=data.motion)
    else:
        clips: Any = run.store(data.validation, training=False)
        if run.caches_prefix():
            clips = run.frozen(clips)
        with run.progress('scoring') as report:
            scores = score_clips(network, clips, settings.tasks, run.device, progress=report)
    run.watch.lap('score')
    training['seconds'] = run.watch.seconds
    _write_bundle(bundle, run, network, scores, training)
    return scores


def _write_bundle(
    path: Path,
    run: Run,
    network: PointATA,
    scores: tuple[SkillScore, ...],
    training: dict[str, Any],
) -> Path:
    settings = run.settings
    validation = [
        {'task': score.task, 'kind': score.kind, **score.metrics, 'total': score.total,
         'per_class': score.per_class}
        for score in scores
    ]  # fmt: skip
    facts = {
        'recipe': settings.recipe,
        'data': settings.data.name,
        'validation': {'split': settings.data.validation, 'scores': validation},
        'backbone': {'origin': run.source.origin, **run.source.facts},
        'parameters': training['parameters'],
    }
    config = network.config
    manifest = Manifest.for_network(
        settings.name,
        config.to_dict(),
        preset=_preset(config),
        preparation=settings.preparation.to_dict(),
        licence=settings.licence,
        colours=_colours(config),
        provenance=provenance(settings.to_dict(), **facts),
    )
    save_bundle(path, network.cpu(), manifest, half=settings.half, self_contained=True)
    return path


def _preset(config: NetworkConfig) -> str:
    """Name of the preset with this backbone, if there is one."""
    return next((p for p in PRESETS if preset_config(p).backbone == config.backbone), '')


def _colours(config: NetworkConfig) -> dict[str, Any]:
    """Display colours of our own classes."""
    ours = {
        'segmentation': (config.segmentation_classes, SEGMENTATION_CLASSES, SEGMENTATION_COLOURS),
        'action': (config.action_classes, ACTION_CLASSES, ACTION_COLOURS),
    }
    return {task: colours for task, (found, classes, colours) in ours.items() if found == classes}
