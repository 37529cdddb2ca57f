# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Start the perception node, and on request a recording, RViz or the Foxglove bridge.

A value is taken from the first of these that has one: the launch argument, the parameter file, the
default of the node. Examples::

    ros2 launch pointata_ros perception.launch.py input_points:=/velodyne_points
    ros2 launch pointata_ros perception.launch.py inputs:=front,rear input_points:=/lidar_f,/lidar_r
    ros2 launch pointata_ros perception.launch.py bag:=recordings/street rviz:=true
    ros2 launch pointata_ros perception.launch.py --show-args
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from typing import List  # noqa: UP035 - launch_ros of Humble knows list types by this name only

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessIO
from launch.events.process import ProcessIO
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'pointata_ros'
NODE = 'perception_node'
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
OUTPUTS = (
    *('segmentation', 'segmentation_rgb', 'static_points', 'ground', 'obstacles'),
    *('action', 'markers', 'people', 'people_markers'),
)
YES_NO = ('true', 'false', 'True', 'False')
# The node logs this about the first cloud of each input.
FIRST_CLOUD = re.compile(r"first cloud on '[^']*', frame '([^']+)'")

# Arguments that override one parameter of the node, if they are given.
TEXT_PARAMETERS = {
    'bundle': 'Folder of the skill bundle',
    'people': 'Follow people: folder of a person skill, or "follow" to do without actions',
    'device': 'Device: auto, cpu, cuda or cuda:N',
    'precision': 'Type of the large products: float32, bfloat16 or auto',
    'fixed_frame': 'Frame that stands still, for ego-motion compensation through TF',
    'sensor_pose': 'Pose of a tilted sensor in a frame with z up: "x y z roll pitch yaw"',
    'target_frame': 'Such a frame by name; the pose comes from TF',
    'input_type': 'Messages of the clouds: pointcloud2, livox, compressed, depth, compressed_depth',
    'policy': 'latest (live): label the newest cloud; block (recordings): label every cloud',
}
NUMBER_PARAMETERS = {
    'input_scale': 'Metres per unit of the coordinates: 0.001 for millimetres',
    'transform_timeout': 'Seconds that a cloud may wait for its transform',
}
WHOLE_PARAMETERS = {
    'max_voxels': 'Voxels per cloud at most; fewer make a slow computer faster',
}
BOOLEAN_PARAMETERS = {
    'use_sim_time': 'Take the time from /clock; with bag, the recording then provides it',
    'autostart': 'Configure and activate by itself',
}
# Further topics of an input with a camera.
CAMERA_TOPICS = {
    'image': 'Topic of the images of a camera bundle',
    'camera_info': 'Topic of their calibration, or of that of depth images',
}
NOT_GIVEN = ' (not given: as in params_file)'


def generate_launch_description() -> LaunchDescription:
    share = get_package_share_directory(PACKAGE)
    profile = os.path.join(share, 'config', 'dds', 'fastdds_large_clouds.xml')
    # Default DDS settings lose full LiDAR scans; a profile of the user's own is left alone.
    environment = [
        SetEnvironmentVariable(name, profile)
        for name in PROFILE_VARIABLES
        if not any(os.environ.get(other) for other in PROFILE_VARIABLES)
    ]
    nodes = OpaqueFunction(function=_nodes, args=[share])
    return LaunchDescription([*_arguments(share), *environment, nodes])


