# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All data sets by name.

``catalogue.yaml`` holds plain facts: listing the data sets imports no loader and no optional
library.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.protocol import ClipDataset, FrameDataset


@cache
def datasets() -> dict[str, DatasetInfo]:
    """All entries of the catalogue by name, in its order."""
    import yaml

    text = (files(__package__) / 'catalogue.yaml').read_text(encoding='utf-8')
    return {entry['name']: _info(**entry) for entry in yaml.safe_load(text)}


def _info(
    factory: str, splits: list[str], unscored: Sequence[str] = (), **facts: Any
) -> DatasetInfo:
    return DatasetInfo(
        factory=f'{__package__}.{factory}',
        splits=tuple(splits),
        unscored=tuple(unscored),
        **facts,
    )


def dataset_info(name: str) -> DatasetInfo:
    """Look up the entry of one data set.

    Raises:
        DataError: No data set has this name; the fix lists those that exist.
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
