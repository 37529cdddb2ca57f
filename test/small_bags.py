# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small recordings for tests: a room whose walls drift past the sensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000


@dataclass(frozen=True)
class Frame:
    """One cloud to record; ``data`` may be cut to damage it."""

    points: np.ndarray
    stamp_ns: int
    labels: np.ndarray | None = None
    frame_id: str = 'lidar'
    cut_bytes: int = 0
    action: str | None = None


def room(index: int, count: int = 1500) -> np.ndarray:
    """Points on floor and walls, (count, 3) float32; each index another view of the same room."""
    random = np.random.default_rng(index % 7)
    points = random.uniform((-6, -4, -1.2), (6, 4, 1.8), (count, 3)).astype(np.float32)
    side = random.integers(0, 3, count)
    points[side == 0, 2] = -1.2
    points[side == 1, 1] = np.where(points[side == 1, 1] > 0, 4.0, -4.0)
    points[side == 2, 0] = 6.0 - 0.05 * index
    return points


def frames(count: int = 6, points: int = 1500) -> list[Frame]:
    return [Frame(room(i, points), START_NS + i * PERIOD_NS) for i in range(count)]


def header(types: dict, frame: Frame):
    seconds, nanoseconds = divmod(frame.stamp_ns, 1_000_000_000)
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame.frame_id)


def cloud_message(types: dict, frame: Frame, with_labels: bool):
    columns = xyz_columns(frame.points)
    if with_labels and frame.labels is not None:
        columns.append(('label', frame.labels))
    encoded = encode_fields(columns)
    field = types['sensor_msgs/msg/PointField']
    data = np.frombuffer(encoded.data, np.uint8)
    return types['sensor_msgs/msg/PointCloud2'](
        header=header(types, frame),
        height=encoded.height,
        width=encoded.width,
        fields=[field(name=n, offset=o, datatype=d, count=1) for n, o, d in encoded.fields],
        is_bigendian=encoded.is_bigendian,
        point_step=encoded.point_step,
        row_step=encoded.row_step,
        data=data[: len(data) - frame.cut_bytes],
        is_dense=encoded.is_dense,
    )


def classification(types: dict, frame: Frame):
    hypothesis = types['vision_msgs/msg/ObjectHypothesis'](class_id=frame.action, score=1.0)
    return types['vision_msgs/msg/Classification'](
        header=header(types, frame), results=[hypothesis]
    )


def transform(types: dict, stamp_ns: int, x: float):
    frame = Frame(np.empty((0, 3), np.float32), stamp_ns, frame_id='map')
    vector = types['geometry_msgs/msg/Vector3'](x=x, y=0.0, z=0.0)
    turn = types['geometry_msgs/msg/Quaternion'](x=0.0, y=0.0, z=0.0, w=1.0)
    pose = types['geometry_msgs/msg/Transform'](translation=vector, rotation=turn)
    stamped = types['geometry_msgs/msg/TransformStamped'](
        header=header(types, frame), child_frame_id='lidar', transform=pose
    )
    return types['tf2_msgs/msg/TFMessage'](transforms=[stamped])


def write_bag(
    path: Path,
    recorded: Sequence[Frame],
    storage: str = 'mcap',
    labels_topic: str | None = None,
    truth_delay_ns: int = 0,
    poses: Sequence[tuple[int, float]] = (),
) -> Path:
    """Record frames on ``/points``.

    Args:
        path: New folder.
        recorded: What to record; labels lie in the clouds unless ``labels_topic`` is given.
        storage: ``mcap`` or ``sqlite3``.
        labels_topic: Clouds with labels go there, those on ``/points`` have none then.
        truth_delay_ns: Added to the stamps on ``labels_topic``.
        poses: Stamp and x of the sensor in ``map``.
    """
    with BagWriter(path, storage) as writer:
        for stamp_ns, x in poses:
            writer.write('/tf', transform(writer.types, stamp_ns, x), stamp_ns)
        for number, frame in enumerate(recorded):
            time_ns = START_NS + number * PERIOD_NS  # of recording, whatever the stamp says
            if labels_topic:
                shifted = replace(frame, stamp_ns=frame.stamp_ns + truth_delay_ns)
                message = cloud_message(writer.types, shifted, with_labels=True)
                writer.write(labels_topic, message, time_ns)
            message = cloud_message(writer.types, frame, with_labels=labels_topic is None)
            writer.write('/points', message, time_ns + 1)
            if frame.action:
                message = classification(writer.types, frame)
                writer.write('/ground_truth/action', message, time_ns + 2)
    return path
