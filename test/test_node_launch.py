# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, run by the real ros2 launch where that is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import threading

import pytest
import rclpy
import yaml
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from benchmarks.robustness.ros_graph import PATIENCE_S, ROOT, wait_until

pytestmark = [
    pytest.mark.ros,
    pytest.mark.skipif(
        importlib.util.find_spec('launch_ros') is None or shutil.which('ros2') is None,
        reason='launch_ros and ros2 are not installed',
    ),
]


def is_installed() -> bool:
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        get_package_share_directory('pointata_ros')
    except PackageNotFoundError:
        return False
    return True


def read_parameters(node_name: str, names: list[str]) -> list:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('reader', context=context, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        client = node.create_client(GetParameters, f'{node_name}/get_parameters')
        assert client.wait_for_service(PATIENCE_S)
        future = client.call_async(GetParameters.Request(names=names))
        executor.spin_until_future_complete(future, PATIENCE_S)
        return [parameter_value_to_python(value) for value in future.result().values]
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_an_argument_beats_the_file_and_the_file_beats_the_default(tmp_path):
    if not is_installed():
        pytest.skip('pointata_ros is not installed as a ROS package')
    from_file = {'autostart': True, 'bundle': 'of the file', 'device': 'cpu', 'max_gap': 2.5}
    params_file = tmp_path / 'params.yaml'
    params_file.write_text(yaml.safe_dump({'/**': {'ros__parameters': from_file}}))
    arguments = {
        'params_file': params_file,
        'namespace': 'robot',
        'autostart': 'false',
        'bundle': '123',  # a text, although it reads like a number
    }
    launch = subprocess.Popen(
        ['ros2', 'launch', str(ROOT / 'launch/perception.launch.py')]
        + [f'{name}:={value}' for name, value in arguments.items()],
        env=os.environ | {'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        names = ['autostart', 'bundle', 'device', 'max_gap', 'policy']
        values = read_parameters('/robot/perception_node', names)
        assert values == [False, '123', 'cpu', 2.5, 'latest']
        launch.send_signal(signal.SIGINT)
        output, _ = launch.communicate(timeout=PATIENCE_S)
        assert launch.returncode == 0
        assert 'finished cleanly' in output
    finally:
        launch.kill()
        wait_until(lambda: launch.poll() is not None, 'launch to end')


# ---------------------------------------------------------------------- what is refused and started


@pytest.fixture
def prefix(tmp_path):
    """The package as `make env` links it, with executables that only print their arguments."""
    prefix = tmp_path / 'prefix'
    subprocess.run([ROOT / 'tools/link_package.sh', prefix], check=True)
    (prefix / 'lib/pointata_ros').unlink()
    executable(
        prefix,
        'pointata_ros',
        'perception_node',
        'for one in "$@"; do [[ $one == */launch_params_* ]] && cat "$one"; done\n'
        """echo "first cloud on '/points', frame 'velodyne', 3 points"; exec sleep 600""",
    )
    return prefix


def executable(prefix, package: str, name: str, script: str) -> None:
    folder = prefix / 'lib' / package
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f'#!/bin/bash\necho "{name}:" "$@"\n{script}\n')
    (folder / name).chmod(0o755)
    (prefix / 'share/ament_index/resource_index/packages' / package).touch()


def run_launch(prefix, until: str = '', **arguments) -> tuple[int, str]:
    """Launch the package, until a text is printed if it does not end by itself."""
    search_path = os.pathsep.join(
        [str(prefix), *filter(None, [os.environ.get('AMENT_PREFIX_PATH')])]
    )
    launch = subprocess.Popen(
        ['ros2', 'launch', 'pointata_ros', 'perception.launch.py']
        + [f'{name}:={value}' for name, value in arguments.items()],
        env=os.environ | {'AMENT_PREFIX_PATH': search_path, 'PYTHONUNBUFFERED': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed = []
    deadline = threading.Timer(PATIENCE_S, launch.kill)
    deadline.start()
    try:
        for line in launch.stdout:
            printed.append(line)
            if until and until in line:
                launch.send_signal(signal.SIGINT)
                until = ''
        launch.wait(PATIENCE_S)
    finally:
        deadline.cancel()
        launch.kill()
    return launch.returncode, ''.join(printed)


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        ({'params_file': '/nowhere/parameters.yaml'}, '/nowhere/parameters.yaml does not exist'),
        ({'bag': '/nowhere/bag'}, 'bag /nowhere/bag does not exist'),
        ({'rviz': 'true'}, 'needs the package rviz2'),
        ({'foxglove': 'True'}, 'apt install ros-$ROS_DISTRO-foxglove-bridge'),
    ],
)
def test_what_is_not_there_is_refused_before_anything_starts(prefix, arguments, expected):
    code, printed = run_launch(prefix, until='perception_node:', **arguments)
    assert code == 1
    assert expected in printed
    assert 'process started' not in printed


def test_true_is_understood_as_python_writes_it(prefix):
    _, printed = run_launch(prefix, until='first cloud', use_sim_time='True')
    assert 'use_sim_time: true' in printed


def test_a_mistyped_argument_is_answered_with_the_nearest_one(prefix):
    _, printed = run_launch(prefix, until='perception_node:', input_point='/x', parent_argument='y')
    assert 'no launch argument is called input_point; did you mean input_points?' in printed
    assert 'parent_argument' not in printed


@pytest.mark.parametrize(
    ('arguments', 'frame', 'topic'),
    [
        ({}, 'velodyne', ''),
        ({'rviz_frame': 'map'}, 'map', ''),
        ({'namespace': 'robot'}, 'velodyne', '/robot/perception_node/output/segmentation'),
        ({'inputs': 'front,rear'}, 'velodyne', '/perception_node/front/output/segmentation'),
    ],
)
def test_rviz_shows_the_frame_of_the_cloud_and_the_topics_of_the_node(
    prefix, arguments, frame, topic
):
    # What a process writes to stderr is shown; launch keeps the rest for the log.
    executable(prefix, 'rviz2', 'rviz2', 'echo "rviz2:" "$@" >&2; exec sleep 600')
    # Not at "process started": launch may miss the end of a process that is interrupted right then.
    _, printed = run_launch(prefix, until='rviz2: ', rviz='true', **arguments)
    line = next(one for one in printed.splitlines() if 'rviz2: ' in one)
    assert f'-f {frame}' in line
    if topic:
        assert f'/perception_node/output/segmentation:={topic}' in line


def test_a_recording_waits_for_a_node_that_is_not_active_yet(prefix, tmp_path):
    executable(prefix, 'pointata_ros', 'replay', 'exec sleep 600')
    (tmp_path / 'bag').mkdir()
    _, printed = run_launch(prefix, until='replay:', bag=tmp_path / 'bag')
    line = next(one for one in printed.splitlines() if 'replay:' in one)
    assert '--timeout inf' in line
