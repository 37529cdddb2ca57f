# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loops through the states, peers that come and go, parameters that change: nothing leaks."""

from __future__ import annotations

import gc
import signal
import threading

import numpy as np
import psutil
import pytest
import rclpy
from node_harness import Bench
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import LabelInfo

from benchmarks.robustness.ros_graph import (
    LATCHED,
    PERIOD_NS,
    RELIABLE_ALL,
    START_NS,
    Peer,
    Process,
    cloud,
    street,
    wait_until,
    write_bag,
)
from pointata_core.io.messages.point_cloud2 import decode, decode_labels
from pointata_core.taxonomy import UNLABELLED
from pointata_ros.node import perception_node as node_module

pytestmark = pytest.mark.ros
CYCLES = 30
SETTLING_CYCLES = 10


def resources() -> tuple[int, int, int]:
    """Threads, open files and resident bytes of this process."""
    gc.collect()
    process = psutil.Process()
    return threading.active_count(), process.num_fds(), process.memory_info().rss


def test_tens_of_life_cycles_leave_no_thread_no_file_and_no_memory_behind(untrained_bundle):
    with Bench(
        bundle=str(untrained_bundle), autostart=False, policy='block', device='cpu'
    ) as bench:
        answers = []
        bench._client.node.create_subscription(
            PointCloud2, bench.topic('output/segmentation'), answers.append, RELIABLE_ALL
        )
        publisher = bench._client.node.create_publisher(
            PointCloud2, bench.topic('input/points'), RELIABLE_ALL
        )
        message = cloud(street(1), START_NS)
        seen = []
        for cycle in range(CYCLES):
            for transition in ('configure', 'activate'):
                assert bench.change(transition)
            wait_until(publisher.get_subscription_count, 'the node to subscribe')
            wait_until(lambda: bench._heard(bench.topic('output/segmentation')), 'a listener')
            # The other direction of the connection may take a little longer.
            wait_until(
                lambda cycle=cycle: (
                    len(answers) > cycle or publisher.publish(message) or len(answers) > cycle
                ),
                'an answer',
            )
            for transition in ('deactivate', 'cleanup'):
                assert bench.change(transition)
            wait_until(lambda: not publisher.get_subscription_count(), 'the node to go')
            del answers[cycle + 1 :]
            seen.append(resources())
        assert bench.state() == 'unconfigured'
    labels = [decode_labels(one, 'class_id') for one in answers]
    for one in labels:
        np.testing.assert_array_equal(one, labels[0])
    threads, files, memory = (np.array(column) for column in zip(*seen[SETTLING_CYCLES:]))
    assert threads[-5:].max() <= threads[:5].max()
    # One file per cycle would be fifteen here; discovery opens and closes a few of its own.
    assert files[-5:].max() <= files[:5].max() + 3
    # A network that stays behind costs 25 MB per cycle. Allocators of several threads breathe by
    # the size of one or two networks, up and down again; a thousand cycles
    # (benchmarks/robustness/lifecycle.py) tell that from growth.
    growth = np.median(memory[-5:]) - np.median(memory[:5])
    assert growth / (CYCLES - SETTLING_CYCLES - 5) < 5_000_000


# ---------------------------------------------------------------------- peers


@pytest.fixture(scope='module')
def shared_bench(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), device='cpu', diagnostics_period=0.1) as bench:
        bench.wait_for_state('active')
        yield bench


@pytest.fixture
def bench(shared_bench):
    yield shared_bench
    shared_bench.settle()


@pytest.fixture(scope='module')
def stamps():
    """Stamps that never repeat within the module."""
    return iter(range(START_NS, START_NS + 100_000 * PERIOD_NS, PERIOD_NS))


