# SPDX-License-Identifier: Apache-2.0
"""Depth images of a recording, and the calibration of their camera."""

from __future__ import annotations

import math

from pointata_core.errors import BagError
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.messages.cloud_conversion import Intrinsics
from pointata_core.io.messages.message_types import CAMERA_INFO, IMAGE


def find_depth_topic(reader: BagReader) -> str | None:
    """Return the only topic of images with messages whose name contains ``depth``, if there is."""
    found = [t.name for t in reader.point_topics((IMAGE,)) if t.count and 'depth' in t.name]
    return found[0] if len(found) == 1 else None


def read_intrinsics(reader: BagReader, topic: str) -> Intrinsics:
    """Read the calibration that belongs to a topic of images: of its namespace, else the only one.

    Raises:
        BagError: There is none, there are several to choose from, or it has no focal length.
    """
    infos = [t.name for t in reader.point_topics((CAMERA_INFO,)) if t.count]
    namespace = topic.rpartition('/')[0]
    own = f'{namespace}/camera_info'
    if own not in infos:
        if len(infos) != 1:
            raise BagError(
                f'{reader.path}: depth images on {topic} need {own} ({CAMERA_INFO}); there is '
                f'{", ".join(infos) or "none"}',
                'Record the topic camera_info beside the images',
            )
        own = infos[0]
    for _, _, message in reader.messages([own]):
        # k in ROS 2, K in ROS 1.
        matrix = [float(value) for value in (message.k if hasattr(message, 'k') else message.K)]
        if not (math.isfinite(sum(matrix)) and matrix[0] > 0 and matrix[4] > 0):
            raise BagError(
                f'{reader.path}: {own} has the focal lengths {matrix[0]:g} and {matrix[4]:g}, '
                'expected more than 0',
                'Calibrate the camera; drivers publish zeros without a calibration',
            )
        return Intrinsics(matrix[0], matrix[4], matrix[2], matrix[5])
    raise BagError(f'{reader.path}: no message on {own} can be read', 'Record it again')
