# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What experiments that train skills share: settings of a task, prepared clips, one training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from pointata_core.stopwatch import Stopwatch
from pointata_core.training.clips.clip_store import ClipStore
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.network import find_backbone
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.stages import open_clips
from pointata_core.training.skill.training import TrainResult, run_train

TASKS = Path(__file__).with_name('tasks')
"""Settings of the tasks: a folder for each experiment, a YAML file for each task."""

# Places and names of a run, which have no part in what it measures.
_FREE = (
    'data.root', 'data.cache', 'data.processes', 'output', 'name', 'recipe', 'licence', 'seed',
    'checkpoint_steps',
)  # fmt: skip


def read_task(file: Path, root: Path, work: Path, overrides: Sequence[str]) -> TrainingSettings:
    """Settings of a task with its data in place.

    Args:
        file: YAML file.
        root: Folder of the data set.
        work: Folder of prepared clips and runs.
        overrides: ``NAME=VALUE`` in place of values of the file; the last one counts.
    """
    places = (f'data.root={root}', f'data.cache={work / "cache"}')
    return read_settings(TrainingSettings, file, [*places, *overrides])


def shared_facts(settings: TrainingSettings, *, all_points: bool = True) -> dict[str, Any]:
    """What must be equal for runs to compare: settings that are no defaults, and the weights.

    Args:
        settings: Of the runs.
        all_points: Whether segmentation is scored on all points of all frames; earlier runs were
            scored on the voxels of each clip's last frame.
    """
    facts = dict(_changed(settings, TrainingSettings(), ''))
    for place in _FREE:
        facts.pop(place, None)
    facts['network.backbone'] = find_backbone(settings.network.backbone).origin
    if 'points' in settings.tasks and not settings.data.stream and all_points:
        facts['score'] = 'all points'
    return facts


def _changed(values: Any, default: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in fields(values):
        value, usual = getattr(values, field.name), getattr(default, field.name)
        name = f'{prefix}{field.name}'
        if is_dataclass(value) and is_dataclass(usual):
            yield from _changed(value, usual, f'{name}.')
        elif value != usual:
            yield name, _plain_value(value)


def _plain_value(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain_value(one) for key, one in value.items()}
    return [_plain_value(one) for one in value] if isinstance(value, tuple | list) else value


def prepare_clips(settings: TrainingSettings) -> tuple[ClipStore, ClipStore]:
    """Training and validation clips, which runs share and whose time belongs to no run."""
    data = settings.data
    return open_clips(settings, data.train, True), open_clips(settings, data.validation, False)


def costs(watch: Stopwatch) -> dict[str, float]:
    """Wall and processor seconds since the last lap."""
    spent = watch.lap('run')
    return {'wall_s': round(spent.wall_s, 1), 'processor_s': round(spent.processor_s, 1)}


def train_fresh(settings: TrainingSettings) -> tuple[TrainResult, dict[str, float]]:
    """Train and score from the start; nothing of the run stays on disk.

    The folder of an earlier attempt is removed first: a resumed run would not report its time.
    """
    shutil.rmtree(settings.output, ignore_errors=True)
    watch = Stopwatch()
    result = run_train(settings)
    spent = costs(watch)
    assert result is not None, 'one process trains'
    shutil.rmtree(settings.output, ignore_errors=True)
    return result, spent
