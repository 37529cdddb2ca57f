# SPDX-License-Identifier: Apache-2.0
"""Stage 1, and both stages in a row: from settings to embedder, bundle and report."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from pointata_core.errors import ConfigError
from pointata_core.training.clips.clip_store import open_store, recipe_for
from pointata_core.training.engine.run_folder import cache_lock, claim
from pointata_core.training.engine.trainer import chosen_device
from pointata_core.training.skill.align import (
    AlignResult,
    AlignState,
    LabelledFrames,
    align,
    store_embedder,
)
from pointata_core.training.skill.runs import (
    AdaptResult,
    Reporter,
    run_adapt,
    silent,
)
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.shape_source import source_features
from pointata_core.training.skill.skill_network import build_network


@dataclass(frozen=True)
class TrainResult:
    """What both stages left.

    Args:
        align: Of stage 1; ``None`` if it was skipped.
        adapt: Of stage 2.
        report: ``report.html``.
    """

    align: AlignResult | None
    adapt: AdaptResult
    report: Path


def run_align(
    settings: TrainingSettings, *, folder: Path | None = None, progress: Reporter = silent
) -> tuple[AlignResult, Path]:
    """Train the align embedder and leave it in ``output/align``; a finished one is taken over.

    Raises:
        ConfigError: ``align.objective`` is none, or settings do not fit each other.
        PointataError: Data, shapes or backbone cannot be read.
    """
    if settings.align.objective == 'none':
        raise ConfigError('align.objective is none', 'Choose otdd, mmd or l2')
    folder = (folder or claim(settings.output, settings.to_dict())) / 'align'
    path = folder / 'embedder.safetensors'
    # One process of several trains; the others find its result.
    with cache_lock(settings.data.cache):
        if not path.exists():
            recipe = recipe_for(settings, settings.data.train, True)
            with progress(f'preparing {settings.data.train}') as report:
                store = open_store(recipe, settings.data.options, settings.data.cache, report)
            network, _ = build_network(settings, store.classes)
            device, geometry = chosen_device(settings), settings.network.geometry
            with progress('embedding shapes') as report:
                source = source_features(
                    network.backbone, settings.align, geometry, settings.seed, device, report
                )
            frames = LabelledFrames(store, settings.task)
            with progress('aligning') as report:
                result = align(
                    network, source, frames, settings.align, settings.seed, device, report
                )
            store_embedder(network, result, folder)
    return read_align(folder), path


def read_align(folder: Path) -> AlignResult:
    """Read ``align.json``."""
    values = json.loads((folder / 'align.json').read_text())
    for name in ('before', 'after'):
        values[name] = AlignState(**values[name])
    return AlignResult(**values)


def run_train(
    settings: TrainingSettings, *, progress: Reporter = silent, quiet: bool = True
) -> TrainResult | None:
    """Run stage 1 (unless ``align.objective`` is none) and stage 2, and write the report.

    Returns:
        The result; ``None`` in the processes of torchrun beside the first.

    Raises:
        PointataError: See :func:`run_align` and :func:`run_adapt`.
    """
    from pointata_core.training.skill.training_report import write_training_report

    folder = claim(settings.output, settings.to_dict())
    aligned, adapting = None, settings
    if settings.align.objective != 'none':
        aligned, path = run_align(settings, folder=folder, progress=progress)
        adapting = replace(settings, network=replace(settings.network, embedder=str(path)))
    adapted = run_adapt(adapting, folder=folder, progress=progress, quiet=quiet)
    if adapted is None:
        return None
    report = write_training_report(settings, aligned, adapted, folder)
    return TrainResult(aligned, adapted, report)
