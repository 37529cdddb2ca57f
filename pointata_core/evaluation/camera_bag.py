# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera of a recording: which topics it has, and what it saw when a cloud was taken.

Live, an image that comes late is missed; here each cloud waits for its nearest one, so that what
is measured does not depend on the order in which messages were recorded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.errors import BagError
from pointata_core.inference.camera_calibration import (
    CalibrationError,
    Camera,
    camera_from_info,
    parse_pose,
)
from pointata_core.inference.camera_pairing import RecentImages
from pointata_core.inference.frames import CameraView
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.messages.image_message import (
    RejectedImage,
    decode_compressed_image,
    decode_image,
)
from pointata_core.io.messages.stamps import stamp_of
from pointata_core.io.transforms import TransformBuffer, TransformError

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
DEFAULT_TOLERANCE_S = 0.05
NO_CAMERA = 'none'
MOST_WAITING = 16
"""Clouds that wait for their images at most."""


@dataclass(frozen=True)
class CameraPlan:
    """Which topics of a bag make up its camera.

    Args:
        image_topic: Images.
        info_topic: Their calibration.
        compressed: Whether they are compressed.
        rectified: Whether they are rectified, by the name of the topic (``image_rect``).
    """

    image_topic: str
    info_topic: str
    compressed: bool = False
    rectified: bool = False


def plan_camera(bag: BagReader, image_topic: str | None = None) -> CameraPlan | None:
    """Choose the topics of the camera.

    Args:
        bag: The recording.
        image_topic: ``None`` takes the only one; ``'none'`` does without a camera.

    Returns:
        The topics; None where the bag has no images, or none are wanted.

    Raises:
        BagError: A topic is absent or of another type, there are several cameras to choose from,
            or the calibration is missing.
    """
    if image_topic == NO_CAMERA:
        return None
    images = [one for one in bag.topics if one.type in (IMAGE, COMPRESSED) and one.count]
    if image_topic is not None:
        chosen = bag.topic(image_topic)
        if chosen not in images:
            raise BagError(
                f'topic {chosen.name} of {bag.path} holds {chosen.count} {chosen.type}, '
                f'expected {IMAGE}',
                f'Choose one of: {", ".join(one.name for one in images) or "(none)"}',
            )
    elif len(images) > 1:
        raise BagError(
            f'{bag.path} has {len(images)} topics with images: '
            f'{", ".join(one.name for one in images)}',
            'Name the one to use with --image-topic, or none',
        )
    elif not images:
        return None
    else:
        chosen = images[0]
    stem = chosen.name.removesuffix('/compressed')
    return CameraPlan(
        chosen.name,
        _info_topic(bag, stem),
        chosen.type == COMPRESSED,
        'rect' in stem.rsplit('/', 1)[-1],
    )


def open_camera(
    bag: BagReader, image_topic: str | None, extrinsics: str, tolerance_s: float
) -> BagCamera | None:
    """The camera of a recording, ready to be read; None where there is none."""
    plan = plan_camera(bag, image_topic)
    return None if plan is None else BagCamera(bag, plan, extrinsics, tolerance_s)


