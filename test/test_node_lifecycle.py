# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""States, skills and hints of a node, seen through ROS."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from node_harness import Bench
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Classification, LabelInfo

from benchmarks.robustness.ros_graph import (
    BEST_EFFORT,
    LATCHED,
    PERIOD_NS,
    START_NS,
    cloud,
    street,
    wait_until,
)
from pointata_core.bundles.bundle import load_bundle, save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.io.messages.point_cloud2 import decode_labels
from pointata_ros.health.hints import explain_silence
from pointata_ros.qos import input_profile

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module')
def other_bundle(tmp_path_factory, untrained_bundle):
    """The same backbone with other classes."""
    from dataclasses import replace

    from pointata_core.models.point.config import NetworkConfig
    from pointata_core.models.point.pointata import PointATA

    old = load_bundle(untrained_bundle)
    config = replace(
        NetworkConfig.from_dict(old.manifest.network),
        segmentation_classes=('floor', 'rest'),
        action_classes=(),
        actor_class='',
    )
    network = PointATA(config)
    network.backbone.load_state_dict(old.network.backbone.state_dict())
    path = tmp_path_factory.mktemp('other') / 'other'
    manifest = Manifest.for_network(
        'other', config.to_dict(), preset='tiny', preparation=old.manifest.preparation
    )
    save_bundle(path, network, manifest)
    return path


def ask(bench: Bench, stamp_ns: int) -> np.ndarray:
    """Labels of one cloud."""
    answers = bench.collect('output/segmentation', PointCloud2)
    publisher = bench.publisher()
    publisher.publish(cloud(street(1), stamp_ns))
    labels = decode_labels(answers.wait_for(1)[0], 'class_id')
    bench.settle()
    return labels


# ---------------------------------------------------------------------- configure


def test_the_start_is_announced_with_device_bundle_topics_and_qos(untrained_bundle):
    with Bench(bundle=str(untrained_bundle)) as bench:
        bench.wait_for_state('active')
        banner = bench.wait_for_log('ready')
        bundle = load_bundle(untrained_bundle)
        for fact in (
            bundle.short_hash,
            bench.topic('input/points'),
            'best effort, volatile, keep last 10',
            bench.topic('output/segmentation'),
            *bundle.manifest.segmentation_classes,
        ):
            assert fact in banner
        (products,) = (line.split() for line in banner.splitlines() if 'products' in line)
        assert products[:2] == ['products', 'float32']
        (licence,) = (line.split() for line in banner.splitlines() if 'licence' in line)
        assert licence == ['licence', 'Apache-2.0']


def damaged(bundle, tmp_path):
    copy = tmp_path / bundle.name
    shutil.copytree(bundle, copy)
    shutil.copytree(bundle.parent / 'backbones', tmp_path / 'backbones')
    weights = copy / 'skill.safetensors'
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0xFF
    weights.write_bytes(data)
    return copy


def test_a_bad_bundle_leaves_the_node_unconfigured_and_a_good_one_mends_it(
    untrained_bundle, tmp_path
):
    bad = damaged(untrained_bundle, tmp_path)
    with Bench(bundle=str(bad), autostart=False) as bench:
        assert not bench.change('configure')
        assert bench.state() == 'unconfigured'
        bench.wait_for_log(str(bad / 'skill.safetensors'))
        bench.set(bundle=str(untrained_bundle))
        assert bench.change('configure')
        assert bench.change('activate')
        assert len(ask(bench, START_NS)) == 600


def test_strict_parameters_names_what_nobody_gave(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), strict_parameters=True, autostart=False) as bench:
        assert not bench.change('configure')
        message = bench.wait_for_log('strict_parameters')
    assert 'max_gap' in message
    assert 'bundle,' not in message


def test_an_unforeseen_failure_is_logged_with_its_traceback_and_can_be_tried_again(
    untrained_bundle, monkeypatch
):
    from pointata_ros.node import stream

    with Bench(bundle=str(untrained_bundle), autostart=False) as bench:
        with monkeypatch.context() as patch:
            patch.setattr(stream, 'Outputs', None)
            assert not bench.change('configure')
        assert bench.state() == 'unconfigured'
        bench.wait_for_log('Traceback')
        assert bench.change('configure')


def test_quality_of_service_can_be_overridden_within_reason(untrained_bundle):
    key = 'qos_overrides./overridden/input/points.subscription'
    given = {f'{key}.reliability': 'reliable', f'{key}.depth': 3}
    with Bench('overridden', bundle=str(untrained_bundle), **given) as bench:
        assert 'reliable, volatile, keep last 3' in bench.wait_for_log('ready')
    with Bench(
        'overridden', bundle=str(untrained_bundle), **(given | {f'{key}.depth': 0})
    ) as bench:
        assert 'Traceback' not in bench.wait_for_log('depth is 0')
        bench.wait_for_state('inactive')


