# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compare a download with what was published: which files are missing, damaged, or too few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.protocol import ClipDataset, FrameDataset

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SplitCheck:
    """Outcome for one split.

    Args:
        split: Its name.
        found: What is counted -> how many are there; empty if it could not be opened.
        published: The same, as published; keys are a part of those of ``found``.
        per_class: Class name -> how many.
        missing: Files that should be there.
        damaged: What is wrong with files that are there.
        notes: Sentences worth reading.
        error: Why it could not be opened.
        fix: What to do about that.
    """

    split: str
    found: Mapping[str, int] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
    per_class: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ''
    fix: str = ''

    @property
    def too_few(self) -> tuple[str, ...]:
        """Counts below the published ones; higher counts are not an error."""
        return tuple(
            name for name, count in self.published.items() if self.found.get(name, 0) < count
        )

    @property
    def ok(self) -> bool:
        """Whether everything that was published is there and whole, as far as was looked."""
        return not (self.error or self.missing or self.damaged or self.too_few)


def check_split(
    info: DatasetInfo,
    root: str | Path,
    split: str,
    *,
    deep: bool = False,
    progress: Progress | None = None,
    options: Mapping[str, Any] | None = None,
) -> SplitCheck:
    """Check one split.

    Args:
        info: The data set.
        root: Its folder.
        split: One of its splits.
        deep: Read every file rather than listings and headers.
        progress: Called with files read and about how many there are; with ``deep`` only.
        options: Further arguments of the loader.
    """
    published = info.published.get(split, {})
    try:
        dataset = info.open(root, split, **{**(options or {}), **info.check_options})
        description = dataset.describe()
        damaged = _read_all(dataset, progress) if deep else description.damaged
    except DataError as error:
        return SplitCheck(split, published=published, error=error.message, fix=error.fix)
    return SplitCheck(
        split=split,
        found=description.counts[split],
        published=published,
        per_class=description.per_class.get(split, {}),
        missing=description.missing,
        damaged=tuple(damaged),
        notes=description.notes,
    )


def _read_all(dataset: ClipDataset | FrameDataset, progress: Progress | None) -> Sequence[str]:
    counts = dataset.describe().counts[dataset.split]
    total = counts.get('videos', len(dataset))
    damaged = []
    for done, error in enumerate(dataset.verify(), 1):
        if error is not None:
            damaged.append(error.message)
        if progress is not None:
            progress(done, max(done, total))
    return damaged
