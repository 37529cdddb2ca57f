# SPDX-License-Identifier: Apache-2.0
"""Data sets by name: what was published about each, and the loader that is imported on demand.

Entries are plain facts and lie in two catalogues, ``action_catalogue`` and ``scene_catalogue``, so
that listing them imports no loader and no optional library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import ClipDataset, FrameDataset


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set before it is opened.

    Args:
        name: Name on the command line: lower case, digits and underscores.
        title: Name in prose.
        kind: ``clips`` (``ClipDataset``) or ``frames`` (``FrameDataset``; shapes are frames).
        factory: ``module:name`` of what makes the data set, called as
            ``factory(root, split=split, **options)``.
        splits: Splits that ``factory`` knows, the ones that partition the data first.
        published: Split -> what is counted -> how many there should be, as ``Description.counts``.
        classes: Number of classes.
        layout: What is expected below the root folder, in one or two lines.
        download: Where to get it.
        licence: Terms in a few words.
        citation: The paper.
        axes: Frame and unit of the points.
        library: Optional package that the loader needs, to be named if it is not installed.
        check_options: Options under which counts are compared with the published ones; for a
            loader that can, they make it tolerate damage and tell all of it in ``verify``.
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
    check_options: Mapping[str, Any] = field(default_factory=dict)

    def open(
        self, root: str | Path, split: str = 'train', **options: Any
    ) -> ClipDataset | FrameDataset:
        """Open one split.

        Args:
            root: Folder described by ``layout``.
            split: One of ``splits``.
            **options: Whatever the loader takes besides.

        Raises:
            DataError: The split is unknown, the folder or a file is missing or damaged, or a
                library is not installed.
        """
        self.require_split(split)
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

    def require_split(self, split: str) -> None:
        """Check the name of a split.

        Raises:
            DataError: There is none of that name.
        """
        if split not in self.splits:
            raise DataError(
                f"{self.title} has no split '{split}'", f'Choose one of {", ".join(self.splits)}'
            )


@cache
def datasets() -> dict[str, DatasetInfo]:
    """All data sets by name, in the order of the catalogues."""
    from pointata_core.datasets.actions.catalogue import ACTION_DATASETS
    from pointata_core.datasets.scenes.catalogue import SCENE_DATASETS

    return {info.name: info for info in (*ACTION_DATASETS, *SCENE_DATASETS)}


def dataset_info(name: str) -> DatasetInfo:
    """The entry of one data set.

    Raises:
        DataError: There is none of that name; lists those there are.
    """
    known = datasets()
    if name not in known:
        raise DataError(f"no data set is called '{name}'", f'Choose one of {", ".join(known)}')
    return known[name]


def open_dataset(
    name: str, root: str | Path, split: str = 'train', **options: Any
) -> ClipDataset | FrameDataset:
    """Open one split of a data set by name; see ``DatasetInfo.open``."""
    return dataset_info(name).open(root, split, **options)