def test_who_subscribed_before_the_node_was_there_gets_tables_and_answers(untrained_bundle, stamps):
    context = rclpy.Context()
    rclpy.init(context=context)
    peer = Peer(Node('early', context=context, use_global_arguments=False))
    try:
        answers, tables = [], []
        peer.node.create_subscription(
            PointCloud2, '/expected/output/segmentation', answers.append, RELIABLE_ALL
        )
        peer.node.create_subscription(
            LabelInfo, '/expected/output/segmentation/label_info', tables.append, LATCHED
        )
        publisher = peer.node.create_publisher(PointCloud2, '/expected/input/points', RELIABLE_ALL)
        with Bench('expected', bundle=str(untrained_bundle), policy='block') as bench:
            bench.wait_for_state('active')
            wait_until(
                lambda: answers or publisher.publish(cloud(street(1), next(stamps))) or answers,
                'an answer',
            )
            wait_until(lambda: tables, 'a table')
    finally:
        peer.close()
        rclpy.shutdown(context=context)
    assert len(decode(answers[0])) == 600
    assert len(tables[0].class_map) > 0


def test_subscribers_that_come_and_go_do_not_disturb_the_stream(bench, stamps):
    publisher = bench.publisher()
    client = bench._client.node
    steady = bench.collect('output/segmentation', PointCloud2)
    for visit in range(5):
        visitor = bench.collect('output/segmentation_rgb', PointCloud2)
        message = cloud(street(visit), next(stamps))
        publisher.publish(message)
        assert visitor.wait_for(1)[0].header == message.header
        for subscription in list(client.subscriptions):
            if subscription.topic_name.endswith('segmentation_rgb'):
                bench._client.destroy(subscription)
        message = cloud(street(visit), next(stamps))
        publisher.publish(message)
        steady.wait_for(2 * visit + 2)
    assert int(bench.diagnostics('model')['frames_in_history']) >= 10


def test_a_publisher_that_restarts_is_heard_again_and_its_pause_begins_a_new_history(bench, stamps):
    answers = bench.collect('output/segmentation', PointCloud2)
    gaps = int(bench.diagnostics('model').get('resets.gap', 0))
    for restart in range(4):
        publisher = bench.publisher()
        message = cloud(street(restart), next(stamps))
        publisher.publish(message)
        assert answers.wait_for(restart + 1)[restart].header == message.header
        bench._client.destroy(publisher)
        wait_until(lambda: not bench.stream.input.count_publishers(), 'the publisher to go')
        for _ in range(20):  # two seconds of stream time, max_gap is one
            next(stamps)
    wait_until(
        lambda: int(bench.diagnostics('model').get('resets.gap', 0)) >= gaps + 3, 'the resets'
    )


def test_a_player_that_is_killed_is_replaced_by_the_next(untrained_bundle, tmp_path):
    path = write_bag(tmp_path / 'bag', {'/points': range(200)})
    with Bench(bundle=str(untrained_bundle), device='cpu') as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        play = (path, '--clouds-to', bench.topic('input/points'), '--wait-for-subscribers', '1')
        for _ in range(2):
            before = len(answers.messages)
            with Process('replay', *play) as player:
                wait_until(lambda before=before: len(answers.messages) > before + 2, 'answers')
                assert player.end(signal.SIGKILL) == -signal.SIGKILL


def test_a_node_that_is_killed_comes_back_to_the_same_peers(untrained_bundle):
    context = rclpy.Context()
    rclpy.init(context=context)
    sensor = Peer(Node('sensor', context=context, use_global_arguments=False))
    stamps = iter(range(10**9, 10**13, 10**8))
    answers = []
    sensor.node.create_subscription(
        PointCloud2, '/perception_node/output/segmentation', answers.append, RELIABLE_ALL
    )
    publisher = sensor.node.create_publisher(
        PointCloud2, '/perception_node/input/points', RELIABLE_ALL
    )
    arguments = ('--ros-args', '-p', f'bundle:={untrained_bundle}', '-p', 'device:=cpu')
    try:
        for _ in range(2):
            answers.clear()
            with Process('perception_node', *arguments) as node:
                wait_until(
                    lambda: publisher.publish(cloud(street(0), next(stamps))) or len(answers) > 2,
                    'answers',
                )
                assert node.end(signal.SIGKILL) == -signal.SIGKILL
    finally:
        sensor.close()
        rclpy.shutdown(context=context)


