# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node as a process of its own: how it starts and, above all, how it ends."""

from __future__ import annotations

import itertools
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from benchmarks.robustness.ros_graph import (
    PATIENCE_S,
    RELIABLE_ALL,
    Peer,
    Process,
    cloud,
    street,
    wait_until,
    write_bag,
)
from pointata_core.inference.loading import open_bundle
from pointata_core.io.bags.reader import BagReader, frames
from pointata_core.io.messages.point_cloud2 import decode_labels

pytestmark = pytest.mark.ros


@pytest.mark.parametrize(
    'signals',
    [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)],
    ids=['SIGTERM', 'SIGINT twice'],
)
def test_a_working_node_ends_cleanly(untrained_bundle, signals):

    context = rclpy.Context()
    rclpy.init(context=context)
    sensor = Peer(Node('sensor', context=context))
    try:
        # On a slow machine the clouds below come too fast for too long, which is rightly an error.
        parameters = (f'bundle:={untrained_bundle}', 'device:=cpu', 'error_after:=3600.0')
        arguments = [part for one in parameters for part in ('-p', one)]
        with Process('perception_node', '--ros-args', *arguments) as node:
            node.wait_for('ready')
            publisher = sensor.node.create_publisher(
                PointCloud2, '/perception_node/input/points', RELIABLE_ALL
            )
            answers = []
            sensor.node.create_subscription(
                PointCloud2, '/perception_node/output/segmentation', answers.append, 10
            )
            stamps = iter(range(10**9, 10**12, 10**8))
            wait_until(
                lambda: publisher.publish(cloud(street(0), next(stamps))) or len(answers) > 3,
                'answers',
            )
            assert node.end(*signals) == 0
            assert 'Traceback' not in node.text
            assert 'ERROR' not in node.text
    finally:
        sensor.close()
        rclpy.shutdown(context=context)


def test_a_node_without_any_parameter_starts_and_ends_cleanly():
    with Process('perception_node') as node:
        # With a default bundle it gets ready, without one it says what to do and waits.
        wait_until(lambda: 'ready' in node.text or 'on_configure failed' in node.text, 'a start')
        assert node.end(signal.SIGTERM) == 0
        assert 'Traceback' not in node.text


def test_a_signal_while_the_node_is_still_importing_is_a_clean_end_too():
    with Process('perception_node') as node:
        status = Path(f'/proc/{node.process.pid}/status')
        if not status.is_file():
            pytest.skip('needs /proc to see when the handler is there')

        def catches_sigterm() -> bool:
            caught = next(row for row in status.read_text().splitlines() if 'SigCgt' in row)
            return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

        wait_until(catches_sigterm, 'the handler')
        assert node.end(signal.SIGTERM) == 0
        assert 'Traceback' not in node.text


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_idle_node_ends_although_the_signal_does_not_wake_its_executor(tmp_path, number):
    # The signal comes just before the executor waits: nothing wakes it any more.
    script = tmp_path / 'node.py'
    script.write_text(
        'import functools, sys\n'
        'import rclpy, rclpy.signals\n'
        'from pointata_ros.node.main import main\n'
        'without = rclpy.signals.SignalHandlerOptions.NO\n'
        'rclpy.init = functools.partial(rclpy.init, signal_handler_options=without)\n'
        'sys.exit(main())\n'
    )
    context = rclpy.Context()
    rclpy.init(context=context)
    observer = rclpy.create_node('observer', context=context)
    try:
        with Process(script, '--ros-args', '-p', 'autostart:=false') as node:
            wait_until(lambda: 'perception_node' in observer.get_node_names(), 'the node')
            time.sleep(0.5)  # it has nothing to do
            assert node.end(number) == 0
            assert 'Traceback' not in node.text
    finally:
        observer.destroy_node()
        rclpy.shutdown(context=context)


def test_a_wrong_parameter_ends_the_node_with_the_reason_and_code_2():
    with Process('perception_node', '--ros-args', '-p', 'max_gap:=2') as node:
        assert node.process.wait(PATIENCE_S) == 2
        node.wait_for('parameter max_gap is 2, expected double')
        assert 'Traceback' not in node.text


