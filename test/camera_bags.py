# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small recordings of a camera beside a LiDAR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from camera_bundle_samples import FROM_LIDAR, HEIGHT, MATRIX, WIDTH, drawn_image, surroundings
from scipy.spatial.transform import Rotation

from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.camera_messages import camera_info, cloud, image, transform
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
IMAGES, INFO, CLOUDS = '/camera/image_raw', '/camera/camera_info', '/points'


def labels_of(number: int, count: int = 400) -> np.ndarray:
    """Ground truth of a cloud."""
    return np.random.default_rng(100 + number).integers(0, 4, count).astype(np.uint32)


def unchanged(message: Any) -> Any:
    """No damage."""
    return message


def write_camera_bag(
    path: Path,
    count: int = 4,
    *,
    image_delay_ns: int = 0,
    late_ns: int = 0,
    without: Sequence[int] = (),
    with_tf: bool = True,
    images: str = IMAGES,
    change_image: Callable[[Any], Any] = unchanged,
    change_info: Callable[[Any], Any] = unchanged,
) -> Path:
    """Clouds at 10 Hz and an image of each.

    Args:
        path: Folder to create.
        count: Clouds.
        image_delay_ns: Stamp of an image after that of its cloud.
        late_ns: An image is recorded so much after its cloud.
        without: Numbers of clouds whose image is left out.
        with_tf: Whether the mounting of the camera is recorded.
        images: Topic of the images.
        change_image: Applied to each image before it is written.
        change_info: Applied to each calibration.
    """
    place = np.linalg.inv(FROM_LIDAR)
    turn = Rotation.from_matrix(place[:3, :3]).as_quat()
    entries = []
    with BagWriter(path) as bag:
        types = bag.types
        for number in range(count):
            now = START_NS + number * PERIOD_NS
            columns = xyz_columns(surroundings(number))
            encoded = encode_fields([*columns, ('label', labels_of(number))])
            entries.append((now, CLOUDS, cloud(types, now, 'lidar', encoded)))
            if number in without:
                continue
            seen = now + image_delay_ns
            info = camera_info(types, seen, 'camera', MATRIX, (HEIGHT, WIDTH))
            shot = image(types, seen, 'camera', drawn_image(number))
            entries.append((now + late_ns, INFO, change_info(info)))
            entries.append((now + late_ns, images, change_image(shot)))
        if with_tf:
            bag.add_topic('/tf_static', 'tf2_msgs/msg/TFMessage', transient_local=True)
            mounting = transform(types, START_NS, 'lidar', 'camera', place[:3, 3], turn)
            bag.write('/tf_static', mounting, START_NS)
        for now, topic, message in sorted(entries, key=lambda one: one[0]):
            bag.write(topic, message, now)
    return path