# ---------------------------------------------------------------------- parameters


def set_atomically(bench: Bench, **values):
    request = SetParametersAtomically.Request(
        parameters=[Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
    )
    return bench.call(SetParametersAtomically, 'set_parameters_atomically', request).result


def test_several_parameters_change_together_or_not_at_all(bench):
    before = bench.node.settings
    refused = set_atomically(bench, score_threshold=0.5, input_timeout=-1.0)
    assert not refused.successful
    assert 'input_timeout' in refused.reason
    assert bench.node.settings == before
    # One by one the first of these would be refused: an error rate above the warning rate.
    assert set_atomically(bench, error_rate=2.0, warn_rate=3.0).successful
    assert (bench.node.settings.error_rate, bench.node.settings.warn_rate) == (2.0, 3.0)
    assert set_atomically(
        bench, error_rate=before.error_rate, warn_rate=before.warn_rate
    ).successful


def test_no_answer_mixes_old_and_new_parameters(bench, stamps):
    """Each cloud is answered wholly with one threshold, however often it changes meanwhile."""
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for threshold in (0.0, 1.0):
                bench.node.set_parameters([Parameter('score_threshold', value=threshold)])
                stop.wait(0.002)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for count in range(1, 21):
            publisher.publish(cloud(street(count), next(stamps)))
            answers.wait_for(count)
    finally:
        stop.set()
        changer.join()
        bench.set(score_threshold=0.0)
    for answer in answers.messages:
        unlabelled = decode_labels(answer, 'class_id') == UNLABELLED
        assert unlabelled.all() or not unlabelled.any()


def test_a_wrong_type_is_refused_by_a_live_node_with_the_reason(bench):
    before = bench.node.settings
    (result,) = bench.set(max_latency='fast')
    assert not result.successful
    assert 'type' in result.reason.lower()
    assert bench.node.settings == before


# ---------------------------------------------------------------------- transitions that break


def breakage(transition: str, bench: Bench) -> tuple[object, str]:
    """What the transition needs: an object and the name of its attribute."""
    return {
        'configure': lambda: (bench.node._monitor, 'open'),
        'activate': lambda: (node_module, 'startup_text'),
        'deactivate': lambda: (bench.stream.outputs, 'remove_markers'),
        'cleanup': lambda: (bench.node.skills, 'join'),
    }[transition]()


def threads_of_the_node() -> set[str]:
    """Names of all threads but the background thread, of which a process keeps one."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if not name.startswith('background')}


@pytest.mark.parametrize('transition', ['configure', 'activate', 'deactivate', 'cleanup'])
def test_a_transition_that_breaks_is_logged_with_its_traceback_and_leads_to_unconfigured(
    untrained_bundle, stamps, monkeypatch, transition
):
    way = ['configure', 'activate', 'deactivate', 'cleanup']
    with Bench(bundle=str(untrained_bundle), autostart=False, device='cpu') as bench:
        for one in way[: way.index(transition)]:
            assert bench.change(one)
        threads = threads_of_the_node()
        with monkeypatch.context() as patch:
            patch.setattr(*breakage(transition, bench), lambda *_: 1 // 0)
            assert not bench.change(transition)
        log = bench.wait_for_log(f'on_{transition} failed')
        assert 'Traceback' in log
        assert 'ZeroDivisionError' in log
        bench.wait_for_state('unconfigured')
        # And nothing is left in the way of another try.
        for one in ('configure', 'activate'):
            assert bench.change(one)
        answers = bench.collect('output/segmentation', PointCloud2)
        bench.publisher().publish(cloud(street(1), next(stamps)))
        assert len(decode(answers.wait_for(1)[0])) == 600
        bench.settle()
        assert bench.change('deactivate')
        assert threads_of_the_node() <= threads
