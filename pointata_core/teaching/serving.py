# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle that learned, put where nodes find it, and loaded by those that run.

Nodes are reached through ROS, which the core must not import. The entry point ``load_skill`` of the
group ``pointata.commands``, which ``pointata_ros`` registers, does it.
"""

from __future__ import annotations

import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from pointata_core.errors import OutputError

ENTRY_POINT_GROUP, NAME = 'pointata.commands', 'load_skill'


def publish_bundle(bundle: Path, target: Path) -> Path:
    """Copy a bundle to a place that is replaced as a whole.

    Args:
        bundle: To be copied.
        target: Folder that gets its content; the bundle before is gone then.

    Raises:
        OutputError: It cannot be written; the bundle before is still there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix='.bundle.', dir=target.parent) as beside:
            shutil.copytree(bundle, Path(beside) / 'new')
            if target.exists():
                target.rename(Path(beside) / 'old')
            (Path(beside) / 'new').rename(target)
    except OSError as error:
        raise OutputError(
            f'{target} cannot be written ({error})', 'Free the disk, or make the folder writable'
        ) from error
    return target


def swap_into_nodes(bundle: str) -> list[dict[str, Any]]:
    """Let every running perception node load a bundle between two clouds.

    Args:
        bundle: Absolute path.

    Returns:
        For each node its ``node`` name, ``success`` and ``message``; nothing without ROS.
    """
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP, name=NAME):
        try:
            load = point.load()
        except ImportError:
            return []
        return load(bundle)
    return []
