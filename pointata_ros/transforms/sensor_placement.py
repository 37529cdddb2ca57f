# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the points of an input enter the network: by parameters, or by the pose that TF has."""

from __future__ import annotations

import numpy as np

from pointata_core.inference.placement import UNPLACED, Placement
from pointata_ros.transforms.listener import TransformListener


class SensorPlacement:
    """The placement of each cloud; may be asked on any thread.

    Args:
        placement: What the parameters give: the unit, and the pose unless ``target_frame`` has it.
        target_frame: Frame with z up whose transform from the cloud is looked up; empty for none.
        transforms: Where it is looked up.
    """

    def __init__(
        self,
        placement: Placement = UNPLACED,
        target_frame: str = '',
        transforms: TransformListener | None = None,
    ) -> None:
        self._placement = placement
        self._target_frame = target_frame
        self._transforms = transforms

    def of(self, frame_id: str, stamp_ns: int) -> Placement:
        """The placement of a cloud; does not wait. The same object as long as nothing changes.

        Raises:
            TransformMissing: There is no transform; the text names both frames and the reason.
        """
        if not self._target_frame or self._transforms is None:
            return self._placement
        pose = self._transforms.between((self._target_frame, stamp_ns), (frame_id, stamp_ns))
        latest = self._placement
        if not np.array_equal(latest.pose, pose):
            latest = self._placement = Placement(latest.scale, pose)
        return latest
