# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Explains why no cloud arrives, or why fewer arrive than were sent, and what to do about it.

"The topic is there and I get nothing" is the most repeated complaint about ROS 2 perception nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo

from pointata_core.io.messages.message_types import DEPTH_TYPES, INPUT_TYPES, POINT_CLOUD
from pointata_ros.dds import PROFILE
from pointata_ros.qos import describe

_LARGE_CLOUD_ADVICE = (
    'large clouds may be lost on the way: start the publisher with the environment variable '
    f'FASTRTPS_DEFAULT_PROFILES_FILE set to {PROFILE} of this package'
)
# Of these the type alone is sure; images may show anything.
_CLOUDS = {name for names in INPUT_TYPES.values() for name in names} - {*DEPTH_TYPES}
_FEWEST_STAMPS = 10
_FEWEST_HOLES = 3
# A step so much longer than the others, and than a second, is a pause of the sensor.
_PAUSE_PERIODS = 10.0
_PAUSE_NS = 1e9
_TOLERATED_LOSS = 0.2
_PERIOD_TOLERANCE = 0.2  # in periods
_STEADY_SHARE = 0.8


def explain_silence(
    node: Node,
    topic: str,
    wanted: QoSProfile,
    unresolved: str = '~/input/points',
    type_name: str = POINT_CLOUD,
) -> str:
    """Why no cloud has come yet.

    Args:
        node: Used to look at the ROS graph.
        topic: Resolved name of the input topic.
        wanted: Quality of service of the subscription.
        unresolved: The topic's name before any remapping.
        type_name: Type of the subscription's messages.

    Returns:
        One line per finding; every publisher of the topic is named.
    """
    publishers = node.get_publishers_info_by_topic(topic)
    lines = [f"no cloud received on '{topic}' so far ({describe(wanted)})"]
    lines += [_judge(publisher, wanted, type_name) for publisher in publishers]
    if not publishers:
        lines.append(_no_publisher(node, topic, unresolved, type_name))
    if node.get_clock().now().nanoseconds == 0:
        lines.append('use_sim_time is true, but nothing publishes the time on /clock')
    return '\n  '.join(lines)


def _judge(publisher: TopicEndpointInfo, wanted: QoSProfile, type_name: str) -> str:
    namespace = publisher.node_namespace.rstrip('/')
    name = f"publisher '{namespace}/{publisher.node_name}'"
    sent = publisher.topic_type
    if sent != type_name:
        kinds = [kind for kind, types in INPUT_TYPES.items() if sent in types]
        fix = f'; set the parameter input_type to {kinds[0]}' if kinds else ''
        return f'{name} sends {sent}, expected {type_name}{fix}'
    offered = publisher.qos_profile
    compatibility, reason = qos_check_compatible(offered, wanted)
    # A warning means that something is left to the middleware's defaults; these are compatible.
    if compatibility != QoSCompatibility.ERROR:
        return f'{name} fits, but nothing has come from it: it is idle, or {_LARGE_CLOUD_ADVICE}'
    return (
        f'{name} does not fit: {reason.strip(" ;")}. It offers: {describe(offered)}. Change the '
        'publisher, or the parameters qos_overrides.<topic>.subscription.* of this node'
    )


def _no_publisher(node: Node, topic: str, unresolved: str, type_name: str) -> str:
    topics = dict(node.get_topic_names_and_types())
    # Where label tables are, there are the results of a perception node: this one or another.
    results = tuple(
        f'{name.removesuffix(suffix)}/'
        for name, types in topics.items()
        for suffix in ('/segmentation/label_info', '/action/label_info')
        if name.endswith(suffix) and 'vision_msgs/msg/LabelInfo' in types
    )
    found = [
        (name, kind)
        for name, types in sorted(topics.items())
        for kind in types
        if name != topic and not name.startswith(results) and node.count_publishers(name)
    ]
    short = type_name.rpartition('/')[2]
    others = [name for name, kind in found if kind == type_name]
    if others:
        return (
            f'it has no publisher; {short} topics there are: {", ".join(others)}. Remap '
            f'{unresolved}, or use the launch argument input_points'
        )
    clouds = [
        f'{name} ({input_type})'
        for name, kind in found
        for input_type, types in INPUT_TYPES.items()
        if kind in types and (kind in _CLOUDS or 'depth' in name)
    ]
    text = f'it has no publisher, and there is no other {short} topic'
    if clouds:
        text += f'; with the parameter input_type in brackets, there are: {", ".join(clouds)}'
    return text


def explain_loss(stamps_ns: Sequence[int], lost: int) -> str:
    """Whether clouds get lost between their publisher and this node.

    A spinning sensor stamps its clouds evenly, so steps of two or more periods are holes left by
    clouds that did not arrive. The period is taken as the lower decile of all steps, which holds as
    long as a tenth of the clouds arrive beside their neighbour. Steps that are no multiples of it
    mean a sensor without a fixed rate, for which there is no estimate. What came before a pause of
    the sensor does not count, and one or two holes are no loss that goes on.

    Args:
        stamps_ns: Stamps of recent clouds in order of arrival.
        lost: Clouds which the middleware itself reports as lost.

    Returns:
        A sentence, empty if nothing seems wrong.
    """
    stamps = np.asarray(stamps_ns, dtype=np.int64)
    steps = stamps[1:] - stamps[:-1]
    steps = _since_pause(steps[steps > 0])
    if len(steps) < _FEWEST_STAMPS:
        return f'the middleware lost {lost} clouds; {_LARGE_CLOUD_ADVICE}' if lost else ''
    period = float(np.quantile(steps, 0.1))
    periods = steps / period
    in_step = np.abs(periods - np.round(periods)) < _PERIOD_TOLERANCE
    share = 1.0 - len(steps) / float(np.round(periods).sum())
    holes = int((np.round(periods) > 1).sum())
    if share < _TOLERATED_LOSS or in_step.mean() < _STEADY_SHARE or holes < _FEWEST_HOLES:
        return ''
    return (
        f'input comes at {1e9 / float(steps.mean()):.1f} Hz, while its stamps suggest '
        f'{1e9 / period:.1f} Hz: about {share:.0%} of the clouds are missing; {_LARGE_CLOUD_ADVICE}'
    )


def _since_pause(steps: np.ndarray) -> np.ndarray:
    if not len(steps):
        return steps
    longest = max(_PAUSE_NS, _PAUSE_PERIODS * float(np.median(steps)))
    (pauses,) = np.nonzero(steps > longest)
    return steps[pauses[-1] + 1 :] if len(pauses) else steps