class BagCamera:
    """Images and calibration of a recording as they are read.

    Args:
        bag: The recording.
        plan: Its topics.
        extrinsics: Pose of the LiDAR in the camera's frame, ``x y z qx qy qz qw``; empty for the
            recorded transforms.
        tolerance_s: Largest difference between the stamps of a cloud and its image.

    Attributes:
        counts: Clouds that were ``paired`` and those whose image was ``missing``, and images
            that were ``undecodable``.

    Raises:
        BagError: The calibration cannot be used.
        ConfigError: The extrinsics are no pose.
    """

    most_waiting = MOST_WAITING

    def __init__(
        self,
        bag: BagReader,
        plan: CameraPlan,
        extrinsics: str = '',
        tolerance_s: float = DEFAULT_TOLERANCE_S,
    ) -> None:
        self.plan, self._path = plan, Path(bag.path)
        self.counts: Counter[str] = Counter()
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._images: RecentImages[Any] = RecentImages(2 * MOST_WAITING)
        self._newest_ns: int | None = None
        self._extrinsics = parse_pose(extrinsics, '--camera-extrinsics') if extrinsics else None
        self._transforms = TransformBuffer() if extrinsics else TransformBuffer.from_recording(bag)
        # A calibration may be recorded behind the first image that it belongs to.
        self._camera, self._frame = self._read_info(
            next(message for _, _, message in bag.messages([plan.info_topic]))
        )

    @property
    def topics(self) -> tuple[str, str]:
        """What has to be read for it."""
        return self.plan.image_topic, self.plan.info_topic

    def take(self, topic: str, message: Any) -> None:
        """Take in a message of one of the topics."""
        if topic == self.plan.info_topic:
            self._camera, self._frame = self._read_info(message)
        elif topic == self.plan.image_topic:
            self._newest_ns = stamp_of(message)
            self._images.add(self._newest_ns, message)

    def has_all_for(self, stamp_ns: int) -> bool:
        """Whether no image that comes later can be nearer to this moment."""
        nearest = self._images.nearest(stamp_ns, 0)
        late = self._newest_ns is not None and self._newest_ns >= stamp_ns + self._tolerance_ns
        return nearest is not None or late

    def view(self, frame_id: str, stamp_ns: int) -> CameraView | None:
        """What the camera saw at a moment; None (counted) if there is no usable image.

        Raises:
            BagError: The image has another size than was calibrated, or it is not known where
                the camera is.
        """
        found = self._images.nearest(stamp_ns, self._tolerance_ns)
        if found is None:
            self.counts['missing'] += 1
            return None
        decode = decode_compressed_image if self.plan.compressed else decode_image
        image = decode(found[1])
        if isinstance(image, RejectedImage):
            self.counts['undecodable'] += 1
            self.counts[f'undecodable.{image.reason}'] += 1
            return None
        try:
            view = CameraView(image, self._camera, self._placement(frame_id, stamp_ns))
        except CalibrationError as error:
            raise self._explained(error) from error
        self.counts['paired'] += 1
        return view

    def notes(self) -> list[str]:
        """Sentences about clouds that had no image."""
        clouds = sum(self.counts[name] for name in ('paired', 'missing', 'undecodable'))
        if clouds == self.counts['paired']:
            return []
        reasons = ', '.join(
            f'{number} {name}' for name, number in sorted(self.counts.items()) if name != 'paired'
        )
        return [
            f'{clouds - self.counts["paired"]} of {clouds} clouds were answered without an image '
            f'of {self.plan.image_topic} ({reasons}; tolerance {self._tolerance_ns * 1e-9:g} s)'
        ]

    def _placement(self, frame_id: str, stamp_ns: int) -> np.ndarray:
        if self._extrinsics is not None:
            return self._extrinsics
        try:
            return self._transforms.lookup(self._frame, frame_id, stamp_ns)
        except TransformError as error:
            raise BagError(
                f'{self._path}: it is not known where the camera is: {error.message}',
                'Record /tf_static with its mounting, give --camera-extrinsics, or do without '
                'the camera (--image-topic none)',
            ) from error

    def _read_info(self, message: Any) -> tuple[Camera, str]:
        try:
            return camera_from_info(message, self.plan.rectified), message.header.frame_id
        except CalibrationError as error:
            raise self._explained(error) from error

    def _explained(self, error: CalibrationError) -> BagError:
        return BagError(f'{self._path}: topic {self.plan.info_topic}: {error.message}', error.fix)


def _info_topic(bag: BagReader, image_topic: str) -> str:
    """The calibration in the same namespace, else the only one there is."""
    known = [one.name for one in bag.topics if one.type == CAMERA_INFO and one.count]
    beside = f'{image_topic.rsplit("/", 1)[0]}/camera_info'
    if beside in known:
        return beside
    if len(known) != 1:
        raise BagError(
            f'{bag.path} has no {beside}, and {len(known)} other topics of {CAMERA_INFO}',
            'Record the camera_info of the camera, or do without it (--image-topic none)',
        )
    return known[0]
