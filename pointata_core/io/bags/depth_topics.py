# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of a recording, and the calibration of their camera."""

from __future__ import annotations

from pointata_core.errors import BagError
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.messages.depth_image import Intrinsics, intrinsics_of
from pointata_core.io.messages.message_types import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE

_COMPRESSED = 'compressedDepth'


def find_depth_topic(reader: BagReader) -> str | None:
    """Return the only topic of images with messages whose name contains ``depth``, if there is.

    Images that are not compressed come first: a recording may hold both.
    """
    images = [t for t in reader.point_topics((IMAGE,)) if 'depth' in t.name]
    compressed = [t for t in reader.point_topics((COMPRESSED_IMAGE,)) if _COMPRESSED in t.name]
    for topics in (images, compressed):
        found = [topic.name for topic in topics if topic.count]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def find_info_topic(reader: BagReader, topic: str) -> str:
    """Return the topic of calibrations of a topic of images: in its namespace, else the only one.

    Raises:
        BagError: There is none, or there are several to choose from.
    """
    infos = [t.name for t in reader.point_topics((CAMERA_INFO,)) if t.count]
    namespace = topic.removesuffix(f'/{_COMPRESSED}').rpartition('/')[0]
    own = f'{namespace}/camera_info'
    if own in infos:
        return own
    if len(infos) != 1:
        raise BagError(
            f'{reader.path}: depth images on {topic} need {own} ({CAMERA_INFO}); there is '
            f'{", ".join(infos) or "none"}',
            'Record the topic camera_info beside the images',
        )
    return infos[0]


def read_intrinsics(reader: BagReader, info_topic: str) -> Intrinsics:
    """Read the first calibration of a topic.

    Raises:
        BagError: It has no focal length, or none can be read.
    """
    for _, _, message in reader.messages([info_topic]):
        try:
            return intrinsics_of(message)
        except ValueError as error:
            raise BagError(
                f'{reader.path}: {info_topic}: {error}',
                'Calibrate the camera; drivers publish zeros without a calibration',
            ) from error
    raise BagError(f'{reader.path}: no message on {info_topic} can be read', 'Record it again')
