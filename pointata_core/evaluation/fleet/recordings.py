# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which recordings a pattern means, and which clouds of each are evaluated."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from pointata_core.errors import ConfigError
from pointata_core.evaluation.bag_plan import plan_bag, sensor_topics
from pointata_core.io.bags.bag_files import METADATA, find_files, storage_of
from pointata_core.io.bags.reader import BagReader


@dataclass(frozen=True)
class Recording:
    """One recording of a fleet.

    Args:
        name: Its path below the folder that all have in common.
        path: Absolute.
    """

    name: str
    path: str


@dataclass(frozen=True)
class Stream:
    """The clouds of one sensor in one recording.

    Args:
        recording: Where they are.
        topic: Their topic.
        frames: Their number.
    """

    recording: Recording
    topic: str
    frames: int

    @property
    def folder(self) -> Path:
        """Where its results go, below the folder of the fleet."""
        # Names of topics have no two underscores in a row.
        return Path('recordings', self.recording.name, self.topic.strip('/').replace('/', '__'))


def find_recordings(pattern: str) -> list[Recording]:
    """Recordings that a pattern matches, in the order of their paths.

    A file of a recording whose folder has a ``metadata.yaml`` stands for the whole recording.

    Args:
        pattern: As in a shell, with ``**`` for any number of folders; several are separated by
            commas.

    Raises:
        ConfigError: Nothing matches.
    """
    matched = (Path(path) for one in pattern.split(',') for path in _matches(one.strip()))
    found = {path for one in matched if (path := _recording_of(one)) is not None}
    # A folder stands for its files, unless they were matched themselves.
    paths = sorted(found - {path.parent for path in found})
    if not paths:
        raise ConfigError(
            f"--bags '{pattern}' matches no recording",
            "Quote the pattern, such as 'fleet/**/*.mcap', and check the folder",
        )
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return [Recording(str(path.relative_to(common)), str(path)) for path in paths]


def _matches(pattern: str) -> list[str]:
    return glob.glob(os.path.expanduser(pattern), recursive=True)  # leaves hidden files out


def _recording_of(path: Path) -> Path | None:
    path = Path(os.path.abspath(path))
    if path.name == METADATA:
        return path.parent
    if path.is_dir():
        inside = (storage_of(file) and not file.name.startswith('.') for file in path.iterdir())
        return path if (path / METADATA).exists() or any(inside) else None
    if not storage_of(path):
        return None
    return path.parent if (path.parent / METADATA).exists() else path


def streams_of(recording: Recording, topic: str | None, labels_topic: str | None) -> list[Stream]:
    """Clouds of a recording to evaluate: one topic, or those of all its sensors.

    Raises:
        BagError: It cannot be read, or has no clouds.
    """
    with BagReader(recording.path) as reader:
        topics = [topic] if topic else [t for t in sensor_topics(reader) if t != labels_topic]
        # Without clouds there may be depth images, or an error that says what there is.
        plans = [plan_bag(reader, name) for name in topics or (None,)]
    return [Stream(recording, plan.cloud_topic, plan.frames) for plan in plans]


def identity(path: str | Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the files of a recording: differs once they change."""
    found = []
    for file in find_files(Path(path)).files:
        status = file.stat()
        found.append((file.name, status.st_size, status.st_mtime_ns))
    return found
