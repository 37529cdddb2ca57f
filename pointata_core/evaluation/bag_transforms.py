# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Motion and placement of the sensor of a recording, from its transforms or from settings."""

from __future__ import annotations

from pathlib import Path

from pointata_core.errors import BagError
from pointata_core.inference.ego_motion import Pose
from pointata_core.inference.placement import Placement
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.transforms import TransformBuffer


class BagTransforms:
    """Where the sensor was, and how its points enter the network.

    Args:
        reader: The recording.
        fixed_frame: Frame that stands still, for ego-motion compensation; empty for none.
        target_frame: Frame with z up that the points are turned into; empty for none.
        placement: What the settings give.

    Raises:
        BagError: No transform mentions one of the frames.
    """

    def __init__(
        self, reader: BagReader, fixed_frame: str, target_frame: str, placement: Placement
    ) -> None:
        self._fixed_frame, self._target_frame = fixed_frame, target_frame
        self._placement = placement
        self._transforms = TransformBuffer()
        if fixed_frame or target_frame:
            self._transforms = TransformBuffer.from_recording(reader)
        path = Path(reader.path)
        # A mistyped frame is an error now, not a skip per cloud.
        self._require(path, fixed_frame, '--fixed-frame', 'no compensation')
        self._require(path, target_frame, '--target-frame', 'points as they are')

    def pose(self, frame_id: str, stamp_ns: int) -> Pose | None:
        """Pose of the sensor in the fixed frame; ``None`` without one.

        Raises:
            TransformError: It is not known.
        """
        if not self._fixed_frame:
            return None
        return self._transforms.lookup(self._fixed_frame, frame_id, stamp_ns)

    def placement(self, frame_id: str, stamp_ns: int) -> Placement:
        """Unit of the points, and the pose of the sensor.

        Raises:
            TransformError: The pose is not known.
        """
        if not self._target_frame:
            return self._placement
        pose = self._transforms.lookup(self._target_frame, frame_id, stamp_ns)
        return Placement(self._placement.scale, pose)

    def _require(self, path: Path, frame: str, option: str, without: str) -> None:
        if frame and frame.removeprefix('/') not in self._transforms.frames:
            raise BagError(
                f"{path}: no transform mentions the frame '{frame}'; frames there are: "
                f'{", ".join(self._transforms.frames) or "(none)"}',
                f'Name one of them with {option}, or leave it out for {without}',
            )
