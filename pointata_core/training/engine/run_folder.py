# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run, the same for every kind of training.

* ``settings.yaml``: what the run began with; started again with other values it is refused;
* ``last.ckpt``: state after the last checkpoint, ``previous.ckpt`` after the one before;
* ``logs/``: one attempt for each start;
* ``results.json``: outcome, once the run is complete.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pointata_core.errors import ConfigError
from pointata_core.training.engine.settings import plain, write_yaml

SETTINGS, CHECKPOINT, RESULTS = 'settings.yaml', 'last.ckpt', 'results.json'
PREVIOUS = 'previous.ckpt'

_PLACES = {'output', 'cache', 'device', 'workers', 'processes', 'ray'}
FREE = frozenset({*_PLACES, 'checkpoint_steps'})
"""Settings that do not change what is learned; they may change while a run goes on."""

_PATHS = frozenset({'root', 'start', 'backbone', 'image_weights', 'shapes', 'source', 'bundle'})
"""Settings that may be paths."""


def claim(
    folder: str | Path, settings: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> Path:
    """Make a run's folder, or make sure that it holds this very run.

    Args:
        folder: Of the run.
        settings: Resolved values, and whatever else distinguishes runs.
        defaults: What a run began with that was started before a setting existed.

    Returns:
        The folder.

    Raises:
        ConfigError: It holds a run with other settings; names the fields that differ.
    """
    folder, now = Path(folder), plain(dict(settings))
    path = folder / SETTINGS
    if not path.is_file():
        write_yaml(_with_whole_paths(now), path)
        return folder
    before = _filled(read_claim(folder), plain(dict(defaults or {})))
    other = list(differences(before, now))
    if other:
        raise ConfigError(
            f'{path}: the run in this folder has other settings: {"; ".join(other[:8])}',
            'Choose another output=FOLDER, or the settings the run began with',
        )
    return folder


def read_claim(folder: str | Path) -> dict[str, Any]:
    """What a run began with.

    Raises:
        ConfigError: The folder holds no run.
    """
    import yaml

    path = Path(folder) / SETTINGS
    if not path.is_file():
        raise ConfigError(f'{folder}: found no {SETTINGS} of a run', 'Start a run there')
    return yaml.safe_load(path.read_text(encoding='utf-8'))


def differences(before: Any, now: Any, name: str = '') -> Iterator[str]:
    """Name the fields that differ, as ``training.steps is 10, now 20``."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*now, *(before.keys() - now.keys())]:
            if key not in FREE:
                field = f'{name}.{key}' if name else str(key)
                yield from differences(before.get(key), now.get(key), field)
    elif before != now and not _is_one_path(name, before, now):
        yield f'{name} is {before!r}, now {now!r}'


def _is_one_path(name: str, before: Any, now: Any) -> bool:
    """Whether two values are the same file or folder in another spelling."""
    if name.rpartition('.')[2] not in _PATHS or not all(isinstance(v, str) for v in (before, now)):
        return False
    one, other = (Path(value).expanduser() for value in (before, now))
    return one.exists() and other.exists() and one.samefile(other)


def _with_whole_paths(values: Any, name: str = '') -> Any:
    """Paths as seen from everywhere, so that a run goes on from another working directory."""
    if isinstance(values, dict):
        return {key: _with_whole_paths(item, key) for key, item in values.items()}
    if isinstance(values, list):
        return [_with_whole_paths(item, name) for item in values]
    if name in _PATHS and values and isinstance(values, str) and Path(values).expanduser().exists():
        return os.path.abspath(Path(values).expanduser())
    return values


def _filled(values: Any, defaults: Any) -> Any:
    if not isinstance(values, dict) or not isinstance(defaults, dict):
        return values
    filled = {key: _filled(item, defaults.get(key)) for key, item in values.items()}
    return {**defaults, **filled}


@contextmanager
def cache_lock(folder: str | Path) -> Iterator[None]:
    """Let one process at a time prepare a folder; the others then find everything prepared."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
