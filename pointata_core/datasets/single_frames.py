# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Single frames (shapes, scanned rooms) as clips of one frame, for code that works on clips."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import Clip, Description, FrameDataset


class SingleFrames:
    """A data set of frames as one of clips; attributes as ``ClipDataset``.

    Args:
        frames: The data set. Categories of whole clouds become actions.
    """

    def __init__(self, frames: FrameDataset) -> None:
        self._frames = frames
        self.name, self.split = frames.name, frames.split
        self.classes, self.feature_names = frames.classes, frames.feature_names

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._frames)

    def __getitem__(self, index: int) -> Clip:
        """Read one frame; what is known about it is the only row of each column.

        Raises:
            DataError: As the data set.
        """
        frame = self._frames[index]

        def column(value: np.ndarray | None) -> list[np.ndarray] | None:
            return None if value is None else [value]

        return Clip(
            points=[frame.points],
            name=frame.name,
            features=column(frame.features),
            labels=column(frame.labels),
            action=frame.category,
            sequence=frame.sequence,
            split=frame.split,
            poses=None if frame.pose is None else frame.pose[None],
        )

    def describe(self) -> Description:
        """Counts of the data set."""
        return self._frames.describe()

    def verify(self) -> Iterator[DataError | None]:
        """Read every file of the data set."""
        return self._frames.verify()
