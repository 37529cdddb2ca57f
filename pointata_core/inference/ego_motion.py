# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the sensor moved between two frames, from its poses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pose = NDArray[np.float64]
"""(4, 4), sensor frame -> a frame that stands still."""


class PoseChain:
    """The pose of the last frame that entered the history of a stream.

    Attributes:
        previous: This pose; ``None`` where it is not known.
    """

    def __init__(self) -> None:
        self.previous: Pose | None = None

    def motion_to(self, pose: Pose | None) -> NDArray[np.float64] | None:
        """(4, 4) from the sensor frame of that frame into the one at ``pose``, if known."""
        if pose is None or self.previous is None:
            return None
        return np.linalg.inv(pose) @ self.previous

    def accept(self, pose: Pose | None) -> None:
        """A frame entered the history: the next motion starts here.

        A frame of unknown pose keeps the older start, so that the next known motion includes it.
        """
        if pose is not None:
            self.previous = pose

    def reset(self) -> None:
        """Forget the pose: a new history begins."""
        self.previous = None
