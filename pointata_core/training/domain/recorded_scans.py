# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans of a recording without labels, with the motion of the sensor where it is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.evaluation.bag_transforms import BagTransforms
from pointata_core.inference.placement import UNPLACED
from pointata_core.io.bags.reader import BagReader, frames
from pointata_core.io.cloud import Cloud
from pointata_core.io.transforms import TransformError


@dataclass(frozen=True, eq=False)
class RecordedScan:
    """One scan.

    Attributes:
        points: ``(N, 3)`` metres, in the sensor frame.
        intensity: ``(N,)``; zeros where the sensor gives none.
        stamp_ns: When it was taken.
        pose: ``(4, 4)`` of the sensor in a frame at rest, or ``None``.
    """

    points: NDArray[np.float32]
    intensity: NDArray[np.float32]
    stamp_ns: int
    pose: NDArray[np.float64] | None


def scans_of_bag(path: str | Path, topic: str | None, fixed_frame: str) -> Iterator[RecordedScan]:
    """Scans of a recording; those without a transform are left out.

    Args:
        path: rosbag2 folder or file.
        topic: Of the clouds; ``None`` for the only one.
        fixed_frame: Frame at rest in the recorded ``/tf``; empty for scans without poses.

    Raises:
        BagError: The bag cannot be read, or lacks what was asked for.
    """
    with BagReader(path) as reader:
        transforms = BagTransforms(reader, fixed_frame, '', UNPLACED)
        chosen = reader.select_point_topic(topic)
        for cloud in frames(reader, chosen, wanted_features=('intensity',)):
            if not isinstance(cloud, Cloud):
                continue
            try:
                pose = transforms.pose(cloud.frame_id, cloud.stamp_ns)
            except TransformError:
                continue
            intensity = cloud.features.get('intensity', np.zeros(len(cloud.points), np.float32))
            yield RecordedScan(cloud.points, intensity, cloud.stamp_ns, pose)


def scans_of_sequence(folder: str | Path) -> Iterator[RecordedScan]:
    """Scans in the layout of SemanticKITTI; labels are not read.

    Raises:
        CloudFileError: A file is missing or damaged.
    """
    for scan in SemanticKittiSequence(folder):
        yield RecordedScan(scan.points, scan.intensity, scan.stamp_ns, scan.pose)
