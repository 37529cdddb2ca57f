# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where weights come from: what is written into every bundle and result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointata_core.evaluation.environment import commit, versions
from pointata_core.training.engine.settings import plain

_FOLDERS = frozenset({'root', 'cache', 'output', 'images', 'meshes'})


def provenance(settings: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    """Plain values: settings, commit, versions and whatever else is known.

    Of folders only the last name is kept; the rest of the path holds for this machine only.
    """
    values = _without_folders(plain(dict(settings)))
    document = {'settings': values, 'commit': commit(), 'versions': versions(), **facts}
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
