# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file and the executables, run by the real ``ros2`` commands.

They exist on a ROS installation only; the wheels of PyPI do not carry them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

COMMANDS = ('launch_ros', 'ros2launch', 'ros2lifecycle', 'ros2param', 'ros2run')
MISSING = [name for name in COMMANDS if importlib.util.find_spec(name) is None]
ROS2 = shutil.which('ros2', path=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}')

pytestmark = [
    pytest.mark.ros,
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING) or ROS2 is None,
        reason=f'needs a ROS installation: {", ".join(MISSING) or "ros2"} not found',
    ),
]

PATIENCE_S = 120.0
ARGUMENTS = (
    'namespace',
    'params_file',
    'bundle',
    'inputs',
    'input_points',
    'use_sim_time',
    'autostart',
    'policy',
    'transform_timeout',
    'max_voxels',
    'device',
    'bag',
    'rviz',
    'log_level',
)


def ros2(*arguments: str | Path) -> str:
    """Run a ros2 command to its end and return what it says."""
    result = subprocess.run(
        [str(ROS2), *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def ask(command: str, verb: str, *arguments: str) -> str:
    """Run a command about a running node, without leaving a daemon behind.

    Such a command looks around for a moment only; on a busy computer it may have to look again.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ros2(command, verb, '--no-daemon', '--spin-time', '2', *arguments).strip()
        except AssertionError as error:
            if 'not found' not in str(error).lower() or time.monotonic() > deadline:
                raise


class Launch:
    """A running ``ros2 launch pointata_ros perception.launch.py``."""

    def __init__(self, **arguments: object) -> None:
        given = [f'{name}:={value}' for name, value in arguments.items()]
        self._process = subprocess.Popen(
            [str(ROS2), 'launch', 'pointata_ros', 'perception.launch.py', *given],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a process group of its own
        )
        self.output = ''
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.output += line

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.output and self._process.poll() is None:
            assert time.monotonic() < deadline, f'{text!r} not in:\n{self.output}'
            time.sleep(0.05)
        assert text in self.output, self.output

    def interrupt(self, *, whole_group: bool = False) -> int:
        """Interrupt, and return the exit code once the whole family is gone.

        A terminal's Ctrl-C reaches the whole process group: the node gets it twice, once from the
        terminal and once from launch.
        """
        family = psutil.Process(self._process.pid).children(recursive=True)
        assert family, self.output
        if whole_group:
            os.killpg(self._process.pid, signal.SIGINT)
        else:
            self._process.send_signal(signal.SIGINT)
        code = self._process.wait(PATIENCE_S)
        _, alive = psutil.wait_procs(family, timeout=5.0)
        assert alive == []
        return code

    def __enter__(self) -> Launch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join(5.0)


@pytest.fixture(scope='module', autouse=True)
def installed() -> None:
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        get_package_share_directory('pointata_ros')
    except (PackageNotFoundError, OSError):
        pytest.skip('pointata_ros is not in the ament index: source install/setup.bash')


@pytest.fixture(scope='module')
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a simulated street, poses included."""
    from pointata_core.simulation import simulate
    from pointata_core.simulation.recording import write_bag

    frames = simulate('street', 'vlp16', seed=3, duration_s=1.0, rate_hz=10.0)
    return write_bag(tmp_path_factory.mktemp('bags') / 'street', frames)


@pytest.fixture(scope='module')
def parameters(tmp_path_factory: pytest.TempPathFactory, untrained_bundle: Path) -> Path:
    """A parameter file: every cloud is to be answered, by a small network."""
    path = tmp_path_factory.mktemp('parameters') / 'robot.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n'
        f'    bundle: {untrained_bundle}\n'
        '    device: cpu\n'
        '    policy: block\n'
        '    max_gap: 0.75\n'
    )
    return path


class Answers:
    """What the node publishes, heard by a node of our own."""

    def __init__(self, topic: str) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import PointCloud2

        self.clouds: list[PointCloud2] = []
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('listener', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._subscription = self._node.create_subscription(
            PointCloud2, topic, self.clouds.append, 100
        )

    def _spin_until(self, condition) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.1)

    def wait_for_node(self) -> None:
        self._spin_until(self._subscription.get_publisher_count)
        assert self._subscription.get_publisher_count() == 1
        # The publisher may learn of us a little later than we of it.
        end = time.monotonic() + 1.0
        self._spin_until(lambda: time.monotonic() > end)

    def wait_for(self, count: int) -> int:
        self._spin_until(lambda: len(self.clouds) >= count)
        return len(self.clouds)

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture
def answers() -> Iterator[Answers]:
    listener = Answers('/perception_node/output/segmentation')
    yield listener
    listener.close()


def frames_of(recording: Path) -> dict[int, int]:
    """Map the stamps of the recorded clouds to their numbers of points."""
    from pointata_core.io.bags.reader import BagReader, frames

    with BagReader(recording) as reader:
        (topic,) = reader.point_topics()
        return {
            cloud.stamp_ns: len(cloud.points)
            for cloud in frames(reader, getattr(topic, 'name', topic))
        }


def test_the_arguments_are_documented() -> None:
    shown = ros2('launch', 'pointata_ros', 'perception.launch.py', '--show-args')
    assert [name for name in ARGUMENTS if f"'{name}':" not in shown] == []


def test_the_executables_are_found() -> None:
    found = ros2('pkg', 'executables', 'pointata_ros').split('\n')
    assert {'pointata_ros perception_node', 'pointata_ros replay'} <= set(found)


def test_every_recorded_cloud_is_answered_and_ctrl_c_ends_everything_with_code_zero(
    recording: Path, parameters: Path, answers: Answers
) -> None:
    with Launch(params_file=parameters) as launch:
        launch.wait_for('ready')
        answers.wait_for_node()
        ros2('run', 'pointata_ros', 'replay', recording, '--clouds-to',
             '/perception_node/input/points', '--wait-for-subscribers', '1')  # fmt: skip
        expected = frames_of(recording)
        assert answers.wait_for(len(expected)) == len(expected)
        assert launch.interrupt() == 0
    got = {
        c.header.stamp.sec * 10**9 + c.header.stamp.nanosec: c.width * c.height
        for c in answers.clouds
    }
    assert got == expected
    assert 'Traceback' not in launch.output, launch.output


def test_ego_motion_is_taken_from_tf(recording: Path, parameters: Path, answers: Answers) -> None:
    with Launch(params_file=parameters, fixed_frame='map') as launch:
        launch.wait_for('ready')
        answers.wait_for_node()
        ros2('run', 'pointata_ros', 'replay', recording, '--clouds-to',
             '/perception_node/input/points', '--wait-for-subscribers', '1')  # fmt: skip
        expected = frames_of(recording)
        assert answers.wait_for(len(expected)) == len(expected)
        assert launch.interrupt() == 0
    assert 'no transform' not in launch.output


def test_the_launch_file_plays_a_recording(
    recording: Path, parameters: Path, answers: Answers
) -> None:
    with Launch(params_file=parameters, bag=recording, bag_loop='true') as launch:
        assert answers.wait_for(3) >= 3, launch.output
        assert launch.interrupt(whole_group=True) == 0
    assert launch.output.count('process has finished cleanly') == 2, launch.output


def test_several_inputs_are_named_and_remapped_in_one_line(
    recording: Path, parameters: Path, untrained_bundle: Path
) -> None:
    given = {
        'params_file': parameters,
        'inputs': 'front,rear',
        'input_points': '/lidar_f, /lidar_r',
    }
    with Launch(**given) as launch:
        launch.wait_for('ready')
        node = '/perception_node'
        assert ask('param', 'get', node, 'inputs') == "String values are: ['front', 'rear']"
        assert '/lidar_f (' in launch.output and '/lidar_r (' in launch.output
        ears = [Answers(f'{node}/{name}/output/segmentation') for name in ('front', 'rear')]
        for listener, topic in zip(ears, ('/lidar_f', '/lidar_r')):
            listener.wait_for_node()
            ros2('run', 'pointata_ros', 'replay', recording, '--clouds-to', topic,
                 '--wait-for-subscribers', '1')  # fmt: skip
            assert listener.wait_for(3) >= 3, launch.output
            listener.close()
        assert launch.interrupt() == 0


def test_topics_that_do_not_match_the_inputs_are_refused_before_anything_starts() -> None:
    result = subprocess.run(
        [str(ROS2), 'launch', 'pointata_ros', 'perception.launch.py', 'inputs:=a,b',
         'input_points:=/one'],
        capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert result.returncode != 0
    assert 'input_points names 1 topics for 2 inputs' in result.stdout + result.stderr


def test_param_and_lifecycle_commands_understand_the_node(
    parameters: Path, untrained_bundle: Path
) -> None:
    given = {'params_file': parameters, 'namespace': 'front', 'fixed_frame': 'odom'}
    with Launch(**given, autostart='false') as launch:
        launch.wait_for('process started')
        node = '/front/perception_node'
        deadline = time.monotonic() + PATIENCE_S
        while node not in ask('node', 'list') and time.monotonic() < deadline:
            time.sleep(0.5)
        assert ask('param', 'get', node, 'fixed_frame') == 'String value is: odom'
        assert ask('param', 'get', node, 'max_gap') == 'Double value is: 0.75'
        assert ask('param', 'get', node, 'bundle') == f'String value is: {untrained_bundle}'
        assert ask('param', 'get', node, 'transform_policy') == 'String value is: skip'
        assert 'Min value' in ask('param', 'describe', node, 'max_gap')
        assert ask('lifecycle', 'get', node) == 'unconfigured [1]'
        assert 'successful' in ask('lifecycle', 'set', node, 'configure')
        assert ask('lifecycle', 'get', node) == 'inactive [2]'
        assert launch.interrupt() == 0