@pytest.mark.parametrize('text', [None, '/**: {ros__parameters: ['], ids=['missing', 'broken'])
def test_a_parameter_file_that_cannot_be_read_ends_the_node_with_its_name(tmp_path, text):
    path = tmp_path / 'parameters.yaml'
    if text is not None:
        path.write_text(text)
    with Process('perception_node', '--ros-args', '--params-file', path) as node:
        assert node.process.wait(PATIENCE_S) == 2
        node.wait_for(str(path))
        assert 'Traceback' not in node.text


def test_playing_again_and_again_ends_cleanly_on_interrupt(tmp_path):
    path = write_bag(tmp_path / 'bag', {'/points': range(3)})
    with Process('replay', path, '--loop', '--rate', '100', '--clock') as player:
        wait_until(lambda: player.process.poll() is None, 'the player to live')
        wait_for_topic('/points')
        assert player.end(signal.SIGINT) == 0
        assert 'stopped after' in player.text
        assert 'Traceback' not in player.text


def wait_for_topic(name: str) -> None:

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('observer', context=context)
    try:
        wait_until(lambda: node.count_publishers(name), f'a publisher of {name}')
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ('arguments', 'code', 'text'),
    [
        (['{bag}', '--topics', '/nothing'], 2, 'has no topic /nothing'),
        (['{bag}_missing'], 2, 'does not exist'),
        (['{bag}', '--rate', '0'], 2, 'not greater than 0'),
        (['{bag}', '--wait-for-subscribers', '1', '--timeout', '0.1'], 3, 'nothing was played'),
        (['{bag}', '--rate', '100'], 0, '/points 3'),
    ],
)
def test_the_player_says_how_it_went(tmp_path, arguments, code, text):
    path = write_bag(tmp_path / 'bag', {'/points': range(3)})
    with Process('replay', *(one.format(bag=path) for one in arguments)) as player:
        assert player.process.wait(PATIENCE_S) == code
        player.wait_for(text)
        assert 'Traceback' not in player.text


def test_a_real_recording_is_answered_live_exactly_as_offline(untrained_bundle, data_root):
    """Node and player in processes of their own, policy block, every label compared."""

    bag = data_root / 'rs16_indoor_40f_db3'
    session = open_bundle(untrained_bundle, 'cpu', num_threads=None).session()
    with BagReader(bag) as reader:
        expected = [
            session.step(one.points, one.stamp_ns, frame_id=one.frame_id)
            for one in frames(reader, '/rslidar_points')
        ]
    context = rclpy.Context()
    rclpy.init(context=context)
    listener = Peer(Node('listener', context=context))
    answers: list[PointCloud2] = []
    listener.node.create_subscription(
        PointCloud2, '/live/output/segmentation', answers.append, RELIABLE_ALL
    )

    def stamp_ns(answer: PointCloud2) -> int:
        return answer.header.stamp.sec * 10**9 + answer.header.stamp.nanosec

    def recorded() -> list[PointCloud2]:
        return [one for one in list(answers) if stamp_ns(one) >= expected[0].stamp_ns]

    arguments = ('-r', '__node:=live', '-p', f'bundle:={untrained_bundle}', '-p', 'policy:=block')
    try:
        with Process('perception_node', '--ros-args', *arguments) as node:
            node.wait_for('ready')
            # A volatile publisher sends nothing to listeners it has not met yet: wait for an answer
            # to a cloud from long before the recording, which the history forgets as a gap.
            probe = listener.node.create_publisher(PointCloud2, '/live/input/points', RELIABLE_ALL)
            seconds = itertools.count(1)

            def is_heard() -> bool:
                probe.publish(cloud(street(0), next(seconds) * 10**9))
                time.sleep(0.1)
                return bool(answers)

            wait_until(is_heard, 'an answer')
            listener.destroy(probe)
            play = ('--clouds-to', '/live/input/points', '--wait-for-subscribers', 1, '--rate', 20)
            with Process('replay', bag, *play) as player:
                assert player.process.wait(PATIENCE_S) == 0
                wait_until(lambda: len(recorded()) >= len(expected), 'all answers')
            assert node.end(signal.SIGINT) == 0
    finally:
        listener.close()
        rclpy.shutdown(context=context)
    assert len(recorded()) == len(expected) == 40
    for answer, result in zip(recorded(), expected):
        assert stamp_ns(answer) == result.stamp_ns
        np.testing.assert_array_equal(decode_labels(answer, 'class_id'), result.labels)
