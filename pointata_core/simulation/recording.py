# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write simulated frames as a rosbag2 recording, truth included.

======================= ======================== ==================================================
topic                   type                     content
======================= ======================== ==================================================
/points                 sensor_msgs/PointCloud2  x y z intensity f32, ring instance u16, label u32
/tf                     tf2_msgs/TFMessage       map -> lidar, exact
/ground_truth/action    vision_msgs/Classification  the true action, score 1
/ground_truth/label_info vision_msgs/LabelInfo   names of the values of ``label``
/ground_truth/people     vision_msgs/Detection3DArray  box, id and action of everybody
======================= ======================== ==================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.camera_messages import cloud, header, label_info, transform
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns
from pointata_core.simulation.hits import NO_CLASS
from pointata_core.simulation.scanning import SimulatedFrame
from pointata_core.simulation.sensing.sensors import SensorModel, get_sensor
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES, UNLABELLED

POINTS_TOPIC = '/points'
TF_TOPIC = '/tf'
ACTION_TOPIC = '/ground_truth/action'
LABEL_INFO_TOPIC = '/ground_truth/label_info'
PEOPLE_TOPIC = '/ground_truth/people'

_BOX = (0.9, 0.9, 1.8)  # metres, around everybody


def write_bag(
    path: str | Path,
    frames: Iterable[SimulatedFrame],
    *,
    sensor: str | SensorModel | None = None,
    storage: str = 'mcap',
    points_topic: str = POINTS_TOPIC,
    fixed_frame: str = 'map',
    sensor_frame: str = 'lidar',
) -> Path:
    """Record ``frames``.

    Args:
        path: Folder to create; must not exist.
        frames: Frames in order of time; may be a generator.
        sensor: Gives intensity the scale of the real sensor (0..255 for most); None keeps 0..1.
        storage: ``mcap`` or ``sqlite3``.
        points_topic: Topic of the clouds.
        fixed_frame: Name of the frame that ``pose`` leads to.
        sensor_frame: Name of the frame of the points.

    Returns:
        The path.

    Raises:
        BagError: The path exists or the storage is unknown.
        ConfigError: The sensor is unknown.
    """
    scale = np.float32(1.0 if sensor is None else get_sensor(sensor).intensity_scale)
    with BagWriter(path, storage) as writer:
        types = writer.types
        writer.add_topic(points_topic, 'sensor_msgs/msg/PointCloud2')
        writer.add_topic(TF_TOPIC, 'tf2_msgs/msg/TFMessage', depth=100)
        writer.add_topic(ACTION_TOPIC, 'vision_msgs/msg/Classification')
        writer.add_topic(
            LABEL_INFO_TOPIC, 'vision_msgs/msg/LabelInfo', transient_local=True, depth=1
        )
        writer.add_topic(PEOPLE_TOPIC, 'vision_msgs/msg/Detection3DArray')
        for number, frame in enumerate(frames):
            now = frame.stamp_ns
            if number == 0:
                names = label_info(types, now, sensor_frame, SEGMENTATION_CLASSES)
                writer.write(LABEL_INFO_TOPIC, names, now)
            turn = Rotation.from_matrix(frame.pose[:3, :3]).as_quat()
            pose = transform(types, now, fixed_frame, sensor_frame, frame.pose[:3, 3], turn)
            writer.write(TF_TOPIC, pose, now)
            columns = [
                *xyz_columns(frame.points),
                ('intensity', frame.intensity * scale),
                ('ring', frame.ring),
                ('instance', frame.instance),
                ('label', _labels(frame.label)),
            ]
            writer.write(points_topic, cloud(types, now, sensor_frame, encode_fields(columns)), now)
            action = types['vision_msgs/msg/Classification'](
                header=header(types, now, sensor_frame),
                results=[
                    types['vision_msgs/msg/ObjectHypothesis'](
                        class_id=ACTION_CLASSES[frame.action], score=1.0
                    )
                ],
            )
            writer.write(ACTION_TOPIC, action, now)
            writer.write(PEOPLE_TOPIC, _people(types, frame, sensor_frame), now)
    return Path(path)


def _people(types: dict[str, Any], frame: SimulatedFrame, frame_id: str) -> Any:
    """A ``vision_msgs/Detection3DArray`` with everybody in the scene, upright in the map."""
    made, to_sensor = partial(_made, types), np.linalg.inv(frame.pose)
    turn = dict(zip('xyzw', Rotation.from_matrix(to_sensor[:3, :3]).as_quat().tolist()))
    stamp = header(types, frame.stamp_ns, frame_id)
    detections = []
    for person in frame.people:
        middle = np.array([*person.place, 1.0]) + [0, 0, _BOX[2] / 2, 0]
        place = dict(zip('xyz', (to_sensor @ middle)[:3].tolist()))
        pose = made(
            'geometry_msgs/msg/Pose',
            position=made('geometry_msgs/msg/Point', **place),
            orientation=made('geometry_msgs/msg/Quaternion', **turn),
        )
        size = made('geometry_msgs/msg/Vector3', **dict(zip('xyz', _BOX)))
        sure = made('geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=np.zeros(36))
        results = [
            made(
                'vision_msgs/msg/ObjectHypothesisWithPose',
                hypothesis=made('vision_msgs/msg/ObjectHypothesis', class_id=name, score=1.0),
                pose=sure,
            )
            for name in ('person', person.doing)
            if name
        ]
        box = made('vision_msgs/msg/BoundingBox3D', center=pose, size=size)
        names = {'results': results, 'bbox': box, 'id': str(person.instance)}
        detections.append(made('vision_msgs/msg/Detection3D', header=stamp, **names))
    return made('vision_msgs/msg/Detection3DArray', header=stamp, detections=detections)


def _made(types: dict[str, Any], kind: str, **fields: Any) -> Any:
    return types[kind](**fields)


def _labels(label: np.ndarray) -> np.ndarray:
    """Labels of a frame as uint32; ``UNLABELLED`` for points that show no surface."""
    return np.where(label == NO_CLASS, UNLABELLED, label.astype(np.uint32)).astype(np.uint32)