# ---------------------------------------------------------------------- loops


def test_the_node_survives_going_through_its_states_again_and_again(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), autostart=False, policy='block') as bench:
        first = None
        for _ in range(3):
            assert bench.change('configure')
            for _ in range(2):
                assert bench.change('activate')
                labels = ask(bench, START_NS)
                first = labels if first is None else first
                # A fresh state each time: nothing of the last activation is left.
                np.testing.assert_array_equal(labels, first)
                assert bench.change('deactivate')
                assert bench.topic('input/points') not in {
                    one.topic_name for one in bench.node.subscriptions
                }
            assert bench.change('cleanup')
            assert bench.state() == 'unconfigured'
        assert bench.change('shutdown')
        assert bench.state() == 'finalized'


# ---------------------------------------------------------------------- skills


def test_a_skill_is_swapped_between_two_clouds_and_none_is_lost(untrained_bundle, other_bundle):
    count = 30
    with Bench(bundle=str(untrained_bundle), policy='block') as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        tables = bench.collect('output/segmentation/label_info', LabelInfo, LATCHED)
        publisher = bench.publisher()
        for seed in range(count // 2):
            publisher.publish(cloud(street(seed), START_NS + seed * PERIOD_NS))
        bench.set(bundle=str(other_bundle))
        response = bench.load_skill()
        assert response.success, response.message
        for seed in range(count // 2, count):
            publisher.publish(cloud(street(seed), START_NS + seed * PERIOD_NS))
        received = answers.wait_for(count)
        stamps = [one.header.stamp.sec * 10**9 + one.header.stamp.nanosec for one in received]
        assert stamps == [START_NS + seed * PERIOD_NS for seed in range(count)]
        assert decode_labels(received[-1], 'class_id').max() < 2
        wait_until(
            lambda: tables.messages and len(tables.messages[-1].class_map) == 2, 'the new table'
        )
        assert bench.diagnostics('model')['bundle'] == 'other'


@pytest.mark.parametrize('active', [True, False])
def test_a_failed_swap_keeps_the_old_skill_and_says_why(untrained_bundle, tmp_path, active):
    with Bench(bundle=str(untrained_bundle), policy='block', autostart=active) as bench:
        if active:
            bench.wait_for_state('active')
        else:
            assert bench.change('configure')
        bad = damaged(untrained_bundle, tmp_path)
        bench.set(bundle=str(bad))
        response = bench.load_skill()
        assert not response.success
        assert str(bad / 'skill.safetensors') in response.message
        if not active:
            assert bench.change('activate')
        assert len(ask(bench, START_NS)) == 600
        assert bench.diagnostics('model')['bundle_path'] == str(untrained_bundle)


# ---------------------------------------------------------------------- hints


def test_silence_is_explained_by_publisher_and_policy(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), policy='block', hint_after=0.2) as bench:
        bench.wait_for_state('active')
        client = bench._client.node
        client.create_publisher(PointCloud2, bench.topic('input/points'), BEST_EFFORT)
        name = client.get_name()
        hint = bench.wait_for_log('does not fit')
        assert f"publisher '/{name}' does not fit" in hint
        assert 'reliable' in hint.lower() and 'best effort' in hint


def test_a_publisher_that_fits_but_is_idle_is_not_blamed(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), policy='latest', hint_after=0.2) as bench:
        client = bench._client.node
        client.create_publisher(PointCloud2, bench.topic('input/points'), BEST_EFFORT)
        hint = bench.wait_for_log(f"publisher '/{client.get_name()}'")
        assert 'fits, but nothing has come from it' in hint
        assert 'does not fit' not in hint


def test_a_topic_that_nobody_serves_is_explained_by_those_that_are(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), autostart=False) as bench:
        client = bench._client.node
        elsewhere = f'/elsewhere_{client.get_name()}'
        client.create_publisher(PointCloud2, elsewhere, 10)
        topic = bench.topic('input/points')

        def hint() -> str:
            return explain_silence(bench.node, topic, input_profile('latest', 5))

        wait_until(lambda: bench.node.count_publishers(elsewhere), 'the other topic to be known')
        assert elsewhere in hint()
        client.create_publisher(Clock, topic, 10)
        wait_until(lambda: bench.node.count_publishers(topic), 'the publisher to be known')
        told = hint()
        assert 'sends rosgraph_msgs/msg/Clock, expected sensor_msgs/msg/PointCloud2' in told
        assert elsewhere not in told, 'a topic that is served needs no other'


