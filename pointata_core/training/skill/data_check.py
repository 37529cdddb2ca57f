# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every file of a split is read before anything is computed with it.

The same as ``pointata data check --deep``. A split that was read once is not read again until one
of its files changes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pointata_core.datasets.check import SplitCheck, check_split
from pointata_core.datasets.errors import DataError
from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.registry import dataset_info
from pointata_core.safe_files import write_json
from pointata_core.training.clips.store_recipe import StoreRecipe
from pointata_core.training.engine.run_folder import cache_lock
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.stages import Reporter, silent, splits_of

_SHOWN = 3


def check_data(settings: TrainingSettings, progress: Reporter = silent) -> list[str]:
    """Check all splits of a run, those that are scored included.

    Returns:
        Sentences about what is missing of the published data.

    Raises:
        DataError: Files are damaged, or there are none.
    """
    splits = {s: 'data.train' for stage in settings.plan for s in splits_of(settings, stage)}
    if settings.trains_heads:
        splits[settings.data.validation] = 'data.validation'
    return [
        note
        for split, field in splits.items()
        for note in check_split_for(
            settings.store_recipe(split, training=False), settings.data.cache, field, progress
        )
    ]


def check_split_for(
    recipe: StoreRecipe, cache: str | Path, field: str, progress: Reporter = silent
) -> list[str]:
    """Check the split of one recipe.

    Args:
        recipe: Data set, folder, split and options.
        cache: Notes what was checked.
        field: Setting that names the split, for the message.
        progress: Makes a progress report.

    Returns:
        Sentences about what is missing of the published data.

    Raises:
        DataError: Files are damaged, or there are none.
    """
    info = dataset_info(recipe.name)
    if not info.splits:  # nothing on the disk
        return []
    marker = Path(cache) / 'checked' / f'{_key(recipe)}.json'
    with cache_lock(cache):
        state = _state(Path(recipe.root).expanduser())
        if marker.is_file():
            known = json.loads(marker.read_text(encoding='utf-8'))
            if known['state'] == state:
                return known['notes']
        with progress(f'checking {recipe.split}') as report:
            found = check_split(
                info, recipe.root, recipe.split, deep=True, progress=report, options=recipe.options
            )
        _require_whole(info, recipe, found, field)
        notes = _missing(info, found)
        marker.parent.mkdir(exist_ok=True)
        write_json(marker, {'state': state, 'notes': notes})
    return notes


def _require_whole(info: DatasetInfo, recipe: StoreRecipe, found: SplitCheck, field: str) -> None:
    if found.error:
        raise DataError(found.error, found.fix)
    if found.damaged:
        rest = len(found.damaged) - _SHOWN
        more = f'; and {rest} more' if rest > 0 else ''
        raise DataError(
            f'{info.title}, split {recipe.split}: {len(found.damaged)} files are damaged: '
            f'{"; ".join(found.damaged[:_SHOWN])}{more}',
            f'Get them again from {info.download}, or move them away; all are listed by: '
            f'pointata data check {info.name} --root {recipe.root} --deep',
        )
    if found.found and not any(found.found.values()):
        fix = f'Get them from {info.download}'
        if recipe.split == 'test' and {'fit', 'validation'} <= set(info.splits):
            fix += ', or score held-out training data: data.train=fit data.validation=validation'
        raise DataError(
            f"{recipe.root} holds nothing of the split '{recipe.split}' of {info.title}, which "
            f'{field} names',
            fix,
        )


def _missing(info: DatasetInfo, found: SplitCheck) -> list[str]:
    return [
        f'{info.title}, split {found.split}: {found.found.get(name, 0):,} of '
        f'{found.published[name]:,} published {name} are there'
        for name in found.too_few
    ]


def _key(recipe: StoreRecipe) -> str:
    facts = [recipe.name, str(Path(recipe.root).resolve()), recipe.split, recipe.options]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _state(root: Path) -> list[int]:
    """Number, bytes and latest change of the files."""
    facts = [path.stat() for path in root.rglob('*') if path.is_file()]
    return [
        len(facts),
        sum(fact.st_size for fact in facts),
        max((fact.st_mtime_ns for fact in facts), default=0),
    ]
