# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Message types for reading and writing recordings without a ROS installation.

A recording usually carries the definitions of its types. Where it does not (old sqlite3 files), the
types of ROS 2 Jazzy in rosbags are assumed. ``vision_msgs`` is not among them, so the messages that
this project uses are defined here, field by field compatible with version 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
TRANSFORMS = 'tf2_msgs/msg/TFMessage'

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
COMPRESSED_CLOUD = 'point_cloud_interfaces/msg/CompressedPointCloud2'
LIVOX_CLOUDS = (
    'livox_ros_driver2/msg/CustomMsg',
    'livox_ros_driver/msg/CustomMsg',
    'livox_interfaces/msg/CustomMsg',
)
DEPTH_TYPES = (IMAGE, COMPRESSED_IMAGE)
INPUT_TYPES = {
    'pointcloud2': (POINT_CLOUD,),
    'livox': LIVOX_CLOUDS,
    'compressed': (COMPRESSED_CLOUD,),
    'depth': (IMAGE,),
    'compressed_depth': (COMPRESSED_IMAGE,),
}
"""What clouds come in, and the types of these messages."""

# The same definitions as in the folder `interfaces`, from which the ROS packages are built.
DEFINITIONS = {
    TRANSFORMS: 'geometry_msgs/TransformStamped[] transforms',
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score',
    'vision_msgs/msg/Classification': 'std_msgs/Header header\nObjectHypothesis[] results',
    'vision_msgs/msg/ObjectHypothesisWithPose': (
        'ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose'
    ),
    'vision_msgs/msg/BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'vision_msgs/msg/Detection3D': (
        'std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\nstring id'
    ),
    'vision_msgs/msg/Detection3DArray': 'std_msgs/Header header\nDetection3D[] detections',
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name',
    'vision_msgs/msg/LabelInfo': (
        'std_msgs/Header header\nVisionClass[] class_map\nfloat32 threshold'
    ),
}

_LIVOX_POINT = (
    'uint32 offset_time\nfloat32 x\nfloat32 y\nfloat32 z\nuint8 reflectivity\nuint8 tag\nuint8 line'
)
_LIVOX_CLOUD = (
    'std_msgs/Header header\nuint64 timebase\nuint32 point_num\nuint8 lidar_id\n'
    'uint8[3] rsvd\nCustomPoint[] points'
)
# Of drivers and plugins whose clouds are read; old sqlite3 files do not hold definitions.
_FOREIGN_DEFINITIONS = {
    **{name.replace('CustomMsg', 'CustomPoint'): _LIVOX_POINT for name in LIVOX_CLOUDS},
    **dict.fromkeys(LIVOX_CLOUDS, _LIVOX_CLOUD),
    COMPRESSED_CLOUD: (
        'std_msgs/Header header\nuint32 height\nuint32 width\nsensor_msgs/PointField[] fields\n'
        'bool is_bigendian\nuint32 point_step\nuint32 row_step\nuint8[] compressed_data\n'
        'bool is_dense\nstring format'
    ),
}

# Names of ROS 1 for types that ROS 2 has under another one, with the same fields.
_RENAMED = {'tf/msg/tfMessage': TRANSFORMS}
_IDL_SEPARATOR = '=' * 80 + '\n'


def ros2_name(name: str) -> str:
    """Return the name of a type as ROS 2 writes it: ``package/msg/Name``."""
    package, separator, message = name.partition('/')
    if separator and '/' not in message:
        name = f'{package}/msg/{message}'
    return _RENAMED.get(name, name)


@cache
def _known_types(ros1: bool) -> dict:
    """Parsed definitions of the standard types and of ours; not to be changed."""
    types: dict = {}
    for name, text in {**DEFINITIONS, **_FOREIGN_DEFINITIONS}.items():
        types.update(get_types_from_msg(text, name))
    standard = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    return {**types, **standard.fielddefs}


def make_typestore(
    definitions: Iterable[tuple[str, MessageDefinition]] = (), *, ros1: bool = False
) -> tuple[Typestore, list[str]]:
    """Build a store of the known types, in which the definitions of a recording come first.

    Args:
        definitions: (type name, definition) as found in a recording.
        ros1: Whether ROS 1 types are the base.

    Returns:
        The store, and one line per definition that could not be understood.
    """
    embedded: dict = {}
    problems = []
    known = _known_types(ros1)
    for name, definition in definitions:
        if not definition.data.strip() and name in known:
            continue  # the recorder did not find the definition
        try:
            embedded.update(_parse(name, definition))
        except Exception as error:  # the parser raises anything on untrusted text
            problems.append(f'the definition of {name} cannot be parsed: {error}')
    news = {name: entry for name, entry in embedded.items() if not _is_same(entry, known.get(name))}
    return (_make_store({**known, **news}) if news else _known_store(ros1)), problems


@cache
def _known_store(ros1: bool) -> Typestore:
    """Shared by all recordings of the usual types: a store takes 0.1 s to make."""
    return _make_store(_known_types(ros1))


def has_usual_fields(store: Typestore, name: str, ros1: bool) -> bool:
    """Whether the recording's own definition of a type, if it has one, is the known one."""
    known = _known_types(ros1)
    parts = (name, name.replace('CustomMsg', 'CustomPoint'))
    return all(_is_same(store.fielddefs[part], known.get(part)) for part in parts)


def _make_store(types: dict) -> Typestore:
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store


def _is_same(entry: tuple, known: tuple | None) -> bool:
    """Compare the fields; constants do not change how bytes are read."""
    return known is not None and list(entry[1]) == list(known[1])


def _parse(name: str, definition: MessageDefinition) -> dict:
    if definition.format == MessageDefinitionFormat.MSG:
        return get_types_from_msg(definition.data, name)
    if definition.format == MessageDefinitionFormat.NONE:
        return {}
    if not definition.data.startswith(f'{_IDL_SEPARATOR}IDL: '):
        return get_types_from_idl(definition.data)
    # A type and those it contains, each under a heading of one line.
    types: dict = {}
    for part in definition.data.split(_IDL_SEPARATOR)[1:]:
        types.update(get_types_from_idl(part.partition('\n')[2]))
    return types