def test_results_of_another_perception_node_are_not_offered_as_input(untrained_bundle):
    parameters = {'bundle': str(untrained_bundle), 'device': 'cpu'}
    with Bench(**parameters) as bench:
        bench.wait_for_state('active')
        client = bench._client.node
        sensor, other = f'/sensor_{client.get_name()}', f'/other_{client.get_name()}/output'
        latched = [
            client.create_publisher(LabelInfo, f'{other}/segmentation/label_info', LATCHED),
            client.create_publisher(PointCloud2, f'{other}/segmentation', 10),
            client.create_publisher(PointCloud2, f'{other}/segmentation_rgb', 10),
            client.create_publisher(PointCloud2, sensor, 10),
        ]
        for one in latched:
            wait_until(
                lambda name=one.topic_name: bench.node.count_publishers(name), 'the publisher'
            )
        hint = explain_silence(bench.node, bench.topic('input/points'), input_profile('latest', 5))
        assert sensor in hint
        assert other not in hint
        assert bench.topic('output') not in hint


def test_a_sensor_that_stops_and_comes_back_is_reported(untrained_bundle):
    parameters = {'bundle': str(untrained_bundle), 'device': 'cpu', 'diagnostics_period': 0.1}
    with Bench(input_timeout=0.5, **parameters) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        publisher.publish(cloud(street(0), START_NS))
        answers.wait_for(1)
        topic = bench.topic('input/points')
        bench.wait_for_log(f"first cloud on '{topic}', frame 'lidar', 600 points")
        bench.wait_for_log('the input has stopped: the last cloud came')
        status = bench.diagnostics('input')
        assert status['message'].startswith('Timeout; the input has stopped')
        publisher.publish(cloud(street(1), START_NS + PERIOD_NS))
        assert 'silence: over' not in bench.wait_for_log('clouds arrive again')


# ---------------------------------------------------------------------- failures and clocks


def test_a_cloud_on_which_the_network_breaks_is_counted_and_the_next_is_answered(
    untrained_bundle, monkeypatch
):
    with Bench(bundle=str(untrained_bundle), policy='block', diagnostics_period=0.1) as bench:
        bench.wait_for_state('active')
        answers = bench.collect('output/segmentation', PointCloud2)
        publisher = bench.publisher()
        with monkeypatch.context() as patch:
            patch.setattr(bench.stream.session, 'submit', None)
            publisher.publish(cloud(street(1), START_NS))
            wait_until(
                lambda: bench.diagnostics('processing').get('dropped.error') == '1', 'the counter'
            )
        publisher.publish(cloud(street(2), START_NS + PERIOD_NS))
        answers.wait_for(1)
        assert 'TypeError' in bench.diagnostics('model')['last_error']


def test_a_clock_that_jumps_back_begins_a_new_history(untrained_bundle):
    with Bench(bundle=str(untrained_bundle), use_sim_time=True, diagnostics_period=0.1) as bench:
        bench.wait_for_state('active')
        client: Node = bench._client.node
        clock = client.create_publisher(Clock, '/clock', 10)
        wait_until(clock.get_subscription_count, 'the node to hear the clock')

        def resets() -> int:
            return int(bench.diagnostics('model').get('resets.clock_jump', 0))

        def set_clock(seconds: int) -> None:
            clock.publish(Clock(clock=Time(sec=seconds)))
            wait_until(
                lambda: bench.node.get_clock().now().nanoseconds == seconds * 10**9, 'the clock'
            )

        set_clock(100)
        wait_until(lambda: resets() == 1, 'the reset by the first time')
        set_clock(50)
        wait_until(lambda: resets() == 2, 'the reset by the jump')
        assert len(ask(bench, 50 * 10**9)) == 600


def test_a_swap_names_the_classes_that_change(untrained_bundle, other_bundle):
    with Bench(bundle=str(untrained_bundle), device='cpu') as bench:
        bench.wait_for_state('active')
        bench.set(bundle=str(other_bundle))
        message = bench.load_skill().message
        assert 'the classes of segmentation were ' in message
        assert 'are now floor, rest' in message
        assert 'the classes of action were ' in message and 'are now none' in message
        assert 'classes' not in bench.load_skill().message


def test_clouds_unlike_those_of_the_training_are_reported_once():
    with Bench(bundle='radhar', device='cpu', diagnostics_period=0.1) as bench:
        bench.wait_for_state('active')
        actions = bench.collect('output/action', Classification)
        publisher = bench.publisher()
        for number in range(2):
            publisher.publish(cloud(street(0, points=27_000), START_NS + number * PERIOD_NS))
            actions.wait_for(number + 1)
        log = bench.wait_for_log('unlike those that radhar was trained on')
        assert 'the skill reads velocity, intensity, which the clouds do not have' in log
        assert 'the clouds have 27000 points, and the skill distinguishes 64 places' in log
        assert log.count('unlike those') == 1
