# SPDX-License-Identifier: Apache-2.0
"""Where weights come from: what is written into every bundle and result."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pointata_core.evaluation import environment
from pointata_core.training.engine.settings import plain

_FOLDERS = frozenset({'root', 'cache', 'output', 'images', 'meshes'})


def commit() -> str:
    """Commit of the running source tree; ``unknown`` for an installed package."""
    command = ['git', '-C', str(Path(__file__).parent), 'rev-parse', 'HEAD']
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return 'unknown'
    return done.stdout.strip() or 'unknown'


def provenance(settings: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    """Plain values: settings, commit, versions and whatever else is known.

    Of folders only the last name is kept: where they lie on this machine tells nobody anything.
    """
    versions = environment.versions()
    versions['lightning'] = metadata.version('lightning')
    values = _without_folders(plain(dict(settings)))
    document = {'settings': values, 'commit': commit(), 'versions': versions, **facts}
    return json.loads(json.dumps(document))


def _without_folders(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_folders(item)
        if isinstance(item, dict)
        else Path(item).name
        if key in _FOLDERS and isinstance(item, str)
        else item
        for key, item in values.items()
    }
