# SPDX-License-Identifier: Apache-2.0
"""Write simulated frames as a rosbag2 recording, truth included.

======================= ======================== ==================================================
topic                   type                     content
======================= ======================== ==================================================
/points                 sensor_msgs/PointCloud2  x y z intensity f32, ring instance u16, label u32
/tf                     tf2_msgs/TFMessage       map -> lidar, exact
/ground_truth/action    vision_msgs/Classification  the true action, score 1
/ground_truth/label_info vision_msgs/LabelInfo   names of the values of ``label``
======================= ======================== ==================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.cloud_encoding import encode_fields, fill_message, xyz_columns
from pointata_core.simulation.scanning import SimulatedFrame
from pointata_core.simulation.sensing.sensors import SensorModel, get_sensor
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES

POINTS_TOPIC = '/points'
TF_TOPIC = '/tf'
ACTION_TOPIC = '/ground_truth/action'
LABEL_INFO_TOPIC = '/ground_truth/label_info'
_LABEL_INFO_THRESHOLD = 0.0  # truth needs no minimum score


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
    scale = 1.0 if sensor is None else get_sensor(sensor).intensity_scale
    with BagWriter(path, storage) as writer:
        messages = _Messages(writer.types, fixed_frame, sensor_frame)
        writer.add_topic(points_topic, messages.cloud_type.__msgtype__)
        writer.add_topic(TF_TOPIC, messages.tf_type.__msgtype__, depth=100)
        writer.add_topic(ACTION_TOPIC, messages.classification_type.__msgtype__)
        writer.add_topic(
            LABEL_INFO_TOPIC, messages.label_info_type.__msgtype__, transient_local=True, depth=1
        )
        for number, frame in enumerate(frames):
            now = frame.stamp_ns
            if number == 0:
                writer.write(LABEL_INFO_TOPIC, messages.label_info(now), now)
            writer.write(TF_TOPIC, messages.transform(frame), now)
            writer.write(points_topic, messages.cloud(frame, scale), now)
            writer.write(ACTION_TOPIC, messages.action(frame), now)
    return Path(path)


class _Messages:
    """Builds the messages of one recording."""

    def __init__(self, types: dict[str, Any], fixed_frame: str, sensor_frame: str) -> None:
        self.types = types
        self.fixed_frame = fixed_frame
        self.sensor_frame = sensor_frame
        self.cloud_type = types['sensor_msgs/msg/PointCloud2']
        self.tf_type = types['tf2_msgs/msg/TFMessage']
        self.classification_type = types['vision_msgs/msg/Classification']
        self.label_info_type = types['vision_msgs/msg/LabelInfo']

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
        time = self.types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
        return self.types['std_msgs/msg/Header'](stamp=time, frame_id=frame_id)

    def cloud(self, frame: SimulatedFrame, intensity_scale: float) -> Any:
        encoded = encode_fields(
            [
                *xyz_columns(frame.points),
                ('intensity', frame.intensity * np.float32(intensity_scale)),
                ('ring', frame.ring),
                ('instance', frame.instance),
                ('label', frame.label.astype(np.uint32)),
            ]
        )
        empty = self.cloud_type(
            header=None,
            height=0,
            width=0,
            fields=[],
            is_bigendian=False,
            point_step=0,
            row_step=0,
            data=np.zeros(0, np.uint8),
            is_dense=True,
        )
        header = self.header(frame.stamp_ns, self.sensor_frame)
        return fill_message(empty, encoded, header, self.types['sensor_msgs/msg/PointField'])

    def transform(self, frame: SimulatedFrame) -> Any:
        translation = self.types['geometry_msgs/msg/Vector3'](*map(float, frame.pose[:3, 3]))
        turn = Rotation.from_matrix(frame.pose[:3, :3]).as_quat()  # x y z w
        rotation = self.types['geometry_msgs/msg/Quaternion'](*map(float, turn))
        transform = self.types['geometry_msgs/msg/Transform'](translation, rotation)
        header = self.header(frame.stamp_ns, self.fixed_frame)
        stamped = self.types['geometry_msgs/msg/TransformStamped']
        return self.tf_type([stamped(header, self.sensor_frame, transform)])

    def action(self, frame: SimulatedFrame) -> Any:
        hypothesis = self.types['vision_msgs/msg/ObjectHypothesis']
        result = hypothesis(class_id=ACTION_CLASSES[frame.action], score=1.0)
        header = self.header(frame.stamp_ns, self.sensor_frame)
        return self.classification_type(header=header, results=[result])

    def label_info(self, stamp_ns: int) -> Any:
        entry = self.types['vision_msgs/msg/VisionClass']
        return self.label_info_type(
            header=self.header(stamp_ns, self.sensor_frame),
            class_map=[entry(index, name) for index, name in enumerate(SEGMENTATION_CLASSES)],
            threshold=_LABEL_INFO_THRESHOLD,
        )
