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


def read_intrinsics(reader: BagReader, topic: str) -> Intrinsics:
    """Read the calibration that belongs to a topic of images: of its namespace, else the only one.

    Raises:
        BagError: There is none, there are several to choose from, or it has no focal length.
    """
    infos = [t.name for t in reader.point_topics((CAMERA_INFO,)) if t.count]
    namespace = topic.removesuffix(f'/{_COMPRESSED}').rpartition('/')[0]
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
        try:
            return intrinsics_of(message)
        except ValueError as error:
            raise BagError(
                f'{reader.path}: {own}: {error}',
                'Calibrate the camera; drivers publish zeros without a calibration',
            ) from error
    raise BagError(f'{reader.path}: no message on {own} can be read', 'Record it again')
