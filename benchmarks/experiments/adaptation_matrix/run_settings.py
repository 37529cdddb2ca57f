# SPDX-License-Identifier: Apache-2.0
"""Settings of the runs: what a data set's runs share, and what a method changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.experiments.adaptation_matrix.methods import PASSES, method
from benchmarks.run_store import Run
from pointata_core.datasets.registry import open_dataset
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.network import find_backbone
from pointata_core.training.skill.settings import TrainingSettings


def base_settings(
    config: Path, root: Path, work: Path, backbone: str | None, words: Sequence[str] = ()
) -> TrainingSettings:
    """Settings that all runs on a data set share.

    Args:
        config: YAML file.
        root: Folder of the data set.
        work: Folder of prepared clips and runs.
        backbone: Backbone in place of the file's.
        words: ``NAME=VALUE`` in place of others of the file's values.
    """
    overrides = [f'data.root={root}', f'data.cache={work / "cache"}', *words]
    if backbone:
        overrides.append(f'network.backbone={backbone}')
    return read_settings(TrainingSettings, config, overrides)


_FREE = (
    'data.root', 'data.cache', 'data.processes', 'output', 'name', 'recipe', 'licence', 'seed',
    'checkpoint_steps',
)  # fmt: skip


def shared_facts(settings: TrainingSettings) -> dict[str, Any]:
    """What must be equal for runs to compare: settings that are no defaults, and the weights."""
    facts = dict(_changed(settings, TrainingSettings(), ''))
    for place in _FREE:
        facts.pop(place, None)
    facts['network.backbone'] = find_backbone(settings.network.backbone).origin
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
    if is_dataclass(value):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain_value(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def settings_of(
    run: Run, config: Path, base: TrainingSettings, work: Path, words: Sequence[str] = ()
) -> TrainingSettings:
    """Settings of one run.

    With fewer labels there are more passes, so that every run takes about as many steps.
    """
    overrides = [
        f'data.root={base.data.root}',
        f'data.cache={base.data.cache}',
        f'network.backbone={base.network.backbone}',
        f'output={work / "runs" / run.folder}',
        f'seed={run.seed}',
        *words,
        *method(run.method).overrides,
    ]
    settings = read_settings(TrainingSettings, config, overrides)
    data, optimiser = settings.data, settings.optimiser
    epochs = optimiser.epochs
    if method(run.method).longer:
        epochs = round(PASSES[settings.tasks[0]] * epochs)
    if run.fraction != 1:
        found = open_dataset(data.name, data.root, data.train, sampling=data.sampling,
                             **data.options)  # fmt: skip
        available = min(data.limit or len(found), len(found))
        limit = max(optimiser.batch, round(run.fraction * available))
        epochs = max(1, round(epochs * available / limit))
        data = replace(data, limit=limit)
    return replace(settings, data=data, optimiser=replace(optimiser, epochs=epochs))
