# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An entry of the data set registry: published facts and a loader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pointata_core.datasets.errors import DataError, require_split
from pointata_core.datasets.protocol import ClipDataset, FrameDataset


@dataclass(frozen=True)
class DatasetInfo:
    """Published facts about a data set, and how to open it.

    Args:
        name: Name on the command line: lower case, digits and underscores.
        title: Name in prose.
        kind: ``clips`` (``ClipDataset``) or ``frames`` (``FrameDataset``; shapes are frames).
        factory: ``module:name`` of the function or class that opens the data set, called as
            ``factory(root, split=split, **options)``.
        splits: Splits that ``factory`` accepts; those that partition the data come first.
            Empty where the options name the splits.
        published: Split -> what is counted -> how many there should be, as ``Description.counts``.
        classes: Number of classes.
        layout: Files expected below the root folder, in one or two lines.
        download: Where to get it.
        licence: Terms in a few words.
        citation: The paper.
        axes: Frame and unit of the points.
        library: Optional package that the loader needs; the error names it if it is missing.
        class_mean: Classes that the mean IoU is over: ``present`` or ``all``, see
            ``evaluation.metrics.segmentation``.
        unscored: Classes that are no predictions: they are taken out before the largest score is.
        check_options: Options of the loader for ``pointata data check``. ``strict=False`` makes a
            loader report damaged files in ``verify`` instead of failing at the first one.
    """

    name: str
    title: str
    kind: Literal['clips', 'frames']
    factory: str
    splits: tuple[str, ...]
    published: Mapping[str, Mapping[str, int]]
    classes: int
    layout: str
    download: str
    licence: str
    citation: str
    axes: str = 'metres; x right, y down, z forward'
    library: str = ''
    class_mean: Literal['present', 'all'] = 'present'
    unscored: tuple[str, ...] = ()
    check_options: Mapping[str, Any] = field(default_factory=dict)

    def open(
        self, root: str | Path, split: str = 'train', **options: Any
    ) -> ClipDataset | FrameDataset:
        """Open one split.

        Args:
            root: Folder described by ``layout``.
            split: One of ``splits``.
            **options: Further arguments of the loader.

        Raises:
            DataError: The split is unknown, the folder or a file is missing or damaged, or a
                library is not installed.
        """
        if self.splits:
            require_split(self.title, split, self.splits)
        folder = Path(root).expanduser()
        if not folder.is_dir():
            raise DataError(
                f'{folder}: no such folder, expected {self.layout}',
                f'Download {self.title} from {self.download}',
                folder,
            )
        module, _, attribute = self.factory.partition(':')
        try:
            factory = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if not self.library or error.name != self.library:
                raise
            raise DataError(
                f'{self.title} needs the package {self.library}',
                f'Install it: pip install {self.library}',
            ) from error
        return factory(folder, split=split, **options)
