# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of node parameters.

:class:`NodeSettings` is that table: each field is a ROS parameter, its annotation the type, its
default the default, and its metadata the description, range, choices and whether it may change
while the node runs. Declaration (:mod:`pointata_ros.parameters.server`), ``config/perception.yaml``
and ``docs/parameters.md`` (:mod:`pointata_ros.parameters.files`) are all made from it, so they
cannot disagree. Regenerate the two files with::

    python -m pointata_ros.parameters --write

This module does not import ROS.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from pointata_core.errors import ConfigError
from pointata_ros.parameters.input_names import LEGAL_NAMES, refuse_fields, refuse_names
from pointata_ros.parameters.input_types import refuse_input_types
from pointata_ros.parameters.model_settings import ModelSettings
from pointata_ros.parameters.poses import refuse_pose, refuse_sensor_poses
from pointata_ros.parameters.rules import Parameter, Value, parameter, refuse
from pointata_ros.parameters.together import refuse_together


@dataclass(frozen=True)
class NodeSettings(ModelSettings):
    """Every parameter of the perception node, typed and checked. See ``docs/parameters.md``."""

    autostart: bool = parameter(
        True,
        'Lifecycle',
        'Configure and activate by itself; false leaves that to a lifecycle manager.',
    )
    strict_parameters: bool = parameter(
        False,
        'Lifecycle',
        'Refuse to configure unless each parameter of this table was given a value from outside.',
    )
    inputs: tuple[str, ...] = parameter(
        (),
        'Input',
        'Names of several sensors, each with a stream of its own on ~/NAME/input/points and '
        '~/NAME/output/...; all of them share one network in memory. Empty = one sensor, on '
        '~/input/points and ~/output/... .',
        rule=LEGAL_NAMES,
        refuse=refuse_names,
    )
    input_type: str = parameter(
        'pointcloud2',
        'Input',
        'Messages of the clouds: pointcloud2, livox (CustomMsg), compressed (zstd, zlib, draco), '
        'depth (rectified images) or compressed_depth, both with ~/input/camera_info. One for all '
        'inputs, or one for each with semicolons between.',
        rule='kinds of messages, with semicolons between several',
        refuse=refuse_input_types,
    )
    policy: str = parameter(
        'latest',
        'Input',
        'latest (live): label the newest cloud and count the others; block (recordings): label '
        'every cloud, holding the publisher back where it is reliable.',
        choices=('latest', 'block'),
    )
    queue_size: int = parameter(
        10, 'Input', 'Clouds that may wait for the worker.', minimum=1, maximum=1000
    )
    patience: float = parameter(
        -1.0,
        'Input',
        'Policy latest: seconds that a cloud may have waited and still be labelled although a '
        'newer one is there, while the node keeps up with the sensor on average. 0 = never, '
        'negative = one period of the sensor.',
        minimum=-1.0,
        maximum=60.0,
        live=True,
    )
    max_points: int = parameter(
        2_000_000,
        'Input',
        'A cloud with more points than this is rejected.',
        minimum=1,
        maximum=100_000_000,
    )
    input_scale: float = parameter(
        1.0,
        'Input',
        'Metres per unit of the coordinates: 0.001 for millimetres. Results have the coordinates '
        'of the input.',
        minimum=1e-6,
        maximum=1e6,
    )
    sensor_pose: str = parameter(
        '',
        'Input',
        'Pose of the sensor in a frame with x forward and z up (REP-103), "x y z roll pitch yaw" '
        '(metres, radians). Upside down: "0 0 0 3.1416 0 0"; optical frame of a camera: '
        '"0 0 0 -1.5708 0 -1.5708". One for all inputs, or one for each with semicolons between. '
        'Empty = z points up.',
        rule='x y z roll pitch yaw, or several with semicolons between, or empty',
        refuse=refuse_sensor_poses,
    )
    target_frame: str = parameter(
        '',
        'Input',
        'Such a frame by name (base_link), instead of sensor_pose: the pose of the sensor comes '
        'from TF, for each cloud. Results keep the frame of the input. Empty = no use of TF.',
    )
    hint_after: float = parameter(
        5.0,
        'Input',
        'Seconds without a cloud after which the log names a possible cause.',
        minimum=0.1,
        maximum=3600.0,
    )
    image_transport: str = parameter(
        'raw',
        'Camera',
        'What comes on ~/input/image where the bundle is one for camera and LiDAR: raw '
        '(sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage, JPEG or PNG).',
        choices=('raw', 'compressed'),
    )
    image_rectified: bool = parameter(
        False,
        'Camera',
        'Images are rectified (image_rect): P and R of the camera_info count. False = as the lens '
        'made them: K and D count, and points are bent accordingly.',
    )
    image_tolerance: float = parameter(
        0.05,
        'Camera',
        'Seconds that the stamps of a cloud and its image may differ; of several images the '
        'nearest is taken.',
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    image_wait: float = parameter(
        0.0,
        'Camera',
        'Seconds that a cloud may be held back for its image; then it is labelled by the LiDAR '
        'alone. Inputs that share the node wait along.',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    camera_extrinsics: str = parameter(
        '',
        'Camera',
        'Pose of the LiDAR in the optical frame of the camera, "x y z qx qy qz qw" (metres, '
        'quaternion). Empty = looked up in TF.',
        rule='x y z qx qy qz qw, or empty',
        refuse=refuse_pose,
    )
    max_gap: float = parameter(
        1.0,
        'Time',
        'Seconds between two stamps above which the temporal state starts afresh.',
        minimum=0.001,
        maximum=3600.0,
    )
    label_memory: float = parameter(
        0.9,
        'Time',
        'Steadier labels where the motion of the sensor is known: how much the prediction of a '
        'cloud counts against that of the next one at the same place. 0 = every cloud by itself.',
        minimum=0.0,
        maximum=0.99,
    )
    ingest_share: float = parameter(
        0.5,
        'Time',
        'A cloud that is not labelled still enters the temporal state while that costs at most '
        'this share of the time between two clouds; else it is counted as a gap. 0 = never.',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    min_history: int = parameter(
        1,
        'Time',
        'Clouds that the temporal state must have seen before results are published; 1 = publish '
        'from the first cloud on.',
        minimum=1,
        maximum=1000,
        live=True,
    )
    fixed_frame: str = parameter(
        '',
        'Time',
        'Frame that stands still (map, odom): the sensor motion between clouds is looked up in TF '
        'and taken out. Empty = no compensation and no use of TF.',
    )
    transform_timeout: float = parameter(
        0.5,
        'Time',
        'Seconds that a cloud may wait for its transform. Other inputs do not wait along.',
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    transform_policy: str = parameter(
        'skip',
        'Time',
        'What to do with a cloud whose transform is missing: skip it, or go on uncompensated.',
        choices=('skip', 'uncompensated'),
        live=True,
    )
    publish_segmentation: bool = parameter(
        True, 'Output', 'Publish the labelled cloud on ~/output/segmentation.', live=True
    )
    keep_fields: tuple[str, ...] = parameter(
        (),
        'Output',
        'Fields of the input that ~/output/segmentation repeats, such as intensity, ring and time; '
        'name and type are those of the input.',
        rule='names of fields, each once',
        refuse=refuse_fields,
    )
    class_id_type: str = parameter(
        'uint16',
        'Output',
        'Type of the field class_id: uint16 (65535 = unlabelled), or uint8 as in Autoware (255 = '
        'unlabelled).',
        choices=('uint16', 'uint8'),
    )
    ground_classes: tuple[str, ...] = parameter(
        (),
        'Output',
        'Classes that make up ~/output/ground, and that ~/output/obstacles lacks. Empty = those '
        'with the usual names (road, floor, ...).',
    )
    moving_classes: tuple[str, ...] = parameter(
        (),
        'Output',
        'Classes that ~/output/static_points lacks. Empty = people and vehicles, by the usual '
        'names (person, car, ...).',
    )
    publish_rgb: bool = parameter(
        True,
        'Output',
        'Publish the coloured cloud on ~/output/segmentation_rgb while it has subscribers.',
        live=True,
    )
    publish_action: bool = parameter(
        True, 'Output', 'Publish the action scores on ~/output/action.', live=True
    )
    publish_markers: bool = parameter(
        True, 'Output', 'Publish the action as text on ~/output/markers.', live=True
    )
    score_threshold: float = parameter(
        0.0,
        'Output',
        'Points whose class is less probable than this come back unlabelled (65535).',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_rate: float = parameter(
        0.0,
        'Output',
        'Most results per second of stamp time; clouds in between enter the state only. 0 = every '
        'cloud. Has no effect under the policy block.',
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )
    marker_lifetime: float = parameter(
        1.0,
        'Output',
        'Seconds after which RViz forgets a marker that is not renewed.',
        minimum=0.05,
        maximum=3600.0,
        live=True,
    )
    diagnostics_period: float = parameter(
        1.0, 'Diagnostics', 'Seconds between two diagnostics.', minimum=0.05, maximum=60.0
    )
    input_timeout: float = parameter(
        2.0,
        'Diagnostics',
        'Seconds without a cloud after which the input is reported as Timeout (ERROR).',
        minimum=0.05,
        maximum=3600.0,
        live=True,
    )
    warn_rate: float = parameter(
        0.5,
        'Diagnostics',
        'Input below this many clouds per second is reported as WarnRate.',
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )
    error_rate: float = parameter(
        0.1,
        'Diagnostics',
        'Input below this many clouds per second is reported as ErrorRate.',
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )

    max_latency: float = parameter(
        0.2,
        'Diagnostics',
        'Seconds from callback to publication above which processing is reported as slow (policy '
        'latest). 0 = never.',
        minimum=0.0,
        maximum=60.0,
        live=True,
    )
    error_after: float = parameter(
        5.0,
        'Diagnostics',
        'Seconds for which a fault (slow, dropped, rejected, ...) lasts before it is reported '
        'as ERROR instead of WARN.',
        minimum=0.0,
        maximum=3600.0,
        live=True,
    )
    stuck_after: float = parameter(
        10.0,
        'Diagnostics',
        'Seconds on a single cloud after which the worker is reported as stuck (ERROR).',
        minimum=0.05,
        maximum=3600.0,
        live=True,
    )

    def __post_init__(self) -> None:
        reason = refusal(dataclasses.asdict(self))
        if reason:
            raise ConfigError(reason, 'docs/parameters.md lists what is allowed')


PARAMETERS: tuple[Parameter, ...] = tuple(
    Parameter(field.name, getattr(NodeSettings, field.name), field.metadata['specification'])
    for field in dataclasses.fields(NodeSettings)
)
_BY_NAME = {one.name: one for one in PARAMETERS}


def refusal(values: Mapping[str, Value]) -> str:
    """Why these values cannot be used, empty if they can.

    Args:
        values: Name to value; names that are not in the table are ignored. Rules that involve two
            parameters are checked only where both are given.

    Returns:
        A sentence naming parameter, value and what is allowed.
    """
    for name, value in values.items():
        if name in _BY_NAME and (reason := refuse(_BY_NAME[name], value)):
            return reason
    return refuse_together(values)
