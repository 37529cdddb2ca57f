# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Make image, calibration, cloud, transform and label messages for recordings, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.io.messages.cloud_encoding import EncodedCloud

Types = dict[str, Any]


def header(types: Types, stamp_ns: int, frame_id: str) -> Any:
    """A ``std_msgs/Header``."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    time = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=time, frame_id=frame_id)


def image(types: Types, stamp_ns: int, frame_id: str, pixels: NDArray[np.uint8]) -> Any:
    """A ``sensor_msgs/Image`` in rgb8 of (H, W, 3) pixels."""
    height, width = pixels.shape[:2]
    return types['sensor_msgs/msg/Image'](
        header=header(types, stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='rgb8',
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(pixels).ravel(),
    )


def camera_info(
    types: Types,
    stamp_ns: int,
    frame_id: str,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    coefficients: Sequence[float] = (0.0, 0.0, 0.0, 0.0, 0.0),
    model: str = 'plumb_bob',
) -> Any:
    """A ``sensor_msgs/CameraInfo``.

    Args:
        types: Of the recording.
        stamp_ns: Time of the image.
        frame_id: Optical frame.
        matrix: (3, 3) K; also that of P, as for a single camera.
        size: Height and width.
        coefficients: Of the lens.
        model: Of the lens.
    """
    none = types['sensor_msgs/msg/RegionOfInterest'](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return types['sensor_msgs/msg/CameraInfo'](
        header=header(types, stamp_ns, frame_id),
        height=size[0],
        width=size[1],
        distortion_model=model,
        d=np.array(coefficients, np.float64),
        k=np.array(matrix, np.float64).ravel(),
        r=np.eye(3).ravel(),
        p=np.pad(np.array(matrix, np.float64), ((0, 0), (0, 1))).ravel(),
        binning_x=0,
        binning_y=0,
        roi=none,
    )


def cloud(types: Types, stamp_ns: int, frame_id: str, encoded: EncodedCloud) -> Any:
    """A ``sensor_msgs/PointCloud2``."""
    field = types['sensor_msgs/msg/PointField']
    return types['sensor_msgs/msg/PointCloud2'](
        header=header(types, stamp_ns, frame_id),
        height=encoded.height,
        width=encoded.width,
        fields=[field(name=n, offset=o, datatype=d, count=1) for n, o, d in encoded.fields],
        is_bigendian=encoded.is_bigendian,
        point_step=encoded.point_step,
        row_step=encoded.row_step,
        data=np.frombuffer(encoded.data, np.uint8),
        is_dense=encoded.is_dense,
    )


def transform(
    types: Types,
    stamp_ns: int,
    parent: str,
    child: str,
    translation: Sequence[float] | NDArray,
    quaternion: Sequence[float] | NDArray,
) -> Any:
    """A ``tf2_msgs/TFMessage`` with one pose of ``child`` in ``parent`` (x, y, z, w)."""
    stamped = types['geometry_msgs/msg/TransformStamped'](
        header=header(types, stamp_ns, parent),
        child_frame_id=child,
        transform=types['geometry_msgs/msg/Transform'](
            translation=types['geometry_msgs/msg/Vector3'](*map(float, translation)),
            rotation=types['geometry_msgs/msg/Quaternion'](*map(float, quaternion)),
        ),
    )
    return types['tf2_msgs/msg/TFMessage'](transforms=[stamped])


def label_info(types: Types, stamp_ns: int, frame_id: str, names: Sequence[str]) -> Any:
    """A ``vision_msgs/LabelInfo`` with the names of labels 0, 1, ...; truth needs no threshold."""
    entry = types['vision_msgs/msg/VisionClass']
    return types['vision_msgs/msg/LabelInfo'](
        header=header(types, stamp_ns, frame_id),
        class_map=[entry(class_id=n, class_name=name) for n, name in enumerate(names)],
        threshold=0.0,
    )
