# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated drive with LiDAR and camera as a recording, truth in the classes of a task included.

======================= ======================== ==================================================
topic                   type                     content
======================= ======================== ==================================================
/points                 sensor_msgs/PointCloud2  x y z intensity f32, label u32 (class of the task)
/camera/image_raw       sensor_msgs/Image        rgb8, of the same instant
/camera/camera_info     sensor_msgs/CameraInfo   exact
/tf_static              tf2_msgs/TFMessage       lidar -> camera, exact
/ground_truth/label_info vision_msgs/LabelInfo   names of the values of ``label``
======================= ======================== ==================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pointata_core.datasets.camera.class_maps import task_named, to_classes
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.camera_messages import (
    camera_info,
    cloud,
    image,
    label_info,
    transform,
)
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns
from pointata_core.simulation.camera.domains import get_domain
from pointata_core.simulation.camera.frames import SimulatedCameraFrame, simulate_camera
from pointata_core.simulation.scanning import FIRST_STAMP_NS

TASK = 'nuscenes_lidarseg'
SEED = 990_001
"""No split of the simulated data set reaches this far."""
_OTHER = 255
_CLOUD, _IMAGE = '/points', '/camera/image_raw'
_INFO, _NAMES = '/camera/camera_info', '/ground_truth/label_info'


def write_simulated_camera_bag(
    path: str | Path,
    domain: str,
    frames: int = 20,
    *,
    seed: int = SEED,
    rate_hz: float = 10.0,
    task: str = TASK,
) -> int:
    """Simulate and record.

    Args:
        path: Folder to create.
        domain: Name in ``camera_domains.DOMAINS``.
        frames: How many.
        seed: Of the street.
        rate_hz: Frames per second.
        task: Whose classes the labels are.

    Returns:
        Number of frames.

    Raises:
        BagError: The path exists.
        ConfigError: Unknown domain or task, or no frames.
    """
    camera, classes = get_domain(domain).camera, task_named(task).classes
    recorded = simulate_camera(domain, seed, frames, rate_hz)
    with BagWriter(path) as bag:
        types = bag.types
        bag.add_topic('/tf_static', 'tf2_msgs/msg/TFMessage', transient_local=True, depth=1)
        bag.add_topic(_NAMES, 'vision_msgs/msg/LabelInfo', transient_local=True, depth=1)
        place = np.linalg.inv(camera.extrinsics)
        turn = Rotation.from_matrix(place[:3, :3]).as_quat()
        mounting = transform(types, FIRST_STAMP_NS, 'lidar', 'camera', place[:3, 3], turn)
        bag.write('/tf_static', mounting, FIRST_STAMP_NS)
        bag.write(_NAMES, label_info(types, FIRST_STAMP_NS, '', classes), FIRST_STAMP_NS)
        size = camera.height, camera.width
        for frame in recorded:
            now = frame.lidar.stamp_ns
            bag.write(_INFO, camera_info(types, now, 'camera', camera.intrinsics, size), now)
            bag.write(_IMAGE, image(types, now, 'camera', frame.image), now)
            bag.write(_CLOUD, _cloud(types, now, frame, task), now)
    return frames


def _cloud(types: dict[str, Any], now: int, frame: SimulatedCameraFrame, task: str) -> Any:
    labels = to_classes(frame.lidar.label, task, 'simulated')
    labels = np.where(labels < 0, _OTHER, labels).astype(np.uint32)
    columns = [
        *xyz_columns(frame.lidar.points),
        ('intensity', frame.lidar.intensity),
        ('label', labels),
    ]
    return cloud(types, now, 'lidar', encode_fields(columns))
