# SPDX-License-Identifier: Apache-2.0
"""All data sets by name.

The catalogues hold plain facts: listing the data sets imports no loader and no optional library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pointata_core.datasets.actions.catalogue import ACTION_DATASETS
from pointata_core.datasets.errors import DataError
from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.protocol import ClipDataset, FrameDataset
from pointata_core.datasets.scenes.catalogue import SCENE_DATASETS
from pointata_core.datasets.shapes.catalogue import SHAPE_DATASETS

DATASETS: dict[str, DatasetInfo] = {
    info.name: info for info in (*ACTION_DATASETS, *SCENE_DATASETS, *SHAPE_DATASETS)
}


def dataset_info(name: str) -> DatasetInfo:
    """Look up the entry of one data set.

    Raises:
        DataError: No data set has this name; the fix lists those that exist.
    """
    if name not in DATASETS:
        raise DataError(f"no data set is called '{name}'", f'Choose one of {", ".join(DATASETS)}')
    return DATASETS[name]


def open_dataset(
    name: str, root: str | Path, split: str = 'train', **options: Any
) -> ClipDataset | FrameDataset:
    """Open one split of a data set by name; see ``DatasetInfo.open``."""
    return dataset_info(name).open(root, split, **options)