def _arguments(share: str) -> list[DeclareLaunchArgument]:
    return [
        _argument('namespace', '', 'Namespace of the nodes'),
        _argument(
            'params_file',
            os.path.join(share, 'config', 'perception.yaml'),
            'Parameter file of the node',
        ),
        _argument('inputs', '', 'Names of several sensors, with commas between them' + NOT_GIVEN),
        _argument(
            'input_points',
            '',
            'Topic of the clouds (empty: ~/input/points); with the argument inputs one for each, '
            'with commas between them (empty: ~/NAME/input/points)',
        ),
        *(
            _argument(f'input_{name}', '', f'{text} (empty: ~/input/{name})')
            for name, text in CAMERA_TOPICS.items()
        ),
        *(
            _argument(name, '', text + NOT_GIVEN)
            for name, text in (TEXT_PARAMETERS | NUMBER_PARAMETERS | WHOLE_PARAMETERS).items()
        ),
        *(
            _argument(name, '', text + NOT_GIVEN, ('', *YES_NO))
            for name, text in BOOLEAN_PARAMETERS.items()
        ),
        _argument('bag', '', 'Recording to play; empty for none'),
        _argument('bag_rate', '1.0', 'Speed of the recording'),
        _argument('bag_loop', 'false', 'Play the recording again and again', YES_NO),
        _argument('rviz', 'false', 'Start RViz', YES_NO),
        _argument('rviz_frame', '', "RViz's fixed frame (not given: that of the first cloud)"),
        _argument('foxglove', 'false', 'Start foxglove_bridge', YES_NO),
        _argument('log_level', 'info', 'Log level', ('debug', 'info', 'warn', 'error', 'fatal')),
        _argument('use_respawn', 'false', 'Start the node again if it dies', YES_NO),
    ]


def _argument(name: str, default: str, description: str, choices=None) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name,
        default_value=default,
        description=description,
        choices=list(choices) if choices else None,
    )


def _nodes(context: LaunchContext, share: str) -> list:
    given = context.launch_configurations
    # Before anything starts: what fails later leaves the rest running.
    _check(given)
    perception_node = _perception_node(given)
    actions = [*_warnings(given), perception_node]
    if given['bag']:
        actions.append(_replay_node(given))
    if _is_yes(given['rviz']):
        actions += _rviz(context, share, perception_node)
    if _is_yes(given['foxglove']):
        actions.append(
            Node(
                package='foxglove_bridge',
                executable='foxglove_bridge',
                name='foxglove_bridge',
                parameters=_sim_time(given),
            )
        )
    return actions


def _check(given: dict[str, str]) -> None:
    """Refuse what is not there."""
    if not os.path.isfile(given['params_file']):
        raise RuntimeError(
            f'params_file {given["params_file"]} does not exist: give the path of a parameter '
            'file, such as a copy of config/perception.yaml of this package'
        )
    if given['bag'] and not os.path.exists(given['bag']):
        raise RuntimeError(f'bag {given["bag"]} does not exist')
    for argument, package in (('rviz', 'rviz2'), ('foxglove', 'foxglove_bridge')):
        if not _is_yes(given[argument]):
            continue
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            raise RuntimeError(
                f'{argument}:=true needs the package {package}, which is not installed: '
                f'apt install ros-$ROS_DISTRO-{package.replace("_", "-")}, or leave {argument} out'
            ) from None


def _warnings(given: dict[str, str]) -> list[LogInfo]:
    """About arguments that nobody declared and whose names resemble one that was."""
    declared = [one.name for one in _arguments('')]
    # A launch file that includes this one has further arguments of its own.
    similar = {
        name: get_close_matches(name, declared, n=1, cutoff=0.75)
        for name in given
        if name not in declared
    }
    return [
        LogInfo(msg=f'WARNING: no launch argument is called {name}; did you mean {nearest[0]}?')
        for name, nearest in similar.items()
        if nearest
    ]


