# SPDX-License-Identifier: Apache-2.0
"""The launch file, run by the real ros2 launch where that is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess

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