def _rviz(context: LaunchContext, share: str, perception_node: Node) -> list:
    """RViz, at once if its frame is known, else with the first cloud."""
    given = context.launch_configurations
    inputs = _listed(given['inputs'])
    prefix = f'/{given["namespace"].strip("/")}'.rstrip('/')
    own = f'{prefix}/{NODE}/{inputs[0]}' if inputs else f'{prefix}/{NODE}'

    def rviz(*arguments: str) -> Node:
        return Node(
            package='rviz2',
            executable='rviz2',
            name='rviz2',
            arguments=[
                '-d',
                os.path.join(share, 'config', 'rviz', 'perception.rviz'),
                *arguments,
            ],
            remappings=[(f'/{NODE}/output/{one}', f'{own}/output/{one}') for one in OUTPUTS]
            if own != f'/{NODE}'
            else [],
            parameters=_sim_time(given),
        )

    if given['rviz_frame']:
        return [rviz('-f', given['rviz_frame'])]
    if given['log_level'] not in ('debug', 'info'):
        return [rviz()]
    recent = ['']  # a line may come in two parts

    def start(event: ProcessIO) -> Node | None:
        recent[0] = (recent[0] + event.text.decode(errors='replace'))[-1000:]
        found = FIRST_CLOUD.search(recent[0])
        if found is None:
            return None
        recent[0] = ''
        context.unregister_event_handler(handler)
        return rviz('-f', found[1])

    handler = OnProcessIO(target_action=perception_node, on_stdout=start, on_stderr=start)
    return [RegisterEventHandler(handler), LogInfo(msg='RViz starts with the first cloud')]


def _is_yes(text: str) -> bool:
    return text.lower() == 'true'


def _perception_node(given: dict[str, str]) -> Node:
    overrides = {
        name: ParameterValue(given[name], value_type=str) for name in TEXT_PARAMETERS if given[name]
    }
    overrides |= {
        name: ParameterValue(given[name], value_type=kind)
        for names, kind in ((NUMBER_PARAMETERS, float), (WHOLE_PARAMETERS, int))
        for name in names
        if given[name]
    }
    overrides |= {name: _is_yes(given[name]) for name in BOOLEAN_PARAMETERS if given[name]}
    inputs = _listed(given['inputs'])
    if inputs:
        overrides['inputs'] = ParameterValue(inputs, value_type=List[str])  # noqa: UP006
    return Node(
        package=PACKAGE,
        executable=NODE,
        name=NODE,
        namespace=given['namespace'],
        # Later entries win.
        parameters=[given['params_file'], *([overrides] if overrides else [])],
        remappings=[
            pair
            for name in ('points', *CAMERA_TOPICS)
            for pair in _remappings(name, inputs, _listed(given[f'input_{name}']))
        ],
        arguments=['--ros-args', '--log-level', given['log_level']],
        respawn=_is_yes(given['use_respawn']),
        respawn_delay=2.0,
        # Taking torch down at exit can last longer than launch's 5 s on a busy computer.
        sigterm_timeout='30',
        output='screen',
        emulate_tty=True,
    )


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(',') if one.strip()]


def _remappings(kind: str, inputs: list[str], topics: list[str]) -> list[tuple[str, str]]:
    expected = [f'~/{name}/input/{kind}' for name in inputs] or [f'~/input/{kind}']
    if topics and len(topics) != len(expected):
        raise RuntimeError(
            f'input_{kind} names {len(topics)} topics for {len(expected)} inputs: give one for '
            'each, with commas between them and in the order of the argument inputs'
        )
    return list(zip(expected, topics))


def _replay_node(given: dict[str, str]) -> Node:
    if given['inputs'] and not given['input_points']:
        raise RuntimeError(
            'bag together with inputs needs input_points: the topics of the recording, one for '
            'each input'
        )
    # A node that a lifecycle manager activates may take its time.
    arguments = [given['bag'], '--rate', given['bag_rate'], '--wait-for-subscribers', '1']
    arguments += ['--timeout', 'inf']
    if not given['input_points']:
        arguments += ['--clouds-to', f'{NODE}/input/points']
    if _is_yes(given['bag_loop']):
        arguments.append('--loop')
    if _is_yes(given['use_sim_time']):
        arguments.append('--clock')
    return Node(
        package=PACKAGE,
        executable='replay',
        name='replay',
        namespace=given['namespace'],
        arguments=arguments,
        output='screen',
        emulate_tty=True,
    )


def _sim_time(given: dict[str, str]) -> list[dict[str, bool]]:
    return [{'use_sim_time': True}] if _is_yes(given['use_sim_time']) else []
